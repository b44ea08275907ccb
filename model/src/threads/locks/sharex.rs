//! sharex: bit 0 exclusive, above it the reader count.

use super::Attempt;
use crate::threads::runtime::{Bits, Order, Runtime};

const FREE: u64 = 0;
const EXCLUSIVE: u64 = 1;
const READER: u64 = 1 << 1;

/// A sharex lock word.
pub struct Sharex<R: Runtime> {
    word: R::Word,
    order: Order,
}

impl<R: Runtime> Sharex<R> {
    /// A free lock.
    #[must_use]
    pub fn new(order: Order) -> Self {
        let word = R::Word::new(FREE);
        Self { word, order }
    }

    /// A refused reader leaves its count behind; the writer's release stores FREE over it.
    pub fn acquire_shared(&self) -> Attempt {
        if self.word.fetch_add(READER, self.order) & EXCLUSIVE == 0 {
            Attempt::Taken
        } else {
            Attempt::Busy
        }
    }

    /// Undoes a successful [`Self::acquire_shared`].
    pub fn release_shared(&self) {
        self.word.fetch_add(READER.wrapping_neg(), self.order);
    }

    /// One cmpxchg, FREE to exclusive.
    pub fn acquire_exclusive(&self) -> Attempt {
        if self.word.cmpxchg(FREE, EXCLUSIVE, self.order) == FREE {
            Attempt::Taken
        } else {
            Attempt::Busy
        }
    }

    /// Undoes a successful [`Self::acquire_exclusive`].
    pub fn release_exclusive(&self) {
        self.word.swap(FREE, self.order);
    }

    /// The word's 16 bits.
    #[must_use]
    pub fn word(&self) -> u16 {
        self.word.read(self.order) as u16
    }
}
