//! R3: fields that nobody will read before they are written again are reset.

use super::System;
use super::state::{BlockEpoch, Control, ExitReason, Shared, Vcpu, VcpuEpoch};
use crate::kernel::KvmHeld;
use crate::kvm::instr::Instr;
use crate::module::OpKind;
use crate::resource::Resource;

pub(super) fn forget_shared(shared: &mut Shared) {
    for page in &mut shared.pages {
        // BEPOCH is read by TDH.MEM.PAGE.REMOVE, after it has found the entry blocked.
        if !page.entry.is_blocked() {
            page.bepoch = BlockEpoch::Older;
        }
    }
}

pub(super) fn forget_vcpu(system: &System, vcpu: &mut Vcpu) {
    if !system.held_by_vcpu(vcpu).counted {
        vcpu.epoch = VcpuEpoch::Current;
    }
    if !carries_copy(system, vcpu.control) {
        vcpu.entry_copy_hp = false;
    }
    if !needs_page(system, vcpu) {
        vcpu.control.page = 0;
    }
}

/// Between ACCEPT's look at the entry and its store: the entry is locked and not yet stored.
fn carries_copy(system: &System, control: Control) -> bool {
    let op = system.op(control.op);
    control.op != 0
        && op.held.has(Resource::SeptEntry)
        && !matches!(op.kind, OpKind::Release { .. })
}

/// The page is that of the call in flight, of the exit to be handled, or of the fault under way.
fn needs_page(system: &System, vcpu: &Vcpu) -> bool {
    if vcpu.exit == ExitReason::EptViolation || system.vcpu_line(vcpu).held != KvmHeld::default() {
        return true;
    }
    if vcpu.control.op != 0 {
        return system.code.leaves[usize::from(system.op(vcpu.control.op).leaf.0)].is_tdcall;
    }
    matches!(
        system.vcpu_line(vcpu).instr,
        Instr::FaultLock { .. } | Instr::Unlock { .. }
    )
}
