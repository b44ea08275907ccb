//! What is nobody's program here: store buffers drain, IPIs arrive and are taken, other threads kick.

use super::System;
use super::labels::{Environment, Part};
use super::others::Others;
use super::run::{Frame, Outcomes, Overflow};
use super::state::{Ipi, KickPhase, Vcpu, VcpuMode};
use super::zappers::Walker;

impl System {
    /// Every transition of one vCPU: its CPU's, then its thread's or guest's.
    pub(super) fn step_vcpu<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        mut emit: impl FnMut(Frame<'a, O>),
    ) -> Overflow {
        let Some(vcpu) = frame.own else {
            return Overflow::default();
        };
        let mut happens = |what: Environment, outcome: u8, changed: Vcpu| {
            let mut next = frame.clone();
            next.own = Some(changed);
            let step = self.labels.id(Part::Environment, what as u8, outcome);
            next.trail.push(step);
            emit(self.settle(next));
        };
        if let Some((in_guest, stores)) = vcpu.stores.pop() {
            let mode = if in_guest {
                VcpuMode::InGuest
            } else {
                VcpuMode::Outside
            };
            happens(
                Environment::DrainMode,
                0,
                Vcpu {
                    mode,
                    stores,
                    ..vcpu
                },
            );
        }
        for (outcome, walker) in (0..).zip([Walker::First, Walker::Second]) {
            if vcpu.ipi_of(walker) == Ipi::Sent {
                let mut arrived = vcpu;
                arrived.set_ipi(walker, Ipi::Pending);
                happens(Environment::Deliver, outcome, arrived);
            }
        }
        // kvm_vcpu_exiting_guest_mode() on another CPU: a locked cmpxchg, on memory. Where it fails nothing
        // happens. Its IPI is no field: nobody waits for it, its handler (scheduler_ipi(), or an ack_kick()
        // of another csd) does nothing to what is here, and any interrupt may end the guest anyway.
        if self.scenario.foreign_kick && vcpu.mode == VcpuMode::InGuest {
            let mut kicked = vcpu;
            kicked.mode = VcpuMode::Exiting;
            happens(Environment::ForeignKick, 0, kicked);
        }
        // Taking an interrupt drains the store buffer first (SDM volume 3A, "Store Buffer").
        if self.must_take_interrupt(&vcpu) && vcpu.stores.is_empty() {
            happens(Environment::Acknowledge, 0, acknowledged(vcpu));
        }
        if !self.must_take_interrupt(&vcpu) {
            return self.step_and_settle(frame, emit);
        }
        Overflow::default()
    }

    /// Every transition of the zapper or an ioctl thread, except the kick's steps about one vCPU.
    pub(super) fn step_singleton<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        mut emit: impl FnMut(Frame<'a, O>),
    ) -> Overflow {
        if let Some((flag, stores)) = frame.shared.flag_stores_of(frame.part).pop() {
            let mut next = frame.clone();
            next.shared.flag = flag;
            next.shared.set_flag_stores(frame.part, stores);
            next.trail.push(
                self.labels
                    .id(Part::Environment, Environment::DrainFlag as u8, 0),
            );
            emit(self.settle(next));
        }
        self.step_and_settle(frame, emit)
    }

    fn step_and_settle<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        mut emit: impl FnMut(Frame<'a, O>),
    ) -> Overflow {
        let mut out = Outcomes::new();
        let overflow = self.step_program(frame, &mut out);
        for next in out.drain(..) {
            emit(self.settle(next));
        }
        overflow
    }

    /// Interrupts are open on this vCPU's CPU. Inside the module they are not; in the guest an
    /// interrupt ends the guest instead.
    #[must_use]
    pub fn takes_interrupts(&self, vcpu: &Vcpu) -> bool {
        vcpu.control.op == 0 && !self.vcpu_line(vcpu).irqs_off
    }

    /// An interrupt that has arrived is taken before the next instruction.
    pub(super) fn must_take_interrupt(&self, vcpu: &Vcpu) -> bool {
        vcpu.has_pending_ipi() && self.takes_interrupts(vcpu)
    }
}

/// One handler takes everything that is queued (flush_smp_call_function_queue).
fn acknowledged(mut vcpu: Vcpu) -> Vcpu {
    for walker in [Walker::First, Walker::Second] {
        if vcpu.ipi_of(walker) == Ipi::Pending {
            vcpu.set_ipi(walker, Ipi::None);
            if vcpu.kick_of(walker) == KickPhase::Awaited {
                vcpu.set_kick(walker, KickPhase::Visited);
            }
        }
    }
    vcpu
}
