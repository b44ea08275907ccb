//! vCPUs that are in their guests when the zapper begins: the end of a `vcpu_enter_guest()` whose
//! beginning nobody saw.

use super::vcpu::{Cached, Lap, Thread};
use super::{IN_GUEST_MODE, Kvm};
use crate::kernel::decisions::ModeOutside;
use crate::status::SUCCESS;
use crate::threads::event::Event;
use crate::threads::module::{begin_in_guest, leave_guest};
use crate::threads::runtime::{Mode, Runtime};

impl<R: Runtime> Kvm<R> {
    /// Every vCPU as V11 leaves it, before anybody else moves; nothing is recorded.
    pub(in crate::threads) fn begin_in_guests(&self) {
        for (index, vcpu) in self.vcpus.iter().enumerate() {
            vcpu.cpus[0].local_irq_disable();
            if self.decisions.mode_outside == ModeOutside::AfterVpEnter {
                vcpu.mode.store_release(IN_GUEST_MODE);
            }
            begin_in_guest(&self.td, index);
        }
    }
}

impl<R: Runtime> Thread<'_, R> {
    /// The guest runs and is left; then V16 to V19.
    pub(super) fn vcpu_leave_guest(&mut self) -> Lap {
        let scenario = &self.kvm.scenario;
        let interrupts = &self.kvm.vcpus[self.current.vcpu()].cpus[0];
        let reason = leave_guest(
            &self.kvm.td,
            self.current,
            scenario.prepared().td_epoch,
            &mut self.tdvps,
            &scenario.guest.on_lap(0),
            &|| interrupts.is_pending(),
        );
        self.current.record_local(Event::Returned(SUCCESS));
        self.cached = Cached::Exit(reason);
        self.way_out(self.kvm.decisions.mode_outside == ModeOutside::AfterVpEnter)
    }
}
