//! sharex host-priority: bit 0 exclusive, bit 1 host priority, above them the reader count.

use super::{Attempt, Side};
use crate::threads::runtime::{Bits, Order, Runtime};

const FREE: u64 = 0;
const EXCLUSIVE: u64 = 1;
const HOST_PRIORITY: u64 = 1 << 1;
const READER: u64 = 1 << 2;

/// What an attempt has come to know, operation by operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharexStep {
    /// The operation has decided it.
    Decided {
        /// The lock is the caller's.
        taken: bool,
    },
    /// The word is nothing but the mark: nobody has the lock.
    FoundMarked,
    /// Refused, because somebody has had the lock since [`Self::FoundMarked`]: perhaps not any more.
    OvertakenSince,
}

/// A sharex host-priority lock word.
pub struct SharexHostPriority<R: Runtime> {
    word: R::Word,
    order: Order,
}

impl<R: Runtime> SharexHostPriority<R> {
    /// A free lock.
    #[must_use]
    pub fn new(order: Order) -> Self {
        let word = R::Word::new(FREE);
        Self { word, order }
    }

    /// The count goes up first, whatever the word says, and that decides. A host that is refused leaves it
    /// up and marks the word; a guest that meets the mark takes it down again. `note` is called after the
    /// operation that decides.
    pub fn acquire_shared(&self, side: Side, note: impl FnOnce(SharexStep)) -> Attempt {
        let old = self.word.fetch_add(READER, self.order);
        let (exclusive, marked) = (old & EXCLUSIVE != 0, old & HOST_PRIORITY != 0);
        let gives_way = marked && side == Side::Guest;
        let taken = !exclusive && !gives_way;
        note(SharexStep::Decided { taken });
        match side {
            Side::Guest if marked => {
                self.word.fetch_add(READER.wrapping_neg(), self.order);
                Attempt::BusyHostPriority
            }
            Side::Guest if exclusive => Attempt::Busy,
            Side::Host if exclusive => {
                self.word.fetch_or(HOST_PRIORITY, self.order);
                Attempt::Busy
            }
            Side::Host if marked => {
                self.word.fetch_and(!HOST_PRIORITY, self.order);
                Attempt::Taken
            }
            _ => Attempt::Taken,
        }
    }

    /// Undoes a successful [`Self::acquire_shared`].
    pub fn release_shared(&self) {
        self.word.fetch_add(READER.wrapping_neg(), self.order);
    }

    /// A host that finds nothing but the mark tries once more, from there. `note` as above.
    pub fn acquire_exclusive(&self, side: Side, mut note: impl FnMut(SharexStep)) -> Attempt {
        let old = self.word.cmpxchg(FREE, EXCLUSIVE, self.order);
        match (old, side) {
            (FREE, _) => {
                note(SharexStep::Decided { taken: true });
                Attempt::Taken
            }
            (HOST_PRIORITY, Side::Guest) => {
                note(SharexStep::Decided { taken: false });
                Attempt::BusyHostPriority
            }
            (HOST_PRIORITY, Side::Host) => {
                note(SharexStep::FoundMarked);
                match self.word.cmpxchg(HOST_PRIORITY, EXCLUSIVE, self.order) {
                    HOST_PRIORITY => {
                        note(SharexStep::Decided { taken: true });
                        Attempt::Taken
                    }
                    _ => {
                        note(SharexStep::OvertakenSince);
                        Attempt::Busy
                    }
                }
            }
            (_, Side::Guest) => {
                note(SharexStep::Decided { taken: false });
                Attempt::Busy
            }
            (_, Side::Host) => {
                note(SharexStep::Decided { taken: false });
                self.word.fetch_or(HOST_PRIORITY, self.order);
                Attempt::Busy
            }
        }
    }

    /// Undoes a successful [`Self::acquire_exclusive`]: the mark stays, all counts vanish.
    pub fn release_exclusive(&self) {
        self.word.fetch_and(HOST_PRIORITY, self.order);
    }

    /// The word's 16 bits.
    #[must_use]
    pub fn word(&self) -> u16 {
        self.word.read(self.order) as u16
    }
}
