//! The zapper: `tdx_sept_remove_private_spte()` over and over, under mmu_lock for write
//! (arch/x86/kvm/vmx/tdx.c, 6.16).
//!
//! The second call of a window is the first one again: the module can not tell them apart.

mod kick;
mod program;

use super::message::{Access, Answer, Cpu, MEMORY, MODULE, Move, Msg};
use super::setup::{Setup, TRACK};
use super::{Agent, Id, Out};
use crate::kernel::decisions::BusyPredicate;
use crate::property::{Property, PropertySet};
use crate::scenario::Memory;
use crate::status::{
    GPA_RANGE_NOT_BLOCKED, OPERAND_BUSY, Operand, PREVIOUS_TLB_EPOCH_BUSY, SUCCESS, StatusWord,
    TLB_TRACKING_NOT_DONE,
};
pub use program::{Deed, Zapper};

/// How far the zapper has come with the deed it is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has not begun.
    #[default]
    Ready,
    /// It waits for its store queue to drain, for a SEAMCALL or an IPI to follow.
    Draining,
    /// A SEAMCALL is under way.
    InSeamcall,
    /// The kick waits: for a call-function slot to be free, or for the last acknowledgement.
    Waiting,
}

/// The zapper's state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ZapperState {
    /// The deed it is at, by its place in the program.
    pub at: u8,
    /// How far it has come with it.
    pub stage: Stage,
    /// A request of its is under way.
    pub asked: bool,
    /// The status of the last SEAMCALL, while somebody will look at it.
    pub status: StatusWord,
    /// The vCPU the kick comes to next.
    pub visiting: u8,
    /// The vCPUs this kick has still to interrupt (the cpumask): a bit set.
    pub mask: u8,
    /// The vCPUs whose interrupt is under way, their call-function slot locked: a bit set.
    pub unacknowledged: u8,
    /// The properties it has broken.
    pub broken: PropertySet,
}

impl ZapperState {
    pub(super) const fn start() -> Self {
        Self {
            at: 0,
            stage: Stage::Ready,
            asked: false,
            status: SUCCESS,
            visiting: 0,
            mask: 0,
            unacknowledged: 0,
            broken: 0,
        }
    }
}

impl Zapper {
    /// What it may do by itself.
    pub(super) fn moves(&self, state: &ZapperState) -> Option<Move> {
        match state.stage {
            _ if state.asked => None,
            Stage::Ready => Some(Move::Access(self.access(state)?)),
            Stage::InSeamcall => Some(Move::Step(None)),
            Stage::Draining | Stage::Waiting => None,
        }
    }

    /// The next instruction, or the next step of the SEAMCALL.
    pub(super) fn act(state: &mut ZapperState, act: Move, o: &mut Out<Agent>) {
        match act {
            Move::Access(next) => access(state, o, next),
            _ => send(state, o, MODULE, Msg::Step),
        }
    }

    /// The access that the deed begins with; the others are local.
    fn access(&self, state: &ZapperState) -> Option<Access> {
        match self.program[usize::from(state.at)] {
            Deed::Lock => Some(Access::LockAndUnmap),
            Deed::WriteFlag(value) => Some(Access::WriteFlag(value)),
            Deed::Kick => Some(self.visit(state)),
            Deed::BugOn => Some(Access::BugOn),
            Deed::Unlock => Some(Access::UnlockAfterZap),
            Deed::Attempt { .. } | Deed::LastCall(_) | Deed::UnlessError { .. } | Deed::Goto(_) => {
                None
            }
        }
    }

    pub(super) fn on_msg(
        &self,
        setup: &Setup,
        state: &mut ZapperState,
        src: Id,
        msg: Msg,
        o: &mut Out<Agent>,
    ) {
        match msg {
            Msg::Answer(answer) => {
                state.asked = false;
                self.answered(state, answer, o);
            }
            Msg::Running => (state.asked, state.stage) = (false, Stage::InSeamcall),
            Msg::Return { status, .. } => {
                (state.asked, state.stage) = (false, Stage::Ready);
                self.returned(setup, state, status, o);
            }
            Msg::Acknowledged => {
                let vcpu = Cpu::of(src).vcpu().unwrap_or_default();
                state.unacknowledged &= !(1 << vcpu);
                if state.stage == Stage::Waiting {
                    self.send_and_wait(state, o);
                }
            }
            msg => unreachable!("the zapper is sent {msg:?} by nobody"),
        }
    }

    fn answered(&self, state: &mut ZapperState, answer: Answer, o: &mut Out<Agent>) {
        match (self.program[usize::from(state.at)], answer) {
            (Deed::Kick, Answer::Mode(old)) => self.visited(state, old, o),
            (Deed::Kick, _) => self.send_and_wait(state, o),
            (Deed::Attempt { leaf, .. } | Deed::LastCall(leaf), _) => {
                send(state, o, MODULE, Msg::Seamcall(leaf));
            }
            // The lock is held, or nothing is mapped: try again.
            (Deed::Lock, Answer::Contended | Answer::Nothing) => {}
            (Deed::BugOn, _) => {}
            _ => self.go(state, state.at + 1, o),
        }
    }

