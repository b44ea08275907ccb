//! What the zapper's lines do; see `kvm/zap.rs` for the program.

use super::System;
use super::kvm_step::Step;
use super::labels::Part;
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
        if !self.system.is_active(Part::Zapper) {
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
        let Some(stores) = self.frame.shared.flag_stores.push(value) else {
            return Overflow(true);
        };
        self.then(0, None, |next| next.shared.flag_stores = stores);
        Overflow(false)
    }

    /// The steps of the kick that need no particular vCPU: leaving its loops.
    pub(super) fn kick_walk(&mut self, part: KickStep) {
        let some = |predicate| self.frame.any_vcpu(self.system, predicate);
        match part {
            KickStep::Visit if !some(Predicate::Unvisited) => self.next(4),
            KickStep::Send if !some(Predicate::Queued) => self.next(1),
            KickStep::Wait if !some(Predicate::Unacknowledged) => self.next(0),
            KickStep::End => self.then(0, None, |next| next.broadcast.kick_ended = true),
            _ => {}
        }
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
    /// The page that the zapper has removed the mirror SPTE of, and of which it has not yet found out
    /// whether it was only premapped.
    pub(super) fn zaps_unjudged(&self, shared: &super::state::Shared) -> Option<usize> {
        let place =
            |wanted: fn(&Instr) -> bool| self.zap.iter().position(|line| wanted(&line.instr));
        let removed = place(|instr| matches!(instr, Instr::RemoveMirrorSpte))?;
        let judged = place(|instr| matches!(instr, Instr::UnlessPremapError { .. }))?;
        let at = usize::from(shared.zapper.line);
        (removed < at && at <= judged).then_some(usize::from(shared.zapper.page))
    }

    /// True when the zapper stands at a loop of the kick, where its next step is about one vCPU.
    #[must_use]
    pub fn zapper_wants_target(&self, shared: &super::state::Shared) -> bool {
        let line = &self.zap[usize::from(shared.zapper.line)];
        shared.zapper.op == 0
            && matches!(
                line.instr,
                Instr::Kick {
                    step: KickStep::Visit | KickStep::Send
                }
            )
    }

    /// Whether a line of the zapper's lies between start and stop of a retry window.
    fn in_flag_window(&self, line: u8) -> bool {
        self.zap[usize::from(line)].flag_window
    }

    /// The kick's step about the vCPU in the frame, if it has one to take.
    pub(super) fn step_kick<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        mut emit: impl FnMut(Frame<'a, O>),
    ) {
        let Some(vcpu) = frame.own else { return };
        let line = frame.shared.zapper.line;
        let mut next = frame.clone();
        let Some(target) = &mut next.own else { return };
        let outcome = match self.zap[usize::from(line)].instr {
            Instr::Kick {
                step: KickStep::Visit,
            } if vcpu.kick == KickPhase::Unvisited && !vcpu.offline => {
                let too_early = self.decisions.kick_mode_read == KickModeRead::CpuBeforeMode;
                if too_early && !vcpu.cpu_read {
                    target.cpu_read = true;
                    next.trail.push(self.labels.id(Part::Zapper, line, 5));
                    emit(self.settle(next));
                    return;
                }
                // The locked cmpxchg is a full barrier, also when it fails (kvm_vcpu_exiting_guest_mode).
                let locked = self.decisions.kick_mode_read != KickModeRead::PlainLoad;
                if locked && !frame.shared.flag_stores.is_empty() {
                    return;
                }
                // set_bit() and cmpxchg() are two accesses; a vCPU that sees the first alone is turned
                // back, as it is if it sees both.
                if self.decisions.flag_raise == FlagRaise::RequestBit && self.in_flag_window(line) {
                    target.request = true;
                }
                if locked && vcpu.mode == VcpuMode::InGuest {
                    target.mode = VcpuMode::Exiting;
                }
                let needs_ipi = match (vcpu.mode, self.decisions.kick) {
                    (VcpuMode::Outside, _) => false,
                    (VcpuMode::InGuest, _) | (VcpuMode::Exiting, Kick::RequestWait) => true,
                    (VcpuMode::Exiting, _) => false,
                };
                // kvm_vcpu_kick() sends at once, to nobody's mask; a reschedule IPI coalesces.
                let sends = needs_ipi && self.decisions.kick == Kick::VcpuKick;
                target.kick = if needs_ipi && !sends {
                    KickPhase::Queued
                } else {
                    KickPhase::Visited
                };
                // mode first, then vcpu->cpu, if at all.
                target.cpu_read |= needs_ipi && self.scenario.migrate;
                if sends && vcpu.ipi == Ipi::None {
                    target.ipi = Ipi::Sent;
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
            } if vcpu.kick == KickPhase::Queued
                && vcpu.cpu_stale
                && frame.shared.flag_stores.is_empty() =>
            {
                target.kick = KickPhase::Visited;
                2
            }
            // Queueing the csd waits until its last use is over (csd_lock) and is a locked
            // instruction (llist_add).
            Instr::Kick {
                step: KickStep::Send,
            } if vcpu.kick == KickPhase::Queued
                && vcpu.ipi == Ipi::None
                && frame.shared.flag_stores.is_empty() =>
            {
                let waits = self.decisions.kick == Kick::RequestWait;
                target.kick = if waits {
                    KickPhase::Awaited
                } else {
                    KickPhase::Visited
                };
                target.ipi = Ipi::Sent;
                0
            }
            _ => return,
        };
        next.trail.push(self.labels.id(Part::Zapper, line, outcome));
        emit(self.settle(next));
    }
}
