//! Who gets a column, and what is said of those who do not.

use super::text::Line;
use crate::schema::{Agent, AgentKind, Step, Trace};
use std::cmp::Reverse;

/// Four columns in 72 characters would be too narrow for a function name.
const MAX_COLUMNS: usize = 3;

/// The agents of a trace, sorted into columns and folded ones.
#[derive(Debug)]
pub(super) struct Cast<'a> {
    columns: Vec<&'a Agent>,
    /// One remark on each agent that has no column.
    pub(super) folded: Vec<String>,
}

impl<'a> Cast<'a> {
    /// Decides who is drawn.
    pub(super) fn of(trace: &'a Trace) -> Self {
        let acting = |agent: &&Agent| steps_of(trace, agent) > 0 && matters(trace, agent);
        let mut columns: Vec<&Agent> = trace.agents.iter().filter(acting).collect();
        if columns.len() > MAX_COLUMNS {
            columns = principals(trace, &columns);
        }
        let undrawn = trace
            .agents
            .iter()
            .filter(|agent| !columns.iter().any(|drawn| drawn.id == agent.id));
        let folded = undrawn.map(|agent| remark(trace, agent)).collect();
        Self { columns, folded }
    }

    /// The column of an agent's steps.
    pub(super) fn column(&self, id: &str) -> Option<usize> {
        self.columns.iter().position(|agent| agent.id == id)
    }

    /// The title of each column.
    pub(super) fn headers(&self) -> Vec<Line> {
        let titles = self.columns.iter().enumerate();
        titles
            .map(|(cpu, agent)| Line::new(0, &format!("CPU {cpu}: {}", agent.name)))
            .collect()
    }
}

/// How much a trace is about an agent, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Wanted,
    HeldFirst,
    Zapper,
    Held,
    Bystander,
}

/// Of too many agents, those with a role; and when that leaves no race, whoever moved last.
fn principals<'a>(trace: &Trace, acting: &[&'a Agent]) -> Vec<&'a Agent> {
    let last_step = |agent: &Agent| trace.steps.iter().rposition(|step| step.agent == agent.id);
    let mut ranked = acting.to_vec();
    ranked.sort_by_cached_key(|agent| (role(trace, agent), Reverse(last_step(agent))));
    let with_role = acting
        .iter()
        .filter(|agent| role(trace, agent) != Role::Bystander)
        .count();
    ranked.truncate(if with_role < 2 {
        MAX_COLUMNS
    } else {
        with_role.min(MAX_COLUMNS)
    });
    let kept = |agent: &&&Agent| ranked.iter().any(|kept| kept.id == agent.id);
    acting.iter().filter(kept).copied().collect()
}

fn role(trace: &Trace, agent: &Agent) -> Role {
    let conflict = trace.verdict.conflict.as_ref();
    let wanted = conflict.is_some_and(|conflict| conflict.wanted_by == agent.id);
    let mut holders = conflict.iter().flat_map(|conflict| &conflict.held);
    match holders.position(|held| held.agent == agent.id) {
        _ if wanted => Role::Wanted,
        Some(0) => Role::HeldFirst,
        _ if agent.kind == AgentKind::Zapper => Role::Zapper,
        Some(_) => Role::Held,
        None => Role::Bystander,
    }
}

/// False for a vCPU that went about its own business: it held no lock, got no status word, changed
/// only fields of its own, and nobody else asked about it or changed them.
fn matters(trace: &Trace, agent: &Agent) -> bool {
    agent.kind != AgentKind::Vcpu
        || role(trace, agent) != Role::Bystander
        || trace
            .steps
            .last()
            .is_some_and(|step| step.agent == agent.id)
        || trace.steps.iter().any(|step| involves(step, agent))
}

/// Whether this step ties the agent to the others: see [`matters`].
fn involves(step: &Step, agent: &Agent) -> bool {
    let own = |field: &str| {
        field
            .strip_prefix(&agent.id)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let changed = |its_own: bool| {
        step.changed
            .iter()
            .any(|change| own(&change.field) == its_own)
    };
    let asked = |text: &str| text.contains(&agent.id) || text.contains(&agent.name);
    let tied = if step.agent == agent.id {
        step.status.is_some() || changed(false)
    } else {
        changed(true) || step.guards.iter().any(|guard| asked(&guard.text))
    };
    tied || step.locks.iter().any(|held| held.agent == agent.id)
}

fn steps_of(trace: &Trace, agent: &Agent) -> usize {
    trace
        .steps
        .iter()
        .filter(|step| step.agent == agent.id)
        .count()
}

/// What is said of an agent without a column.
fn remark(trace: &Trace, agent: &Agent) -> String {
    let why = if matters(trace, agent) {
        "not drawn"
    } else {
        "none that another agent sees"
    };
    let steps = match steps_of(trace, agent) {
        0 => "no steps".to_owned(),
        1 => format!("1 step, {why}"),
        many => format!("{many} steps, {why}"),
    };
    format!("({}: {steps})", agent.name)
}

#[cfg(test)]
mod tests;
