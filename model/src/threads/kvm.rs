//! KVM's side, function by function (6.16).

use super::interrupts::Interrupts;
use super::module::{Status, Tdcs, tdh_mem_track, tdh_vp_enter};
use super::runtime::{Flag, Mode, Order, Runtime};
use crate::kernel::decisions::{
    Decisions, FlagRaise, Kick, KickModeRead, VcpuBarrier, VcpuFlagTest,
};

// include/linux/kvm_host.h
pub(super) const OUTSIDE_GUEST_MODE: u8 = 0;
const IN_GUEST_MODE: u8 = 1;
const EXITING_GUEST_MODE: u8 = 2;

/// `struct kvm_vcpu`, and the CPU it is on.
pub(super) struct Vcpu<R: Runtime> {
    mode: R::Mode,
    interrupts: Interrupts<R>,
}

/// `struct kvm_tdx`.
pub(super) struct KvmTdx<R: Runtime> {
    decisions: Decisions,
    wait_for_sept_zap: R::Flag,
    vcpus: Vec<Vcpu<R>>,
    tdcs: Tdcs<R>,
}

/// What became of one lap of the vCPU's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lap {
    /// The flag was up.
    TurnedBack,
    /// TDH.VP.ENTER was called.
    Called,
}

impl<R: Runtime> KvmTdx<R> {
    pub(super) fn new(decisions: Decisions, vcpus: usize, lock_words: Order) -> Self {
        let vcpu = |_| Vcpu {
            mode: R::Mode::new(),
            interrupts: Interrupts::new(),
        };
        Self {
            decisions,
            wait_for_sept_zap: R::Flag::new(),
            vcpus: (0..vcpus).map(vcpu).collect(),
            tdcs: Tdcs::new(lock_words),
        }
    }

    /// arch/x86/kvm/vmx/tdx.c: the first call of `tdx_track()`.
    pub(super) fn first_track(&self) -> Status {
        tdh_mem_track(&self.tdcs)
    }

    /// arch/x86/kvm/vmx/tdx.c: what `tdx_track()` does once its first call was busy.
    pub(super) fn retry_track(&self) -> Status {
        self.tdx_no_vcpus_enter_start();
        let status = tdh_mem_track(&self.tdcs);
        self.tdx_no_vcpus_enter_stop();
        status
    }

    fn tdx_no_vcpus_enter_start(&self) {
        if self.decisions.flag_raise == FlagRaise::BeforeKick {
            self.wait_for_sept_zap.write_once(true);
        }
        match self.decisions.kick {
            Kick::RequestWait => self.kvm_make_all_cpus_request(true),
            Kick::RequestNoWait => self.kvm_make_all_cpus_request(false),
            _ => {}
        }
    }

    fn tdx_no_vcpus_enter_stop(&self) {
        if self.decisions.flag_raise == FlagRaise::BeforeKick {
            self.wait_for_sept_zap.write_once(false);
        }
    }

    /// virt/kvm/kvm_main.c, for KVM_REQ_OUTSIDE_GUEST_MODE with or without KVM_REQUEST_WAIT: walk
    /// the vCPUs first, then interrupt, then wait.
    fn kvm_make_all_cpus_request(&self, wait: bool) {
        let needs_ipi = |vcpu: &&Vcpu<R>| match self.kvm_vcpu_exiting_guest_mode(vcpu) {
            IN_GUEST_MODE => true,
            old => wait && old != OUTSIDE_GUEST_MODE,
        };
        let cpus: Vec<&Vcpu<R>> = self.vcpus.iter().filter(needs_ipi).collect();
        for vcpu in &cpus {
            vcpu.interrupts.send();
        }
        if wait {
            for vcpu in &cpus {
                vcpu.interrupts.wait_until_taken();
            }
        }
    }

    /// include/linux/kvm_host.h. On x86 the cmpxchg is the zapper's only full barrier between its
    /// store of the flag and its look at the mode: KVM_REQUEST_NO_ACTION logs no request.
    fn kvm_vcpu_exiting_guest_mode(&self, vcpu: &Vcpu<R>) -> u8 {
        match self.decisions.kick_mode_read {
            KickModeRead::LockedCmpxchg | KickModeRead::CpuBeforeMode => {
                vcpu.mode.cmpxchg(IN_GUEST_MODE, EXITING_GUEST_MODE)
            }
            KickModeRead::PlainLoad => vcpu.mode.read_once(),
        }
    }

    /// arch/x86/kvm/x86.c, one lap of `vcpu_run()`. `kvm_vcpu_exit_request()` is left out: a vCPU
    /// that sees EXITING_GUEST_MODE early does what one turned back by the flag does.
    pub(super) fn vcpu_enter_guest(&self, index: usize) -> Lap {
        let vcpu = &self.vcpus[index];
        vcpu.interrupts.local_irq_disable();
        vcpu.mode.store_release(IN_GUEST_MODE);
        if self.decisions.vcpu_barrier == VcpuBarrier::SrcuUnlock {
            R::smp_mb();
        }
        let lap = self.tdx_vcpu_run();
        vcpu.mode.store_release(OUTSIDE_GUEST_MODE);
        vcpu.interrupts.local_irq_enable();
        lap
    }

    /// arch/x86/kvm/vmx/tdx.c. BUSY from TDH.VP.ENTER leaves by the same way as an exit.
    fn tdx_vcpu_run(&self) -> Lap {
        let tests = self.decisions.vcpu_flag_test == VcpuFlagTest::InTdxVcpuRun;
        if tests && self.wait_for_sept_zap.read_once() {
            return Lap::TurnedBack;
        }
        match tdh_vp_enter(&self.tdcs) {
            Status::Success | Status::OperandBusy => Lap::Called,
        }
    }
}
