//! How actors, messages and moves read: as kernel code, and as the module's own names.

use super::message::{Access, Cpu, Doing, GuestStep, Mode, Move, Msg, Standing};
use super::setup::{Action, LEAVES};
use super::{Agent, AgentState, Step};
use crate::closed_enum::ClosedEnum;
use crate::table::Effect;
use stateright::actor::{Actor, ActorModel, Id};
use std::fmt::{Debug, Formatter, Result};

impl Debug for Cpu {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.vcpu() {
            None => f.write_str("zapper"),
            Some(index) => write!(f, "vCPU {index}"),
        }
    }
}

impl Mode {
    /// As the kernel spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutsideGuestMode => "OUTSIDE_GUEST_MODE",
            Self::InGuestMode => "IN_GUEST_MODE",
            Self::ExitingGuestMode => "EXITING_GUEST_MODE",
        }
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::ReadFlag => f.write_str("READ_ONCE(wait_for_sept_zap)"),
            Self::WriteFlag(value) => write!(f, "WRITE_ONCE(wait_for_sept_zap, {value})"),
            Self::ReadMode(vcpu) => write!(f, "READ_ONCE(vcpu{vcpu}->mode)"),
            Self::WriteMode(mode) => write!(f, "vcpu->mode = {}", mode.name()),
            Self::KickMode(vcpu) => write!(
                f,
                "cmpxchg(vcpu{vcpu}->mode, IN_GUEST_MODE, EXITING_GUEST_MODE)"
            ),
            Self::FullBarrier => f.write_str("drain the store queue"),
            Self::LockAndUnmap => f.write_str("write_lock(mmu_lock), unmap the mirror SPTE"),
            Self::UnlockAfterZap => f.write_str("write_unlock(mmu_lock)"),
            Self::LockAndFreeze => f.write_str("read_lock(mmu_lock), freeze the mirror SPTE"),
            Self::UnlockAfterFault { mapped: true } => {
                f.write_str("map the mirror SPTE, read_unlock(mmu_lock)")
            }
            Self::UnlockAfterFault { mapped: false } => {
                f.write_str("thaw the mirror SPTE, read_unlock(mmu_lock)")
            }
            Self::BugOn => f.write_str("KVM_BUG_ON(err, kvm)"),
        }
    }
}

impl Debug for GuestStep {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Tdcall(leaf) => write!(f, "TDCALL {}", LEAVES[usize::from(*leaf)]),
            Self::Touch { arms: false } => f.write_str("touch the page"),
            Self::Touch { arms: true } => f.write_str("touch the page, once too often"),
            Self::Interrupted { progress: false } => f.write_str("interrupt"),
            Self::Interrupted { progress: true } => f.write_str("interrupt, after progress"),
            Self::Vmcall { progress: false } => f.write_str("TDG.VP.VMCALL"),
            Self::Vmcall { progress: true } => f.write_str("TDG.VP.VMCALL, after progress"),
        }
    }
}

impl Debug for Msg {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use super::message::Answer;
        match self {
            Self::Access(access) => access.fmt(f),
            Self::Answer(Answer::Done) => f.write_str("done"),
            Self::Answer(Answer::Flag(value)) => write!(f, "{value}"),
            Self::Answer(Answer::Mode(mode)) => f.write_str(mode.name()),
            Self::Answer(Answer::Locked) => f.write_str("locked"),
            Self::Answer(Answer::Contended) => f.write_str("held: spin"),
            Self::Answer(Answer::Nothing) => f.write_str("nothing to do, unlocked again"),
            Self::Seamcall(leaf) => write!(f, "SEAMCALL {}", LEAVES[usize::from(*leaf)]),
            Self::Step => f.write_str("next step"),
            Self::Guest(step) => step.fmt(f),
            Self::Running => f.write_str("(in the module)"),
            Self::GuestRuns => f.write_str("guest runs"),
            Self::Return { status, .. } => write!(f, "SEAMRET {}", status.pretty()),
            Self::Ipi => f.write_str("IPI"),
            Self::Acknowledged => f.write_str("ack_kick(), csd_unlock()"),
        }
    }
}

