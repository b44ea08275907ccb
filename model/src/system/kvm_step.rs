//! What a line of a KVM program does.

use super::System;
use super::labels::{Part, returned};
use super::others::{Others, Predicate};
use super::run::{Broadcast, Frame, Outcomes, Overflow};
use super::state::{EntryState, ExitReason, KickPhase, VcpuMode};
use crate::kernel::decisions::{BusyPredicate, Kick, KickModeRead};
use crate::kernel::{KvmHeld, OnFailure};
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::kvm::{Line, Program};
use crate::module::LeafId;
use crate::resource::{KvmLock, KvmMode};
use crate::scenario::Memory;
use crate::status::{OPERAND_BUSY, Operand, PREVIOUS_TLB_EPOCH_BUSY, StatusWord};

impl System {
    /// The program of a part.
    #[must_use]
    pub fn program_of(&self, part: Part) -> &Program {
        self.program(part)
    }

    pub(super) fn program(&self, part: Part) -> &Program {
        match part {
            Part::Vcpu => &self.vcpu,
            Part::Thread0 => &self.threads[0],
            Part::Thread1 => &self.threads[1],
            _ => &self.zap,
        }
    }

    pub(super) fn line_of<O: Others>(&self, frame: &Frame<'_, O>) -> &Line {
        &self.program(frame.part)[usize::from(frame.control().line)]
    }

    /// Every outcome of the line the frame's thread stands at; none when it has to wait.
    pub(super) fn kvm_step<'a, O: Others>(&self, frame: &Frame<'a, O>, out: &mut Outcomes<'a, O>) -> Overflow {
        let line = self.line_of(frame);
        let mut step = Step { system: self, frame, out };
        match line.instr {
            Instr::Nop | Instr::IrqDisable => step.next(0),
            Instr::Jump { to } => step.goto(0, to),
            Instr::Call { leaf, site } => step.call(leaf, site),

            Instr::BeginZap { locks } => step.begin_zap(locks),
            Instr::RemoveMirrorSpte => step.then(0, None, |next| {
                let page = usize::from(next.control().page);
                next.shared.pages[page].mirror = false;
            }),
            Instr::UnlessBusy { leaf, to } => step.unless_busy(leaf, to),
            Instr::GiveUp { to } => step.then(0, Some(to), |next| next.control_mut().status = 0),
            Instr::StoreFlag { value } => return step.store_flag(value),
            Instr::IfError { to } => step.branch(frame.control().status != 0, to),
            Instr::Kick { step: part } => step.kick_walk(part),
            Instr::UnlessPremapError { to } => step.unless_premap_error(to),
            Instr::BugOn => step.bug_on(),
            Instr::UnlessRunnable { to } => step.branch(!self.scenario.finalized, to),
            Instr::Unlock { to } => step.unlock(to),

            Instr::RunLoop { userspace, halted, scheduled_out } => step.run_loop([userspace, halted, scheduled_out]),
            Instr::IrqEnable => step.then(0, None, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.flag_seen_down = false;
                }
            }),
            Instr::StoreMode { in_guest } => return step.store_mode(in_guest),
            Instr::FullBarrier => {
                if frame.buffer_is_empty() {
                    step.next(0);
                }
            }
            Instr::ExitRequest { to } => step.exit_request(to),
            Instr::TestFlag { to, keep_exit_reason } => step.test_flag(to, keep_exit_reason, line.irqs_off),
            Instr::VpEnterStatus { reenter } => step.vp_enter_status(reenter),
            Instr::HandleExitIrqoff => step.handle_exit_irqoff(),
            Instr::HandleExit { fault } => step.handle_exit(fault),
            Instr::FaultLock { to } => step.fault_lock(to),
            Instr::AugStatus => step.aug_status(),

            Instr::BeginIoctl => step.begin_ioctl(),
            Instr::Lock { locks } => {
                if !self.kvm_lock_is_held(frame, locks) {
                    step.next(0);
                }
            }
            Instr::Premap => step.premap(),
            Instr::IoctlStatus { to, on_failure } => step.ioctl_status(to, on_failure),
        }
        Overflow::default()
    }

    /// True when another thread holds a KVM lock that excludes `locks`.
    pub(super) fn kvm_lock_is_held<O: Others>(&self, frame: &Frame<'_, O>, locks: KvmHeld) -> bool {
        let shared = &frame.shared;
        let singletons = [(Part::Zapper, shared.zapper), (Part::Thread0, shared.threads[0]), (Part::Thread1, shared.threads[1])];
        let by_singleton = singletons.into_iter().take(1 + self.threads.len()).any(|(part, control)| {
            part != frame.part && self.program(part)[usize::from(control.line)].held.excludes(locks)
        });
        by_singleton || frame.any_vcpu(self, Predicate::Excludes(locks))
    }

    /// Whether the kernel's predicate calls a status of this leaf busy.
    #[must_use]
    pub fn is_called_busy(&self, leaf: LeafId, status: StatusWord) -> bool {
        match self.decisions.busy_predicate {
            BusyPredicate::Masked => status.is_operand_busy(),
            BusyPredicate::BitTest if self.code.leaves[usize::from(leaf.0)].key == "TDH.MEM.TRACK" => {
                status.is_operand_busy()
            }
            BusyPredicate::BitTest => status.0 & OPERAND_BUSY.0 != 0,
            BusyPredicate::SeptBusy => status == OPERAND_BUSY.with(Operand::SeptTree),
            BusyPredicate::Unmasked => status == OPERAND_BUSY,
            BusyPredicate::MaskedOrEpochBusy => {
                status.is_operand_busy() || status.code() == PREVIOUS_TLB_EPOCH_BUSY
            }
        }
    }
}

