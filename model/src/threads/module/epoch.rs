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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::backends::Std;

    fn td_epoch(epoch: u64) -> EpochTracking<Std> {
        EpochTracking::new(epoch, Order::FullBarrier)
    }

    /// Older than the previous epoch: tracked, though the slot that it shared with the current one
    /// counts vCPUs again.
    #[test]
    fn a_page_blocked_two_epochs_ago_is_tracked_whoever_is_inside() {
        let tracking = td_epoch(5);
        tracking.count(5);
        tracking.count(4);
        assert!(tracking.read().is_tracked(3));
        assert!(tracking.read().is_tracked(2));
        assert!(tracking.read().is_tracked(0));
    }

    #[test]
    fn a_page_blocked_in_the_previous_epoch_is_tracked_once_its_vcpus_are_out() {
        let tracking = td_epoch(5);
        tracking.count(4);
        assert!(!tracking.read().is_tracked(4));
        tracking.uncount(4);
        assert!(tracking.read().is_tracked(4));
        tracking.count(5);
        assert!(tracking.read().is_tracked(4));
    }

    /// TRACK was not done; and bit 63 marks a BEPOCH that migration uses.
    #[test]
    fn a_page_blocked_in_this_epoch_is_not_tracked_though_nobody_is_inside() {
        assert!(!td_epoch(5).read().is_tracked(5));
        assert!(!td_epoch(5).read().is_tracked(1 << 63 | 3));
    }

    #[test]
    fn the_two_refcounts_and_the_epoch_are_apart() {
        let tracking = td_epoch(6);
        tracking.count(6);
        tracking.count(6);
        tracking.count(5);
        let reading = tracking.read();
        assert_eq!((reading.refcount(6), reading.refcount(5)), (2, 1));
        tracking.uncount(6);
        tracking.advance();
        let reading = tracking.read();
        assert_eq!(reading.epoch(), 7);
        assert_eq!((reading.refcount(6), reading.refcount(7)), (1, 1));
    }
}
