//! The zapper: `tdx_sept_remove_private_spte()` and what it calls (arch/x86/kvm/vmx/tdx.c).

use super::{Kvm, Met, mirror};
use crate::kernel::decisions::{BusyPredicate, FlagClear, FlagRaise, OnBusy, TrackKick};
use crate::property::Property;
use crate::status::{
    EPT_ENTRY_STATE_INCORRECT, GPA_RANGE_NOT_BLOCKED, OPERAND_BUSY, Operand,
    PREVIOUS_TLB_EPOCH_BUSY, StatusWord, TLB_TRACKING_NOT_DONE,
};
use crate::threads::event::{Event, Leaf};
use crate::threads::module::{Current, tdh_mem_page_remove, tdh_mem_range_block, tdh_mem_track};
use crate::threads::runtime::{Bits, Flag, Order, Runtime};
use crate::threads::scenario::{FirstCall, Window};

/// Why a page removal ends early.
enum Stop {
    /// -EAGAIN, which the caller ignores.
    GivenUp,
    /// The page was mapped in the mirror page table only, which KVM tolerates.
    NotAdded,
    /// KVM_BUG_ON.
    Bugged,
}

impl<R: Runtime> Kvm<R> {
    /// A zapper's thread, about its page: a window, or a whole page removal.
    pub(in crate::threads) fn zap(&self, current: Current<R>) -> Met {
        let mut met = Met::default();
        if self.scenario.window != Window::Whole {
            let _ = match self.scenario.window {
                Window::Block => self.no_fail(current, &mut met, Leaf::Block),
                Window::Track => self.tdx_track(current, &mut met),
                _ => self.no_fail(current, &mut met, Leaf::Remove),
            };
            return met;
        }
        for nth in 0..self.scenario.zaps {
            if !self.begin_zap(current, nth) || self.remove_page(current, &mut met).is_err() {
                break;
            }
        }
        met
    }

    /// The KVM locks around a removal, as the kernel profile has them, once there is a page to remove; false when
    /// there will be none.
    fn begin_zap(&self, current: Current<R>, nth: usize) -> bool {
        let zap = self.scenario.zap_locks();
        // A page that is mapped at the start stays so: nobody but its zapper changes that.
        let waits = nth > 0 || !self.scenario.beside.populated;
        loop {
            // Asked before the look at the page: who maps it does so before it ends.
            let nobody_is_left = waits && self.running.read(Order::AcqRel) == 0;
            self.take(zap);
            if !waits || self.mirror(current).read(Order::AcqRel) == mirror::PRESENT {
                let (page, mmu_lock) = (current.page, self.scenario.zappers.mmu_lock());
                if mmu_lock.is_none() {
                    R::local_step();
                }
                current.record(Event::BeginZap { page, mmu_lock });
                return true;
            }
            self.give_back(zap, current, None);
            if nobody_is_left {
                return false;
            }
            R::cpu_relax();
        }
    }

    pub(super) fn mirror(&self, current: Current<R>) -> &R::Word {
        &self.mirrors[usize::from(current.page)]
    }

    /// One page removal under its locks. When it fails the VM is dead, and nothing that follows is of
    /// interest.
    fn remove_page(&self, current: Current<R>, met: &mut Met) -> Result<(), Stop> {
        let (zappers, zap) = (self.scenario.zappers, self.scenario.zap_locks());
        self.remove_mirror_spte(current);
        let removed = self.tdx_sept_remove_private_spte(current, met);
        if matches!(removed, Err(Stop::Bugged)) {
            self.give_back(zap, current, None);
            return removed;
        }
        if zappers.freeze() {
            self.mirror(current).swap(mirror::NONE, Order::AcqRel);
            current.record(Event::ThawMirrorSpte);
        }
        let marked = self.td.page(current.page).is_marked();
        met.violate(Property::NoMarkLeft, marked);
        let ends = match zappers.mmu_lock() {
            Some(_) => Event::Unlock,
            None => Event::EndZap,
        };
        self.give_back(zap, current, Some(ends));
        Ok(())
    }