/// One line's execution.
struct Step<'s, 'f, 'a, 'o, O> {
    system: &'s System,
    frame: &'f Frame<'a, O>,
    out: &'o mut Outcomes<'a, O>,
}

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// Adds an outcome: the change, and where the thread goes on (`None`: the next line).
    fn then(&mut self, outcome: u8, to: Option<u8>, change: impl FnOnce(&mut Frame<'a, O>)) {
        let line = self.frame.control().line;
        let mut next = self.frame.clone();
        next.trail.push(self.system.labels.id(self.frame.part, line, outcome));
        next.control_mut().line = to.unwrap_or(line + 1);
        change(&mut next);
        self.out.push(next);
    }

    fn next(&mut self, outcome: u8) {
        self.then(outcome, None, |_| {});
    }

    fn goto(&mut self, outcome: u8, to: u8) {
        self.then(outcome, Some(to), |_| {});
    }

    fn branch(&mut self, taken: bool, to: u8) {
        if taken { self.goto(1, to) } else { self.next(0) }
    }

    fn status(&self) -> StatusWord {
        self.system.code.statuses[usize::from(self.frame.control().status)]
    }

    /// A call begins: the first thing every leaf does is a locked instruction, which drains the
    /// CPU's store buffer before anything of the module's is touched.
    fn call(&mut self, leaf: LeafId, site: CallSite) {
        if !self.frame.buffer_is_empty() {
            return;
        }
        let start = self.system.code.leaves[usize::from(leaf.0)].start;
        let tested = self.frame.own.is_none_or(|vcpu| vcpu.flag_seen_down);
        let untested = site == CallSite::Other && leaf == self.system.enter && !tested;
        let outcome = if untested { returned::CALLED_UNTESTED } else { returned::CALLED };
        let line = self.frame.control().line;
        self.then(outcome, Some(line), |next| {
            let control = next.control_mut();
            (control.op, control.status) = (start, 0);
        });
    }

    // The zapper.

    /// On any mapped page, once every lock is free. mmu_lock is not a try-lock: the thread waits.
    fn begin_zap(&mut self, locks: KvmHeld) {
        for page in 0..self.system.scenario.pages {
            if self.frame.shared.pages[page].mirror && !self.system.kvm_lock_is_held(self.frame, locks) {
                self.then(0, None, |next| next.control_mut().page = page as u8);
            }
        }
    }

    fn unless_busy(&mut self, leaf: LeafId, to: u8) {
        let status = self.status();
        if !self.system.is_called_busy(leaf, status) {
            self.goto(0, to);
        } else if status.is_operand_busy() {
            self.then(1, None, |next| next.control_mut().status = 0);
        } else {
            self.then(2, None, |next| next.control_mut().status = 0);
        }
    }

    fn store_flag(&mut self, value: bool) -> Overflow {
        if self.system.scenario.memory == Memory::Sc {
            self.then(0, None, |next| next.shared.flag = value);
            return Overflow(false);
        }
        let Some(stores) = self.frame.shared.flag_stores.push(value) else { return Overflow(true) };
        self.then(0, None, |next| next.shared.flag_stores = stores);
        Overflow(false)
    }

    /// The steps of the kick that need no particular vCPU: leaving its loops.
    fn kick_walk(&mut self, part: KickStep) {
        let some = |predicate| self.frame.any_vcpu(self.system, predicate);
        match part {
            KickStep::Visit if !some(Predicate::Unvisited) => self.next(4),
            KickStep::Send if !some(Predicate::Queued) => self.next(1),
            KickStep::Wait if !some(Predicate::Unacknowledged) => self.next(0),
            KickStep::End => self.then(0, None, |next| next.broadcast = Broadcast::KickEnded),
            _ => {}
        }
    }

    /// Before the TD is runnable, KVM tolerates one error: BLOCK on a page mapped in the mirror only.
    fn unless_premap_error(&mut self, to: u8) {
        let premap = !self.system.scenario.finalized && self.frame.control().status == self.system.status.state_incorrect;
        if premap {
            self.then(1, Some(to), |next| next.control_mut().status = 0);
        } else {
            self.next(0);
        }
    }

    /// Any status but success, informational ones too: `KVM_BUG_ON(err, kvm)`.
    fn bug_on(&mut self) {
        if self.frame.control().status == 0 {
            self.next(0);
        } else {
            self.then(1, None, |next| next.shared.bugged = true);
        }
    }

    /// Releasing a KVM lock is a store: it becomes visible after the CPU's earlier stores.
    fn unlock(&mut self, to: u8) {
        if self.frame.buffer_is_empty() {
            self.then(0, Some(to), |next| {
                let control = next.control_mut();
                (control.page, control.status) = (0, 0);
            });
        }
    }

    // A vCPU thread.

    /// KVM_RUN is refused before the TD is finalized.
    fn run_loop(&mut self, elsewhere: [u8; 3]) {
        if !self.system.scenario.finalized {
            return;
        }
        self.next(0);
        for (outcome, to) in (1..).zip(elsewhere) {
            self.goto(outcome, to);
        }
    }

    fn store_mode(&mut self, in_guest: bool) -> Overflow {
        let Some(vcpu) = self.frame.own else { return Overflow(false) };
        if self.system.scenario.memory == Memory::Sc {
            let mode = if in_guest { VcpuMode::InGuest } else { VcpuMode::Outside };
            self.then(0, None, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.mode = mode;
                }
            });
            return Overflow(false);
        }
        let Some(stores) = vcpu.stores.push(in_guest) else { return Overflow(true) };
        self.then(0, None, |next| {
            if let Some(vcpu) = &mut next.own {
                vcpu.stores = stores;
            }
        });
        Overflow(false)
    }

    /// A load sees the CPU's own newest store first. Requests and thread work may always be pending.
    fn exit_request(&mut self, to: u8) {
        let Some(vcpu) = self.frame.own else { return };
        if vcpu.stores.is_empty() && vcpu.mode == VcpuMode::Exiting {
            self.goto(1, to);
        } else {
            self.next(0);
            self.goto(2, to);
        }
    }

    fn test_flag(&mut self, to: u8, keep_exit_reason: bool, irqs_off: bool) {
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

    fn vp_enter_status(&mut self, reenter: Option<u8>) {
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

    fn handle_exit_irqoff(&mut self) {
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

    fn handle_exit(&mut self, fault: u8) {
        let exit = self.frame.own.map(|vcpu| vcpu.exit);
        let (outcome, to) = if exit == Some(ExitReason::EptViolation) { (1, Some(fault)) } else { (0, None) };
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
    fn fault_lock(&mut self, to: u8) {
        let read = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        if self.system.kvm_lock_is_held(self.frame, read) {
            return;
        }
        let page = self.frame.control().page;
        if self.frame.shared.pages[usize::from(page)].mirror {
            self.goto(1, to);
        } else if self.frame.any_vcpu(self.system, Predicate::Froze(page)) {
            self.goto(2, to);
        } else {
            self.next(0);
        }
    }

    fn aug_status(&mut self) {
        let status = self.status();
        let page = usize::from(self.frame.control().page);
        if status == StatusWord(0) {
            self.then(0, None, |next| next.shared.pages[page].mirror = true);
        } else if status.is_operand_busy() {
            self.then(1, None, |next| next.control_mut().status = 0);
        } else {
            self.then(2, None, |next| next.shared.bugged = true);
        }
    }

    // An ioctl thread.

    fn begin_ioctl(&mut self) {
        for page in 0..self.system.scenario.pages {
            self.then(0, None, |next| next.control_mut().page = page as u8);
        }
    }

    fn premap(&mut self) {
        let read = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        if self.system.kvm_lock_is_held(self.frame, read) {
            return;
        }
        let page = usize::from(self.frame.control().page);
        if self.frame.shared.pages[page].mirror {
            self.next(1);
        } else {
            self.then(0, None, |next| next.shared.pages[page].mirror = true);
        }
    }

    fn ioctl_status(&mut self, to: u8, on_failure: OnFailure) {
        let status = self.status();
        let tolerated = match on_failure {
            OnFailure::Return => true,
            OnFailure::BugOn => false,
            OnFailure::BugOnUnlessBusy => status.is_operand_busy(),
        };
        if status == StatusWord(0) {
            self.next(0);
        } else if tolerated {
            self.then(1, Some(to), |next| next.control_mut().status = 0);
        } else {
            self.then(2, None, |next| next.shared.bugged = true);
        }
    }
}

impl System {
    /// True when the zapper stands at a loop of the kick, where its next step is about one vCPU.
    pub(super) fn zapper_wants_target(&self, shared: &super::state::Shared) -> bool {
        let line = &self.zap[usize::from(shared.zapper.line)];
        shared.zapper.op == 0
            && matches!(line.instr, Instr::Kick { step: KickStep::Visit | KickStep::Send })
    }

    /// The kick's step about the vCPU in the frame, if it has one to take.
    pub(super) fn step_kick<'a, O: Others>(&self, frame: &Frame<'a, O>, mut emit: impl FnMut(Frame<'a, O>)) {
        let Some(vcpu) = frame.own else { return };
        let line = frame.shared.zapper.line;
        let mut next = frame.clone();
        let Some(target) = &mut next.own else { return };
        let outcome = match self.zap[usize::from(line)].instr {
            Instr::Kick { step: KickStep::Visit } if vcpu.kick == KickPhase::Unvisited => {
                // The locked cmpxchg is a full barrier, also when it fails (kvm_vcpu_exiting_guest_mode).
                let locked = self.decisions.kick_mode_read == KickModeRead::LockedCmpxchg;
                if locked && !frame.shared.flag_stores.is_empty() {
                    return;
                }
                if locked && vcpu.mode == VcpuMode::InGuest {
                    target.mode = VcpuMode::Exiting;
                }
                let needs_ipi = match (vcpu.mode, self.decisions.kick) {
                    (VcpuMode::Outside, _) => false,
                    (VcpuMode::InGuest, _) | (VcpuMode::Exiting, Kick::RequestWait) => true,
                    (VcpuMode::Exiting, _) => false,
                };
                target.kick = if needs_ipi { KickPhase::Queued } else { KickPhase::Visited };
                match (vcpu.mode, needs_ipi) {
                    (VcpuMode::Outside, _) => 0,
                    (VcpuMode::InGuest, _) => 1,
                    (VcpuMode::Exiting, true) => 2,
                    (VcpuMode::Exiting, false) => 3,
                }
            }
            // Queueing the csd is a locked instruction (llist_add).
            Instr::Kick { step: KickStep::Send }
                if vcpu.kick == KickPhase::Queued && frame.shared.flag_stores.is_empty() =>
            {
                target.kick = KickPhase::Sent;
                0
            }
            _ => return,
        };
        next.trail.push(self.labels.id(Part::Zapper, line, outcome));
        emit(self.settle(next));
    }
}

/// The entry states in which an access of the guest's faults into the module. An access to a
/// PENDING page is the guest's own affair (#VE), and MAPPED does not fault.
pub(super) const fn faults(entry: EntryState) -> bool {
    matches!(entry, EntryState::Free | EntryState::Blocked | EntryState::PendingBlocked)
}
