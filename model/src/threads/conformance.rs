//! The code is inside the model: a journal of the code is held against the packed model, step by step.
//!
//! The model is taken without its reductions, so that a transition is one step. A transition that the
//! code records has the same event on both sides; others are hidden: what a thread does by itself, and an IPI
//! that arrives or is taken. The set of states the model can be in after each event is kept; when it is
//! empty, the code has done what the model can not.

use super::event::{Entry, Event, Leaf};
use crate::closed_enum::ClosedEnum;
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::OpKind;
use crate::resource::{Mode, Resource};
use crate::status::{Operand, StatusWord};
use crate::system::labels::{Environment, Part, guest};
use crate::system::{self, Agent, State, System};
use crate::table::Effect;
use rustc_hash::FxHashSet;

/// Where code and model part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of events that fit.
    pub at: usize,
    /// What the code did.
    pub code: Entry,
    /// What the model could have done instead, of the same agent's.
    pub model: Vec<Event>,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "event {}: the code of {:?} did {:?}; the model allows ",
            self.at, self.code.agent, self.code.event
        )?;
        if self.model.is_empty() {
            return f.write_str("nothing here");
        }
        let allowed: Vec<String> = self
            .model
            .iter()
            .map(|event| format!("{event:?}"))
            .collect();
        f.write_str(&allowed.join(" or "))
    }
}

/// Holds a journal against a model without reductions, under sequential consistency.
///
/// # Errors
/// With the first event that no state the model can be in allows.
pub fn check(system: &System, journal: &[Entry]) -> Result<(), Divergence> {
    let mut states = FxHashSet::default();
    states.insert(system.initial());
    for (at, entry) in journal.iter().enumerate() {
        // A dead VM: nobody moves any more in the model.
        if states.iter().any(|state| state.shared.bugged) {
            return Ok(());
        }
        let (next, allowed) = follow(system, &states, *entry);
        if next.is_empty() {
            return Err(Divergence {
                at,
                code: *entry,
                model: allowed,
            });
        }
        states = next;
    }
    Ok(())
}

/// The states after an event, and what else the agent could have done.
fn follow(
    system: &System,
    states: &FxHashSet<State>,
    entry: Entry,
) -> (FxHashSet<State>, Vec<Event>) {
    let (mut next, mut allowed) = (FxHashSet::default(), Vec::new());
    let mut seen = states.clone();
    let mut open: Vec<State> = states.iter().copied().collect();
    while let Some(state) = open.pop() {
        system.successors(&state, |step, after| {
            match seen_event(system, &state, &step, &after) {
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

/// Hidden steps before an event: the agent's own, and for the end of a kick what the CPUs do with its
/// IPIs. Hidden steps of others can as well be taken later.
fn may_precede(entry: Entry, step: &system::Event, system: &System) -> bool {
    let is_hardware = step
        .trail
        .first()
        .is_some_and(|id| system.labels.parts(*id).0 == Part::Environment);
    step.agent == entry.agent
        || (is_hardware && matches!(entry.event, Event::AllAcknowledged | Event::Sent { .. }))
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
            None
        }
        Part::Module => in_module(system, before, step, after, line, outcome),
        _ => in_kvm(system, before, step, part, line, outcome),
    }
}

fn in_kvm(
    system: &System,
    before: &State,
    step: &system::Event,
    part: Part,
    line: u8,
    outcome: u8,
) -> Option<Event> {
    let vcpu = step.target.unwrap_or_default();
    match system.program_of(part)[usize::from(line)].instr {
        Instr::Call { leaf, site } => Some(Event::Call {
            leaf: leaf_of(system, leaf.0)?,
            no_fail: site == CallSite::NoFail,
        }),
        Instr::BeginZap { .. } => Some(Event::BeginZap),
        Instr::Unlock { .. } => Some(Event::Unlock),
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
