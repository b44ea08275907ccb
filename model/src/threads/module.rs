//! The TDX module's side: one sharex lock word and the two calls that contend for it.
//!
//! TDR and OP_STATE are left out: both calls take them shared, so an attempt on them can not fail.
//! So are TD_EPOCH and REFCOUNT, which TDH.MEM.TRACK looks at only once it has the lock.

use super::runtime::{Bits, Order, Runtime};

/// How a call came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Status {
    /// TDX_SUCCESS; for TDH.VP.ENTER: the guest has run and exited.
    Success,
    /// TDX_OPERAND_BUSY, operand TD_EPOCH.
    OperandBusy,
}

const FREE: u16 = 0;
const EXCLUSIVE: u16 = 1;
const READER: u16 = 2;

/// A sharex lock word (src/common/helpers/tdx_locks.h): bit 0 exclusive, above it the reader count.
///
/// On x86 each of its operations is a LOCKed instruction and thereby a full barrier. A try-lock needs
/// only atomicity to exclude; whatever else its operations order, the module lends to KVM, and that
/// could stand in for a barrier KVM has lost. So the order is the scenario's: what holds with
/// [`Order::Relaxed`] rests on KVM's own barriers alone and holds with x86's locks too; what is
/// violated with [`Order::FullBarrier`] is not an artefact of locks weaker than x86's.
struct Sharex<R: Runtime> {
    word: R::Bits,
    order: Order,
}

impl<R: Runtime> Sharex<R> {
    fn new(order: Order) -> Self {
        Self {
            word: R::Bits::new(),
            order,
        }
    }

    /// A refused reader leaves its count behind; the writer's release stores FREE over it.
    fn try_acquire_shared(&self) -> bool {
        self.word.fetch_add(READER, self.order) & EXCLUSIVE == 0
    }

    fn release_shared(&self) {
        self.word.fetch_add(READER.wrapping_neg(), self.order);
    }

    fn try_acquire_exclusive(&self) -> bool {
        self.word.cmpxchg(FREE, EXCLUSIVE, self.order) == FREE
    }

    fn release_exclusive(&self) {
        self.word.swap(FREE, self.order);
    }
}

/// What the module keeps of a TD.
pub(super) struct Tdcs<R: Runtime> {
    epoch_lock: Sharex<R>,
}

impl<R: Runtime> Tdcs<R> {
    pub(super) fn new(lock_words: Order) -> Self {
        Self {
            epoch_lock: Sharex::new(lock_words),
        }
    }
}

/// TDH.MEM.TRACK (tdh_mem_track.c).
pub(super) fn tdh_mem_track<R: Runtime>(tdcs: &Tdcs<R>) -> Status {
    if !tdcs.epoch_lock.try_acquire_exclusive() {
        return Status::OperandBusy;
    }
    tdcs.epoch_lock.release_exclusive();
    Status::Success
}

/// TDH.VP.ENTER (tdh_vp_enter.c): the epoch lock is held while the epoch is sampled, not while the
/// guest runs. The guest takes no lock that TDH.MEM.TRACK takes, so nothing of it is left here.
pub(super) fn tdh_vp_enter<R: Runtime>(tdcs: &Tdcs<R>) -> Status {
    if !tdcs.epoch_lock.try_acquire_shared() {
        return Status::OperandBusy;
    }
    tdcs.epoch_lock.release_shared();
    Status::Success
}
