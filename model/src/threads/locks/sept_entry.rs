//! The S-EPT entry's lock: TDEL and TDHP inside the 64-bit entry, two operations each way.

use super::Attempt;
use crate::threads::runtime::{Bits, Order, Runtime};

/// The entry is locked.
pub const TDEL: u64 = 1 << 11;
/// A host failed to lock the entry.
pub const TDHP: u64 = 1 << 52;
/// Where the entry's state is kept here; the hardware has it in other bits.
const STATE: u64 = 0xFF;

/// One operation of an attempt on an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStep {
    /// TDEL was set; `taken` if it was clear before.
    SetTdel {
        /// It was clear.
        taken: bool,
    },
    /// A refused host set TDHP.
    MarkedTdhp,
    /// A host that has the lock cleared TDHP.
    ClearedTdhp,
    /// A guest that has the lock looked at TDHP.
    LookedAtTdhp {
        /// It was set.
        marked: bool,
    },
    /// A guest cleared TDEL again.
    GaveWay,
}

/// An S-EPT entry: its lock and, in the lowest byte, its state.
///
/// Every access is a read-modify-write, which finds the latest value; on x86 some are plain loads
/// and stores by the lock's holder.
pub struct SeptEntry<R: Runtime> {
    word: R::Word,
    order: Order,
}

impl<R: Runtime> SeptEntry<R> {
    /// An unlocked entry in this state.
    #[must_use]
    pub fn new(state: u8, order: Order) -> Self {
        let word = R::Word::new(u64::from(state));
        Self { word, order }
    }

    /// The same, as a host leaves it that was refused.
    #[must_use]
    pub fn marked(state: u8, order: Order) -> Self {
        let word = R::Word::new(u64::from(state) | TDHP);
        Self { word, order }
    }

    /// `sept_lock_acquire_host()`: TDEL first; then TDHP, set by who was refused, cleared by who
    /// was not. `note` is called after each operation.
    pub fn acquire_host(&self, mut note: impl FnMut(EntryStep)) -> Attempt {
        let taken = self.set_tdel();
        note(EntryStep::SetTdel { taken });
        if taken {
            self.word.fetch_and(!TDHP, self.order);
            note(EntryStep::ClearedTdhp);
            Attempt::Taken
        } else {
            self.word.fetch_or(TDHP, self.order);
            note(EntryStep::MarkedTdhp);
            Attempt::Busy
        }
    }

    /// `sept_lock_acquire_guest()`: TDEL first, and only then a look at TDHP.
    pub fn acquire_guest(&self, mut note: impl FnMut(EntryStep)) -> Attempt {
        let taken = self.set_tdel();
        note(EntryStep::SetTdel { taken });
        if !taken {
            return Attempt::Busy;
        }
        let marked = self.read() & TDHP != 0;
        note(EntryStep::LookedAtTdhp { marked });
        if !marked {
            return Attempt::Taken;
        }
        self.release();
        note(EntryStep::GaveWay);
        Attempt::BusyHostPriority
    }

    fn set_tdel(&self) -> bool {
        self.word.fetch_or(TDEL, self.order) & TDEL == 0
    }

    /// Clears TDEL and nothing else.
    pub fn release(&self) {
        self.word.fetch_and(!TDEL, self.order);
    }

    /// The whole entry.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.word.read(self.order)
    }

    /// The entry's state.
    #[must_use]
    pub fn state(&self) -> u8 {
        (self.read() & STATE) as u8
    }

    /// Stores the whole entry, by the lock's holder: a TDHP set meanwhile is gone (up to 2.0.08).
    pub fn store(&self, entry: u64) {
        self.word.swap(entry, self.order);
    }

    /// Changes the state and, if `unlock`, clears TDEL in one operation that leaves TDHP alone
    /// (2.0.12). Only for the lock's holder, who knows what it changes.
    pub fn change_state(&self, from: u8, to: u8, unlock: bool) {
        let difference = u64::from(to).wrapping_sub(u64::from(from));
        let unlocked = if unlock { TDEL } else { 0 };
        self.word
            .fetch_add(difference.wrapping_sub(unlocked), self.order);
    }
}
