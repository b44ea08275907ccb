//! A private page: its leaf S-EPT entry, its PAMT entry's lock and BEPOCH.

use super::call::Call;
use crate::system::state::EntryState;
use crate::threads::locks::{Lock, SeptEntry, TDEL, TDHP};
use crate::threads::runtime::{Bits, Order, Runtime};
use crate::threads::scenario::Prepared;

/// A private page.
pub(in crate::threads) struct Page<R: Runtime> {
    pub(super) entry: SeptEntry<R>,
    pub(super) pamt: Lock<R>,
    pub(super) bepoch: Bepoch<R>,
}

/// PAMT.BEPOCH: written without a lock of the module's, by callers that KVM serializes.
pub(super) struct Bepoch<R: Runtime> {
    word: R::Word,
    order: Order,
}

impl<R: Runtime> Bepoch<R> {
    pub(super) fn store(&self, epoch: u64) {
        self.word.swap(epoch, self.order);
    }

    pub(super) fn read(&self) -> u64 {
        self.word.read(self.order)
    }
}

impl<R: Runtime> Page<R> {
    pub(super) fn new(prepared: &Prepared, pamt: Lock<R>, order: Order) -> Self {
        let state = encoding(prepared.entry);
        Self {
            entry: if prepared.marked {
                SeptEntry::marked(state, order)
            } else {
                SeptEntry::new(state, order)
            },
            pamt,
            bepoch: Bepoch {
                word: R::Word::new(prepared.bepoch),
                order,
            },
        }
    }

    pub(super) fn state(&self) -> EntryState {
        state_of(self.entry.state())
    }

    /// TDHP is set.
    pub(in crate::threads) fn is_marked(&self) -> bool {
        self.entry.read() & TDHP != 0
    }
}

impl<R: Runtime> Call<'_, R> {
    /// Stores a new state over the old one. `mark` is the TDHP of the copy that is stored, where a
    /// whole entry is stored.
    pub(super) fn store_entry(&self, from: EntryState, to: EntryState, mark: bool, unlock: bool) {
        let entry = &self.page().entry;
        if self.td.keeps_host_priority() {
            entry.change_state(encoding(from), encoding(to), unlock);
            return;
        }
        let tdel = if unlock { 0 } else { TDEL };
        let tdhp = if mark { TDHP } else { 0 };
        entry.store(u64::from(encoding(to)) | tdel | tdhp);
    }
}

impl<R: Runtime> Call<'_, R> {
    /// FREE becomes MAPPED, by a leaf that holds the TDR exclusively: the entry is not locked.
    pub(super) fn fill_entry(&self) {
        let (from, to) = (encoding(EntryState::Free), encoding(EntryState::Mapped));
        let entry = &self.page().entry;
        if self.td.keeps_host_priority() {
            entry.change_state(from, to, false);
        } else {
            entry.store(to.into());
        }
    }
}

/// The states' encodings (include/auto_gen/sept_state_lookup.h).
const ENCODINGS: [(EntryState, u8); 5] = [
    (EntryState::Free, 0x0E),
    (EntryState::Pending, 0x70),
    (EntryState::Mapped, 0x60),
    (EntryState::Blocked, 0x68),
    (EntryState::PendingBlocked, 0x78),
];

fn encoding(state: EntryState) -> u8 {
    let row = ENCODINGS.iter().find(|(known, _)| *known == state);
    row.map_or(0, |(_, encoding)| *encoding)
}

pub(super) fn state_of(encoding: u8) -> EntryState {
    let row = ENCODINGS.iter().find(|(_, known)| *known == encoding);
    row.map_or(EntryState::Free, |(state, _)| *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read in include/auto_gen/sept_state_lookup.h, and written down here a second time.
    #[test]
    fn the_states_are_encoded_as_in_the_module() {
        assert_eq!(encoding(EntryState::Free), 0x0E);
        assert_eq!(encoding(EntryState::Mapped), 0x60);
        assert_eq!(encoding(EntryState::Blocked), 0x68);
        assert_eq!(encoding(EntryState::Pending), 0x70);
        assert_eq!(encoding(EntryState::PendingBlocked), 0x78);
    }

    #[test]
    fn a_state_is_read_as_it_was_stored() {
        for (state, _) in ENCODINGS {
            assert_eq!(state_of(encoding(state)), state);
        }
    }
}
