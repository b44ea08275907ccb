//! The TDX module: its lock words, the calls under way, and which vCPU is inside in which epoch.
//!
//! A call advances by one atomic operation per message from the CPU that makes it, so calls of
//! different CPUs interleave at every lock. Every acquisition is a try; a failing call gives back
//! what it took, latest first, one release per step, and returns TDX_OPERAND_BUSY.
//!
//! Left out, each more permissive than the module or without effect on what is asked: TDHP (a guest
//! that would yield to it holds TDEL longer here), the S-EPT entry's state (looked at only under
//! its lock), the emulated EPT violation of an armed TDH.VP.ENTER (here: enters, and may exit at
//! once), and the reader count that a failed shared attempt leaves behind (the exclusive release
//! stores FREE over it).

use super::message::{Leaf, Lock, Msg, Status, vcpu_index};
use super::{Agent, Id, Out};
use std::ops::ControlFlow;

/// The zapper's place among the callers.
const ZAPPER_CALLS: usize = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Try(Lock, Mode),
    Release(Lock, Mode),
}

use Lock::{Entry, Epoch, Tree};
use Mode::{Exclusive, Shared};
use Op::{Release, Try};

/// tdh_mem_range_block.c
const BLOCK: &[Op] = &[
    Try(Tree, Exclusive),
    Try(Entry, Exclusive),
    Release(Entry, Exclusive),
    Release(Tree, Exclusive),
];
/// tdh_mem_track.c; the check and the increment are one step with the acquisition.
const TRACK: &[Op] = &[Try(Epoch, Exclusive), Release(Epoch, Exclusive)];
/// tdh_mem_page_remove.c
const REMOVE: &[Op] = &[
    Try(Tree, Shared),
    Try(Entry, Exclusive),
    Release(Entry, Exclusive),
    Release(Tree, Shared),
];
/// tdh_vp_enter.c, empty 0-step list; sampling the epoch is one step with the acquisition.
const ENTER: &[Op] = &[Try(Epoch, Shared), Release(Epoch, Shared)];
/// tdh_vp_enter.c, td_exit_stepping.c: with GPAs listed the tree is taken, exclusively up to 2.0.08.
const ENTER_ARMED: &[Op] = &[
    Try(Epoch, Shared),
    Release(Epoch, Shared),
    Try(Tree, Exclusive),
    Release(Tree, Exclusive),
];
/// tdg_mem_page_accept.c
const ACCEPT: &[Op] = &[Try(Entry, Exclusive), Release(Entry, Exclusive)];

/// A sharex lock word (src/common/helpers/tdx_locks.h). TDEL is one that is only taken exclusively.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct LockWord {
    shared: usize,
    exclusive: bool,
}

impl LockWord {
    fn try_acquire(&mut self, mode: Mode) -> bool {
        let free = !self.exclusive && (mode == Shared || self.shared == 0);
        if free {
            match mode {
                Shared => self.shared += 1,
                Exclusive => self.exclusive = true,
            }
        }
        free
    }

    fn release(&mut self, mode: Mode) {
        match mode {
            Shared => self.shared -= 1,
            Exclusive => self.exclusive = false,
        }
    }
}

/// An epoch relative to TD_EPOCH. TDH.MEM.TRACK insists that nobody is in the previous one, so no
/// third is ever occupied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RelativeEpoch {
    Current,
    Previous,
}

/// What the module keeps of a vCPU (TDVPS). The REFCOUNTs are how many are `inside` in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Tdvps {
    /// Counted in the REFCOUNT of this epoch.
    inside: Option<RelativeEpoch>,
    /// LAST_EPF_GPA_LIST is not empty: the 0-step mitigation is armed.
    armed: bool,
}

/// A call under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Call {
    leaf: Leaf,
    armed: bool,
    /// Index into the flow.
    at: usize,
    /// Bit set of [`Lock`]s.
    held: u8,
    /// Set once the call has failed: from then on it only gives back.
    failure: Option<Status>,
}

impl Call {
    const fn flow(&self) -> &'static [Op] {
        match self.leaf {
            Leaf::MemRangeBlock => BLOCK,
            Leaf::MemTrack => TRACK,
            Leaf::MemPageRemove => REMOVE,
            Leaf::VpEnter if self.armed => ENTER_ARMED,
            Leaf::VpEnter => ENTER,
            Leaf::MemPageAccept => ACCEPT,
        }
    }

    /// The lock taken last, and how. No flow takes them in another order than [`Lock`]'s.
    fn last_held(&self) -> Option<(Lock, Mode)> {
        self.flow().iter().rev().find_map(|op| match *op {
            Try(lock, mode) if self.held & 1 << lock as u8 != 0 => Some((lock, mode)),
            _ => None,
        })
    }
}

/// The module's state. Callers are numbered: the zapper 0, vCPUs from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModuleState {
    locks: [LockWord; 3],
    calls: Vec<Option<Call>>,
    tdvps: Vec<Tdvps>,
}

impl ModuleState {
    pub(super) fn new(vcpus: usize) -> Self {
        Self {
            locks: [LockWord::default(); 3],
            calls: vec![None; vcpus + 1],
            tdvps: vec![Tdvps::default(); vcpus],
        }
    }

