//! `tdx_handle_ept_violation()` down to `tdx_mem_page_aug()`.

use super::mirror;
use super::vcpu::Thread;
use crate::property::Property;
use crate::status::StatusWord;
use crate::threads::event::{Event, Leaf};
use crate::threads::module::tdh_mem_page_aug;
use crate::threads::runtime::{Bits, Order, Runtime};

impl<R: Runtime> Thread<'_, R> {
    /// Maps a page unless it is mapped or somebody else is about to.
    pub(super) fn tdx_handle_ept_violation(&mut self, page: u8) {
        let kvm = self.kvm;
        let mirror = &kvm.mirrors[usize::from(page)];
        self.current = self.current.about(page);
        kvm.mmu_lock.read_lock();
        let old = mirror.cmpxchg(mirror::NONE, mirror::FROZEN, Order::AcqRel);
        let outcome = match old {
            mirror::NONE => 0,
            mirror::FROZEN => 2,
            _ => 1,
        };
        self.current.record(Event::FaultLock(outcome));
        if old == mirror::NONE {
            let status = self.seamcall(Leaf::Aug, tdh_mem_page_aug);
            let (spte, outcome) = match status {
                StatusWord(0) => (mirror::PRESENT, 0),
                busy if busy.is_operand_busy() => (mirror::NONE, 1),
                _ => (mirror::FROZEN, 2),
            };
            self.met.violate(Property::NoBugOn, outcome == 2);
            mirror.swap(spte, Order::AcqRel);
            self.current.record(Event::AugStatus(outcome));
        }
        kvm.mmu_lock.read_unlock();
        self.current.record(Event::Unlock);
    }
}
