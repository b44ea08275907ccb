//! What a transition of the model is in a journal.

use crate::closed_enum::ClosedEnum;
use crate::kernel::KvmHeld;
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::OpKind;
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::status::{Operand, StatusWord};
use crate::system::labels::{Environment, Part, guest};
use crate::system::{self, Agent, State, System};
use crate::table::Effect;
use crate::threads::event::{Entry, Event, Leaf};

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

/// What a journal has of a transition; `None` when it is hidden.
pub(super) fn seen_event(
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
        Instr::ClearRequests => Some(Event::ClearRequests),
        Instr::RunLoop { .. } if is_offline(before, step.agent) => Some(Event::ComesOnline),
        Instr::SleepOnFlag { .. } => Some(Event::Woken),
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

/// A vCPU that is yet to be created.
fn is_offline(state: &State, agent: Agent) -> bool {
    let Agent::Vcpu(vcpu) = agent else {
        return false;
    };
    state.vcpus[usize::from(vcpu)].offline
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
