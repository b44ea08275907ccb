//! The way again: from sorted keys to states with stable vCPU numbers, and from fused transitions
//! to single steps.

use crate::engine::Violation;
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::{Agent, Event, Reductions, State, System, pack};

/// One single step of the unreduced system.
#[derive(Clone, Debug)]
pub struct Single {
    /// The state before.
    pub before: State,
    /// The step; its trail is one step, or a module's return and what the caller sees of it.
    pub event: Event,
    /// The state after.
    pub after: State,
    /// Taken in one transition with the step before.
    pub fused: bool,
}

/// The same system with R1, R2 and R5 off: one step at a time, vCPUs where they are. R3 stays as
/// it is, and so do the step numbers.
#[must_use]
pub fn single_stepping(system: &System) -> System {
    let mut single = system.clone();
    single.reductions = Reductions {
        merge_uncontended: false,
        fuse_local: false,
        sort_vcpus: false,
        ..system.reductions
    };
    single
}

/// The single steps of a violation, or `None` when they can not be found again: a bug in a
/// reduction or in the engine, never in the model.
#[must_use]
pub fn singles(system: &System, violation: &Violation) -> Option<Vec<Single>> {
    let single = single_stepping(system);
    let bit = violation.property.bit();
    let (state, mut steps) = along(system, &single, &violation.path)?;
    let (event, next) = successor(system, &state, |event, after| {
        event.trail == violation.last.trail && system.broken(&state, event, after) & bit != 0
    })?;
    take_apart(&single, system, &state, &event, &next, &mut steps)?;
    // Local steps may have been fused behind the one that breaks the property.
    let breaks = |step: &Single| single.broken(&step.before, &step.event, &step.after) & bit != 0;
    let length = steps.iter().position(breaks)? + 1;
    steps.truncate(length);
    Some(steps)
}

/// The single steps of the way to an event, up to the first of its own steps that is one of `ends`;
/// `None` when they can not be found again. `path` is the keys of the states up to the event.
#[must_use]
pub fn singles_to(
    system: &System,
    path: &[Vec<u64>],
    last: &Event,
    ends: &[StepId],
) -> Option<Vec<Single>> {
    let single = single_stepping(system);
    let (state, mut steps) = along(system, &single, path)?;
    let (event, next) = successor(system, &state, |event, _| event == last)?;
    let first = steps.len();
    take_apart(&single, system, &state, &event, &next, &mut steps)?;
    let is_end = |step: &Single| step.event.trail.iter().any(|id| ends.contains(id));
    let length = first + steps[first..].iter().position(is_end)? + 1;
    steps.truncate(length);
    Some(steps)
}

/// The states with these keys, one after the other: the last of them, and the single steps between.
fn along(system: &System, single: &System, path: &[Vec<u64>]) -> Option<(State, Vec<Single>)> {
    let (mut state, mut steps) = (system.initial(), Vec::new());
    for key in path.get(1..)? {
        let (event, next) = successor(system, &state, |_, after| key_of(system, after) == *key)?;
        take_apart(single, system, &state, &event, &next, &mut steps)?;
        state = next;
    }
    Some((state, steps))
}

/// The single steps of a sequence of transitions of a system whose vCPUs are not sorted, or `None`
/// when they can not be taken.
#[must_use]
pub fn singles_of(system: &System, events: &[Event]) -> Option<Vec<Single>> {
    let single = single_stepping(system);
    let mut state = system.initial();
    let mut steps = Vec::new();
    for event in events {
        let next = system.step(&state, event)?;
        take_apart(&single, system, &state, event, &next, &mut steps)?;
        state = next;
    }
    Some(steps)
}

fn key_of(system: &System, state: &State) -> Vec<u64> {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut key = vec![0; pack::words(vcpus, threads)];
    pack::pack(
        state,
        vcpus,
        threads,
        system.reductions.sort_vcpus,
        &mut key,
    );
    key
}

fn successor(
    system: &System,
    state: &State,
    wanted: impl Fn(&Event, &State) -> bool,
) -> Option<(Event, State)> {
    let mut found = None;
    system.successors(state, |event, after| {
        if found.is_none() && wanted(&event, &after) {
            found = Some((event, after));
        }
    });
    found
}

/// Finds the single steps that make up one transition.
fn take_apart(
    single: &System,
    system: &System,
    before: &State,
    event: &Event,
    after: &State,
    steps: &mut Vec<Single>,
) -> Option<()> {
    let first = steps.len();
    let same = |state: &State| key_unsorted(system, state) == key_unsorted(system, after);
    if !walk(
        single,
        before,
        event.agent,
        event,
        &event.trail,
        &same,
        steps,
    ) {
        return None;
    }
    for step in &mut steps[first + 1..] {
        step.fused = true;
    }
    Some(())
}

fn key_unsorted(system: &System, state: &State) -> Vec<u64> {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut key = vec![0; pack::words(vcpus, threads)];
    pack::pack(state, vcpus, threads, false, &mut key);
    key
}

/// Depth first over single steps whose trails spell `rest`; where a choice does not show in the
/// trail (which page), only one choice ends in the right state.
fn walk(
    single: &System,
    state: &State,
    agent: Agent,
    event: &Event,
    rest: &[StepId],
    done: &impl Fn(&State) -> bool,
    steps: &mut Vec<Single>,
) -> bool {
    if rest.is_empty() {
        return done(state);
    }
    let mut choices = Vec::new();
    single.successors(state, |choice, after| {
        let same_target = choice.target.is_none() || choice.target == event.target;
        if choice.agent == agent && same_target && rest.starts_with(&choice.trail) {
            choices.push((choice, after));
        }
    });
    choices.into_iter().any(|(choice, after)| {
        let taken = choice.trail.len();
        steps.push(Single {
            before: *state,
            event: choice,
            after,
            fused: false,
        });
        let found = walk(single, &after, agent, event, &rest[taken..], done, steps);
        if !found {
            steps.pop();
        }
        found
    })
}
