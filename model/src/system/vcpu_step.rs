//! What a vCPU thread's lines do; see `kvm/vcpu.rs` for the program.

use super::kvm_step::Step;
use super::others::Others;
use super::run::Overflow;
use super::state::{ExitReason, MirrorSpte, VcpuMode};
use crate::kernel::KvmHeld;
use crate::resource::{KvmLock, KvmMode};
use crate::scenario::Memory;
use crate::status::StatusWord;

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// KVM_RUN is refused before the TD is finalized.
    pub(super) fn run_loop(&mut self, elsewhere: [Option<u8>; 4]) {
        if !self.system.scenario.finalized {
            return;
        }
        self.next(0);
        for (outcome, to) in (1..).zip(elsewhere) {
            if let Some(to) = to {
                self.goto(outcome, to);
            }
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
            self.next(0);
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
        let busy = self.status().is_operand_busy();
        let (outcome, to) = match reenter {
            _ if !busy => (0, None),
            None => (1, None),
            Some(to) => (2, Some(to)),
        };
        self.then(outcome, to, |next| {
            next.control_mut().status = 0;
            // A SEAMCALL that failed has written its own exit reason, which is no interrupt.
            if let (Some(vcpu), true) = (&mut next.own, busy) {
                vcpu.exit = ExitReason::None;
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
        let (outcome, to) = if exit == Some(ExitReason::EptViolation) {
            (1, Some(fault))
        } else {
            (0, None)
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
        if self.system.kvm_lock_is_held(self.frame, read) {
            return;
        }
        let page = usize::from(self.frame.control().page);
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