impl Debug for Move {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Access(access) => access.fmt(f),
            Self::LocalIrqDisable => f.write_str("local_irq_disable()"),
            Self::Step(None) => f.write_str("next step of its call"),
            Self::Step(Some(standing)) => standing.fmt(f),
            Self::EnterGuest { push: false } => f.write_str("vcpu_enter_guest()"),
            Self::EnterGuest { push: true } => f.write_str("push an event, vcpu_enter_guest()"),
            Self::ExitRequest { work: false } => f.write_str("kvm_vcpu_exit_request()"),
            Self::ExitRequest { work: true } => {
                f.write_str("kvm_vcpu_exit_request(), work pending")
            }
            Self::Guest(step) => write!(f, "guest: {step:?}"),
            Self::Drain(cpu) => write!(f, "{cpu:?}'s oldest store reaches memory"),
            Self::ForeignKick(vcpu) => write!(f, "somebody else kicks vCPU {vcpu}"),
        }
    }
}

impl Debug for AgentState {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Module(_) => "TDX module",
            Self::Memory(_) => "memory",
            Self::Zapper(_) => "zapper",
            Self::Vcpu(_) => "vCPU",
        })
    }
}

impl Debug for Standing {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}: {:?}", LEAVES[usize::from(self.leaf)], self.next)
    }
}

impl Debug for Doing {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::SetTdhp => f.write_str("BUSY, set TDHP"),
            Self::GiveBack(resource) => write!(f, "failed, release {}", resource.key()),
            Self::UndoRefcount => f.write_str("failed, undo REFCOUNT++"),
            Self::Action(action) => match action {
                Action::Try { resource, mode, .. } => {
                    write!(f, "acquire {} {}", resource.key(), mode.key())
                }
                Action::SetTdel { mode, .. } => {
                    write!(f, "acquire SEPT_ENTRY {} (set TDEL)", mode.key())
                }
                Action::ClearTdhp => f.write_str("clear TDHP"),
                Action::TestTdhp { .. } => f.write_str("look at TDHP"),
                Action::Release(resource) => write!(f, "release {}", resource.key()),
                Action::Do(effect, _) => f.write_str(does(*effect)),
            },
        }
    }
}

const fn does(effect: Effect) -> &'static str {
    match effect {
        Effect::BlockEntry => "store the entry blocked",
        Effect::RecordBepoch => "BEPOCH = TD_EPOCH",
        Effect::AdvanceEpoch => "REFCOUNT[previous] == 0? TD_EPOCH++",
        Effect::CheckLeaf => "is it a present leaf?",
        Effect::CheckTracked => "is it blocked and tracked?",
        Effect::FreeEntry => "store the entry FREE",
        Effect::SampleEpoch => "sample TD_EPOCH, REFCOUNT++",
        Effect::WouldFault => "0-step filter: would the listed page fault?",
        Effect::RunGuest => "run the guest",
        Effect::LeaveEpoch => "TD exit: REFCOUNT--",
        Effect::AcceptCheck | Effect::AttrCheck => "read the entry again",
        Effect::AcceptStore | Effect::AddEntry => "store the entry MAPPED",
        Effect::AugEntry => "store the entry PENDING",
        Effect::Finalize => "OP_STATE = RUNNABLE",
        Effect::RequireInitialized => "OP_STATE == INITIALIZED?",
        Effect::RequireRunnable => "OP_STATE == RUNNABLE?",
    }
}

/// stateright's diagram calls what an actor does by itself a timeout. Nothing times out here.
pub(super) fn without_timeouts(drawn: &str) -> String {
    let lines = drawn
        .lines()
        .map(|line| match line.split_once(">Timeout(") {
            Some((before, after)) => {
                format!("{before}>{}", after.replacen(")</text>", "</text>", 1))
            }
            None => line.to_owned(),
        });
    let lines: Vec<String> = lines.collect();
    lines.join("\n")
}

/// How a step reads: who does what, or what reaches whom.
pub(super) fn step(actors: &ActorModel<Agent>, step: &Step) -> String {
    let name = |id: &Id| actors.actors[usize::from(*id)].name();
    match step {
        Step::Deliver { src, dst, msg } => format!("{} to {}: {msg:?}", name(src), name(dst)),
        Step::Timeout(id, act) => format!("{}: {act:?}", name(id)),
        _ => "nothing".into(),
    }
}