    /// A SEAMCALL comes back.
    fn returned(
        &self,
        setup: &Setup,
        state: &mut ZapperState,
        status: StatusWord,
        o: &mut Out<Agent>,
    ) {
        let refused = match status.code() {
            PREVIOUS_TLB_EPOCH_BUSY => Property::EpochEmpty.bit(),
            GPA_RANGE_NOT_BLOCKED | TLB_TRACKING_NOT_DONE => Property::TrackedRemove.bit(),
            _ => 0,
        };
        state.broken |= refused & setup.watched;
        state.status = status;
        match self.program[usize::from(state.at)] {
            Deed::Attempt { leaf, done } if !self.is_busy(leaf, status) => self.go(state, done, o),
            Deed::Attempt { .. } => {
                if !status.is_operand_busy() {
                    state.broken |= Property::KickOnlyWhenBusy.bit() & setup.watched;
                }
                state.status = SUCCESS;
                self.go(state, state.at + 1, o);
            }
            _ => {
                if status.is_operand_busy() {
                    state.broken |= Property::NoSecondBusy.bit() & setup.watched;
                }
                self.go(state, state.at + 1, o);
            }
        }
    }

    /// Goes on at the deed `at`: what is local is done at once, what others can see waits for its
    /// moment.
    fn go(&self, state: &mut ZapperState, at: u8, o: &mut Out<Agent>) {
        state.at = at % self.program.len() as u8;
        match self.program[usize::from(state.at)] {
            Deed::Goto(to) => self.go(state, to, o),
            Deed::UnlessError { to } if state.status == SUCCESS => self.go(state, to, o),
            Deed::UnlessError { .. } => self.go(state, state.at + 1, o),
            Deed::BugOn if state.status == SUCCESS => self.go(state, state.at + 1, o),
            Deed::BugOn => {
                // It stops everybody, so it waits for its moment.
                state.broken |= Property::NoBugOn.bit() & self.watched;
            }
            Deed::WriteFlag(value) => {
                if value && !self.attempts {
                    state.broken |= Property::KickOnlyWhenBusy.bit() & self.watched;
                }
                // A store into the CPU's own queue is seen by nobody; its drain is.
                if self.memory == Memory::Tso {
                    access(state, o, Access::WriteFlag(value));
                }
            }
            // Up to its first contended lock a call is seen by nobody.
            Deed::Attempt { .. } | Deed::LastCall(_) => self.begin_call(state, o),
            Deed::Lock | Deed::Kick | Deed::Unlock => {}
        }
    }

    /// SEAMCALL: its first LOCKed instruction waits for the store queue.
    fn begin_call(&self, state: &mut ZapperState, o: &mut Out<Agent>) {
        state.stage = Stage::Draining;
        access(state, o, Access::FullBarrier);
    }

    /// Whether the kernel's predicate calls this status of the leaf busy.
    fn is_busy(&self, leaf: u8, status: StatusWord) -> bool {
        match self.busy {
            BusyPredicate::Masked => status.is_operand_busy(),
            BusyPredicate::BitTest if leaf == TRACK => status.is_operand_busy(),
            BusyPredicate::BitTest => status.0 & OPERAND_BUSY.0 != 0,
            BusyPredicate::SeptBusyTrackMasked if leaf == TRACK => status.is_operand_busy(),
            BusyPredicate::SeptBusy | BusyPredicate::SeptBusyTrackMasked => {
                status == OPERAND_BUSY.with(Operand::SeptTree)
            }
            BusyPredicate::Unmasked => status == OPERAND_BUSY,
            BusyPredicate::MaskedOrEpochBusy => {
                status.is_operand_busy() || status.code() == PREVIOUS_TLB_EPOCH_BUSY
            }
        }
    }

    /// True while a SEAMCALL is under way whose BUSY nobody can handle any more.
    #[must_use]
    pub fn is_in_last_call(&self, state: &ZapperState) -> bool {
        self.last_call(state).is_some()
    }

    /// The leaf of the SEAMCALL under way whose BUSY it can not handle any more.
    #[must_use]
    pub fn last_call(&self, state: &ZapperState) -> Option<u8> {
        match self.program[usize::from(state.at)] {
            Deed::LastCall(leaf) if state.stage == Stage::InSeamcall => Some(leaf),
            _ => None,
        }
    }
}

fn access(state: &mut ZapperState, o: &mut Out<Agent>, access: Access) {
    send(state, o, MEMORY, Msg::Access(access));
}

fn send(state: &mut ZapperState, o: &mut Out<Agent>, to: usize, msg: Msg) {
    state.asked = true;
    o.send(Id::from(to), msg);
}
