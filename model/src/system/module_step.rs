//! What a step inside the TDX module does. Which locks, in which order: the lock table.

use super::System;
use super::kvm_step::faults;
use super::labels::{Part, returned};
use super::others::{Others, Predicate};
use super::run::{Frame, Outcomes};
use super::state::{BlockEpoch, Control, EntryState, ExitReason, Page, TdState, VcpuEpoch};
use crate::kvm::instr::{CallSite, Instr};
use crate::module::{Op, OpKind};
use crate::resource::{Mode, Resource};
use crate::status::OPERAND_BUSY_HOST_PRIORITY;
use crate::table::Effect;

impl System {
    /// The module's step at an address.
    pub(super) fn op(&self, address: u8) -> &Op {
        &self.code.ops[usize::from(address)]
    }

    /// Every outcome of the module step the frame's thread stands at.
    pub(super) fn module_step<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        out: &mut Outcomes<'a, O>,
    ) {
        let op = *self.op(frame.control().op);
        let mut step = Step {
            system: self,
            frame,
            op,
            out,
        };
        match op.kind {
            OpKind::Acquire { resource, mode } => step.acquire(resource, mode),
            OpKind::SetTdel { mode } => step.acquire(Resource::SeptEntry, mode),
            OpKind::MarkHostPriority => step.then(0, |next| page(next).host_priority = true),
            OpKind::ClearHostPriority => step.then(0, |next| page(next).host_priority = false),
            OpKind::LookHostPriority => {
                if step.page().host_priority {
                    step.fail(1, op.status)
                } else {
                    step.then(0, |_| {})
                }
            }
            OpKind::YieldTdel | OpKind::Release { .. } | OpKind::UndoEpoch => step.then(0, |_| {}),
            OpKind::BranchZeroStep => {
                let armed = frame.own.is_some_and(|vcpu| vcpu.zero_step != 0);
                if armed {
                    step.then(0, |_| {})
                } else {
                    step.goto(1, op.fail, |_| {})
                }
            }
            OpKind::Effect { effect, .. } => step.effect(effect),
            OpKind::Return => step.finish(),
        }
    }
}

/// The page the frame's thread is about.
fn page<'f, O: Others>(frame: &'f mut Frame<'_, O>) -> &'f mut Page {
    let index = usize::from(frame.control().page);
    &mut frame.shared.pages[index]
}

