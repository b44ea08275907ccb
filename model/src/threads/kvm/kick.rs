//! `kvm_make_all_cpus_request()` and what it calls (virt/kvm/kvm_main.c, kernel/smp.c).

use super::{EXITING_GUEST_MODE, IN_GUEST_MODE, Kvm, Met, OUTSIDE_GUEST_MODE, Vcpu};
use crate::kernel::decisions::{Kick, KickModeRead};
use crate::threads::event::Event;
use crate::threads::module::Current;
use crate::threads::runtime::{Mode, Runtime};

impl<R: Runtime> Kvm<R> {
    /// What makes vCPUs leave guest mode, as decided.
    pub(super) fn kick(&self, current: Current<R>, met: &mut Met) {
        match self.decisions.kick {
            Kick::None => {}
            Kick::RequestWait => self.kvm_make_all_cpus_request(current, met, true),
            Kick::RequestNoWait => self.kvm_make_all_cpus_request(current, met, false),
            Kick::VcpuKick => self.kvm_vcpu_kick_all(current, met),
        }
    }

    /// For KVM_REQ_OUTSIDE_GUEST_MODE with or without KVM_REQUEST_WAIT: walk the vCPUs first, then
    /// interrupt, then wait.
    fn kvm_make_all_cpus_request(&self, current: Current<R>, met: &mut Met, wait: bool) {
        let mut cpus = Vec::new();
        for index in 0..self.vcpus.len() {
            if self.needs_ipi(current, index, wait) {
                cpus.push(index);
            }
        }
        for &index in &cpus {
            self.send(current, met, index);
        }
        if wait {
            for &index in &cpus {
                self.vcpus[index].interrupts.wait_until_taken();
            }
            current.record_local(Event::AllAcknowledged);
        }
    }

    /// `kvm_vcpu_kick()` on each: sends at once, only to a vCPU in the guest, and waits for nobody.
    fn kvm_vcpu_kick_all(&self, current: Current<R>, met: &mut Met) {
        for index in 0..self.vcpus.len() {
            if self.needs_ipi(current, index, false) {
                self.vcpus[index].interrupts.send();
                met.ipis += 1;
            }
        }
    }

    fn send(&self, current: Current<R>, met: &mut Met, index: usize) {
        self.vcpus[index].interrupts.call_function();
        met.ipis += 1;
        current.record(Event::Sent { vcpu: index as u8 });
    }

    fn needs_ipi(&self, current: Current<R>, index: usize, wait: bool) -> bool {
        let mode = self.kvm_vcpu_exiting_guest_mode(&self.vcpus[index]);
        let (needs_ipi, outcome) = match mode {
            OUTSIDE_GUEST_MODE => (false, 0),
            IN_GUEST_MODE => (true, 1),
            _ if wait => (true, 2),
            _ => (false, 3),
        };
        current.record(Event::Visited {
            vcpu: index as u8,
            outcome,
        });
        needs_ipi
    }

    /// include/linux/kvm_host.h. On x86 the cmpxchg is the zapper's only full barrier between its
    /// store of the flag and its look at the mode: KVM_REQUEST_NO_ACTION logs no request.
    fn kvm_vcpu_exiting_guest_mode(&self, vcpu: &Vcpu<R>) -> u8 {
        match self.decisions.kick_mode_read {
            // The second is refused before (scenario.rs).
            KickModeRead::LockedCmpxchg | KickModeRead::CpuBeforeMode => {
                vcpu.mode.cmpxchg(IN_GUEST_MODE, EXITING_GUEST_MODE)
            }
            KickModeRead::PlainLoad => vcpu.mode.read_once(),
        }
    }
}
