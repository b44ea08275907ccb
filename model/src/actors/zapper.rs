//! The zapper: `tdx_sept_remove_private_spte()` on one page after another, under mmu_lock for write
//! (arch/x86/kvm/vmx/tdx.c, 6.16).
//!
//! BLOCK, TRACK and REMOVE have a window each: try; on BUSY raise the flag, kick, try again, lower
//! the flag. The second try is the first one again: the module can not tell them apart.

use super::message::{
    Access, EXITING_GUEST_MODE, IN_GUEST_MODE, Leaf, Location, Lock, MEMORY, MODULE, Msg,
    OUTSIDE_GUEST_MODE, Status, Word, vcpu, vcpu_index,
};
use super::{Agent, Id, Out};
use crate::kernel::decisions::{Decisions, FlagClear, FlagRaise, Kick};

/// One thing the zapper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Deed {
    /// Call; when it is not busy, go on at `otherwise`.
    FirstCall { leaf: Leaf, otherwise: usize },
    /// `WRITE_ONCE(wait_for_sept_zap, …)`.
    StoreFlag(bool),
    /// `kvm_make_all_cpus_request(KVM_REQ_OUTSIDE_GUEST_MODE)`, with or without KVM_REQUEST_WAIT.
    Kick { wait: bool },
    /// Call again.
    SecondCall(Leaf),
}

/// The zapper's program under given decisions. It starts over at its end.
#[derive(Clone, Debug)]
pub struct Zapper {
    program: Vec<Deed>,
    vcpus: usize,
}

/// Where the zapper is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ZapperState {
    at: usize,
    /// The vCPU the kick has come to.
    visiting: usize,
    /// Bit set of the vCPUs this kick has still to interrupt (virt/kvm/kvm_main.c: the cpumask).
    to_interrupt: u64,
    /// Bit set of the vCPUs this kick waits for.
    awaited: u64,
    /// Bit set of the vCPUs whose interrupt is under way: their call-function data is locked.
    unacknowledged: u64,
    /// The lock that made the first call busy; forgotten when the second is made.
    busy_on: Option<Lock>,
    /// The claim is violated. KVM_BUG_ON: the VM is dead, the zapper does nothing more.
    second_call_was_busy: bool,
    /// TDH.MEM.TRACK found the previous epoch in use. KVM_BUG_ON likewise.
    previous_epoch_was_busy: bool,
}

impl ZapperState {
    /// The claim is violated.
    #[must_use]
    pub const fn second_call_was_busy(&self) -> bool {
        self.second_call_was_busy
    }

    /// TDH.MEM.TRACK returned TDX_PREVIOUS_TLB_EPOCH_BUSY.
    #[must_use]
    pub const fn previous_epoch_was_busy(&self) -> bool {
        self.previous_epoch_was_busy
    }

    /// The lock that made the first call of the window under way busy.
    #[must_use]
    pub const fn busy_on(&self) -> Option<Lock> {
        self.busy_on
    }
}

impl Zapper {
    pub(super) fn new(decisions: &Decisions, vcpus: usize) -> Self {
        let mut program = Vec::new();
        for leaf in [Leaf::MemRangeBlock, Leaf::MemTrack, Leaf::MemPageRemove] {
            let window = window(decisions, leaf);
            let otherwise = program.len() + 1 + window.len();
            program.push(Deed::FirstCall { leaf, otherwise });
            program.extend(window);
            if leaf == Leaf::MemTrack {
                // tdx_track(): whatever the decisions say of the retry's kick, this one waits.
                program.push(Deed::Kick { wait: true });
            }
        }
        Self { program, vcpus }
    }

    /// True while the second call of a window is under way.
    #[must_use]
    pub fn is_in_second_call(&self, state: &ZapperState) -> bool {
        matches!(self.program[state.at], Deed::SecondCall(_))
    }

    pub(super) fn start(&self, o: &mut Out<Agent>) -> ZapperState {
        let mut state = ZapperState::default();
        self.go(&mut state, 0, o);
        state
    }

    pub(super) fn on_msg(&self, state: &mut ZapperState, src: Id, msg: Msg, o: &mut Out<Agent>) {
        match (msg, self.program[state.at]) {
            (Msg::Running, _) => o.send(Id::from(MODULE), Msg::Continue),
            (Msg::Return(status), deed) => self.returned(state, deed, status, o),
            (Msg::Value(old), Deed::Kick { wait }) => self.visited(state, wait, old, o),
            (Msg::Value(_), _) => self.go(state, state.at + 1, o),
            (Msg::Acknowledged, deed) => {
                state.unacknowledged &= !vcpu_index(src).map_or(0, bit);
                if let Deed::Kick { wait } = deed {
                    self.interrupt_and_wait(state, wait, o);
                }
            }
            (msg, deed) => unreachable!("the zapper at {deed:?} is sent {msg:?} by nobody"),
        }
    }

