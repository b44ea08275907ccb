//! A vCPU's thread: `vcpu_run()` and `vcpu_enter_guest()` (arch/x86/kvm/x86.c), with
//! `tdx_vcpu_run()` (arch/x86/kvm/vmx/tdx.c) inside. Row numbers V0 … V20: docs/protocol.md.

use super::interrupts::Interrupts;
use super::{EXITING_GUEST_MODE, IN_GUEST_MODE, Kvm, Met, NO_VCPU_ENTER, OUTSIDE_GUEST_MODE};
use crate::kernel::decisions::{
    ExitReasonOnFlag, ExitRequest, FlagRaise, FlagReturn, IrqDisable, ModeOutside, VcpuBarrier,
    VcpuFlagTest, VpEnterBusy,
};
use crate::property::Property;
use crate::status::StatusWord;
use crate::threads::event::{Event, Leaf};
use crate::threads::guest::Guest;
use crate::threads::module::{Current, ExitReason, Td, Tdvps, status_of, tdh_vp_enter, tdh_vp_wr};
use crate::threads::runtime::{Bits, Flag, Mode, Order, Runtime};
use crate::threads::scenario::Window;

/// The exit reason that `vcpu_enter_guest()` finds cached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cached {
    Undefined,
    Exit(ExitReason),
    /// An external interrupt, dispatched already.
    Dispatched,
}

/// How `tdx_vcpu_run()` returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fastpath {
    /// EXIT_FASTPATH_EXIT_HANDLED, at the flag.
    TurnedBack,
    /// EXIT_FASTPATH_EXIT_HANDLED or NONE, behind TDH.VP.ENTER.
    Exited,
    /// EXIT_FASTPATH_REENTER_GUEST.
    Reenter,
}

/// How `vcpu_enter_guest()` ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lap {
    /// Go round.
    Again,
    /// An EPT violation on this page is left to handle.
    Faulted(u8),
    /// The vCPU sleeps, and nobody wakes it (M33).
    Asleep,
}

/// A vCPU thread's own data.
pub(super) struct Thread<'a, R: Runtime> {
    pub(super) kvm: &'a Kvm<R>,
    pub(super) current: Current<R>,
    pub(super) met: Met,
    pub(super) tdvps: Tdvps,
    pub(super) cached: Cached,
    /// The flag was seen down since interrupts were disabled (I4).
    flag_seen_down: bool,
    /// The CPU it is on.
    cpu: usize,
    /// How often it has gone round before.
    lap: usize,
}

impl<R: Runtime> Kvm<R> {
    /// `vcpu_run()`, a number of laps.
    pub(in crate::threads) fn vcpu_run(&self, current: Current<R>) -> Met {
        let mut thread = Thread {
            kvm: self,
            current,
            met: Met::default(),
            tdvps: Tdvps {
                zero_step: self.scenario.zero_step_armed.then_some(0),
            },
            cached: Cached::Undefined,
            flag_seen_down: false,
            cpu: 0,
            lap: 0,
        };
        if self.scenario.late {
            let created = 1 << thread.current.vcpu();
            self.online.fetch_or(created, Order::AcqRel);
            thread.current.record(Event::ComesOnline);
        }
        for lap in 0..self.scenario.laps {
            thread.lap = lap;
            let ends = if self.scenario.in_guest && lap == 0 {
                thread.vcpu_leave_guest()
            } else {
                thread.vcpu_load();
                thread.push_event();
                thread.vcpu_enter_guest()
            };
            match ends {
                Lap::Again => {}
                Lap::Asleep => break,
                // The fault waits for mmu_lock, which the zapper holds to the end of its window.
                Lap::Faulted(_) if self.scenario.window != Window::Whole => break,
                Lap::Faulted(page) => thread.tdx_handle_ept_violation(page),
            }
        }
        if self.scenario.zaps > 1 {
            self.running.fetch_add(u64::MAX, Order::AcqRel);
        }
        thread.met
    }
}

