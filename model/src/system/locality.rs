//! Which steps are taken together with the step before them.
//!
//! A step is local when it has one outcome, which no other agent can change, and no other agent
//! can see that it was taken. Such a step commutes with every step of everybody else, so taking it
//! at once loses no interleaving (docs/model.md, R1 and R2).

use super::System;
use super::labels::Part;
use super::others::{Others, Predicate};
use super::run::Frame;
use crate::kvm::instr::{Instr, KickStep};
use crate::module::{Op, OpKind};
use crate::resource::Resource;
use crate::scenario::Memory;
use crate::table::Effect;

impl System {
    pub(super) fn is_local<O: Others>(&self, frame: &Frame<'_, O>) -> bool {
        if frame.shared.bugged {
            return false;
        }
        let control = frame.control();
        if control.op != 0 {
            let op = self.op(control.op);
            return (self.reductions.merge_uncontended && op.uncontended)
                || (self.reductions.fuse_local && self.op_is_local(op));
        }
        let interrupted = frame.part == Part::Vcpu
            && frame
                .own
                .is_some_and(|vcpu| self.must_take_interrupt(&vcpu));
        self.reductions.fuse_local && !interrupted && self.line_is_local(frame)
    }

    fn op_is_local(&self, op: &Op) -> bool {
        match op.kind {
            // A TDCALL that returns may be refused once too often.
            OpKind::Return => {
                !(self.scenario.host_priority_timeout
                    && self.code.leaves[usize::from(op.leaf.0)].is_tdcall)
            }
            OpKind::BranchZeroStep => true,
            // While a host holds TDEL no guest looks at TDHP, and only a rival host sets it.
            OpKind::ClearHostPriority => !self.host_rivals,
            OpKind::Effect { effect, .. } => match effect {
                // Under the epoch lock just taken; decrements meanwhile act on a value read once
                // (facts: the merge of lock, check and increment is sound, the release stays apart).
                Effect::AdvanceEpoch | Effect::SampleEpoch => op.held.has(Resource::TdEpoch),
                // BEPOCH and TD_EPOCH are written by zappers alone, one at a time (mmu_lock for write).
                Effect::RecordBepoch => self.sole_tracker,
                // Only the holder of the entry lock writes the entry's state.
                Effect::CheckLeaf | Effect::AttrCheck => op.held.has(Resource::SeptEntry),
                Effect::AcceptCheck => op.held.has(Resource::SeptEntry) && self.keeps_host_priority,
                // OP_STATE changes only while the TDR is held exclusively.
                Effect::RequireInitialized | Effect::RequireRunnable => op.held.has(Resource::Tdr),
                Effect::Finalize
                | Effect::BlockEntry
                | Effect::CheckTracked
                | Effect::FreeEntry
                | Effect::WouldFault
                | Effect::RunGuest
                | Effect::LeaveEpoch
                | Effect::AcceptStore
                | Effect::AugEntry
                | Effect::AddEntry => false,
            },
            OpKind::Acquire { .. }
            | OpKind::SetTdel { .. }
            | OpKind::MarkHostPriority
            | OpKind::LookHostPriority
            | OpKind::YieldTdel
            | OpKind::Release { .. }
            | OpKind::UndoEpoch => false,
        }
    }

    /// The steps taken so far left everything as it was but the vCPU's line, interrupts open: an
    /// acknowledgement in between could as well have come first.
    fn did_nothing<O: Others>(&self, frame: &Frame<'_, O>) -> bool {
        frame.trail.iter().all(|step| {
            let (part, line, _) = self.labels.parts(*step);
            if part == Part::Module {
                let op = self.op(line);
                return op.uncontended || op.kind == OpKind::Return;
            }
            part == Part::Vcpu
                && matches!(
                    self.vcpu[usize::from(line)].instr,
                    Instr::RunLoop { .. } | Instr::Jump { .. } | Instr::Nop | Instr::Call { .. }
                )
        })
    }

    /// No kick runs now: the thread is not kicked, or holds mmu_lock against the zapper.
    fn kick_is_excluded<O: Others>(&self, frame: &Frame<'_, O>) -> bool {
        frame.part != Part::Vcpu || self.line_of(frame).held.excludes(self.zap_locks)
    }

    fn line_is_local<O: Others>(&self, frame: &Frame<'_, O>) -> bool {
        let some = |predicate| frame.any_vcpu(self, predicate);
        let is_success = frame.control().status == 0;
        let walker = self.walker(frame.part);
        match self.line_of(frame).instr {
            Instr::Nop
            | Instr::Jump { .. }
            | Instr::IrqEnable
            | Instr::UnlessBusy { .. }
            | Instr::GiveUp { .. }
            | Instr::IfError { .. }
            | Instr::VpEnterStatus { .. }
            | Instr::HandleExitIrqoff
            | Instr::HandleExit { .. } => true,
            // They load kvm_tdx->state, which a thread may change.
            Instr::UnlessPremapError { .. }
            | Instr::UnlessRunnable { .. }
            | Instr::TestState { .. } => !self.of_two_lives,
            // Mirror SPTEs are read under mmu_lock, which the zapper holds for write.
            Instr::RemoveMirrorSpte { freeze, .. } => !freeze,
            // It closes the window in which an IPI is acknowledged, so it may only follow steps that
            // an acknowledgement could as well precede.
            Instr::IrqDisable => self.did_nothing(frame),
            // The CPU's own buffer; nobody else can empty or fill it.
            Instr::FullBarrier => frame.buffer_is_empty(),
            // A call closes that window too, unless interrupts are off or no kick can be under way.
            Instr::Call { .. } => {
                frame.buffer_is_empty()
                    && (self.line_of(frame).irqs_off
                        || self.kick_is_excluded(frame)
                        || self.did_nothing(frame))
            }
            // Into the CPU's own buffer; the drain is what others see.
            Instr::StoreFlag { .. } | Instr::StoreMode { .. } => {
                self.scenario.memory == Memory::Tso && frame.buffer_is_empty()
            }
            // Only the zapper whose kick it is makes these false again.
            Instr::Kick { .. } if frame.broadcast.kick_ended.is_some() => false,
            Instr::Kick {
                step: KickStep::Visit,
            } => !some(Predicate::Unvisited(walker)),
            Instr::Kick {
                step: KickStep::Send,
            } => !some(Predicate::Queued(walker)),
            Instr::Kick {
                step: KickStep::Wait,
            } => !some(Predicate::Unacknowledged(walker)),
            Instr::Kick {
                step: KickStep::End,
            } => true,
            Instr::BugOn | Instr::IoctlStatus { .. } => is_success,
            // Frozen or present: another fault on the page does the same (nothing) either way. After
            // BUSY the SPTE is absent again, and another fault does see that.
            Instr::AugStatus => is_success,
            Instr::BeginZap { .. }
            | Instr::ThawMirrorSpte
            | Instr::Unlock { .. }
            | Instr::RunLoop { .. }
            | Instr::ExitRequest { .. }
            | Instr::SleepOnFlag { .. }
            | Instr::TestFlag { .. }
            | Instr::FaultLock { .. }
            | Instr::BeginIoctl
            | Instr::Lock { .. }
            | Instr::Release
            | Instr::ClearRequests
            | Instr::Premap
            | Instr::UnlessNonePremapped { .. }
            | Instr::UnlessMapped { .. }
            | Instr::SetPresent
            | Instr::SetRunnable => false,
        }
    }
}
