//! What a line of a KVM program does.

use super::System;
use super::labels::{Part, returned};
use super::others::{Others, Predicate};
use super::run::{Frame, Outcomes, Overflow};
use super::state::{EntryState, MirrorSpte, TdState};
use crate::kernel::KvmHeld;
use crate::kernel::decisions::BusyPredicate;
use crate::kvm::instr::{CallSite, Instr};
use crate::kvm::{Line, Program};
use crate::module::LeafId;
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
    pub(super) fn kvm_step<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        out: &mut Outcomes<'a, O>,
    ) -> Overflow {
        let line = self.line_of(frame);
        let mut step = Step {
            system: self,
            frame,
            out,
        };
        match line.instr {
            Instr::Nop | Instr::IrqDisable => step.next(0),
            Instr::Jump { to } => step.goto(0, to),
            Instr::Call { leaf, site } => step.call(leaf, site),

            Instr::BeginZap { locks } => step.begin_zap(locks),
            Instr::RemoveMirrorSpte { freeze, gone } => step.remove_mirror_spte(freeze, gone),
            Instr::ThawMirrorSpte => step.set_mirror_spte(MirrorSpte::None),
            Instr::UnlessBusy { leaf, to } => step.unless_busy(leaf, to),
            Instr::GiveUp { to } => step.then(0, Some(to), |next| next.control_mut().status = 0),
            Instr::StoreFlag { value } => return step.store_flag(value),
            Instr::IfError { to } => step.branch(frame.control().status != 0, to),
            Instr::Kick { step: part } => step.kick_walk(part),
            Instr::UnlessPremapError { to } => step.unless_premap_error(to),
            Instr::BugOn => step.bug_on(),
            Instr::UnlessRunnable { to } => {
                step.branch(frame.shared.kvm_state != TdState::Runnable, to);
            }
            Instr::Unlock { to } => step.unlock(to),

            Instr::RunLoop {
                userspace,
                halted,
                scheduled_out,
                push,
            } => {
                step.run_loop([Some(userspace), Some(halted), Some(scheduled_out), push]);
            }
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
            Instr::ExitRequest { to, sees_mode } => step.exit_request(to, sees_mode),
            Instr::SleepOnFlag { woken } => step.sleep_on_flag(woken),
            Instr::TestFlag {
                to,
                keep_exit_reason,
            } => step.test_flag(to, keep_exit_reason, line.irqs_off),
            Instr::VpEnterStatus { reenter } => step.vp_enter_status(reenter),
            Instr::HandleExitIrqoff => step.handle_exit_irqoff(),
            Instr::HandleExit { fault } => step.handle_exit(fault),
            Instr::FaultLock { to } => step.fault_lock(to),
            Instr::AugStatus => step.aug_status(),

            Instr::BeginIoctl => step.begin_ioctl(),
            Instr::Lock { locks } => {
                if !self.kvm_lock_is_held(frame, locks, frame.control().page) {
                    step.next(0);
                }
            }
            Instr::Premap => step.premap(),
            Instr::Release => step.next(0),
            Instr::ClearRequests => step.then(0, None, |next| {
                next.broadcast.requests_cleared = true;
            }),
            Instr::TestState { runnable, to } => {
                step.branch(
                    (frame.shared.kvm_state == TdState::Runnable) != runnable,
                    to,
                );
            }
            Instr::UnlessNonePremapped { to } => step.unless_none_premapped(to),
            Instr::UnlessMapped { to } => step.unless_mapped(to),
            Instr::SetPresent => step.set_present(),
            Instr::SetRunnable => step.then(0, None, |next| {
                next.shared.kvm_state = TdState::Runnable;
            }),
            Instr::IoctlStatus { to, on_failure } => step.ioctl_status(to, on_failure),
        }
        Overflow::default()
    }

    /// True when another thread holds a KVM lock that excludes `locks`, taken about this page.
    pub(super) fn kvm_lock_is_held<O: Others>(
        &self,
        frame: &Frame<'_, O>,
        locks: KvmHeld,
        page: u8,
    ) -> bool {
        let by_singleton =
            self.other_singletons(&frame.shared, frame.part)
                .any(|(part, control)| {
                    let line = &self.program(part)[usize::from(control.line)];
                    let same_inode = self.scenario.inodes == 1 || control.page == page;
                    line.held.excludes_on(locks, same_inode)
                });
        by_singleton || frame.any_vcpu(self, Predicate::Excludes(locks))
    }

    /// Whether the kernel's predicate calls a status of this leaf busy.
    #[must_use]
    pub fn is_called_busy(&self, leaf: LeafId, status: StatusWord) -> bool {
        match self.decisions.busy_predicate {
            BusyPredicate::Masked => status.is_operand_busy(),
            BusyPredicate::BitTest
                if self.code.leaves[usize::from(leaf.0)].key == "TDH.MEM.TRACK" =>
            {
                status.is_operand_busy()
            }
            BusyPredicate::BitTest => status.0 & OPERAND_BUSY.0 != 0,
            BusyPredicate::SeptBusyTrackMasked
                if self.code.leaves[usize::from(leaf.0)].key == "TDH.MEM.TRACK" =>
            {
                status.is_operand_busy()
            }
            BusyPredicate::SeptBusy | BusyPredicate::SeptBusyTrackMasked => {
                status == OPERAND_BUSY.with(Operand::SeptTree)
            }
            BusyPredicate::Unmasked => status == OPERAND_BUSY,
            BusyPredicate::MaskedOrEpochBusy => {
                status.is_operand_busy() || status.code() == PREVIOUS_TLB_EPOCH_BUSY
            }
        }
    }
}

