//! What the guest does inside TDH.VP.ENTER: TDCALLs, accesses that fault, exits.

use super::kvm_step::faults;
use super::labels::guest;
use super::module_step::Step;
use super::others::Others;
use super::run::Frame;
use super::state::ExitReason;

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    /// The guest does what it likes. An interrupt need not end it at once: the stepping filter may
    /// let it run on, and the model lets it run on for as long as it likes.
    pub(super) fn run_guest(&mut self) {
        let Some(vcpu) = self.frame.own else { return };
        for page in 0..self.system.scenario.pages as u8 {
            for (index, leaf) in self.system.tdcalls.iter().enumerate() {
                let start = self.system.code.leaves[usize::from(leaf.0)].start;
                let choice = page * 4 + index as u8;
                self.guest_step(guest::TDCALL, start, choice, |next| {
                    let control = next.control_mut();
                    (control.page, control.status) = (page, 0);
                });
            }
            if faults(self.frame.shared.pages[usize::from(page)].entry) {
                // The fault may be the one that arms, may follow progress, or leaves the list as it is.
                self.exit(guest::EPT_VIOLATION, ExitReason::EptViolation, page, 0);
                if self.system.scenario.zero_step {
                    self.exit(
                        guest::EPT_VIOLATION,
                        ExitReason::EptViolation,
                        page,
                        1 + page,
                    );
                }
                if vcpu.zero_step != 0 && vcpu.zero_step != 1 + page {
                    self.exit(
                        guest::EPT_VIOLATION,
                        ExitReason::EptViolation,
                        page,
                        vcpu.zero_step,
                    );
                }
            }
        }
        let interrupt = if vcpu.has_pending_ipi() {
            guest::KICKED
        } else {
            guest::INTERRUPT
        };
        let (reason, other) = if self.system.scenario.exit_reason {
            (ExitReason::Interrupt, ExitReason::Other)
        } else {
            (ExitReason::None, ExitReason::None)
        };
        // Progress of RIP empties the list; an exit without progress keeps it.
        self.exit(interrupt, reason, 0, vcpu.zero_step);
        self.exit(guest::VMCALL, other, 0, vcpu.zero_step);
        if vcpu.zero_step != 0 {
            self.exit(interrupt, reason, 0, 0);
            self.exit(guest::VMCALL, other, 0, 0);
        }
    }

    /// The guest is left. A fault depends on the S-EPT entry, which others change, so it is a step
    /// of its own; any other exit is taken together with what the module does first about it.
    fn exit(&mut self, outcome: u8, exit: ExitReason, page: u8, zero_step: u8) {
        let choice = page * 4 + zero_step;
        self.guest_step(outcome, self.op.next, choice, |next| {
            next.control_mut().page = page;
            if let Some(vcpu) = &mut next.own {
                (vcpu.exit, vcpu.zero_step) = (exit, zero_step);
            }
        });
    }

    /// What the guest decides by itself is taken together with what the module does first about
    /// it (R2).
    fn guest_step(
        &mut self,
        outcome: u8,
        to: u8,
        choice: u8,
        change: impl FnOnce(&mut Frame<'a, O>),
    ) {
        self.goto(outcome, to, change);
        if let Some(decided) = self.out.last_mut() {
            decided.choice = choice;
        }
        if outcome == guest::EPT_VIOLATION || !self.system.reductions.fuse_local {
            return;
        }
        if let Some(decided) = self.out.pop() {
            self.system.module_step(&decided, self.out);
        }
    }
}
