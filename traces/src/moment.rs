//! What holds after a step, put together from what steps changed.

use crate::links::is_busy;
use crate::schema::{CallEdge, Held, Step, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// The end of the name of every store buffer's field.
pub(crate) const BUFFER: &str = ".store_buffer";

/// Every field after so many steps, by name; after none it is the start.
#[must_use]
pub fn fields(trace: &Trace, after: usize) -> BTreeMap<&str, &str> {
    let mut fields: BTreeMap<&str, &str> = trace
        .initial
        .iter()
        .map(|(field, value)| (field.as_str(), value.as_str()))
        .collect();
    for change in trace.steps[..after].iter().flat_map(|step| &step.changed) {
        fields.insert(&change.field, &change.to);
    }
    fields
}

/// The locks held before a step, counted from 1.
#[must_use]
pub fn locks_before(trace: &Trace, step: usize) -> &[Held] {
    match step {
        0 | 1 => &[],
        _ => &trace.steps[step - 2].locks,
    }
}

/// What a step did to the locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockEvents<'a> {
    /// Those it acquired.
    pub acquired: Vec<&'a Held>,
    /// Those it released.
    pub released: Vec<&'a Held>,
}

/// What a step, counted from 1, did to the locks. Under which function a lock is held is no event.
#[must_use]
pub fn lock_events(trace: &Trace, step: usize) -> LockEvents<'_> {
    let (before, after) = (locks_before(trace, step), &trace.steps[step - 1].locks);
    let missing = |from: &[Held], held: &Held| !from.iter().any(|other| same_lock(other, held));
    LockEvents {
        acquired: after.iter().filter(|held| missing(before, held)).collect(),
        released: before.iter().filter(|held| missing(after, held)).collect(),
    }
}

fn same_lock(one: &Held, other: &Held) -> bool {
    (&one.lock, &one.mode, &one.agent) == (&other.lock, &other.mode, &other.agent)
}

/// For each step whether it is one of the TDX module's: between a SEAMCALL's issue and its return.
/// A step that stands in no function is the processor's.
#[must_use]
pub fn in_module(trace: &Trace) -> Vec<bool> {
    let mut inside: BTreeSet<&str> = BTreeSet::new();
    let mut is_inside = |step: &'_ Step, agent| {
        let is_module = inside.contains(agent) && !step.anchor.function.is_empty();
        match step.seamcall {
            Some(CallEdge::Called) => inside.insert(agent),
            Some(CallEdge::Returned) => inside.remove(agent),
            None => false,
        };
        is_module
    };
    trace
        .steps
        .iter()
        .map(|step| is_inside(step, step.agent.as_str()))
        .collect()
}

/// The steps that find a lock held, counted from 1.
#[must_use]
pub fn busy_steps(trace: &Trace) -> Vec<usize> {
    let steps = trace.steps.iter().zip(1..);
    steps
        .filter_map(|(step, number)| is_busy(step).then_some(number))
        .collect()
}

/// An agent's name, or its identifier when it is not listed.
#[must_use]
pub fn agent_name<'a>(trace: &'a Trace, id: &'a str) -> &'a str {
    let listed = trace.agents.iter().find(|agent| agent.id == id);
    listed.map_or(id, |agent| &agent.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn fields_follow_the_changes() {
        let trace = fixtures::second_block_is_busy();
        assert_eq!(fields(&trace, 0)["vcpu0.mode"], "OUTSIDE_GUEST_MODE");
        assert_eq!(fields(&trace, 1)["vcpu0.mode"], "IN_GUEST_MODE");
        assert_eq!(
            fields(&trace, trace.steps.len())["wait_for_sept_zap"],
            "true"
        );
    }

    #[test]
    fn a_lock_is_acquired_where_it_first_is_and_released_where_it_is_no_more() {
        let trace = fixtures::second_block_is_busy();
        let events = lock_events(&trace, 4);
        assert_eq!(events.acquired.len(), 1);
        assert_eq!(events.acquired[0].lock, "SEPT_TREE");
        assert!(events.released.is_empty());
    }

    #[test]
    fn only_steps_between_call_and_return_are_the_modules() {
        let mut script = fixtures::Script::new(&["zapper", "vcpu0"]);
        script.under("zapper", "tdx_track").step("TDH.MEM.TRACK");
        script.edge(CallEdge::Called);
        script.under("vcpu0", "vcpu_enter_guest").step("elsewhere");
        script
            .under("zapper", "TDH.MEM.TRACK")
            .step("acquire TDR shared");
        script.under("zapper", "").step("a store reaches memory");
        script.under("zapper", "TDH.MEM.TRACK").step("return");
        script.edge(CallEdge::Returned);
        script.under("zapper", "tdx_track").step("busy? no");
        let inside = in_module(&script.finish(""));
        assert_eq!(inside, [false, false, true, false, true, false]);
    }
}
