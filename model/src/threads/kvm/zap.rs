//! The zapper: `tdx_sept_remove_private_spte()` and what it calls (arch/x86/kvm/vmx/tdx.c).

use super::{Kvm, Met, mirror};
use crate::kernel::decisions::{BusyPredicate, FlagClear, FlagRaise, OnBusy, TrackKick};
use crate::property::Property;
use crate::status::{
    GPA_RANGE_NOT_BLOCKED, OPERAND_BUSY, Operand, PREVIOUS_TLB_EPOCH_BUSY, StatusWord,
    TLB_TRACKING_NOT_DONE,
};
use crate::threads::event::{Event, Leaf};
use crate::threads::module::{Current, tdh_mem_page_remove, tdh_mem_range_block, tdh_mem_track};
use crate::threads::runtime::{Bits, Flag, Order, Runtime};
use crate::threads::scenario::{FirstCall, Window};

/// Why a page removal ends early.
enum Stop {
    /// -EAGAIN, which the caller ignores.
    GivenUp,
    /// KVM_BUG_ON.
    Bugged,
}

impl<R: Runtime> Kvm<R> {
    /// The zapper's thread: a window, or a whole page removal.
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
        self.mmu_lock.write_lock();
        current.record(Event::BeginZap);
        self.mirror.swap(mirror::NONE, Order::AcqRel);
        let removed = self.tdx_sept_remove_private_spte(current, &mut met);
        if matches!(removed, Err(Stop::Bugged)) {
            // The VM is dead; nothing that follows is of interest.
            self.mmu_lock.write_unlock();
            return met;
        }
        let marked = self.td.page().is_marked();
        met.violate(Property::NoMarkLeft, marked);
        self.mmu_lock.write_unlock();
        current.record(Event::Unlock);
        met
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
        self.no_fail(current, met, Leaf::Track)?;
        if self.decisions.track_kick == TrackKick::AfterTrack {
            self.kick(current, met);
        }
        Ok(())
    }

    /// One SEAMCALL that must succeed in the end: try, and when it is busy raise the flag, kick,
    /// call once more, lower the flag.
    fn no_fail(&self, current: Current<R>, met: &mut Met, leaf: Leaf) -> Result<(), Stop> {
        let around = self.decisions.flag_raise == FlagRaise::AroundAllThree;
        if around && self.scenario.window == Window::Whole {
            let status = self.seamcall(current, met, leaf, true);
            return bug_on(current, met, status);
        }
        if self.scenario.first_call != FirstCall::Made {
            let status = self.retry(current, met, leaf);
            return bug_on(current, met, status);
        }
        let status = self.seamcall(current, met, leaf, false);
        if !self.is_called_busy(leaf, status) {
            return bug_on(current, met, status);
        }
        met.first_busy += 1;
        if !status.is_operand_busy() {
            met.violate(Property::KickOnlyWhenBusy, true);
            current.record_local(Event::CalledBusy(status));
        }
        if self.decisions.on_busy == OnBusy::GiveUp {
            return Err(Stop::GivenUp);
        }
        let status = self.retry(current, met, leaf);
        bug_on(current, met, status)
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
                self.kick(current, met);
            }
            FlagRaise::AfterKick => {
                self.kick(current, met);
                raise();
            }
            // The second is refused before (scenario.rs).
            FlagRaise::Never | FlagRaise::RequestBit => self.kick(current, met),
        }
    }

    fn tdx_no_vcpus_enter_stop(&self, current: Current<R>) {
        if self.decisions.flag_raise != FlagRaise::Never {
            self.wait_for_sept_zap.write_once(false);
            current.record(Event::StoreFlag(false));
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
            // Refused before (scenario.rs), but for BLOCK and REMOVE the same.
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