/// One line's execution.
pub(super) struct Step<'s, 'f, 'a, 'o, O> {
    pub(super) system: &'s System,
    pub(super) frame: &'f Frame<'a, O>,
    out: &'o mut Outcomes<'a, O>,
}

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// Adds an outcome: the change, and where the thread goes on (`None`: the next line).
    pub(super) fn then(
        &mut self,
        outcome: u8,
        to: Option<u8>,
        change: impl FnOnce(&mut Frame<'a, O>),
    ) {
        let line = self.frame.control().line;
        let mut next = self.frame.clone();
        next.trail
            .push(self.system.labels.id(self.frame.part, line, outcome));
        next.control_mut().line = to.unwrap_or(line + 1);
        change(&mut next);
        self.out.push(next);
    }

    pub(super) fn next(&mut self, outcome: u8) {
        self.then(outcome, None, |_| {});
    }

    pub(super) fn goto(&mut self, outcome: u8, to: u8) {
        self.then(outcome, Some(to), |_| {});
    }

    pub(super) fn branch(&mut self, taken: bool, to: u8) {
        if taken {
            self.goto(1, to)
        } else {
            self.next(0)
        }
    }

    pub(super) fn status(&self) -> StatusWord {
        self.system.code.statuses[usize::from(self.frame.control().status)]
    }

    /// A call begins: the first thing every leaf does is a locked instruction, which drains the
    /// CPU's store buffer before anything of the module's is touched.
    pub(super) fn call(&mut self, leaf: LeafId, site: CallSite) {
        if !self.frame.buffer_is_empty() {
            return;
        }
        let start = self.system.code.leaves[usize::from(leaf.0)].start;
        let tested = self.frame.own.is_none_or(|vcpu| vcpu.flag_seen_down);
        let untested = site == CallSite::Other && leaf == self.system.enter && !tested;
        let outcome = if untested {
            returned::CALLED_UNTESTED
        } else {
            returned::CALLED
        };
        let line = self.frame.control().line;
        self.then(outcome, Some(line), |next| {
            let control = next.control_mut();
            (control.op, control.status) = (start, 0);
        });
    }
}

/// The entry states in which an access of the guest's faults into the module. An access to a
/// PENDING page is the guest's own affair (#VE), and MAPPED does not fault.
pub(super) const fn faults(entry: EntryState) -> bool {
    matches!(
        entry,
        EntryState::Free | EntryState::Blocked | EntryState::PendingBlocked
    )
}
