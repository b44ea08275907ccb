//! What the actors say to each other.
//!
//! Every client has at most one request under way, and a reply is all it waits for; only an IPI
//! comes unasked. Nothing here is a string, a timer or a counter, so states stay small and finite.

use stateright::actor::Id;

/// The TDX module.
pub(super) const MODULE: usize = 0;
/// The kernel's memory.
pub(super) const MEMORY: usize = 1;
/// The thread that removes pages.
pub(super) const ZAPPER: usize = 2;
const FIRST_VCPU: usize = 3;

/// The actor that is vCPU number `index`.
pub(super) fn vcpu(index: usize) -> Id {
    Id::from(FIRST_VCPU + 2 * index)
}

/// The actor that is the code running on vCPU number `index`.
pub(super) fn guest(index: usize) -> Id {
    Id::from(FIRST_VCPU + 2 * index + 1)
}

/// Which vCPU the actor `id` is; `None` for the others.
pub(super) fn vcpu_index(id: Id) -> Option<usize> {
    let offset = usize::from(id).checked_sub(FIRST_VCPU)?;
    offset.is_multiple_of(2).then_some(offset / 2)
}

/// A value in kernel memory.
pub type Word = u8;

/// `vcpu->mode` values (include/linux/kvm_host.h), and the two values of a `bool`.
pub(super) const OUTSIDE_GUEST_MODE: Word = 0;
/// See [`OUTSIDE_GUEST_MODE`].
pub(super) const IN_GUEST_MODE: Word = 1;
/// See [`OUTSIDE_GUEST_MODE`].
pub(super) const EXITING_GUEST_MODE: Word = 2;

/// A location in kernel memory that the protocol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// `kvm_tdx->wait_for_sept_zap`.
    WaitForSeptZap,
    /// `vcpu->mode` of the vCPU with this index.
    Mode(usize),
}

/// One access to kernel memory. Each is answered by [`Msg::Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// `READ_ONCE`.
    Load(Location),
    /// `WRITE_ONCE`; answered by the value stored.
    Store(Location, Word),
    /// `LOCK CMPXCHG`; answered by the old value.
    Cmpxchg {
        /// Where.
        location: Location,
        /// Expected.
        from: Word,
        /// Stored when it was `from`.
        to: Word,
    },
    /// `smp_mb()`; answered by 0.
    FullBarrier,
}

/// A lock of the TDX module that two of the configured actors can contend.
///
/// TDR, TDVPR and OP_STATE are left out: every actor here takes them shared, so an attempt on them
/// can not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// The TD's epoch lock (operand TD_EPOCH).
    Epoch,
    /// The S-EPT tree lock (operand SEPT_TREE).
    Tree,
    /// TDEL, bit 11 of the page's S-EPT entry (operand RCX).
    Entry,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaf {
    /// TDH.MEM.RANGE.BLOCK.
    MemRangeBlock,
    /// TDH.MEM.TRACK.
    MemTrack,
    /// TDH.MEM.PAGE.REMOVE.
    MemPageRemove,
    /// TDH.VP.ENTER.
    VpEnter,
    /// TDG.MEM.PAGE.ACCEPT, a TDCALL.
    MemPageAccept,
}

/// How a call came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// TDX_SUCCESS; for TDH.VP.ENTER: the guest runs.
    Success,
    /// TDX_OPERAND_BUSY, and the lock that was taken.
    OperandBusy(Lock),
    /// TDX_PREVIOUS_TLB_EPOCH_BUSY, which is not TDX_OPERAND_BUSY.
    PreviousTlbEpochBusy,
}

/// What a guest does that the host or the module takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instruction {
    /// TDG.MEM.PAGE.ACCEPT of the page that is being removed.
    Accept,
    /// An access that ends in an EPT-violation exit.
    Touch {
        /// Whether the module's fault counter now arms the 0-step mitigation.
        arms: bool,
    },
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Msg {
    /// To memory: one access.
    Access(Access),
    /// From memory: what it gave.
    Value(Word),
    /// To the module: call, and make its first step.
    Call(Leaf),
    /// To the module: the next step of the call under way.
    Continue,
    /// From the module: the step is made, more follow.
    Running,
    /// From the module: the call is over.
    Return(Status),
    /// To the module: leave the TD. `arms` is `None` when the fault counter is not concerned.
    TdExit {
        /// Whether the 0-step mitigation is armed from now on.
        arms: Option<bool>,
    },
    /// To the guest: run.
    Resume,
    /// To the guest: which instruction has been reached?
    Fetch,
    /// From the guest to itself: move on.
    Wander,
    /// From the guest: this one.
    Reached(Instruction),
    /// From the zapper: the kick's interrupt.
    Ipi,
    /// From the vCPU: its interrupt handler, `ack_kick()`, has run.
    Acknowledged,
}
