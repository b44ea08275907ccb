//! KVM_TDX_INIT_MEM_REGION up to 6.18: `tdx_gmem_post_populate()` (arch/x86/kvm/vmx/tdx.c).

use super::ioctl::{Caller, Failed};
use super::mirror;
use crate::threads::event::{Event, Leaf};
use crate::threads::module::tdh_mem_page_add;
use crate::threads::runtime::{Bits, Order, Runtime};

impl<R: Runtime> Caller<'_, R> {
    /// The page is mapped in the mirror page table first, under mmu_lock for read, and added once that lock
    /// is dropped.
    pub(super) fn tdx_gmem_post_populate(&mut self) -> Result<(), Failed> {
        self.kvm_tdp_map_page();
        self.seamcall(1, Leaf::Add, tdh_mem_page_add)
    }

    /// `kvm_tdp_map_page()` before the TD is finalized: no SEAMCALL (`tdx_mem_page_record_premap_cnt()`).
    fn kvm_tdp_map_page(&self) {
        let kvm = self.kvm;
        kvm.mmu_lock.read_lock();
        let (none, present) = (mirror::NONE, mirror::PRESENT);
        let old = kvm
            .mirror(self.current)
            .cmpxchg(none, present, Order::AcqRel);
        self.current.record(Event::Premapped(old == none));
        kvm.mmu_lock.read_unlock();
    }
}