    /// Not present at once, or, without mmu_lock for write, frozen first: `tdp_mmu_zap_spte_atomic()` does
    /// so, upstream never with a mirror SPTE (arch/x86/kvm/mmu/tdp_mmu.c). Then no fault maps the page.
    fn remove_mirror_spte(&self, current: Current<R>) {
        if self.scenario.zappers.freeze() {
            self.mirror(current).swap(mirror::FROZEN, Order::AcqRel);
            current.record(Event::FreezeMirrorSpte);
        } else {
            self.mirror(current).swap(mirror::NONE, Order::AcqRel);
        }
    }

    /// BLOCK, TRACK, kick, REMOVE.
    fn tdx_sept_remove_private_spte(&self, current: Current<R>, met: &mut Met) -> Result<(), Stop> {
        let around = self.decisions.flag_raise == FlagRaise::AroundAllThree;
        if around {
            // Nothing was busy.
            met.violate(Property::KickOnlyWhenBusy, true);
            self.tdx_no_vcpus_enter_start(current, met);
        }
        let removed = self
            .no_fail(current, met, Leaf::Block)
            .and_then(|()| self.tdx_track(current, met))
            .and_then(|()| self.no_fail(current, met, Leaf::Remove));
        if around && !matches!(removed, Err(Stop::Bugged)) {
            self.tdx_no_vcpus_enter_stop(current);
        }
        removed
    }

    /// TRACK, and a kick to empty the epoch that has become the previous one.
    fn tdx_track(&self, current: Current<R>, met: &mut Met) -> Result<(), Stop> {
        // `kvm_tdx->state != TD_STATE_RUNNABLE`, which nobody changes here.
        if !self.scenario.beside.finalized {
            return Ok(());
        }
        self.no_fail(current, met, Leaf::Track)?;
        if self.decisions.track_kick == TrackKick::AfterTrack {
            self.kick(current, met, false);
        }
        Ok(())
    }

    /// One SEAMCALL that must succeed in the end: try, and when it is busy raise the flag, kick,
    /// call once more, lower the flag.
    fn no_fail(&self, current: Current<R>, met: &mut Met, leaf: Leaf) -> Result<(), Stop> {
        let around = self.decisions.flag_raise == FlagRaise::AroundAllThree;
        if around && self.scenario.window == Window::Whole {
            let status = self.seamcall(current, met, leaf, true);
            return self.judge(current, met, leaf, status);
        }
        let mut was_busy = self.scenario.first_call != FirstCall::Made;
        loop {
            if !was_busy {
                let status = self.seamcall(current, met, leaf, false);
                if !self.is_called_busy(leaf, status) {
                    return self.judge(current, met, leaf, status);
                }
                self.note_busy(current, met, status);
            }
            was_busy = false;
            match self.decisions.on_busy {
                OnBusy::KickAndRetry => {
                    let status = self.retry(current, met, leaf);
                    return self.judge(current, met, leaf, status);
                }
                OnBusy::GiveUp => return Err(Stop::GivenUp),
                // -EAGAIN, and the caller goes on as if nothing had been.
                OnBusy::Ignore => return Ok(()),
                OnBusy::BlockEagainIgnored if leaf == Leaf::Block => return Ok(()),
                OnBusy::BlockEagainIgnored | OnBusy::RetryWithoutKick => R::cpu_relax(),
            }
        }
    }