    pub(super) fn on_msg(&mut self, src: Id, msg: Msg, o: &mut Out<Agent>) {
        let caller = vcpu_index(src).map_or(ZAPPER_CALLS, |vcpu| vcpu + 1);
        let reply = match msg {
            Msg::Call(leaf) => {
                let armed = caller != ZAPPER_CALLS && self.tdvps[caller - 1].armed;
                self.step(
                    caller,
                    Call {
                        leaf,
                        armed,
                        at: 0,
                        held: 0,
                        failure: None,
                    },
                )
            }
            Msg::Continue => match self.calls[caller].take() {
                Some(call) => self.step(caller, call),
                None => unreachable!("nothing to continue for {src:?}"),
            },
            Msg::TdExit { arms } => {
                let vcpu = &mut self.tdvps[caller - 1];
                vcpu.inside = None;
                vcpu.armed = arms.unwrap_or(vcpu.armed);
                Msg::Return(Status::Success)
            }
            other => unreachable!("the module is sent {other:?} by nobody"),
        };
        o.send(src, reply);
    }

    fn step(&mut self, caller: usize, call: Call) -> Msg {
        let next = match call.failure {
            None => self.advance(caller, call),
            Some(_) => self.give_back(caller, call),
        };
        match next {
            ControlFlow::Continue(call) => {
                self.calls[caller] = Some(call);
                Msg::Running
            }
            ControlFlow::Break(status) => Msg::Return(status),
        }
    }

    fn advance(&mut self, caller: usize, mut call: Call) -> ControlFlow<Status, Call> {
        match call.flow()[call.at] {
            Try(lock, mode) => {
                if !self.locks[lock as usize].try_acquire(mode) {
                    return self.fail(caller, call, Status::OperandBusy(lock));
                }
                call.held |= 1 << lock as u8;
                if lock == Epoch && !self.use_epoch(caller, call.leaf) {
                    return self.fail(caller, call, Status::PreviousTlbEpochBusy);
                }
            }
            Release(lock, mode) => {
                self.locks[lock as usize].release(mode);
                call.held &= !(1 << lock as u8);
            }
        }
        call.at += 1;
        if call.at == call.flow().len() {
            return ControlFlow::Break(Status::Success);
        }
        ControlFlow::Continue(call)
    }

    fn fail(&self, caller: usize, mut call: Call, status: Status) -> ControlFlow<Status, Call> {
        call.failure = Some(status);
        self.unless_all_given_back(caller, call, status)
    }

    /// Undoes one thing: a lock, or the vCPU's unit of REFCOUNT.
    fn give_back(&mut self, caller: usize, mut call: Call) -> ControlFlow<Status, Call> {
        if let Some((lock, mode)) = call.last_held() {
            self.locks[lock as usize].release(mode);
            call.held &= !(1 << lock as u8);
        } else if call.leaf == Leaf::VpEnter {
            self.tdvps[caller - 1].inside = None;
        }
        self.unless_all_given_back(caller, call, call.failure.unwrap_or(Status::Success))
    }

    fn unless_all_given_back(
        &self,
        caller: usize,
        call: Call,
        status: Status,
    ) -> ControlFlow<Status, Call> {
        let counted = call.leaf == Leaf::VpEnter && self.tdvps[caller - 1].inside.is_some();
        if call.held != 0 || counted {
            return ControlFlow::Continue(call);
        }
        ControlFlow::Break(status)
    }

    /// What is done under the epoch lock; false when TDH.MEM.TRACK finds the previous epoch in use.
    fn use_epoch(&mut self, caller: usize, leaf: Leaf) -> bool {
        match leaf {
            Leaf::VpEnter => self.tdvps[caller - 1].inside = Some(RelativeEpoch::Current),
            _ if self
                .tdvps
                .iter()
                .any(|vcpu| vcpu.inside == Some(RelativeEpoch::Previous)) =>
            {
                return false;
            }
            _ => {
                for vcpu in &mut self.tdvps {
                    vcpu.inside = vcpu.inside.map(|_| RelativeEpoch::Previous);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(module: &mut ModuleState, caller: usize, leaf: Leaf) -> Status {
        let mut reply = module.step(
            caller,
            Call {
                leaf,
                armed: false,
                at: 0,
                held: 0,
                failure: None,
            },
        );
        loop {
            match (reply, module.calls[caller].take()) {
                (Msg::Return(status), None) => return status,
                (Msg::Running, Some(call)) => reply = module.step(caller, call),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_call_that_fails_on_its_second_lock_gives_the_first_one_back() {
        let mut module = ModuleState::new(1);
        assert!(module.locks[Entry as usize].try_acquire(Exclusive));
        let status = run(&mut module, ZAPPER_CALLS, Leaf::MemRangeBlock);
        assert_eq!(status, Status::OperandBusy(Entry));
        assert_eq!(module.locks[Tree as usize], LockWord::default());
    }

    #[test]
    fn track_fails_while_a_vcpu_is_inside_in_the_previous_epoch() {
        let mut module = ModuleState::new(1);
        assert_eq!(run(&mut module, 1, Leaf::VpEnter), Status::Success);
        assert_eq!(
            run(&mut module, ZAPPER_CALLS, Leaf::MemTrack),
            Status::Success
        );
        assert_eq!(
            run(&mut module, ZAPPER_CALLS, Leaf::MemTrack),
            Status::PreviousTlbEpochBusy
        );
        assert_eq!(module.locks, [LockWord::default(); 3]);
    }

    #[test]
    fn an_armed_vp_enter_that_finds_the_tree_taken_undoes_its_refcount() {
        let mut module = ModuleState::new(1);
        assert!(module.locks[Tree as usize].try_acquire(Shared));
        module.calls[1] = None;
        let mut reply = module.step(
            1,
            Call {
                leaf: Leaf::VpEnter,
                armed: true,
                at: 0,
                held: 0,
                failure: None,
            },
        );
        while let Some(call) = module.calls[1].take() {
            reply = module.step(1, call);
        }
        assert_eq!(reply, Msg::Return(Status::OperandBusy(Tree)));
        assert_eq!(module.tdvps[0].inside, None);
    }
}