    /// Starts the deed at `at`.
    fn go(&self, state: &mut ZapperState, at: usize, o: &mut Out<Agent>) {
        state.at = at % self.program.len();
        match self.program[state.at] {
            Deed::FirstCall { leaf, .. } => {
                state.busy_on = None;
                o.send(Id::from(MODULE), Msg::Call(leaf));
            }
            Deed::SecondCall(leaf) => {
                state.busy_on = None;
                o.send(Id::from(MODULE), Msg::Call(leaf));
            }
            Deed::StoreFlag(value) => {
                let store = Access::Store(Location::WaitForSeptZap, Word::from(value));
                o.send(Id::from(MEMORY), Msg::Access(store));
            }
            Deed::Kick { .. } => {
                state.visiting = 0;
                state.to_interrupt = 0;
                exiting_guest_mode(0, o);
            }
        }
    }

    fn returned(&self, state: &mut ZapperState, deed: Deed, status: Status, o: &mut Out<Agent>) {
        match (status, deed) {
            (Status::PreviousTlbEpochBusy, _) => state.previous_epoch_was_busy = true,
            (Status::OperandBusy(lock), Deed::FirstCall { .. }) => {
                self.go(state, state.at + 1, o);
                state.busy_on = Some(lock);
            }
            (Status::OperandBusy(_), _) => state.second_call_was_busy = true,
            (Status::Success, Deed::FirstCall { otherwise, .. }) => self.go(state, otherwise, o),
            (Status::Success, _) => self.go(state, state.at + 1, o),
        }
    }

    /// The kick has read the mode of the vCPU it is at.
    fn visited(&self, state: &mut ZapperState, wait: bool, old: Word, o: &mut Out<Agent>) {
        // virt/kvm/kvm_main.c: kvm_request_needs_ipi().
        let interrupts = if wait {
            old != OUTSIDE_GUEST_MODE
        } else {
            old == IN_GUEST_MODE
        };
        if interrupts {
            state.to_interrupt |= bit(state.visiting);
        }
        state.visiting += 1;
        if state.visiting < self.vcpus {
            exiting_guest_mode(state.visiting, o);
        } else {
            self.interrupt_and_wait(state, wait, o);
        }
    }

    /// `smp_call_function_many()`: lock each CPU's call-function data, which waits for the previous
    /// call to be taken; interrupt; with `wait`, spin until every function has run.
    fn interrupt_and_wait(&self, state: &mut ZapperState, wait: bool, o: &mut Out<Agent>) {
        let is_walking = state.visiting < self.vcpus;
        if is_walking || state.to_interrupt & state.unacknowledged != 0 {
            return;
        }
        for index in (0..self.vcpus).filter(|index| state.to_interrupt & bit(*index) != 0) {
            state.unacknowledged |= bit(index);
            o.send(vcpu(index), Msg::Ipi);
        }
        if wait {
            state.awaited |= state.to_interrupt;
        }
        state.to_interrupt = 0;
        if state.awaited & state.unacknowledged == 0 {
            state.awaited = 0;
            state.visiting = 0;
            self.go(state, state.at + 1, o);
        }
    }
}

/// Everything between a busy first call and what follows the leaf, in the decided order.
fn window(decisions: &Decisions, leaf: Leaf) -> Vec<Deed> {
    let raise = |when| (decisions.flag_raise == when).then_some(Deed::StoreFlag(true));
    let lower = |when| {
        let raised = decisions.flag_raise != FlagRaise::Never;
        (raised && decisions.flag_clear == when).then_some(Deed::StoreFlag(false))
    };
    let kick = (decisions.kick != Kick::None).then_some(Deed::Kick {
        wait: decisions.kick == Kick::RequestWait,
    });
    [
        raise(FlagRaise::BeforeKick),
        kick,
        raise(FlagRaise::AfterKick),
        lower(FlagClear::BeforeRetry),
        Some(Deed::SecondCall(leaf)),
        lower(FlagClear::AfterRetry),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// include/linux/kvm_host.h: `kvm_vcpu_exiting_guest_mode()`.
fn exiting_guest_mode(index: usize, o: &mut Out<Agent>) {
    let location = Location::Mode(index);
    let cmpxchg = Access::Cmpxchg {
        location,
        from: IN_GUEST_MODE,
        to: EXITING_GUEST_MODE,
    };
    o.send(Id::from(MEMORY), Msg::Access(cmpxchg));
}

const fn bit(index: usize) -> u64 {
    1 << index
}
