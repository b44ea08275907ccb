//! The SEAMCALLs that build a TD before TDH.MR.FINALIZE: those of KVM_TDX_INIT_VCPU, and TDH.MEM.PAGE.ADD.

use super::Td;
use super::call::{Call, Current};
use super::seamcalls::leaf;
use crate::resource::{Mode, Resource};
use crate::status::{EPT_ENTRY_STATE_INCORRECT, OP_STATE_INCORRECT, Operand, StatusWord};
use crate::system::state::EntryState;
use crate::table::Effect;
use crate::threads::runtime::Runtime;

/// OP_STATE has to be INITIALIZED; behind the lock that keeps it so. Here it never changes, and nothing is
/// noted of it.
fn require_initialized<R: Runtime>(call: &Call<'_, R>) -> Result<(), StatusWord> {
    if call.td.runnable {
        return Err(OP_STATE_INCORRECT);
    }
    Ok(())
}

/// TDH.VP.CREATE (tdh_vp_create.c). The new TDVPR page's PAMT entry is that of a page nobody else names, and
/// left out, as in the lock table.
pub(in crate::threads) fn tdh_vp_create<R: Runtime>(td: &Td<R>, current: Current<R>) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Rdx)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        require_initialized(call)
    })
}

/// TDH.VP.ADDCX (tdh_vp_addcx.c): the TDVPR first. The new page's PAMT entry is left out likewise.
pub(in crate::threads) fn tdh_vp_addcx<R: Runtime>(td: &Td<R>, current: Current<R>) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdvpr, Mode::Exclusive, Operand::Rdx)?;
        call.acquire(Resource::Tdr, Mode::Shared, Operand::Tdr)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        require_initialized(call)
    })
}

/// TDH.VP.INIT, leaf version 1 (tdh_vp_init.c, from 1.5.05 on): the TDR exclusively.
pub(in crate::threads) fn tdh_vp_init<R: Runtime>(td: &Td<R>, current: Current<R>) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdvpr, Mode::Exclusive, Operand::Rcx)?;
        call.acquire(Resource::Tdr, Mode::Exclusive, Operand::Tdr)?;
        call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
        require_initialized(call)
    })
}

/// TDH.MEM.PAGE.ADD (tdh_mem_page_add.c). The exclusive TDR stands for the locks of OP_STATE, tree and entry.
pub(in crate::threads) fn tdh_mem_page_add<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
) -> StatusWord {
    leaf(td, current, |call| {
        call.acquire(Resource::Tdr, Mode::Exclusive, Operand::Rdx)?;
        require_initialized(call)?;
        call.acquire(Resource::PagePamt, Mode::Exclusive, Operand::R8)?;
        if call.page().state() != EntryState::Free {
            call.note(Effect::AddEntry, 1);
            return Err(EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx));
        }
        call.page().bepoch.store(0);
        call.fill_entry();
        call.note(Effect::AddEntry, 0);
        Ok(())
    })
}
