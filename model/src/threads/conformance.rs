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
//! x86 allows where loom's own is none, `start` is where a window begins, and `outcomes` compares what
//! all executions together came to.

mod divergence;
mod ends;
mod held;
mod order;
mod outcomes;
mod start;
mod subsets;

pub use divergence::{Divergence, NotInside};
pub use ends::EndsEarly;
pub use held::{Conformance, Fit, Held, HeldError};
pub use outcomes::Compared;
pub use start::NoStart;

use super::event::{Entry, Event, Leaf};
use crate::closed_enum::ClosedEnum;
use crate::kernel::KvmHeld;
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::OpKind;
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::status::{Operand, StatusWord};
use crate::system::labels::{Environment, Part, guest};
use crate::system::state::VcpuMode;
use crate::system::{self, Agent, State, System};
use crate::table::Effect;
use rustc_hash::FxHashSet;

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
/// consistency.
///
/// # Errors
/// With the first event that no state the model can be in allows; or with a thread that has ended and that
/// the model leaves more to do.
pub fn check(system: &System, journal: &[Entry]) -> Result<(), NotInside> {
    let mut states = FxHashSet::default();
    states.insert(system.initial());
    for (at, entry) in journal.iter().enumerate() {
        if is_dead(&states) {
            return Ok(());
        }
        let (next, allowed) = follow(system, View::default(), &states, *entry);
        if next.is_empty() {
            let (code, model) = (*entry, allowed);
            let by_a_zapper = is_a_zapper(system, code.agent);
            return Err(Divergence {
                at,
                code,
                model,
                by_a_zapper,
            }
            .into());
        }
        states = next;
    }
    if is_dead(&states) {
        return Ok(());
    }
    Ok(ends::check(system, states)?)
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
                    if event == entry.event {
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

/// Hidden steps before an event: the agent's own, stores that reach memory, and for the end of a kick what
/// the CPUs do with its IPIs. Hidden steps of others can as well be taken later.
fn may_precede(entry: Entry, step: &system::Event, system: &System) -> bool {
    let environment = environment_of(system, step);
    step.agent == entry.agent
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
                }
            }
            _ => {}
        }
        state
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

/// A transition of the model as an entry of a journal; `None` when it is hidden.
#[must_use]
pub fn entry_of(
    system: &System,
    before: &State,
    step: &system::Event,
    after: &State,
) -> Option<Entry> {
    Some(Entry {
        agent: step.agent,
        event: seen_event(system, before, step, after)?,
    })
}

fn seen_event(
    system: &System,
    before: &State,
    step: &system::Event,
    after: &State,
) -> Option<Event> {
    let (part, line, outcome) = system.labels.parts(*step.trail.first()?);
    match part {
        Part::Environment => {
            debug_assert!(usize::from(line) < Environment::NAMES.len());
            (line == Environment::ForeignKick as u8).then_some(Event::ForeignKick)
        }
        Part::Module => in_module(system, before, step, after, line, outcome),
        _ => in_kvm(system, before, step, after, part, line, outcome),
    }
}

fn in_kvm(
    system: &System,
    before: &State,
    step: &system::Event,
    after: &State,
    part: Part,
    line: u8,
    outcome: u8,
) -> Option<Event> {
    let vcpu = step.target.unwrap_or_default();
    let text = &system.program_of(part)[usize::from(line)];
    match text.instr {
        Instr::Call { leaf, site } => Some(Event::Call {
            leaf: leaf_of(system, leaf.0)?,
            no_fail: site == CallSite::NoFail,
        }),
        Instr::BeginZap { locks } => Some(Event::BeginZap {
            page: after.shared.control(part).page,
            mmu_lock: mmu_lock(locks),
        }),
        // Nobody sees the mirror SPTE change where mmu_lock is held for write.
        Instr::RemoveMirrorSpte { freeze, .. } => {
            (freeze && outcome == 0).then_some(Event::FreezeMirrorSpte)
        }
        Instr::ThawMirrorSpte => Some(Event::ThawMirrorSpte),
        Instr::Unlock { .. } if is_ioctl(system, part) => Some(Event::DropLocks),
        Instr::Unlock { .. } if mmu_lock(text.held).is_none() => Some(Event::EndZap),
        Instr::Unlock { .. } => Some(Event::Unlock),
        Instr::Lock { locks } => Some(Event::TakeLocks(locks)),
        Instr::Release => Some(Event::DropLocks),
        Instr::Premap => Some(Event::Premapped(outcome == 0)),
        Instr::IoctlStatus { .. } if outcome == 2 => Some(Event::BugOn),
        Instr::StoreFlag { value } => Some(Event::StoreFlag(value)),
        Instr::Kick {
            step: KickStep::Visit,
        } if step.target.is_some() => Some(Event::Visited { vcpu, outcome }),
        Instr::Kick {
            step: KickStep::Send,
        } if step.target.is_some() => Some(Event::Sent { vcpu }),
        Instr::Kick {
            step: KickStep::Wait,
        } => Some(Event::AllAcknowledged),
        Instr::UnlessBusy { .. } if outcome == 2 => {
            Some(Event::CalledBusy(returned(system, before, step.agent)))
        }
        Instr::BugOn if outcome == 1 => Some(Event::BugOn),
        Instr::IrqDisable => Some(Event::IrqDisable),
        Instr::IrqEnable => Some(Event::IrqEnable),
        Instr::StoreMode { in_guest } => Some(Event::StoreMode { in_guest }),
        Instr::ExitRequest { .. } => Some(Event::ExitRequest(outcome)),
        Instr::TestFlag { .. } => Some(Event::TestFlag(outcome == 1)),
        Instr::HandleExitIrqoff => Some(Event::Dispatch(outcome)),
        Instr::FaultLock { .. } => Some(Event::FaultLock(outcome)),
        Instr::AugStatus => Some(Event::AugStatus(outcome)),
        _ => None,
    }
}

