//! What the zapper's lines do; see `kvm/zap.rs` for the program.

use super::System;
use super::kvm_step::Step;
use super::others::{Others, Predicate};
use super::run::{Frame, Overflow};
use super::state::{Ipi, KickPhase, MirrorSpte, TdState, VcpuMode};
use crate::kernel::KvmHeld;
use crate::kernel::decisions::{FlagRaise, Kick, KickModeRead};
use crate::kvm::instr::{Instr, KickStep};
use crate::module::LeafId;
use crate::scenario::Memory;

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// On any mapped page, once every lock is free. mmu_lock is not a try-lock: the thread waits.
    pub(super) fn begin_zap(&mut self, locks: KvmHeld) {
        if !self.system.is_active(self.frame.part) {
            return;
        }
        for page in 0..self.system.scenario.pages {
            if self.frame.shared.pages[page].mirror == MirrorSpte::Present
                && !self.system.kvm_lock_is_held(self.frame, locks, page as u8)
            {
                self.then(0, None, |next| {
                    next.control_mut().page = page as u8;
                    next.choice = page as u8;
                });
            }
        }
    }

    pub(super) fn unless_busy(&mut self, leaf: LeafId, to: u8) {
        let status = self.status();
        if !self.system.is_called_busy(leaf, status) {
            self.goto(0, to);
        } else if status.is_operand_busy() {
            self.then(1, None, |next| next.control_mut().status = 0);
        } else {
            self.then(2, None, |next| next.control_mut().status = 0);
        }
    }

    pub(super) fn store_flag(&mut self, value: bool) -> Overflow {
        if self.system.scenario.memory == Memory::Sc {
            self.then(0, None, |next| next.shared.flag = value);
            return Overflow(false);
        }
        let part = self.frame.part;
        let Some(stores) = self.frame.shared.flag_stores_of(part).push(value) else {
            return Overflow(true);
        };
        self.then(0, None, |next| next.shared.set_flag_stores(part, stores));
        Overflow(false)
    }

    /// The steps of the kick that need no particular vCPU: leaving its loops.
    pub(super) fn kick_walk(&mut self, part: KickStep) {
        let some = |predicate| self.frame.any_vcpu(self.system, predicate);
        let walker = self.system.walker(self.frame.part);
        match part {
            KickStep::Visit if !some(Predicate::Unvisited(walker)) => self.next(4),
            KickStep::Send if !some(Predicate::Queued(walker)) => self.next(1),
            KickStep::Wait if !some(Predicate::Unacknowledged(walker)) => self.next(0),
            KickStep::End => self.then(0, None, |next| next.broadcast.kick_ended = Some(walker)),
            _ => {}
        }
    }

    /// Under mmu_lock for read, as nobody upstream does it with a mirror SPTE, it is frozen first: then
    /// no fault maps the page and no other removal has it.
    pub(super) fn remove_mirror_spte(&mut self, freeze: bool, gone: u8) {
        let page = usize::from(self.frame.control().page);
        if self.frame.shared.pages[page].mirror != MirrorSpte::Present {
            self.goto(1, gone);
            return;
        }
        self.set_mirror_spte(if freeze {
            MirrorSpte::Frozen
        } else {
            MirrorSpte::None
        });
    }

    pub(super) fn set_mirror_spte(&mut self, mirror: MirrorSpte) {
        self.then(0, None, |next| {
            let page = usize::from(next.control().page);
            next.shared.pages[page].mirror = mirror;
        });
    }

    /// Before the TD is runnable, KVM tolerates one error: BLOCK on a page mapped in the mirror only.
    pub(super) fn unless_premap_error(&mut self, to: u8) {
        let premap = self.frame.shared.kvm_state != TdState::Runnable
            && self.frame.control().status == self.system.status.state_incorrect;
        if premap {
            self.then(1, Some(to), |next| next.control_mut().status = 0);
        } else {
            self.next(0);
        }
    }

    /// Any status but success, informational ones too: `KVM_BUG_ON(err, kvm)`.
    pub(super) fn bug_on(&mut self) {
        if self.frame.control().status == 0 {
            self.next(0);
        } else {
            self.then(1, None, |next| next.shared.bugged = true);
        }
    }

    /// Releasing a KVM lock is a store: it becomes visible after the CPU's earlier stores.
    pub(super) fn unlock(&mut self, to: u8) {
        if self.frame.buffer_is_empty() {
            self.then(0, Some(to), |next| {
                let control = next.control_mut();
                (control.page, control.status) = (0, 0);
            });
        }
    }
}

