//! KVM_TDX_INIT_VCPU: `tdx_td_vcpu_init()`, and `tdx_vcpu_init()` behind it (arch/x86/kvm/vmx/tdx.c).
//!
//! In three parts, which the kernel profiles have as code paths of their own. Whichever thread runs one
//! does so for a vCPU of its own.

use super::ioctl::{Caller, Failed};
use crate::threads::event::Leaf;
use crate::threads::module::{tdh_vp_addcx, tdh_vp_create, tdh_vp_init, tdh_vp_wr};
use crate::threads::runtime::Runtime;

impl<R: Runtime> Caller<'_, R> {
    /// `tdx_td_vcpu_init()` before TDH.VP.INIT. The kernel adds several pages; one stands for them.
    pub(super) fn tdx_td_vcpu_init_create(&mut self) -> Result<(), Failed> {
        self.seamcall(0, Leaf::Create, tdh_vp_create)?;
        self.seamcall(1, Leaf::AddCx, tdh_vp_addcx)
    }

    /// `tdx_td_vcpu_init()`: from 6.19 on under mmu_lock, so that no page removal is under way meanwhile.
    pub(super) fn tdx_td_vcpu_init(&mut self) -> Result<(), Failed> {
        self.seamcall(0, Leaf::Init, tdh_vp_init)
    }

    /// `tdx_vcpu_init()` behind it: `td_vmcs_write16()` for posted interrupts.
    pub(super) fn tdx_vcpu_init_write(&mut self) -> Result<(), Failed> {
        self.seamcall(0, Leaf::Write, tdh_vp_wr)
    }
}
