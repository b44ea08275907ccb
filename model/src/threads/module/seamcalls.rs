//! The SEAMCALLs of a page removal, and those a vCPU thread issues outside guest mode.

use super::Td;
use super::call::{Call, Current};
use crate::resource::{Mode, Resource};
use crate::status::{
    EPT_ENTRY_STATE_INCORRECT, GPA_RANGE_ALREADY_BLOCKED, GPA_RANGE_NOT_BLOCKED, Operand,
    PREVIOUS_TLB_EPOCH_BUSY, SUCCESS, StatusWord, TLB_TRACKING_NOT_DONE,
};
use crate::system::state::EntryState;
use crate::table::Effect;
use crate::threads::runtime::Runtime;

/// Runs a leaf's body and gives back what it holds, whatever came out.
pub(super) fn leaf<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
    body: impl FnOnce(&mut Call<'_, R>) -> Result<(), StatusWord>,
) -> StatusWord {
    let mut call = Call::new(td, current);
    let result = body(&mut call);
    call.unwind(|_| ());
    result.err().unwrap_or(SUCCESS)
}

/// TDH.MEM.RANGE.BLOCK (tdh_mem_range_block.c).
pub(in crate::threads) fn tdh_mem_range_block<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Rdx)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        call.acquire(Resource::SeptTree, Mode::Exclusive, Operand::SeptTree)?;
        call.acquire_entry_host(Operand::Rcx)?;
        let from = call.page().state();
        let to = match from {
            EntryState::Mapped => EntryState::Blocked,
            EntryState::Pending => EntryState::PendingBlocked,
            EntryState::Blocked | EntryState::PendingBlocked => {
                call.note(Effect::BlockEntry, 1);
                return Err(GPA_RANGE_ALREADY_BLOCKED.with(Operand::Rcx));
            }
            EntryState::Free => {
                call.note(Effect::BlockEntry, 2);
                return Err(EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx));
            }
        };
        call.store_entry(from, to, false, false);
        call.note(Effect::BlockEntry, 0);
        // Without the epoch lock, after the block store.
        call.page().bepoch.store(td.epoch.read().epoch());
        call.note(Effect::RecordBepoch, 0);
        Ok(())
    })
}

/// TDH.MEM.TRACK (tdh_mem_track.c).
pub(in crate::threads) fn tdh_mem_track<R: Runtime>(td: &Td<R>, current: Current<R>) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Rcx)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        call.acquire(Resource::TdEpoch, Mode::Exclusive, Operand::TdEpoch)?;
        let reading = td.epoch.read();
        if reading.refcount(reading.epoch().wrapping_sub(1)) != 0 {
            call.note(Effect::AdvanceEpoch, 1);
            return Err(PREVIOUS_TLB_EPOCH_BUSY);
        }
        // Exits may lower a REFCOUNT in between; they acted before or act after, as far as this
        // reading goes, so the step is noted where it was read.
        call.note(Effect::AdvanceEpoch, 0);
        td.epoch.advance();
        Ok(())
    })
}

/// TDH.MEM.PAGE.REMOVE (tdh_mem_page_remove.c).
pub(in crate::threads) fn tdh_mem_page_remove<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Rdx)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        call.acquire(Resource::SeptTree, Mode::Shared, Operand::SeptTree)?;
        call.acquire_entry_host(Operand::Rcx)?;
        let from = call.page().state();
        let is_leaf = from != EntryState::Free;
        call.note(Effect::CheckLeaf, u8::from(!is_leaf));
        if !is_leaf {
            return Err(EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx));
        }
        call.acquire(Resource::PagePamt, Mode::Exclusive, Operand::Rcx)?;
        // Before TDH.MR.FINALIZE neither blocking nor tracking is asked for.
        if td.runnable && !from.is_blocked() {
            call.note(Effect::CheckTracked, 1);
            return Err(GPA_RANGE_NOT_BLOCKED.with(Operand::Rcx));
        }
        let bepoch = call.page().bepoch.read();
        let tracked = !td.runnable || td.epoch.read().is_tracked(bepoch);
        call.note(Effect::CheckTracked, if tracked { 0 } else { 2 });
        if !tracked {
            return Err(TLB_TRACKING_NOT_DONE.with(Operand::Rcx));
        }
        call.store_entry(from, EntryState::Free, false, true);
        call.forget(Resource::SeptEntry);
        call.note(Effect::FreeEntry, 0);
        Ok(())
    })
}

/// TDH.MEM.PAGE.AUG (tdh_mem_page_aug.c). Where in the order the new page's PAMT is taken is
/// inferred, as in the lock table.
pub(in crate::threads) fn tdh_mem_page_aug<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Rdx)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        call.acquire(Resource::SeptTree, Mode::Shared, Operand::SeptTree)?;
        call.acquire_entry_host(Operand::Rcx)?;
        call.acquire(Resource::PagePamt, Mode::Exclusive, Operand::R8)?;
        if call.page().state() != EntryState::Free {
            call.note(Effect::AugEntry, 1);
            return Err(EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx));
        }
        call.page().bepoch.store(0);
        call.store_entry(EntryState::Free, EntryState::Pending, false, true);
        call.forget(Resource::SeptEntry);
        call.note(Effect::AugEntry, 0);
        Ok(())
    })
}

/// TDH.VP.WR (tdh_vp_rd_wr.c).
pub(in crate::threads) fn tdh_vp_wr<R: Runtime>(td: &Td<R>, current: Current<R>) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdvpr, Mode::Shared, Operand::Rcx)?;
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Tdr)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)
    })
}

#[cfg(test)]
mod tests;
