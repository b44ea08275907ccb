//! The code is inside the model: a journal of the code is held against the packed model, step by step.
//!
//! The model is taken without its reductions, so that a transition is one step. A transition that the
//! code records has the same event on both sides; others are hidden: what a thread does by itself, and an IPI
//! that arrives or is taken. The set of states the model can be in after each event is kept; when it is
//! empty, the code has done what the model can not.
//!
//! [`check`] does so with one journal of a whole run, sequentially consistent, which has to end where the
//! model's threads can be at their ends. [`Held`] does it with every execution of
//! loom's, on both of its memories: `subsets` keeps what was computed once, `order` looks for an order that
//! x86 allows where loom's own is none, `start` is where a window begins, `seen` says what of the model
//! is in a journal, and `outcomes` compares what all executions together came to.

mod divergence;
mod ends;
mod held;
mod order;
mod outcomes;
mod seen;
mod start;
mod subsets;

pub use divergence::{Divergence, NotInside};
pub use ends::EndsEarly;
pub use held::{Conformance, Fit, Held, HeldError};
pub use outcomes::Compared;
pub use seen::entry_of;
pub use start::{NoStart, model as model_of};

use super::event::{Entry, Event};
use super::scenario::Scenario;
use crate::kernel::KernelProfile;
use crate::kernel::decisions::{FlagRaise, KickModeRead};
use crate::system::labels::{Environment, Part};
use crate::system::state::VcpuMode;
use crate::system::{self, Agent, State, System};
use crate::table::LockTable;
use rustc_hash::FxHashSet;
use seen::seen_event;

/// How the model is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct View {
    /// The code has no `kvm_vcpu_exit_request()` ([`Grain::Contended`](super::Grain)): the model's answer
    /// "no" is hidden.
    skips_exit_request: bool,
    /// The flag and the modes show whatever the code saw in them: what is left of the model is control
    /// flow, locks, epochs and interrupts.
    believes: bool,
}

/// Holds the journal of a run that has ended against a model without reductions, under sequential
/// consistency: a whole removal, from the model's initial state.
///
/// # Errors
/// With the first event that no state the model can be in allows; or with a thread that has ended and that
/// the model leaves more to do.
pub fn check(system: &System, journal: &[Entry]) -> Result<(), NotInside> {
    let states = walk(system, system.initial(), journal)?;
    if is_dead(&states) {
        return Ok(());
    }
    Ok(ends::check(system, states)?)
}

/// The same of a window, from where [`window_start`] says that it begins. The code's threads end with the
/// window, where the model's have more to do.
///
/// # Errors
/// With the first event that no state the model can be in allows.
pub fn check_window(system: &System, start: &State, journal: &[Entry]) -> Result<(), NotInside> {
    walk(system, *start, journal)?;
    Ok(())
}

/// Where a window begins in a model of the same scenario.
///
/// # Errors
/// When it begins nowhere there, or no search shows that it does; when there is no such model.
pub fn window_start(
    table: &LockTable,
    kernel: &KernelProfile,
    scenario: &Scenario,
    system: &System,
) -> Result<State, HeldError> {
    let found = start::find(table, kernel, scenario, system)??;
    match found.is_reached {
        true => Ok(found.state),
        false => Err(HeldError::Unreached),
    }
}

/// The states that a journal leads to; all of them dead where it goes on behind a KVM_BUG_ON.
fn walk(system: &System, start: State, journal: &[Entry]) -> Result<FxHashSet<State>, Divergence> {
    let mut states = FxHashSet::from_iter([start]);
    for (at, entry) in journal.iter().enumerate() {
        if is_dead(&states) {
            break;
        }
        let (next, model) = follow(system, View::default(), &states, *entry);
        if next.is_empty() {
            let code = *entry;
            let by_a_zapper = is_a_zapper(system, code.agent);
            return Err(Divergence {
                at,
                code,
                model,
                by_a_zapper,
            });
        }
        states = next;
    }
    Ok(states)
}

/// A dead VM: nobody moves any more in the model, and what the code does is of no interest. A state that is
/// not dead has more to say.
fn is_dead(states: &FxHashSet<State>) -> bool {
    states.iter().all(|state| state.shared.bugged)
}

fn is_a_zapper(system: &System, agent: Agent) -> bool {
    system.zappers().any(|part| part.agent() == agent)
}