    /// What becomes of the last status: `tdx_is_sept_zap_err_due_to_premap()`, then KVM_BUG_ON.
    fn judge(
        &self,
        current: Current<R>,
        met: &mut Met,
        leaf: Leaf,
        status: StatusWord,
    ) -> Result<(), Stop> {
        let beside = self.scenario.beside;
        let may_be_missing = beside.premaps && !beside.finalized && leaf == Leaf::Block;
        if may_be_missing && status == EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx) {
            return Err(Stop::NotAdded);
        }
        bug_on(current, met, status)
    }

    fn note_busy(&self, current: Current<R>, met: &mut Met, status: StatusWord) {
        met.first_busy += 1;
        if !status.is_operand_busy() {
            met.violate(Property::KickOnlyWhenBusy, true);
            current.record_local(Event::CalledBusy(status));
        }
    }

    fn retry(&self, current: Current<R>, met: &mut Met, leaf: Leaf) -> StatusWord {
        self.tdx_no_vcpus_enter_start(current, met);
        if self.decisions.flag_clear == FlagClear::BeforeRetry {
            self.tdx_no_vcpus_enter_stop(current);
        }
        let status = self.seamcall(current, met, leaf, true);
        let stop = match self.decisions.flag_clear {
            FlagClear::AfterRetry => true,
            FlagClear::BeforeRetry => false,
            FlagClear::OnlyOnSuccess => status == StatusWord(0),
        };
        if stop {
            self.tdx_no_vcpus_enter_stop(current);
        }
        status
    }

    fn tdx_no_vcpus_enter_start(&self, current: Current<R>, met: &mut Met) {
        let raise = || {
            self.wait_for_sept_zap.write_once(true);
            current.record(Event::StoreFlag(true));
        };
        match self.decisions.flag_raise {
            FlagRaise::BeforeKick | FlagRaise::AroundAllThree => {
                raise();
                self.kick(current, met, false);
            }
            FlagRaise::AfterKick => {
                self.kick(current, met, false);
                raise();
            }
            // The bits are set by the kick itself, as it walks the vCPUs.
            FlagRaise::RequestBit => self.kick(current, met, true),
            FlagRaise::Never => self.kick(current, met, false),
        }
    }

    fn tdx_no_vcpus_enter_stop(&self, current: Current<R>) {
        match self.decisions.flag_raise {
            FlagRaise::Never => {}
            FlagRaise::RequestBit => self.clear_requests(current),
            _ => {
                self.wait_for_sept_zap.write_once(false);
                current.record(Event::StoreFlag(false));
            }
        }
    }

    fn seamcall(
        &self,
        current: Current<R>,
        met: &mut Met,
        leaf: Leaf,
        no_fail: bool,
    ) -> StatusWord {
        current.record_local(Event::Call { leaf, no_fail });
        let status = match leaf {
            Leaf::Block => tdh_mem_range_block(&self.td, current),
            Leaf::Track => tdh_mem_track(&self.td, current),
            _ => tdh_mem_page_remove(&self.td, current),
        };
        current.record_local(Event::Returned(status));
        met.second_calls += u32::from(no_fail);
        met.violate(Property::NoSecondBusy, no_fail && status.is_operand_busy());
        met.violate(Property::EpochEmpty, status == PREVIOUS_TLB_EPOCH_BUSY);
        let untracked = [TLB_TRACKING_NOT_DONE, GPA_RANGE_NOT_BLOCKED];
        met.violate(Property::TrackedRemove, untracked.contains(&status.code()));
        status
    }

    /// The kernel's predicate.
    fn is_called_busy(&self, leaf: Leaf, status: StatusWord) -> bool {
        match self.decisions.busy_predicate {
            BusyPredicate::Masked => status.is_operand_busy(),
            BusyPredicate::BitTest if leaf == Leaf::Track => status.is_operand_busy(),
            BusyPredicate::BitTest => status.0 & OPERAND_BUSY.0 != 0,
            BusyPredicate::SeptBusyTrackMasked if leaf == Leaf::Track => status.is_operand_busy(),
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

/// `KVM_BUG_ON(err, kvm)`: any status but success.
fn bug_on<R: Runtime>(current: Current<R>, met: &mut Met, status: StatusWord) -> Result<(), Stop> {
    if status == StatusWord(0) {
        return Ok(());
    }
    current.record_local(Event::BugOn);
    met.violate(Property::NoBugOn, true);
    Err(Stop::Bugged)
}
