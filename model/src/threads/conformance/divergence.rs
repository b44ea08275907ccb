//! Why a journal is not one of the model's runs.

use super::ends::EndsEarly;
use crate::system::Agent;
use crate::threads::event::{Entry, Event};

/// Where code and model part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of events that fit.
    pub at: usize,
    /// What the code did.
    pub code: Entry,
    /// What the model could have done instead, of the same agent's.
    pub model: Vec<Event>,
    /// The agent removes pages.
    pub by_a_zapper: bool,
}

impl std::error::Error for Divergence {}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = name_of(self.code.agent, self.by_a_zapper);
        let did = self.code.event;
        write!(f, "at event {}, in the code: {who} {did}", self.at + 1)?;
        if self.model.is_empty() {
            return write!(f, "; in the model {who} has to wait");
        }
        let allowed: Vec<String> = self.model.iter().map(ToString::to_string).collect();
        write!(f, "; in the model: {who} {}", allowed.join(", or "))
    }
}

/// An agent in words; a thread may be the second zapper.
pub(super) fn name_of(agent: Agent, by_a_zapper: bool) -> String {
    match agent {
        Agent::Zapper => "the zapper".to_owned(),
        Agent::Vcpu(index) => format!("vCPU {index}"),
        Agent::Thread(_) if by_a_zapper => "zapper 2".to_owned(),
        Agent::Thread(index) => format!("thread {index}"),
    }
}

/// Why the run that a journal is of is none of the model's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInside {
    /// A step of it is none.
    #[error(transparent)]
    Step(#[from] Divergence),
    /// It ends too early.
    #[error(transparent)]
    End(#[from] EndsEarly),
}