impl System {
    /// Whether a zapper has removed the page's mirror SPTE and has not yet found out whether it was only
    /// premapped.
    pub(super) fn zaps_unjudged(&self, shared: &super::state::Shared, page: usize) -> bool {
        self.zappers().any(|part| {
            let program = self.zap_program(part);
            let place =
                |wanted: fn(&Instr) -> bool| program.iter().position(|line| wanted(&line.instr));
            let removed = place(|instr| matches!(instr, Instr::RemoveMirrorSpte { .. }));
            let judged = place(|instr| matches!(instr, Instr::UnlessPremapError { .. }));
            let control = shared.control(part);
            let at = usize::from(control.line);
            let is_between = |(removed, judged)| removed < at && at <= judged;
            usize::from(control.page) == page && removed.zip(judged).is_some_and(is_between)
        })
    }

    /// The kick's step about the vCPU in the frame, if it has one to take.
    pub(super) fn step_kick<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        mut emit: impl FnMut(Frame<'a, O>),
    ) {
        let Some(vcpu) = frame.own else { return };
        let (part, walker) = (frame.part, self.walker(frame.part));
        let (kick, ipi) = (vcpu.kick_of(walker), vcpu.ipi_of(walker));
        let line = frame.control().line;
        let text = self.line_of(frame);
        let is_drained = frame.buffer_is_empty();
        let mut next = frame.clone();
        let Some(target) = &mut next.own else { return };
        let outcome = match text.instr {
            Instr::Kick {
                step: KickStep::Visit,
            } if kick == KickPhase::Unvisited && !vcpu.offline => {
                let too_early = self.decisions.kick_mode_read == KickModeRead::CpuBeforeMode;
                if too_early && !vcpu.cpu_read {
                    target.cpu_read = true;
                    next.trail.push(self.labels.id(part, line, 5));
                    emit(self.settle(next));
                    return;
                }
                // The locked cmpxchg is a full barrier, also when it fails (kvm_vcpu_exiting_guest_mode).
                let locked = self.decisions.kick_mode_read != KickModeRead::PlainLoad;
                if locked && !is_drained {
                    return;
                }
                // set_bit() and cmpxchg() are two accesses; a vCPU that sees the first alone is turned
                // back, as it is if it sees both.
                if self.decisions.flag_raise == FlagRaise::RequestBit && text.flag_window {
                    target.request = true;
                }
                if locked && vcpu.mode == VcpuMode::InGuest {
                    target.mode = VcpuMode::Exiting;
                }
                // kvm_request_needs_ipi()
                let needs_ipi = match vcpu.mode {
                    VcpuMode::Outside => false,
                    VcpuMode::InGuest => true,
                    VcpuMode::Exiting => self.decisions.kick == Kick::RequestWait,
                };
                // kvm_vcpu_kick() sends at once, to nobody's mask; a reschedule IPI coalesces.
                let sends = needs_ipi && self.decisions.kick == Kick::VcpuKick;
                let queued = needs_ipi && !sends;
                target.set_kick(
                    walker,
                    if queued {
                        KickPhase::Queued
                    } else {
                        KickPhase::Visited
                    },
                );
                // mode first, then vcpu->cpu, if at all.
                target.cpu_read |= needs_ipi && self.scenario.migrate;
                if sends && ipi == Ipi::None {
                    target.set_ipi(walker, Ipi::Sent);
                }
                match (vcpu.mode, needs_ipi) {
                    (VcpuMode::Outside, _) => 0,
                    (VcpuMode::InGuest, _) => 1,
                    (VcpuMode::Exiting, true) => 2,
                    (VcpuMode::Exiting, false) => 3,
                }
            }
            // vcpu->cpu has changed since it was read: the old CPU gets the IPI and acknowledges it.
            Instr::Kick {
                step: KickStep::Send,
            } if kick == KickPhase::Queued && vcpu.cpu_stale && is_drained => {
                target.set_kick(walker, KickPhase::Visited);
                2
            }
            // Queueing the csd waits until its last use is over (csd_lock) and is a locked
            // instruction (llist_add). Each CPU that sends has a csd of its own.
            Instr::Kick {
                step: KickStep::Send,
            } if kick == KickPhase::Queued && ipi == Ipi::None && is_drained => {
                let waits = self.decisions.kick.waits();
                target.set_kick(
                    walker,
                    if waits {
                        KickPhase::Awaited
                    } else {
                        KickPhase::Visited
                    },
                );
                target.set_ipi(walker, Ipi::Sent);
                0
            }
            _ => return,
        };
        next.trail.push(self.labels.id(part, line, outcome));
        emit(self.settle(next));
    }
}