/// One module step's execution.
pub(super) struct Step<'s, 'f, 'a, 'o, O> {
    pub(super) system: &'s System,
    pub(super) frame: &'f Frame<'a, O>,
    pub(super) op: Op,
    pub(super) out: &'o mut Outcomes<'a, O>,
}

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    fn page(&self) -> Page {
        self.frame.shared.pages[usize::from(self.frame.control().page)]
    }

    pub(super) fn goto(&mut self, outcome: u8, to: u8, change: impl FnOnce(&mut Frame<'a, O>)) {
        let mut next = self.frame.clone();
        next.trail.push(
            self.system
                .labels
                .id(Part::Module, self.frame.control().op, outcome),
        );
        next.control_mut().op = to;
        change(&mut next);
        self.out.push(next);
    }

    fn then(&mut self, outcome: u8, change: impl FnOnce(&mut Frame<'a, O>)) {
        self.goto(outcome, self.op.next, change);
    }

    /// The step fails with a status and unwinds.
    fn fail(&mut self, outcome: u8, status: u8) {
        self.goto(outcome, self.op.fail, |next| {
            next.control_mut().status = status
        });
    }

    /// A try-lock: it succeeds or fails at once, it never waits.
    fn acquire(&mut self, resource: Resource, mode: Mode) {
        if self.system.is_contended(self.frame, resource, mode) {
            self.fail(1, self.op.status);
        } else {
            self.then(0, |_| {});
        }
    }

    /// Stores a whole S-EPT entry: a host-priority mark survives only where the version keeps it.
    fn store_entry(&mut self, entry: EntryState, mark: bool) {
        let keeps = self.system.keeps_host_priority;
        self.then(0, |next| {
            let page = page(next);
            page.entry = entry;
            page.host_priority = if keeps { page.host_priority } else { mark };
        });
    }

    fn effect(&mut self, effect: Effect) {
        let status = self.system.status;
        match effect {
            Effect::BlockEntry => match self.page().entry {
                EntryState::Mapped => self.store_entry(EntryState::Blocked, false),
                EntryState::Pending => self.store_entry(EntryState::PendingBlocked, false),
                EntryState::Blocked | EntryState::PendingBlocked => {
                    self.fail(1, status.already_blocked)
                }
                EntryState::Free => self.fail(2, status.state_incorrect),
            },
            Effect::RecordBepoch => self.then(0, |next| page(next).bepoch = BlockEpoch::Current),
            Effect::AdvanceEpoch => {
                if self.frame.any_vcpu(self.system, Predicate::InPreviousEpoch) {
                    self.fail(1, status.previous_epoch_busy);
                } else {
                    self.then(0, |next| next.broadcast.epoch_advanced = true);
                }
            }
            Effect::CheckLeaf => match self.page().entry {
                EntryState::Free => self.fail(1, status.state_incorrect),
                _ => self.then(0, |_| {}),
            },
            Effect::CheckTracked => self.check_tracked(),
            Effect::FreeEntry => self.store_entry(EntryState::Free, false),
            Effect::SampleEpoch => self.then(0, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.epoch = VcpuEpoch::Current;
                }
            }),
            Effect::WouldFault => self.would_fault(),
            Effect::RunGuest => self.run_guest(),
            Effect::LeaveEpoch => self.then(0, |_| {}),
            Effect::AcceptCheck => self.accept_check(),
            Effect::AcceptStore => {
                let copied = self.frame.own.is_some_and(|vcpu| vcpu.entry_copy_hp);
                self.store_entry(EntryState::Mapped, copied);
            }
            Effect::AttrCheck => {
                if faults(self.page().entry) {
                    self.fail(1, status.ept_violation)
                } else {
                    self.then(0, |_| {})
                }
            }
            Effect::AugEntry => match self.page().entry {
                EntryState::Free => self.store_entry(EntryState::Pending, false),
                _ => self.fail(1, status.state_incorrect),
            },
            Effect::Finalize => self.then(0, |next| next.shared.op_state = TdState::Runnable),
            Effect::RequireInitialized => self.require(TdState::Initialized),
            Effect::RequireRunnable => self.require(TdState::Runnable),
            Effect::AddEntry => match self.page().entry {
                EntryState::Free => self.store_entry(EntryState::Mapped, false),
                _ => self.fail(1, status.state_incorrect),
            },
        }
    }

    fn require(&mut self, wanted: TdState) {
        if self.frame.shared.op_state == wanted {
            self.then(0, |_| {});
        } else {
            self.fail(1, self.system.status.op_state_incorrect);
        }
    }

    /// `is_tlb_tracked`: BEPOCH older than TD_EPOCH - 1, or equal to it with nobody left in it.
    /// Before the TD is finalized neither blocking nor tracking is required.
    fn check_tracked(&mut self) {
        let page = self.page();
        let tracked = match page.bepoch {
            BlockEpoch::Older => true,
            BlockEpoch::Previous => !self.frame.any_vcpu(self.system, Predicate::InPreviousEpoch),
            BlockEpoch::Current => false,
        };
        if self.frame.shared.op_state != TdState::Runnable {
            self.then(0, |_| {});
        } else if !page.entry.is_blocked() {
            self.fail(1, self.system.status.not_blocked);
        } else if tracked {
            self.then(0, |_| {});
        } else {
            self.fail(2, self.system.status.not_tracked);
        }
    }

    /// Would the listed GPA still fault? PENDING counts: its suppress-#VE bit is set.
    fn would_fault(&mut self) {
        let listed = self.frame.own.map_or(0, |vcpu| vcpu.zero_step);
        let entry = listed
            .checked_sub(1)
            .map(|page| self.frame.shared.pages[usize::from(page)].entry);
        if entry.is_none_or(|entry| entry == EntryState::Mapped) {
            self.then(0, |_| {});
            return;
        }
        self.goto(1, self.op.fail, |next| {
            next.control_mut().status = 0;
            next.control_mut().page = listed - 1;
            if let Some(vcpu) = &mut next.own {
                vcpu.exit = ExitReason::EptViolation;
            }
        });
    }

    /// ACCEPT copies the entry here and stores the copy back later.
    fn accept_check(&mut self) {
        let page = self.page();
        match page.entry {
            EntryState::Pending => self.then(0, |next| {
                if let Some(vcpu) = &mut next.own {
                    vcpu.entry_copy_hp = page.host_priority;
                }
            }),
            EntryState::Mapped => self.fail(1, self.system.status.already_accepted),
            _ => self.fail(2, self.system.status.ept_violation),
        }
    }

    /// Back to the caller: from a TDCALL to the guest or out of the TD, else to KVM.
    fn finish(&mut self) {
        let control = self.frame.control();
        let leaves = &self.system.code.leaves;
        if !leaves[usize::from(self.op.leaf.0)].is_tdcall {
            self.return_to_kvm(control);
            return;
        }
        let guest_runs = leaves[usize::from(self.system.enter.0)]
            .guest
            .unwrap_or_default();
        if control.status == self.system.status.ept_violation {
            let leave = self.system.op(guest_runs).next;
            self.goto(0, leave, |next| {
                next.control_mut().status = 0;
                if let Some(vcpu) = &mut next.own {
                    vcpu.exit = ExitReason::EptViolation;
                }
            });
        } else {
            self.return_to_guest(control, guest_runs);
        }
    }

    /// td_call() (tdx_td_dispatcher.c) rewrites a host-priority refusal to OPERAND_BUSY; the guest may
    /// try again. A second refusal with no other result in between may be one too many: time is not
    /// modelled, so that HP_LOCK_TIMEOUT may have run out or not. A TDCALL that ends in a TD exit
    /// has no result.
    fn return_to_guest(&mut self, control: Control, guest_runs: u8) {
        let system = self.system;
        let status = system.code.statuses[usize::from(control.status)];
        let timed = system.scenario.host_priority_timeout;
        let refused = timed && status.code() == OPERAND_BUSY_HOST_PRIORITY;
        let again = refused && self.frame.own.is_some_and(|vcpu| vcpu.hp_lock_busy);
        self.goto(0, guest_runs, |next| {
            let control = next.control_mut();
            (control.page, control.status) = (0, 0);
            if let Some(vcpu) = &mut next.own {
                vcpu.hp_lock_busy = refused;
            }
        });
        if again {
            self.goto(1, system.op(guest_runs).next, |next| {
                let control = next.control_mut();
                (control.page, control.status) = (0, system.status.host_priority_timeout);
                if let Some(vcpu) = &mut next.own {
                    vcpu.hp_lock_busy = false;
                }
            });
        }
    }

    fn return_to_kvm(&mut self, control: Control) {
        let status = self.system.code.statuses[usize::from(control.status)];
        let outcome = match status {
            _ if status.is_operand_busy() => returned::BUSY,
            _ if control.status != 0 => returned::ERROR,
            _ => returned::SUCCESS,
        };
        let line = self.system.line_of(self.frame);
        let or_bug = CallSite::OrBug;
        let dies = matches!(line.instr, Instr::Call { site, .. } if site == or_bug)
            && outcome != returned::SUCCESS;
        self.goto(0, 0, |next| {
            next.control_mut().line += 1;
            next.shared.bugged |= dies;
        });
        let id = self
            .system
            .labels
            .id(self.frame.part, control.line, outcome);
        if let Some(next) = self.out.last_mut() {
            next.trail.push(id);
        }
    }
}
