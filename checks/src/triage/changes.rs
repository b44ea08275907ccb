//! Which single decision of the protocol, taken otherwise, would have a status logged.

use super::causes::Wanted;
use super::goal::Goal;
use super::search::{MEMORY, Sighting};
use crate::engine::{Clock, Cut, Limits, Watch};
use crate::question::{Question, QuestionError, Source};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::Reductions;
use std::time::Duration;

/// A decision of the protocol that, taken otherwise, has KVM_BUG_ON fire for the status.
#[derive(Debug)]
pub struct Change {
    /// The decision.
    pub decision: &'static str,
    /// What it would have to be.
    pub value: &'static str,
    /// What then happens.
    pub sighting: Sighting,
}

/// What was found out about a kernel's decisions.
#[derive(Debug)]
pub struct Changes {
    /// The kernel profile, as named.
    pub kernel: String,
    /// The lock table, as named.
    pub module: String,
    /// The decisions.
    pub found: Vec<Change>,
    /// Time ran out before all of them were tried.
    pub is_cut: bool,
}

/// Every single decision of a kernel that, taken otherwise, has KVM_BUG_ON fire for the status beside
/// one vCPU in a runnable TD; for at most `time`.
///
/// # Errors
/// When the profile or the table is not understood.
pub fn changes(
    wanted: &Wanted,
    kernel: &Source,
    module: &Source,
    time: Duration,
    watch: &Watch,
) -> Result<Changes, QuestionError> {
    let clock = Clock::start();
    let mut all = Changes {
        kernel: kernel.name.clone(),
        module: module.name.clone(),
        found: Vec::new(),
        is_cut: false,
    };
    let scenario = Scenario {
        memory: Memory::Tso,
        ..Scenario::default()
    };
    let plain = Question::new(module.clone(), kernel.clone(), Vec::new(), scenario)?;
    for decision in Decisions::NAMES {
        for (value, _) in Decisions::values(decision) {
            let mut question = plain.clone();
            question.decisions.set(decision, value)?;
            let Ok(system) = question.system(Reductions::ALL) else {
                continue;
            };
            if question.decisions == plain.decisions {
                continue;
            }
            question
                .set
                .push(((*decision).to_owned(), value.to_owned()));
            let limits = Limits {
                time: time.saturating_sub(clock.elapsed()),
                memory: MEMORY,
                ..Limits::default()
            };
            let looked = Goal::new(wanted, &question, &system).look(limits, watch);
            // A store buffer that overflows is the change's own doing.
            all.is_cut |= looked.cut.is_some_and(|cut| cut != Cut::StoreBuffer);
            if let Some(violation) = looked.fires {
                let is_hypothetical = true;
                let sighting = Sighting {
                    question,
                    system,
                    violation,
                    is_hypothetical,
                };
                all.found.push(Change {
                    decision,
                    value,
                    sighting,
                });
            }
        }
    }
    Ok(all)
}
