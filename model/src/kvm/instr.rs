//! The instructions KVM's programs are made of.

use crate::kernel::{KvmHeld, OnFailure};
use crate::module::LeafId;

/// What becomes of a SEAMCALL's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSite {
    /// The caller can still do something about BUSY.
    Attempt,
    /// The caller has done all it can: the call must not be BUSY.
    NoFail,
    /// A call outside the removal protocol (TDH.VP.ENTER, TDH.MEM.PAGE.AUG, ioctls).
    Other,
    /// A call outside it upon whose failure, BUSY or not, KVM declares the VM dead at once.
    OrBug,
}

/// The parts of `kvm_make_all_cpus_request()` (or of the kick that a decision puts in its place).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KickStep {
    /// For each vCPU: read `mode`, decide whether its CPU needs an IPI.
    Visit,
    /// For each vCPU that needs one: send the IPI.
    Send,
    /// Until every IPI is acknowledged.
    Wait,
    /// Back to the caller.
    End,
}

/// One instruction. `to` is the line where a taken branch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instr {
    /// Nothing that anyone else could see.
    Nop,
    /// Go on elsewhere.
    Jump {
        /// Target line.
        to: u8,
    },
    /// Issue a SEAMCALL; go on at the next line when it returns.
    Call {
        /// The leaf.
        leaf: LeafId,
        /// What becomes of the status.
        site: CallSite,
    },

    /// Choose a page that is mapped in the mirror page table and take the zap's KVM locks.
    BeginZap {
        /// The locks.
        locks: KvmHeld,
    },
    /// Remove the mirror SPTE; branch when another removal has been faster.
    RemoveMirrorSpte {
        /// Freeze it for as long as the removal lasts: nobody is kept away by mmu_lock.
        freeze: bool,
        /// Not present any more.
        gone: u8,
    },
    /// What was frozen is not present.
    ThawMirrorSpte,
    /// Branch unless the predicate calls the status busy.
    UnlessBusy {
        /// The leaf whose status it is.
        leaf: LeafId,
        /// Not busy.
        to: u8,
    },
    /// Forget the status and branch.
    GiveUp {
        /// Where to.
        to: u8,
    },
    /// `WRITE_ONCE(kvm_tdx->wait_for_sept_zap, value)`.
    StoreFlag {
        /// The value.
        value: bool,
    },
    /// Clear every vCPU's request bit.
    ClearRequests,
    /// Branch when the status is an error (M10).
    IfError {
        /// On error.
        to: u8,
    },
    /// A part of the kick.
    Kick {
        /// Which.
        step: KickStep,
    },
    /// `tdx_is_sept_zap_err_due_to_premap()`: tolerated, the zap is over.
    UnlessPremapError {
        /// Tolerated.
        to: u8,
    },
    /// `KVM_BUG_ON(err, kvm)`.
    BugOn,
    /// `tdx_track()` returns early while the TD is not runnable.
    UnlessRunnable {
        /// Not runnable.
        to: u8,
    },
    /// Release the program's KVM locks and branch.
    Unlock {
        /// Where to.
        to: u8,
    },

    /// `vcpu_run()`: go on, or leave for userspace, for `kvm_vcpu_block()`, or off the CPU.
    RunLoop {
        /// The line of userspace.
        userspace: u8,
        /// The line of a halted vCPU.
        halted: u8,
        /// The line of a vCPU that is scheduled out.
        scheduled_out: u8,
        /// The line that first issues TDH.VP.WR.
        push: Option<u8>,
    },
    /// `local_irq_disable()`.
    IrqDisable,
    /// `local_irq_enable()`.
    IrqEnable,
    /// A plain store to `vcpu->mode`: IN_GUEST_MODE or OUTSIDE_GUEST_MODE.
    StoreMode {
        /// IN_GUEST_MODE?
        in_guest: bool,
    },
    /// A full memory barrier: wait until the store buffer is empty.
    FullBarrier,
    /// `kvm_vcpu_exit_request()`: branch when mode is EXITING, or a request or work is pending.
    ExitRequest {
        /// Exit requested.
        to: u8,
        /// Whether it looks at mode.
        sees_mode: bool,
    },
    /// `READ_ONCE(kvm_tdx->wait_for_sept_zap)`: branch when it is set.
    TestFlag {
        /// Set.
        to: u8,
        /// Whether the cached exit reason is kept.
        keep_exit_reason: bool,
    },
    /// Sleep until woken (M33).
    SleepOnFlag {
        /// Whether lowering the flag wakes it; else nobody does.
        woken: bool,
    },
    /// What `tdx_vcpu_run()` makes of TDH.VP.ENTER's status; branch for REENTER_GUEST.
    VpEnterStatus {
        /// Where REENTER_GUEST goes on; `None` when BUSY is EXIT_HANDLED.
        reenter: Option<u8>,
    },
    /// `handle_exit_irqoff()`: dispatch a cached external interrupt.
    HandleExitIrqoff,
    /// `handle_exit()`: branch for an EPT violation.
    HandleExit {
        /// The fault handler.
        fault: u8,
    },
    /// `read_lock(mmu_lock)` and a look at the mirror SPTE; branch when there is nothing to map.
    FaultLock {
        /// Present, or frozen by another vCPU.
        to: u8,
    },
    /// What the fault handler makes of TDH.MEM.PAGE.AUG's status.
    AugStatus,

    /// A thread that may start its ioctl at any time, on any page.
    BeginIoctl,
    /// Take the ioctl's KVM locks.
    Lock {
        /// The locks.
        locks: KvmHeld,
    },
    /// Map the page in the mirror page table only; branch when mmu_lock's holder prevents it or it is mapped.
    Premap,
    /// Drop the locks that were taken inside the path's own.
    Release,
    /// Load `kvm_tdx->state`; branch unless it is as wanted.
    TestState {
        /// The TD has to be runnable; else it must not be.
        runnable: bool,
        /// Refused.
        to: u8,
    },
    /// `kvm_tdx->nr_premapped`: branch while a page is mapped in the mirror page table only.
    UnlessNonePremapped {
        /// Refused.
        to: u8,
    },
    /// Look at the mirror SPTE; branch when it is present.
    UnlessMapped {
        /// Mapped already.
        to: u8,
    },
    /// Make the mirror SPTE present.
    SetPresent,
    /// `kvm_tdx->state = TD_STATE_RUNNABLE`.
    SetRunnable,
    /// What the ioctl makes of a SEAMCALL's status; branch to the unlock on failure.
    IoctlStatus {
        /// Failed but tolerated.
        to: u8,
        /// What counts as tolerated.
        on_failure: OnFailure,
    },
}
