//! `kvm_make_all_cpus_request()` and what it calls (virt/kvm/kvm_main.c, kernel/smp.c).

use super::{EXITING_GUEST_MODE, IN_GUEST_MODE, Kvm, Met, NO_VCPU_ENTER, OUTSIDE_GUEST_MODE, Vcpu};
use crate::kernel::decisions::{Kick, KickModeRead};
use crate::system::Agent;
use crate::threads::event::Event;
use crate::threads::guest::Guest;
use crate::threads::module::Current;
use crate::threads::runtime::{Bits, Mode, Order, Runtime};
use crate::threads::zappers::sender;

/// A CPU that a kick has to interrupt.
#[derive(Clone, Copy)]
struct Target {
    vcpu: usize,
    cpu: usize,
}

impl<R: Runtime> Kvm<R> {
    /// What makes vCPUs leave guest mode, as decided. It may carry the RFC's request.
    pub(super) fn kick(&self, current: Current<R>, met: &mut Met, request: bool) {
        match self.decisions.kick {
            Kick::None => {}
            Kick::RequestWait | Kick::RequestWaitInGuestOnly | Kick::RequestNoWait => {
                self.kvm_make_all_cpus_request(current, met, request);
            }
            Kick::VcpuKick => self.kvm_vcpu_kick_all(current, met, request),
        }
    }

    /// `kvm_clear_request()` on every vCPU. One step of the model's: a vCPU whose bit is cleared later
    /// sees what it would see of other work.
    pub(super) fn clear_requests(&self, current: Current<R>) {
        current.record(Event::ClearRequests);
        for vcpu in &self.vcpus {
            vcpu.requests.fetch_and(!NO_VCPU_ENTER, Order::FullBarrier);
        }
    }

    /// `kvm_for_each_vcpu()`: those that were online when the walk began.
    fn online(&self) -> impl Iterator<Item = usize> + use<R> {
        let online = if self.scenario.late {
            self.online.read(Order::Relaxed)
        } else {
            u64::MAX
        };
        (0..self.vcpus.len()).filter(move |index| online >> index & 1 == 1)
    }

    /// For KVM_REQ_OUTSIDE_GUEST_MODE with or without KVM_REQUEST_WAIT: walk the vCPUs first, then
    /// interrupt, then wait.
    fn kvm_make_all_cpus_request(&self, current: Current<R>, met: &mut Met, request: bool) {
        let (mut cpus, sender) = (Vec::new(), sender(current.agent));
        for index in self.online() {
            cpus.extend(self.visit(current, index, request));
        }
        for &target in &cpus {
            self.interrupts(target).call_function(sender);
            met.ipis += 1;
            current.record(Event::Sent {
                vcpu: target.vcpu as u8,
            });
        }
        if self.decisions.kick.waits() {
            for &target in &cpus {
                self.interrupts(target).wait_until_taken(sender);
            }
            current.record_local(Event::AllAcknowledged);
        }
    }

    /// `kvm_vcpu_kick()` on each: sends at once, only to a vCPU in the guest, and waits for nobody.
    fn kvm_vcpu_kick_all(&self, current: Current<R>, met: &mut Met, request: bool) {
        for index in self.online() {
            if let Some(target) = self.visit(current, index, request) {
                self.interrupts(target).send(sender(current.agent));
                met.ipis += 1;
            }
        }
    }

    /// A thread that is no zapper's: kvm_vcpu_kick(), or a kvm_make_all_cpus_request() of its own. Nobody
    /// here waits for its IPI, whose handler does nothing to what is here; an interrupt that ends a guest
    /// is the guest's own choice.
    pub(in crate::threads) fn foreign_kicks(&self) {
        let rounds = match self.scenario.guest {
            Guest::Any => self.scenario.laps,
            Guest::Script(_) | Guest::Once(_) => 1,
        };
        for _ in 0..rounds {
            for index in self.online() {
                let mode = &self.vcpus[index].mode;
                if mode.cmpxchg(IN_GUEST_MODE, EXITING_GUEST_MODE) == IN_GUEST_MODE {
                    Current::<R>::new(Agent::Vcpu(index as u8)).record(Event::ForeignKick);
                }
            }
        }
    }

    fn interrupts(&self, target: Target) -> &super::Interrupts<R> {
        &self.vcpus[target.vcpu].cpus[target.cpu]
    }

    /// Looks at a vCPU, and says which CPU needs an IPI if one does.
    fn visit(&self, current: Current<R>, index: usize, request: bool) -> Option<Target> {
        let vcpu = &self.vcpus[index];
        let visited = |outcome| {
            current.record(Event::Visited {
                vcpu: index as u8,
                outcome,
            });
        };
        if request {
            vcpu.requests.fetch_or(NO_VCPU_ENTER, Order::FullBarrier);
        }
        let too_early = self.decisions.kick_mode_read == KickModeRead::CpuBeforeMode;
        let early = too_early.then(|| self.cpu_of(vcpu));
        if too_early {
            visited(5);
        }
        let mode = self.kvm_vcpu_exiting_guest_mode(vcpu);
        // kvm_request_needs_ipi(): with KVM_REQUEST_WAIT any mode but OUTSIDE_GUEST_MODE needs one.
        let (needs_ipi, outcome) = match mode {
            OUTSIDE_GUEST_MODE => (false, 0),
            IN_GUEST_MODE => (true, 1),
            _ if self.decisions.kick == Kick::RequestWait => (true, 2),
            _ => (false, 3),
        };
        visited(outcome);
        needs_ipi.then(|| Target {
            vcpu: index,
            cpu: early.unwrap_or_else(|| self.cpu_of(vcpu)),
        })
    }

    /// `READ_ONCE(vcpu->cpu)`.
    fn cpu_of(&self, vcpu: &Vcpu<R>) -> usize {
        if self.scenario.migrate {
            vcpu.cpu.read_once().into()
        } else {
            0
        }
    }

    /// include/linux/kvm_host.h. On x86 the cmpxchg is the zapper's only full barrier between its
    /// store of the flag and its look at the mode: KVM_REQUEST_NO_ACTION logs no request.
    fn kvm_vcpu_exiting_guest_mode(&self, vcpu: &Vcpu<R>) -> u8 {
        match self.decisions.kick_mode_read {
            KickModeRead::LockedCmpxchg | KickModeRead::CpuBeforeMode => {
                vcpu.mode.cmpxchg(IN_GUEST_MODE, EXITING_GUEST_MODE)
            }
            KickModeRead::PlainLoad => vcpu.mode.read_once(),
        }
    }
}
