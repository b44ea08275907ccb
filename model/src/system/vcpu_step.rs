//! What a vCPU thread's lines do; see `kvm/vcpu.rs` for the program.

use super::kvm_step::Step;
use super::others::Others;
use super::run::Overflow;
use super::state::{ExitReason, Ipi, KickPhase, MirrorSpte, TdState, VcpuMode};
use crate::kernel::KvmHeld;
use crate::kvm::instr::Instr;
use crate::resource::{KvmLock, KvmMode};
use crate::scenario::Memory;
use crate::status::{HOST_PRIORITY_BUSY_TIMEOUT, StatusWord};

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// KVM_RUN is refused before the TD is finalized.
    pub(super) fn run_loop(&mut self, elsewhere: [Option<u8>; 4]) {
        if self.frame.shared.kvm_state != TdState::Runnable {
            return;
        }
        if self.frame.own.is_some_and(|vcpu| vcpu.offline) {
            self.come_online();
            return;
        }
        self.next(0);
        for (outcome, to) in (1..).zip(elsewhere) {
            if let Some(to) = to {
                self.goto(outcome, to);
            }
        }
        if let (true, [_, _, scheduled_out, _]) = (self.system.scenario.migrate, elsewhere) {
            self.migrate(scheduled_out);
        }
    }

    /// On another CPU than before. A kick that has read vcpu->cpu already sends its IPI to the old one,
    /// which acknowledges it; so does the old one with an IPI that is on its way.
    fn migrate(&mut self, to: Option<u8>) {
        self.then(5, to, |next| {
            if let Some(vcpu) = &mut next.own {
                vcpu.cpu_stale = vcpu.cpu_read;
                if vcpu.ipi == Ipi::Sent {
                    vcpu.ipi = Ipi::None;
                    if vcpu.kick == KickPhase::Awaited {
                        vcpu.kick = KickPhase::Visited;
                    }
                }
            }
        });
    }

    /// The vCPU is created. A kick under way may walk up to it, or have read their number before.
    fn come_online(&mut self) {
        let zapper = self.frame.shared.zapper;
        let kicks = matches!(
            self.system.zap[usize::from(zapper.line)].instr,
            Instr::Kick { .. }
        );
        let mut online = |outcome: u8, kick: KickPhase| {
            let line = self.frame.control().line;
            self.then(outcome, Some(line), |next| {
                if let Some(vcpu) = &mut next.own {
                    (vcpu.offline, vcpu.kick) = (false, kick);
                }
            });
        };
        online(6, KickPhase::Unvisited);
        if kicks {
            online(7, KickPhase::Visited);
        }
    }

    pub(super) fn store_mode(&mut self, in_guest: bool) -> Overflow {
        let Some(vcpu) = self.frame.own else {
            return Overflow(false);
        };
        if self.system.scenario.memory == Memory::Sc {
            let mode = if in_guest {
                VcpuMode::InGuest
            } else {
                VcpuMode::Outside
            };
            self.then(0, None, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.mode = mode;
                }
            });
            return Overflow(false);
        }
        let Some(stores) = vcpu.stores.push(in_guest) else {
            return Overflow(true);
        };
        self.then(0, None, |next| {
            if let Some(vcpu) = &mut next.own {
                vcpu.stores = stores;
            }
        });
        Overflow(false)
    }

    /// A load sees the CPU's own newest store first. Requests and thread work may always be pending.
    pub(super) fn exit_request(&mut self, to: u8, sees_mode: bool) {
        let Some(vcpu) = self.frame.own else { return };
        if sees_mode && vcpu.stores.is_empty() && vcpu.mode == VcpuMode::Exiting {
            self.goto(1, to);
        } else {
            if !vcpu.request {
                self.next(0);
            }
            self.goto(2, to);
        }
    }

    pub(super) fn test_flag(&mut self, to: u8, keep_exit_reason: bool, irqs_off: bool) {
        if self.frame.shared.flag {
            self.then(1, Some(to), |next| {
                if let (Some(vcpu), false) = (&mut next.own, keep_exit_reason) {
                    vcpu.exit = ExitReason::None;
                }
            });
        } else {
            self.then(0, None, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.flag_seen_down |= irqs_off;
                }
            });
        }
    }

    pub(super) fn sleep_on_flag(&mut self, woken: bool) {
        if woken && !self.frame.shared.flag {
            self.next(0);
        }
    }

    pub(super) fn vp_enter_status(&mut self, reenter: Option<u8>) {
        let status = self.status();
        let busy = status.is_operand_busy();
        let timed_out = status == HOST_PRIORITY_BUSY_TIMEOUT;
        let (outcome, to) = match reenter {
            _ if timed_out => (3, None),
            _ if !busy => (0, None),
            None => (1, None),
            Some(to) => (2, Some(to)),
        };
        self.then(outcome, to, |next| {
            next.control_mut().status = 0;
            // A SEAMCALL that failed has written its own exit reason, which is no interrupt.
            if let Some(vcpu) = &mut next.own {
                vcpu.exit = match (busy, timed_out) {
                    (true, _) => ExitReason::None,
                    (_, true) => ExitReason::HostPriorityTimeout,
                    (false, false) => vcpu.exit,
                };
            }
        });
    }

    pub(super) fn handle_exit_irqoff(&mut self) {
        let exit = self.frame.own.map(|vcpu| vcpu.exit);
        match exit {
            Some(ExitReason::Interrupt) => self.then(1, None, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.exit = ExitReason::InterruptDispatched;
                }
            }),
            Some(ExitReason::InterruptDispatched) => self.next(2),
            _ => self.next(0),
        }
    }

    pub(super) fn handle_exit(&mut self, fault: u8) {
        let exit = self.frame.own.map(|vcpu| vcpu.exit);
        let (outcome, to) = match exit {
            Some(ExitReason::EptViolation) => (1, Some(fault)),
            // vp_enter_ret has TDX_ERROR set: unhandled_exit, and KVM_RUN returns to userspace.
            Some(ExitReason::HostPriorityTimeout) => (2, None),
            _ => (0, None),
        };
        let track = self.system.scenario.exit_reason;
        self.then(outcome, to, |next| {
            if let Some(vcpu) = &mut next.own
                && !(track && vcpu.exit == ExitReason::InterruptDispatched)
            {
                vcpu.exit = ExitReason::None;
            }
        });
    }

    /// mmu_lock for read: the fault waits for the zapper, not for other faults.
    pub(super) fn fault_lock(&mut self, to: u8) {
        let read = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        let page = self.frame.control().page;
        if self.system.kvm_lock_is_held(self.frame, read, page) {
            return;
        }
        let page = usize::from(page);
        match self.frame.shared.pages[page].mirror {
            MirrorSpte::Present => self.goto(1, to),
            MirrorSpte::Frozen => self.goto(2, to),
            MirrorSpte::None => self.then(0, None, |next| {
                next.shared.pages[page].mirror = MirrorSpte::Frozen;
            }),
        }
    }

    pub(super) fn aug_status(&mut self) {
        let status = self.status();
        let page = usize::from(self.frame.control().page);
        if status == StatusWord(0) {
            self.then(0, None, |next| {
                next.shared.pages[page].mirror = MirrorSpte::Present;
            });
        } else if status.is_operand_busy() {
            self.then(1, None, |next| {
                next.control_mut().status = 0;
                next.shared.pages[page].mirror = MirrorSpte::None;
            });
        } else {
            self.then(2, None, |next| next.shared.bugged = true);
        }
    }
}
