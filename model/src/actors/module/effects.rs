//! What the leaves do between taking and releasing locks.

use super::{Call, EntryState, Epoch, ModuleState};
use crate::actors::message::{Cpu, ExitReason};
use crate::actors::setup::Setup;
use crate::status::{
    EPT_ENTRY_STATE_INCORRECT, GPA_RANGE_ALREADY_BLOCKED, GPA_RANGE_NOT_BLOCKED,
    OP_STATE_INCORRECT, Operand, PAGE_ALREADY_ACCEPTED, PREVIOUS_TLB_EPOCH_BUSY, SUCCESS,
    StatusWord, TLB_TRACKING_NOT_DONE,
};
use crate::system::EPT_VIOLATION_EXIT;
use crate::table::Effect;

impl ModuleState {
    /// Takes an effect; false when the call has failed by it, and gives back.
    pub(super) fn take_effect(
        &mut self,
        setup: &Setup,
        cpu: Cpu,
        call: &mut Call,
        effect: Effect,
    ) -> bool {
        let refused = match effect {
            Effect::BlockEntry => self.block(),
            Effect::RecordBepoch => {
                self.bepoch = Epoch::Current;
                None
            }
            Effect::AdvanceEpoch => self.advance_epoch(),
            Effect::CheckLeaf => (self.entry.state == EntryState::Free).then_some(wrong_state()),
            Effect::CheckTracked => self.check_tracked(),
            Effect::FreeEntry => {
                self.bepoch = Epoch::Older;
                self.store(setup, EntryState::Free, false);
                None
            }
            Effect::SampleEpoch => {
                if let Some(vcpu) = cpu.vcpu() {
                    self.tdvps[vcpu].inside = Some(Epoch::Current);
                }
                call.held |= 1 << call.at;
                None
            }
            Effect::WouldFault => self.would_fault(cpu),
            Effect::LeaveEpoch => {
                if let Some(vcpu) = cpu.vcpu() {
                    self.tdvps[vcpu].inside = None;
                }
                call.held &= !sampled(setup, call);
                None
            }
            Effect::RunGuest => None,
            // The TD is finalized, and nobody here finalizes one.
            Effect::RequireRunnable | Effect::Finalize => None,
            Effect::RequireInitialized => Some(OP_STATE_INCORRECT),
            Effect::AcceptCheck => match self.entry.state {
                EntryState::Pending => {
                    call.copied_tdhp = self.entry.tdhp && !setup.keeps_host_priority;
                    None
                }
                EntryState::Mapped => Some(PAGE_ALREADY_ACCEPTED.with(Operand::Rcx)),
                _ => Some(EPT_VIOLATION_EXIT),
            },
            Effect::AcceptStore => {
                let copied = std::mem::take(&mut call.copied_tdhp);
                self.store(setup, EntryState::Mapped, copied);
                None
            }
            Effect::AttrCheck => self.faults().then_some(EPT_VIOLATION_EXIT),
            Effect::AugEntry => self.fill(setup, EntryState::Pending),
            Effect::AddEntry => self.fill(setup, EntryState::Mapped),
        };
        if let Some(status) = refused {
            call.fail(status);
        }
        refused.is_none()
    }

    /// Stores the whole entry. Up to 2.0.08 that overwrites a TDHP set meanwhile.
    fn store(&mut self, setup: &Setup, state: EntryState, tdhp: bool) {
        self.entry.state = state;
        if !setup.keeps_host_priority {
            self.entry.tdhp = tdhp;
        }
    }

    fn block(&mut self) -> Option<StatusWord> {
        self.entry.state = match self.entry.state {
            EntryState::Mapped => EntryState::Blocked,
            EntryState::Pending => EntryState::PendingBlocked,
            EntryState::Blocked | EntryState::PendingBlocked => {
                return Some(GPA_RANGE_ALREADY_BLOCKED.with(Operand::Rcx));
            }
            EntryState::Free => return Some(wrong_state()),
        };
        // TDHP is clear: this call cleared it, and nobody but hosts sets it.
        None
    }

    /// Nobody may be left in the previous epoch; then there is a new one.
    fn advance_epoch(&mut self) -> Option<StatusWord> {
        let previous = Some(Epoch::Previous);
        if self.tdvps.iter().any(|vcpu| vcpu.inside == previous) {
            return Some(PREVIOUS_TLB_EPOCH_BUSY);
        }
        for vcpu in &mut self.tdvps {
            vcpu.inside = vcpu.inside.and(previous);
        }
        if self.is_blocked() {
            self.bepoch = match self.bepoch {
                Epoch::Current => Epoch::Previous,
                Epoch::Previous | Epoch::Older => Epoch::Older,
            };
        }
        None
    }

    /// `is_tlb_tracked()`: older than the previous epoch, or of it with nobody left inside.
    fn check_tracked(&self) -> Option<StatusWord> {
        if !self.is_blocked() {
            return Some(GPA_RANGE_NOT_BLOCKED.with(Operand::Rcx));
        }
        let somebody = self
            .tdvps
            .iter()
            .any(|vcpu| vcpu.inside == Some(Epoch::Previous));
        let tracked = match self.bepoch {
            Epoch::Older => true,
            Epoch::Previous => !somebody,
            Epoch::Current => false,
        };
        (!tracked).then_some(TLB_TRACKING_NOT_DONE.with(Operand::Rcx))
    }

    /// The 0-step filter: leave with an EPT violation while the listed page would still fault. A
    /// PENDING page counts: its suppress-#VE bit is set.
    fn would_fault(&mut self, cpu: Cpu) -> Option<StatusWord> {
        if self.entry.state == EntryState::Mapped {
            return None;
        }
        if let Some(vcpu) = cpu.vcpu() {
            self.tdvps[vcpu].exit = ExitReason::EptViolation;
        }
        Some(SUCCESS)
    }

    fn fill(&mut self, setup: &Setup, state: EntryState) -> Option<StatusWord> {
        if self.entry.state != EntryState::Free {
            return Some(wrong_state());
        }
        self.store(setup, state, false);
        None
    }

    fn is_blocked(&self) -> bool {
        matches!(
            self.entry.state,
            EntryState::Blocked | EntryState::PendingBlocked
        )
    }
}

fn wrong_state() -> StatusWord {
    EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx)
}

/// The bit of the step that sampled the epoch.
fn sampled(setup: &Setup, call: &Call) -> u32 {
    let ops = setup.leaves[usize::from(call.leaf)].ops.iter();
    let samples = ops.map(|op| {
        matches!(
            op.action,
            super::super::setup::Action::Do(Effect::SampleEpoch, _)
        )
    });
    samples
        .enumerate()
        .map(|(at, samples)| u32::from(samples) << at)
        .sum()
}
