//! The TDCALLs that lock an S-EPT entry.

use super::call::Call;
use crate::resource::Resource;
use crate::status::{Operand, PAGE_ALREADY_ACCEPTED, StatusWord};
use crate::system::EPT_VIOLATION_EXIT;
use crate::system::state::EntryState;
use crate::table::Effect;
use crate::threads::event::Leaf;
use crate::threads::locks::TDHP;
use crate::threads::runtime::Runtime;

/// A TDCALL of the guest's that runs inside `call`, its TDH.VP.ENTER. EPT_VIOLATION_EXIT ends it.
pub(super) fn tdcall<R: Runtime>(call: &mut Call<'_, R>, leaf: Leaf) -> Result<(), StatusWord> {
    let result = match leaf {
        Leaf::Accept => tdg_mem_page_accept(call),
        _ => tdg_mem_page_attr(call),
    };
    // A guest's lock is given back before anything else happens, whatever came out.
    call.release(Resource::SeptEntry);
    result
}

/// TDG.MEM.PAGE.ACCEPT (tdg_mem_page_accept.c): copies the entry, and stores the copy back later.
fn tdg_mem_page_accept<R: Runtime>(call: &mut Call<'_, R>) -> Result<(), StatusWord> {
    call.acquire_entry_guest(Operand::Rcx)?;
    let copy = call.page().entry.read();
    match super::page::state_of((copy & 0xFF) as u8) {
        EntryState::Pending => call.note(Effect::AcceptCheck, 0),
        EntryState::Mapped => {
            call.note(Effect::AcceptCheck, 1);
            return Err(PAGE_ALREADY_ACCEPTED.with(Operand::Rcx));
        }
        _ => {
            call.note(Effect::AcceptCheck, 2);
            return Err(EPT_VIOLATION_EXIT);
        }
    }
    let mark = copy & TDHP != 0;
    call.store_entry(EntryState::Pending, EntryState::Mapped, mark, false);
    call.note(Effect::AcceptStore, 0);
    Ok(())
}

/// TDG.MEM.PAGE.ATTR.RD and ATTR.WR (tdg_mem_page_attr_rd.c, _wr.c); nothing here reads attributes.
fn tdg_mem_page_attr<R: Runtime>(call: &mut Call<'_, R>) -> Result<(), StatusWord> {
    call.acquire_entry_guest(Operand::Rcx)?;
    let faults = !matches!(
        call.page().state(),
        EntryState::Mapped | EntryState::Pending
    );
    call.note(Effect::AttrCheck, u8::from(faults));
    if faults {
        return Err(EPT_VIOLATION_EXIT);
    }
    Ok(())
}
