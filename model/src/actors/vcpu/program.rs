//! The places of a vCPU's program, and their order under given decisions.
//!
//! V0 … V20 are the rows of docs/protocol.md.

use crate::actors::setup::Setup;
use crate::kernel::Decisions;
use crate::kernel::decisions::{
    FlagReturn, IrqDisable, ModeOutside, VcpuBarrier, VcpuFlagTest, VpEnterBusy,
};
use crate::property::PropertySet;
use crate::scenario::Memory;
use crate::status::StatusWord;

/// Where a vCPU thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// V0, V20: `vcpu_run()`; in userspace, halted and scheduled out are no different.
    VcpuRun,
    /// V1: TDH.VP.WR, to push an event.
    VpWr,
    /// V4: `local_irq_disable()`.
    LocalIrqDisable,
    /// The flag test, where a decision hoists it (M05).
    HoistedFlagTest,
    /// V5: `smp_store_release(&vcpu->mode, IN_GUEST_MODE)`.
    StoreInGuestMode,
    /// V6: `srcu_read_unlock()`, with its `smp_mb()`.
    SrcuReadUnlock,
    /// V9: `kvm_vcpu_exit_request()`.
    ExitRequest,
    /// V11: `READ_ONCE(wait_for_sept_zap)` in `tdx_vcpu_run()`.
    FlagTest,
    /// `vcpu->mode = OUTSIDE_GUEST_MODE` before the entry (M19).
    StoreOutsideEarly,
    /// V13: TDH.VP.ENTER.
    VpEnter,
    /// V13: the guest runs.
    Guest,
    /// V15: `kvm_vcpu_exit_request()` after EXIT_FASTPATH_REENTER_GUEST.
    ReenterRequest,
    /// V16: `vcpu->mode = OUTSIDE_GUEST_MODE`.
    StoreOutside,
    /// The same, on V9's way out: no `handle_exit_irqoff()` follows.
    StoreOutsideCancel,
    /// The same for a vCPU that the flag turns back while its interrupts are on (M20).
    StoreOutsideTurnedBack,
    /// The same, on the way to sleep (M33).
    StoreOutsideSleep,
    /// V19: `srcu_read_lock()`, with its `smp_mb()`; then `handle_exit()`.
    SrcuReadLock,
    /// The same for a vCPU that the flag turned back while its interrupts were on (M20).
    SrcuReadLockTurnedBack,
    /// The same on V9's way out: no exit to handle.
    SrcuReadLockCancel,
    /// The same, on the way to sleep.
    SrcuReadLockSleep,
    /// Asleep on the flag (M33).
    Asleep,
    /// `kvm_tdp_mmu_map()`: `read_lock(mmu_lock)`, and the mirror SPTE frozen.
    LockAndFreeze,
    /// TDH.MEM.PAGE.AUG.
    Aug,
    /// `tdx_mem_page_aug()`: the SPTE is mapped, or empty again after BUSY, and mmu_lock dropped; any
    /// other error is a KVM_BUG_ON.
    AugStatus {
        /// What TDH.MEM.PAGE.AUG has returned.
        status: StatusWord,
    },
}

/// A vCPU, under given decisions.
#[derive(Clone, Debug)]
pub struct Vcpu {
    /// Which.
    pub index: usize,
    /// The way from `vcpu_run()` into the guest.
    pub way_in: Vec<Place>,
    pub(super) decisions: Decisions,
    pub(super) memory: Memory,
    pub(super) exit_reason: bool,
    pub(super) tdcalls: Vec<u8>,
    pub(super) zero_step: bool,
    pub(super) writes: bool,
    pub(super) watched: PropertySet,
}

impl Vcpu {
    pub(in crate::actors) fn new(setup: &Setup, index: usize) -> Self {
        Self {
            index,
            way_in: way_in(&setup.decisions),
            decisions: setup.decisions,
            memory: setup.scenario.memory,
            exit_reason: setup.scenario.exit_reason,
            tdcalls: setup.tdcalls().collect(),
            zero_step: setup.scenario.zero_step,
            writes: setup.writes(),
            watched: setup.watched,
        }
    }

    /// The place behind one on the way in.
    pub(super) fn behind(&self, place: Place) -> Place {
        let at = self.way_in.iter().position(|known| *known == place);
        at.and_then(|at| self.way_in.get(at + 1))
            .copied()
            .unwrap_or(Place::VpEnter)
    }

    /// Where EXIT_FASTPATH_REENTER_GUEST loops to.
    pub(super) fn top_of_fastpath(&self) -> Place {
        match self.decisions.vcpu_flag_test {
            VcpuFlagTest::InTdxVcpuRun => Place::FlagTest,
            VcpuFlagTest::FirstLapOnly => self.behind(Place::FlagTest),
            VcpuFlagTest::BeforeModeStore
            | VcpuFlagTest::BeforeIrqDisable
            | VcpuFlagTest::Absent => self.behind(Place::ExitRequest),
        }
    }