/// The states after an event, and what else the agent could have done.
fn follow(
    system: &System,
    view: View,
    states: &FxHashSet<State>,
    entry: Entry,
) -> (FxHashSet<State>, Vec<Event>) {
    let (mut next, mut allowed) = (FxHashSet::default(), Vec::new());
    let mut seen: FxHashSet<State> = states.iter().map(|state| view.of(*state, entry)).collect();
    let mut open: Vec<State> = seen.iter().copied().collect();
    while let Some(state) = open.pop() {
        system.successors(&state, |step, after| {
            match view.event(system, &state, &step, &after) {
                None if may_precede(entry, &step, system) && seen.insert(after) => {
                    open.push(after);
                }
                Some(event) if step.agent == entry.agent => {
                    if is_seen_as(system, event, entry.event) {
                        next.extend(view.also_after(system, after, event));
                        next.insert(after);
                    } else if !allowed.contains(&event) {
                        allowed.push(event);
                    }
                }
                _ => {}
            }
        });
    }
    (next, allowed)
}

/// The same event; or the RFC's vCPU found a request after it had looked at its mode, which has become
/// EXITING_GUEST_MODE in between. Either turns it back.
fn is_seen_as(system: &System, model: Event, code: Event) -> bool {
    let has_requests = system.decisions.flag_raise == FlagRaise::RequestBit;
    let late = (Event::ExitRequest(1), Event::ExitRequest(2));
    model == code || (has_requests && (model, code) == late)
}

/// Hidden steps before an event: the agent's own, stores that reach memory, and for the end of a kick what
/// the CPUs do with its IPIs. Whether a walk of the vCPUs has begun decides whom it finds: a zapper may have
/// gone on before a vCPU comes online. Hidden steps of others can else as well be taken later.
fn may_precede(entry: Entry, step: &system::Event, system: &System) -> bool {
    let environment = environment_of(system, step);
    step.agent == entry.agent
        || (entry.event == Event::ComesOnline && is_a_zapper(system, step.agent))
        || environment.is_some_and(is_drain)
        || (environment.is_some()
            && matches!(entry.event, Event::AllAcknowledged | Event::Sent { .. }))
}

/// What the hardware does in a step; `None` when a thread takes it.
fn environment_of(system: &System, step: &system::Event) -> Option<u8> {
    let (part, line, _) = system.labels.parts(*step.trail.first()?);
    (part == Part::Environment).then_some(line)
}

fn is_drain(environment: u8) -> bool {
    environment == Environment::DrainFlag as u8 || environment == Environment::DrainMode as u8
}

impl View {
    /// The state in which the code saw what it saw.
    fn of(self, mut state: State, entry: Entry) -> State {
        if !self.believes {
            return state;
        }
        match entry.event {
            Event::TestFlag(up) => state.shared.flag = up,
            Event::Woken => state.shared.flag = false,
            Event::Visited { outcome: 5, .. } => {}
            Event::ForeignKick => {
                if let Agent::Vcpu(vcpu) = entry.agent
                    && let Some(vcpu) = state.vcpus.get_mut(usize::from(vcpu))
                {
                    vcpu.mode = VcpuMode::InGuest;
                }
            }
            Event::Visited { vcpu, outcome } => {
                if let Some(vcpu) = state.vcpus.get_mut(usize::from(vcpu)) {
                    vcpu.mode = match outcome {
                        0 => VcpuMode::Outside,
                        1 => VcpuMode::InGuest,
                        _ => VcpuMode::Exiting,
                    };
                }
            }
            Event::ExitRequest(outcome) => {
                if let Agent::Vcpu(vcpu) = entry.agent
                    && let Some(vcpu) = state.vcpus.get_mut(usize::from(vcpu))
                {
                    vcpu.mode = match outcome {
                        1 => VcpuMode::Exiting,
                        _ => VcpuMode::InGuest,
                    };
                    vcpu.request &= outcome != 0;
                }
            }
            _ => {}
        }
        state
    }

    /// Where the code may have read an old `vcpu->cpu`, above the look at the mode (M18) or below one that orders
    /// nothing: the old CPU will get the IPI.
    fn also_after(self, system: &System, mut state: State, event: Event) -> Option<State> {
        let Event::Visited { vcpu, outcome } = event else {
            return None;
        };
        let reads = match outcome {
            5 => true,
            1 | 2 => system.decisions.kick_mode_read == KickModeRead::PlainLoad,
            _ => false,
        };
        state.vcpus.get_mut(usize::from(vcpu))?.cpu_stale = true;
        (self.believes && reads && system.scenario.migrate).then_some(state)
    }

    /// The event of a transition; `None` when it is hidden.
    fn event(
        self,
        system: &System,
        before: &State,
        step: &system::Event,
        after: &State,
    ) -> Option<Event> {
        match seen_event(system, before, step, after) {
            Some(Event::ExitRequest(0)) if self.skips_exit_request => None,
            event => event,
        }
    }
}
