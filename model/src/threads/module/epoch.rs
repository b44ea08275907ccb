//! TD_EPOCH and REFCOUNT[2]: one 128-bit structure in the module, one 64-bit word here, so that it
//! is read at once as there.

use crate::threads::runtime::{Bits, Order, Runtime};

/// TDCS.epoch_tracking: TD_EPOCH in bits 0 to 15, REFCOUNT[0] and REFCOUNT[1] above.
pub(super) struct EpochTracking<R: Runtime> {
    word: R::Word,
    order: Order,
}

/// One reading of it.
#[derive(Clone, Copy)]
pub(super) struct Reading(u64);

impl Reading {
    pub(super) const fn epoch(self) -> u64 {
        self.0 & 0xFFFF
    }

    /// REFCOUNT of the epoch's parity.
    pub(super) const fn refcount(self, epoch: u64) -> u64 {
        self.0 >> shift(epoch) & 0xFFFF
    }

    /// `is_tlb_tracked()`.
    pub(super) const fn is_tracked(self, bepoch: u64) -> bool {
        let previous = self.epoch().wrapping_sub(1);
        bepoch < previous || (bepoch == previous && self.refcount(bepoch) == 0)
    }
}

const fn shift(epoch: u64) -> u64 {
    16 + 16 * (epoch & 1)
}

impl<R: Runtime> EpochTracking<R> {
    pub(super) fn new(epoch: u64, order: Order) -> Self {
        let word = R::Word::new(epoch);
        Self { word, order }
    }

    pub(super) fn read(&self) -> Reading {
        Reading(self.word.read(self.order))
    }

    /// TD_EPOCH++.
    pub(super) fn advance(&self) {
        self.word.fetch_add(1, self.order);
    }

    /// REFCOUNT[epoch & 1]++.
    pub(super) fn count(&self, epoch: u64) {
        self.word.fetch_add(1 << shift(epoch), self.order);
    }

    /// REFCOUNT[epoch & 1]--, without the epoch lock.
    pub(super) fn uncount(&self, epoch: u64) {
        self.word
            .fetch_add((1_u64 << shift(epoch)).wrapping_neg(), self.order);
    }
}