impl<R: Runtime> Thread<'_, R> {
    /// V0: scheduled in, perhaps on another CPU than before.
    fn vcpu_load(&mut self) {
        let scenario = &self.kvm.scenario;
        if !scenario.migrate || self.lap == 0 {
            return;
        }
        if scenario.guest != Guest::Any || self.chooses(2) {
            self.cpu ^= 1;
            let vcpu = &self.kvm.vcpus[self.current.vcpu()];
            vcpu.cpu.store_release(self.cpu as u8);
        }
    }

    fn interrupts(&self) -> &Interrupts<R> {
        &self.kvm.vcpus[self.current.vcpu()].cpus[self.cpu]
    }

    /// V1: an NMI to push, or posted interrupts to set up; neither flag nor kick keeps it from that.
    fn push_event(&self) {
        if self.chooses(4) {
            self.seamcall(Leaf::Write, tdh_vp_wr);
        }
    }

    /// A SEAMCALL that the thread issues outside guest mode.
    pub(super) fn seamcall(
        &self,
        leaf: Leaf,
        call: impl FnOnce(&Td<R>, Current<R>) -> StatusWord,
    ) -> StatusWord {
        let interrupts = self.interrupts();
        interrupts.enter_seam();
        self.current.record(Event::Call {
            leaf,
            no_fail: false,
        });
        let status = call(&self.kvm.td, self.current);
        interrupts.leave_seam();
        self.current.record(Event::Returned(status));
        status
    }

    /// V2 to V19.
    fn vcpu_enter_guest(&mut self) -> Lap {
        let decisions = self.kvm.decisions;
        if decisions.vcpu_flag_test == VcpuFlagTest::BeforeIrqDisable && self.flag_is_up(false) {
            return Lap::Again;
        }
        if decisions.irq_disable == IrqDisable::BeforeModeStore {
            self.local_irq_disable();
        }
        let irqs_off = decisions.irq_disable == IrqDisable::BeforeModeStore;
        if decisions.vcpu_flag_test == VcpuFlagTest::BeforeModeStore && self.flag_is_up(irqs_off) {
            return self.turned_back();
        }
        match decisions.vcpu_barrier {
            VcpuBarrier::SrcuUnlock => {
                self.store_mode(IN_GUEST_MODE);
                R::smp_mb();
            }
            VcpuBarrier::SrcuUnlockBeforeModeStore => {
                R::smp_mb();
                self.store_mode(IN_GUEST_MODE);
            }
            VcpuBarrier::Absent | VcpuBarrier::LightSrcu => self.store_mode(IN_GUEST_MODE),
        }
        if self.kvm_vcpu_exit_request() {
            // V9 taken: no entry, nothing dispatched.
            self.store_mode(OUTSIDE_GUEST_MODE);
            self.local_irq_enable();
            self.srcu_read_lock();
            return Lap::Again;
        }
        let mut fastpath = self.tdx_vcpu_run(true);
        while fastpath == Fastpath::Reenter && !self.kvm_vcpu_exit_request() {
            R::cpu_relax();
            fastpath = self.tdx_vcpu_run(false);
        }
        if fastpath == Fastpath::TurnedBack {
            return self.turned_back();
        }
        // M19 stores OUTSIDE_GUEST_MODE on its way into the module, not again on its way out.
        let stored =
            decisions.mode_outside == ModeOutside::BeforeVpEnter && fastpath == Fastpath::Exited;
        self.way_out(!stored)
    }

    /// V16 to V19 for a vCPU that has met the flag.
    fn turned_back(&mut self) -> Lap {
        let woken = match self.kvm.decisions.flag_return {
            FlagReturn::ExitHandled | FlagReturn::ReenterGuest => return self.way_out(true),
            FlagReturn::Sleep => false,
            FlagReturn::SleepWoken => true,
        };
        self.open_interrupts(true);
        if !woken {
            return Lap::Asleep;
        }
        while self.kvm.wait_for_sept_zap.read_once() {
            R::cpu_relax();
        }
        self.current.record(Event::Woken);
        Lap::Again
    }

    /// V16 to V18.
    fn open_interrupts(&mut self, store_mode: bool) {
        if store_mode {
            self.store_mode(OUTSIDE_GUEST_MODE);
        }
        self.handle_exit_irqoff();
        self.local_irq_enable();
        self.srcu_read_lock();
    }

    /// It has an smp_mb(), as the unlock has; a light flavour has not.
    fn srcu_read_lock(&self) {
        if self.kvm.decisions.vcpu_barrier != VcpuBarrier::LightSrcu {
            R::smp_mb();
        }
    }

    /// V16 to V19.
    pub(super) fn way_out(&mut self, store_mode: bool) -> Lap {
        self.open_interrupts(store_mode);
        let cached = self.cached;
        if self.cached != Cached::Dispatched {
            self.cached = Cached::Undefined;
        }
        match cached {
            Cached::Exit(ExitReason::EptViolation(page)) => Lap::Faulted(page),
            _ => Lap::Again,
        }
    }

    /// arch/x86/kvm/vmx/tdx.c.
    fn tdx_vcpu_run(&mut self, first_lap: bool) -> Fastpath {
        let decisions = self.kvm.decisions;
        let tests = match decisions.vcpu_flag_test {
            VcpuFlagTest::InTdxVcpuRun => true,
            VcpuFlagTest::FirstLapOnly => first_lap,
            _ => false,
        };
        let irqs_off = decisions.irq_disable == IrqDisable::BeforeModeStore;
        if tests && self.flag_is_up(irqs_off) {
            return match decisions.flag_return {
                FlagReturn::ReenterGuest => Fastpath::Reenter,
                _ => Fastpath::TurnedBack,
            };
        }
        if decisions.irq_disable == IrqDisable::AfterFlagTest {
            self.local_irq_disable();
        }
        if decisions.mode_outside == ModeOutside::BeforeVpEnter {
            self.store_mode(OUTSIDE_GUEST_MODE);
        }
        let busy = self.vp_enter();
        match decisions.vp_enter_busy {
            VpEnterBusy::ReenterGuest if busy => Fastpath::Reenter,
            _ => Fastpath::Exited,
        }
    }

    /// TDH.VP.ENTER; true when it was BUSY.
    fn vp_enter(&mut self) -> bool {
        self.met.violate(Property::FlagTested, !self.flag_seen_down);
        self.met.entered += 1;
        self.current.record_local(Event::Call {
            leaf: Leaf::Enter,
            no_fail: false,
        });
        let interrupts = &self.kvm.vcpus[self.current.vcpu()].cpus[self.cpu];
        let result = tdh_vp_enter(
            &self.kvm.td,
            self.current,
            &mut self.tdvps,
            &self.kvm.scenario.guest.on_lap(self.lap),
            &|| interrupts.is_pending(),
        );
        self.current
            .record_local(Event::Returned(status_of(&result)));
        self.cached = match result {
            Ok(reason) => Cached::Exit(reason),
            // A SEAMCALL that failed has written its own exit reason, which is no interrupt.
            Err(_) => Cached::Undefined,
        };
        result.is_err()
    }

    /// `READ_ONCE(kvm_tdx->wait_for_sept_zap)`.
    fn flag_is_up(&mut self, irqs_off: bool) -> bool {
        let up = self.kvm.wait_for_sept_zap.read_once();
        self.current.record(Event::TestFlag(up));
        self.flag_seen_down |= !up && irqs_off;
        self.met.turned_back += u32::from(up);
        if up && self.kvm.decisions.exit_reason_on_flag == ExitReasonOnFlag::Undefined {
            self.cached = Cached::Undefined;
        }
        up
    }

    /// Requests and thread work are pending when a free guest's engine says so.
    fn kvm_vcpu_exit_request(&mut self) -> bool {
        let decisions = self.kvm.decisions;
        let by_request = decisions.flag_raise == FlagRaise::RequestBit;
        if !self.kvm.scenario.has_exit_request() {
            return false;
        }
        let work = self.chooses(8);
        let sees_mode = decisions.exit_request == ExitRequest::ModeOrWork;
        let vcpu = &self.kvm.vcpus[self.current.vcpu()];
        let exiting = sees_mode && vcpu.mode.read_own() == EXITING_GUEST_MODE;
        let requested = by_request && vcpu.requests.read(Order::Relaxed) & NO_VCPU_ENTER != 0;
        self.met.turned_back += u32::from(requested);
        let pending = work || requested;
        let outcome = match (exiting, pending) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 0,
        };
        self.current.record(Event::ExitRequest(outcome));
        outcome != 0
    }

    /// Once in `among`, where the guest is free.
    fn chooses(&self, among: u8) -> bool {
        if self.kvm.scenario.guest != Guest::Any {
            return false;
        }
        R::local_step();
        R::choose(among) == 0
    }

    /// A cached external interrupt is dispatched; a stale one too (I8).
    fn handle_exit_irqoff(&mut self) {
        let outcome = match self.cached {
            Cached::Exit(ExitReason::Interrupt) => 1,
            Cached::Dispatched => 2,
            _ => 0,
        };
        if outcome == 1 {
            self.cached = Cached::Dispatched;
        }
        self.met.violate(Property::InterruptOnce, outcome == 2);
        self.current.record_local(Event::Dispatch(outcome));
    }

    fn store_mode(&self, mode: u8) {
        self.kvm.vcpus[self.current.vcpu()].mode.store_release(mode);
        self.current.record(Event::StoreMode {
            in_guest: mode == IN_GUEST_MODE,
        });
    }

    fn local_irq_disable(&self) {
        self.interrupts().local_irq_disable();
        self.current.record(Event::IrqDisable);
    }

    fn local_irq_enable(&mut self) {
        self.interrupts().local_irq_enable();
        self.flag_seen_down = false;
        self.current.record(Event::IrqEnable);
    }
}