/// An ioctl thread's program.
fn is_ioctl(system: &System, part: Part) -> bool {
    part != Part::Vcpu && !system.is_zapper(part)
}

fn in_module(
    system: &System,
    before: &State,
    step: &system::Event,
    after: &State,
    address: u8,
    outcome: u8,
) -> Option<Event> {
    let op = system.code.ops[usize::from(address)];
    let failed = |index: u8| system.code.statuses[usize::from(index)];
    Some(match op.kind {
        OpKind::Acquire { resource, mode } => Event::Acquire {
            resource,
            mode,
            operand: operand_of(failed(op.status))?,
            taken: outcome == 0,
        },
        OpKind::SetTdel { mode } => Event::Acquire {
            resource: Resource::SeptEntry,
            mode: if mode == Mode::Host {
                Mode::Host
            } else {
                Mode::Guest
            },
            operand: operand_of(failed(op.status))?,
            taken: outcome == 0,
        },
        OpKind::MarkHostPriority => Event::MarkHostPriority,
        OpKind::ClearHostPriority => Event::ClearHostPriority,
        OpKind::LookHostPriority => Event::LookHostPriority(outcome == 1),
        OpKind::YieldTdel => Event::YieldTdel,
        OpKind::Release { resource } => Event::Release(resource),
        OpKind::UndoEpoch => Event::UndoEpoch,
        OpKind::BranchZeroStep => Event::ZeroStepArmed(outcome == 0),
        OpKind::Effect {
            effect: Effect::RunGuest,
            ..
        } => {
            let Agent::Vcpu(index) = step.agent else {
                return None;
            };
            let vcpu = after.vcpus[usize::from(index)];
            let tdcall = if outcome == guest::TDCALL {
                let leaf = system.code.ops[usize::from(vcpu.control.op)].leaf;
                Some(leaf_of(system, leaf.0)?)
            } else {
                None
            };
            Event::Guest {
                outcome,
                tdcall,
                armed: vcpu.zero_step != 0,
                page: vcpu.control.page,
            }
        }
        OpKind::Effect { effect, .. } => Event::Effect(effect, outcome),
        // Out of a TDCALL, back to the guest, is hidden; out of a SEAMCALL is not.
        OpKind::Return if step.trail.len() > 1 => {
            Event::Returned(returned(system, before, step.agent))
        }
        OpKind::Return => return None,
    })
}

/// How mmu_lock is held.
fn mmu_lock(held: KvmHeld) -> Option<KvmMode> {
    let mut modes = held.iter().filter(|(lock, _)| *lock == KvmLock::MmuLock);
    modes.next().map(|(_, mode)| mode)
}

/// The status of the call that an agent is about to return from.
fn returned(system: &System, before: &State, agent: Agent) -> StatusWord {
    let control = match agent {
        Agent::Zapper => before.shared.zapper,
        Agent::Vcpu(index) => before.vcpus[usize::from(index)].control,
        Agent::Thread(index) => before.shared.threads[usize::from(index)],
    };
    system.code.statuses[usize::from(control.status)]
}

fn leaf_of(system: &System, index: u8) -> Option<Leaf> {
    Leaf::from_key(&system.code.leaves[usize::from(index)].key)
}

/// The operand of a BUSY.
fn operand_of(status: StatusWord) -> Option<Operand> {
    let found = |operand: &&Operand| operand.id() == status.0 - status.code().0;
    Operand::ALL.iter().find(found).copied()
}