    /// Where a vCPU goes that has found the flag up.
    pub(super) fn turned_back(&self) -> Place {
        let in_fastpath = matches!(
            self.decisions.vcpu_flag_test,
            VcpuFlagTest::InTdxVcpuRun | VcpuFlagTest::FirstLapOnly
        );
        match self.decisions.flag_return {
            // Above local_irq_disable() there is nothing to undo.
            _ if self.decisions.vcpu_flag_test == VcpuFlagTest::BeforeIrqDisable => Place::VcpuRun,
            FlagReturn::ReenterGuest if in_fastpath => Place::ReenterRequest,
            FlagReturn::ExitHandled | FlagReturn::ReenterGuest
                if self.decisions.irq_disable == IrqDisable::BeforeModeStore =>
            {
                Place::StoreOutside
            }
            FlagReturn::ExitHandled | FlagReturn::ReenterGuest => Place::StoreOutsideTurnedBack,
            FlagReturn::Sleep | FlagReturn::SleepWoken => Place::StoreOutsideSleep,
        }
    }

    /// Whether interrupts are disabled at a place, outside the TDX module.
    #[must_use]
    pub fn irqs_off(&self, place: Place) -> bool {
        let on_way_in = |place| self.way_in.iter().position(|known| *known == place);
        match place {
            Place::VcpuRun
            | Place::VpWr
            | Place::SrcuReadLock
            | Place::SrcuReadLockTurnedBack
            | Place::SrcuReadLockCancel
            | Place::SrcuReadLockSleep
            | Place::Asleep
            | Place::LockAndFreeze
            | Place::Aug
            | Place::AugStatus { .. } => false,
            Place::Guest | Place::StoreOutside => true,
            // M20: on unless it comes from TDH.VP.ENTER.
            Place::ReenterRequest => {
                self.decisions.irq_disable == IrqDisable::BeforeModeStore
                    || self.decisions.vp_enter_busy == VpEnterBusy::ReenterGuest
            }
            Place::StoreOutsideCancel
            | Place::StoreOutsideTurnedBack
            | Place::StoreOutsideSleep => self.decisions.irq_disable == IrqDisable::BeforeModeStore,
            _ => on_way_in(place) > on_way_in(Place::LocalIrqDisable),
        }
    }

    /// True when nobody can tell when the place is passed: it is passed at once.
    pub(super) fn is_private(&self, place: Place) -> bool {
        match place {
            // Nothing lies between it and the choice to enter. Elsewhere it closes a window in which
            // an interrupt may be taken.
            Place::LocalIrqDisable => self.way_in.get(1) == Some(&Place::LocalIrqDisable),
            // A store into the CPU's own queue is seen by nobody; its drain is.
            Place::StoreInGuestMode
            | Place::StoreOutsideEarly
            | Place::StoreOutside
            | Place::StoreOutsideCancel => self.memory == Memory::Tso,
            // Between the flag test and this an interrupt may be taken, where they are on.
            Place::StoreOutsideTurnedBack | Place::StoreOutsideSleep => {
                self.memory == Memory::Tso && self.irqs_off(place)
            }
            // Only the CPU itself fills the queue that a barrier waits for. Up to its first contended
            // lock a SEAMCALL is seen by nobody.
            Place::SrcuReadUnlock
            | Place::SrcuReadLock
            | Place::SrcuReadLockTurnedBack
            | Place::SrcuReadLockCancel
            | Place::SrcuReadLockSleep
            | Place::VpWr
            | Place::VpEnter
            | Place::Aug => true,
            _ => false,
        }
    }
}

fn way_in(decisions: &Decisions) -> Vec<Place> {
    let test = |at, place| (decisions.vcpu_flag_test == at).then_some(place);
    let irq_disable = |at| (decisions.irq_disable == at).then_some(Place::LocalIrqDisable);
    let barrier = |at| (decisions.vcpu_barrier == at).then_some(Place::SrcuReadUnlock);
    let early = decisions.mode_outside == ModeOutside::BeforeVpEnter;
    [
        Some(Place::VcpuRun),
        test(VcpuFlagTest::BeforeIrqDisable, Place::HoistedFlagTest),
        irq_disable(IrqDisable::BeforeModeStore),
        test(VcpuFlagTest::BeforeModeStore, Place::HoistedFlagTest),
        barrier(VcpuBarrier::SrcuUnlockBeforeModeStore),
        Some(Place::StoreInGuestMode),
        barrier(VcpuBarrier::SrcuUnlock),
        Some(Place::ExitRequest),
        test(VcpuFlagTest::InTdxVcpuRun, Place::FlagTest),
        test(VcpuFlagTest::FirstLapOnly, Place::FlagTest),
        irq_disable(IrqDisable::AfterFlagTest),
        early.then_some(Place::StoreOutsideEarly),
        Some(Place::VpEnter),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_in_is_that_of_vcpu_enter_guest() {
        let expected = [
            Place::VcpuRun,
            Place::LocalIrqDisable,
            Place::StoreInGuestMode,
            Place::SrcuReadUnlock,
            Place::ExitRequest,
            Place::FlagTest,
            Place::VpEnter,
        ];
        assert_eq!(way_in(&Decisions::first_of_each()), expected);
    }
}
