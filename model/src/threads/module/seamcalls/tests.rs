//! What the SEAMCALLs make of a page, one call after the other (include/auto_gen/sept_state_lookup.h).

use super::*;
use crate::builtin::KERNELS;
use crate::closed_enum::ClosedEnum;
use crate::kernel::KernelProfile;
use crate::system::Agent;
use crate::threads::backends::Std;
use crate::threads::locks::{SeptEntry, TDHP};
use crate::threads::module::Version;
use crate::threads::runtime::Order;
use crate::threads::scenario::Scenario;

const ZAPPER: Current<Std> = Current::new(Agent::Zapper);

/// A TD whose page is mapped, with BEPOCH 0 in TD_EPOCH 1.
fn td(module: Version) -> Td<Std> {
    let (name, text) = KERNELS[0];
    let kernel = KernelProfile::parse(name, text).expect("built in");
    let whole = Scenario::whole(kernel.decisions, 1, 1);
    Td::new(&Scenario { module, ..whole })
}

fn td_with_a_page_removed(module: Version) -> Td<Std> {
    let td = td(module);
    assert_eq!(tdh_mem_range_block(&td, ZAPPER), SUCCESS);
    assert_eq!(tdh_mem_track(&td, ZAPPER), SUCCESS);
    assert_eq!(tdh_mem_page_remove(&td, ZAPPER), SUCCESS);
    td
}

fn bepoch(td: &Td<Std>) -> u64 {
    td.page(0).bepoch.read()
}

#[test]
fn a_mapped_page_is_blocked_tracked_and_removed() {
    for module in Version::ALL.iter().copied() {
        let td = td(module);
        assert_eq!(td.page(0).state(), EntryState::Mapped);
        assert_eq!(tdh_mem_range_block(&td, ZAPPER), SUCCESS);
        assert_eq!((td.page(0).state(), bepoch(&td)), (EntryState::Blocked, 1));
        assert_eq!(tdh_mem_track(&td, ZAPPER), SUCCESS);
        assert_eq!(tdh_mem_page_remove(&td, ZAPPER), SUCCESS);
        assert_eq!(td.page(0).state(), EntryState::Free);
    }
}

#[test]
fn a_page_that_is_added_again_is_pending_and_was_never_blocked() {
    for module in Version::ALL.iter().copied() {
        let td = td_with_a_page_removed(module);
        assert_eq!(bepoch(&td), 1);
        assert_eq!(tdh_mem_page_aug(&td, ZAPPER), SUCCESS);
        assert_eq!((td.page(0).state(), bepoch(&td)), (EntryState::Pending, 0));
    }
}

#[test]
fn a_pending_page_stays_pending_while_it_is_blocked() {
    for module in Version::ALL.iter().copied() {
        let td = td_with_a_page_removed(module);
        assert_eq!(tdh_mem_page_aug(&td, ZAPPER), SUCCESS);
        assert_eq!(tdh_mem_range_block(&td, ZAPPER), SUCCESS);
        assert_eq!(
            (td.page(0).state(), bepoch(&td)),
            (EntryState::PendingBlocked, 2)
        );
        let again = GPA_RANGE_ALREADY_BLOCKED.with(Operand::Rcx);
        assert_eq!(tdh_mem_range_block(&td, ZAPPER), again);
        assert_eq!(tdh_mem_track(&td, ZAPPER), SUCCESS);
        assert_eq!(tdh_mem_page_remove(&td, ZAPPER), SUCCESS);
    }
}

#[test]
fn a_page_is_not_removed_before_it_is_blocked_and_tracked() {
    for module in Version::ALL.iter().copied() {
        let td = td(module);
        let not_blocked = GPA_RANGE_NOT_BLOCKED.with(Operand::Rcx);
        assert_eq!(tdh_mem_page_remove(&td, ZAPPER), not_blocked);
        assert_eq!(tdh_mem_range_block(&td, ZAPPER), SUCCESS);
        let not_tracked = TLB_TRACKING_NOT_DONE.with(Operand::Rcx);
        assert_eq!(tdh_mem_page_remove(&td, ZAPPER), not_tracked);
        // What was refused has changed nothing.
        assert_eq!((td.page(0).state(), bepoch(&td)), (EntryState::Blocked, 1));
    }
}

#[test]
fn an_entry_that_is_not_free_or_not_there_is_refused() {
    for module in Version::ALL.iter().copied() {
        let incorrect = EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx);
        assert_eq!(tdh_mem_page_aug(&td(module), ZAPPER), incorrect);
        let removed = td_with_a_page_removed(module);
        assert_eq!(tdh_mem_range_block(&removed, ZAPPER), incorrect);
        assert_eq!(tdh_mem_page_remove(&removed, ZAPPER), incorrect);
    }
}

/// A store of the whole entry erases a TDHP that was set under the lock; from 2.0.12 on it stays.
#[test]
fn a_mark_set_meanwhile_survives_a_store_where_the_version_keeps_it() {
    for (module, left) in [(Version::V1_5_05, 0), (Version::V2_0_12, TDHP)] {
        let td = td(module);
        let marked = SeptEntry::<Std>::marked(td.page(0).entry.state(), Order::FullBarrier);
        td.page(0).entry.store(marked.read());
        let call = Call::new(&td, ZAPPER);
        call.store_entry(EntryState::Mapped, EntryState::Blocked, false, false);
        assert_eq!(td.page(0).entry.read() & TDHP, left);
        assert_eq!(td.page(0).state(), EntryState::Blocked);
    }
}
