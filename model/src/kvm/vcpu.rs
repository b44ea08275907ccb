//! A vCPU thread: `vcpu_run()` and `vcpu_enter_guest()` (arch/x86/kvm/x86.c, 6.16), with
//! `tdx_vcpu_run()` (arch/x86/kvm/vmx/tdx.c) inside.
//!
//! Row numbers V0 … V20 are those of `docs/protocol.md`.

use super::assembler::{Assembler, Label, Program};
use super::instr::{CallSite, Instr};
use crate::kernel::decisions::{
    ExitReasonOnFlag, ExitRequest, FlagReturn, IrqDisable, ModeOutside, VcpuBarrier, VcpuFlagTest,
    VpEnterBusy,
};
use crate::kernel::{Decisions, KvmHeld};
use crate::module::LeafId;
use crate::resource::{KvmLock, KvmMode};

const X86: &str = "arch/x86/kvm/x86.c";
const TDX: &str = "arch/x86/kvm/vmx/tdx.c";

/// The SEAMCALLs a vCPU thread issues.
#[derive(Clone, Copy, Debug)]
pub struct VcpuLeaves {
    /// TDH.VP.ENTER.
    pub enter: LeafId,
    /// TDH.MEM.PAGE.AUG.
    pub aug: LeafId,
    /// TDH.VP.WR, when the lock table has it.
    pub write: Option<LeafId>,
}

/// The lines other lines go to.
struct Places {
    run_loop: Label,
    /// V11, the top of the fastpath loop.
    fastpath: Label,
    /// V15.
    reenter: Label,
    /// V16, out of the fastpath loop.
    out: Label,
    /// V16 of a vCPU that the flag turns back, where it is one of its own.
    turned_back: Label,
    /// Behind V16, for a kernel that has stored OUTSIDE_GUEST_MODE before the entry (M19).
    entered: Label,
    /// V9's way out.
    cancel: Label,
    fault: Label,
    unlock: Label,
}

/// The vCPU's program under the given decisions.
#[must_use]
pub fn program(decisions: &Decisions, leaves: VcpuLeaves) -> Program {
    let mut asm = Assembler::default();
    let at = Places {
        run_loop: asm.label(),
        fastpath: asm.label(),
        reenter: asm.label(),
        out: asm.label(),
        turned_back: asm.label(),
        entered: asm.label(),
        cancel: asm.label(),
        fault: asm.label(),
        unlock: asm.label(),
    };
    vcpu_run(&mut asm, leaves, &at);
    way_in(&mut asm, decisions, &at);
    fastpath_loop(&mut asm, decisions, leaves, &at);
    way_out(&mut asm, decisions, &at);
    way_of_the_turned_back(&mut asm, decisions, &at);
    cancel_injection(&mut asm, decisions, &at);
    ept_violation(&mut asm, leaves, &at);
    asm.finish()
}

/// `vcpu_run()`: V0, V1, V20, and where a vCPU is when it does not run.
fn vcpu_run(asm: &mut Assembler, leaves: VcpuLeaves, at: &Places) {
    let (userspace, halted, scheduled_out) = (asm.label(), asm.label(), asm.label());
    let (enter, push) = (asm.label(), asm.label());
    asm.function("vcpu_run", X86);
    asm.place(at.run_loop);
    let choose = Instr::RunLoop {
        userspace: asm.to(userspace),
        halted: asm.to(halted),
        scheduled_out: asm.to(scheduled_out),
        push: leaves.write.map(|_| asm.to(push)),
    };
    asm.line(choose, "loop");
    asm.line(Instr::Jump { to: asm.to(enter) }, "vcpu_enter_guest()");
    asm.place(userspace);
    asm.line(
        Instr::Jump {
            to: asm.to(at.run_loop),
        },
        "return to userspace, KVM_RUN again",
    );
    asm.place(halted);
    asm.line(
        Instr::Jump {
            to: asm.to(at.run_loop),
        },
        "kvm_vcpu_block() until woken",
    );
    asm.place(scheduled_out);
    asm.line(
        Instr::Jump {
            to: asm.to(at.run_loop),
        },
        "scheduled out, scheduled in",
    );
    // V1: an NMI to push, or posted interrupts to set up; outside guest mode, so neither flag nor
    // kick keeps it from running.
    if let Some(leaf) = leaves.write {
        asm.place(push);
        asm.function("vcpu_enter_guest", X86);
        asm.line(
            Instr::Call {
                leaf,
                // tdh_vp_wr_failed()
                site: CallSite::OrBug,
            },
            "tdh_vp_wr()",
        );
    }
    asm.place(enter);
}

/// V2 to V9, and the flag test where a decision hoists it.
fn way_in(asm: &mut Assembler, decisions: &Decisions, at: &Places) {
    asm.function("vcpu_enter_guest", X86);
    asm.line(
        Instr::Nop,
        "service requests; preempt_disable(); prepare_switch_to_guest()",
    );
    if decisions.vcpu_flag_test == VcpuFlagTest::BeforeIrqDisable {
        flag_test(asm, decisions, at);
    }
    if decisions.irq_disable == IrqDisable::BeforeModeStore {
        irq_disable(asm);
    }
    if decisions.vcpu_flag_test == VcpuFlagTest::BeforeModeStore {
        flag_test(asm, decisions, at);
    }
    let store = Instr::StoreMode { in_guest: true };
    let unlock = "srcu_read_unlock(): smp_mb()";
    match decisions.vcpu_barrier {
        VcpuBarrier::SrcuUnlock => {
            asm.line(store, "smp_store_release(&mode, IN_GUEST_MODE)");
            asm.line(Instr::FullBarrier, unlock);
        }
        VcpuBarrier::SrcuUnlockBeforeModeStore => {
            asm.line(Instr::FullBarrier, unlock);
            asm.line(store, "smp_store_release(&mode, IN_GUEST_MODE)");
        }
        VcpuBarrier::Absent | VcpuBarrier::LightSrcu => {
            asm.line(store, "smp_store_release(&mode, IN_GUEST_MODE)");
        }
    }
    exit_request(asm, decisions, at.cancel);
}

/// V11 to V15.
fn fastpath_loop(asm: &mut Assembler, decisions: &Decisions, leaves: VcpuLeaves, at: &Places) {
    let busy_reenters = decisions.vp_enter_busy == VpEnterBusy::ReenterGuest;
    let reenters = busy_reenters || decisions.flag_return == FlagReturn::ReenterGuest;
    asm.function("tdx_vcpu_run", TDX);
    match decisions.vcpu_flag_test {
        VcpuFlagTest::InTdxVcpuRun => {
            asm.place(at.fastpath);
            flag_test(asm, decisions, at);
        }
        VcpuFlagTest::FirstLapOnly => {
            flag_test(asm, decisions, at);
            asm.place(at.fastpath);
        }
        VcpuFlagTest::BeforeModeStore | VcpuFlagTest::BeforeIrqDisable | VcpuFlagTest::Absent => {
            asm.place(at.fastpath);
        }
    }
    if decisions.irq_disable == IrqDisable::AfterFlagTest {
        irq_disable(asm);
    }
    if decisions.mode_outside == ModeOutside::BeforeVpEnter {
        asm.line(
            Instr::StoreMode { in_guest: false },
            "mode = OUTSIDE_GUEST_MODE",
        );
    }
    asm.line(
        Instr::Call {
            leaf: leaves.enter,
            site: CallSite::Other,
        },
        "tdh_vp_enter()",
    );
    let reenter = busy_reenters.then(|| asm.to(at.reenter));
    asm.line(Instr::VpEnterStatus { reenter }, "vp_enter_ret?");
    if decisions.mode_outside == ModeOutside::BeforeVpEnter {
        asm.line(
            Instr::Jump {
                to: asm.to(at.entered),
            },
            "mode is stored already",
        );
    } else if reenters {
        asm.line(
            Instr::Jump { to: asm.to(at.out) },
            "leave the fastpath loop",
        );
    }
    if reenters {
        asm.function("vcpu_enter_guest", X86);
        asm.place(at.reenter);
        exit_request(asm, decisions, at.out);
        asm.line(
            Instr::Jump {
                to: asm.to(at.fastpath),
            },
            "EXIT_FASTPATH_REENTER_GUEST: loop",
        );
    }
}

/// V16 to V19.
fn way_out(asm: &mut Assembler, decisions: &Decisions, at: &Places) {
    asm.function("vcpu_enter_guest", X86);
    asm.place(at.out);
    let outside = Instr::StoreMode { in_guest: false };
    asm.line(outside, "mode = OUTSIDE_GUEST_MODE; smp_wmb()");
    asm.place(at.entered);
    open_interrupts(asm, decisions);
    handle_exit(asm, at);
}

/// The way out of a vCPU that the flag turns back, where it is not V16's: the vCPU sleeps (M33), or its
/// interrupts were never off (M20).
fn way_of_the_turned_back(asm: &mut Assembler, decisions: &Decisions, at: &Places) {
    let sleeps = match decisions.flag_return {
        FlagReturn::ExitHandled | FlagReturn::ReenterGuest => None,
        FlagReturn::Sleep => Some(false),
        FlagReturn::SleepWoken => Some(true),
    };
    let irqs_off = decisions.irq_disable == IrqDisable::BeforeModeStore;
    if irqs_off && sleeps.is_none() {
        return;
    }
    asm.place(at.turned_back);
    asm.setting.irqs_off = irqs_off;
    if decisions.flag_return == FlagReturn::ReenterGuest && is_in_fastpath(decisions) {
        let leave = asm.label();
        exit_request(asm, decisions, leave);
        let to = asm.to(at.fastpath);
        asm.line(Instr::Jump { to }, "EXIT_FASTPATH_REENTER_GUEST: loop");
        asm.place(leave);
    }
    let outside = Instr::StoreMode { in_guest: false };
    asm.line(outside, "mode = OUTSIDE_GUEST_MODE; smp_wmb()");
    open_interrupts(asm, decisions);
    let Some(woken) = sleeps else {
        handle_exit(asm, at);
        return;
    };
    asm.line(Instr::SleepOnFlag { woken }, "sleep on wait_for_sept_zap");
    let to = asm.to(at.run_loop);
    asm.line(Instr::Jump { to }, "return 1");
}

/// V16 to V18.
fn open_interrupts(asm: &mut Assembler, decisions: &Decisions) {
    asm.line(Instr::HandleExitIrqoff, "handle_exit_irqoff()");
    asm.line(Instr::IrqEnable, "local_irq_enable()");
    asm.setting.irqs_off = false;
    srcu_read_lock(asm, decisions);
}

/// V19.
fn handle_exit(asm: &mut Assembler, at: &Places) {
    let fault = asm.to(at.fault);
    asm.line(Instr::HandleExit { fault }, "handle_exit()");
    let to = asm.to(at.run_loop);
    asm.line(Instr::Jump { to }, "return 1");
}

/// V9 taken: no entry, no `handle_exit_irqoff()`.
fn cancel_injection(asm: &mut Assembler, decisions: &Decisions, at: &Places) {
    asm.place(at.cancel);
    asm.setting.irqs_off = decisions.irq_disable == IrqDisable::BeforeModeStore;
    asm.line(
        Instr::StoreMode { in_guest: false },
        "mode = OUTSIDE_GUEST_MODE; smp_wmb()",
    );
    asm.line(Instr::IrqEnable, "local_irq_enable(); cancel_injection()");
    asm.setting.irqs_off = false;
    srcu_read_lock(asm, decisions);
    asm.line(
        Instr::Jump {
            to: asm.to(at.run_loop),
        },
        "return 1",
    );
}

/// `tdx_handle_ept_violation()` down to `tdx_mem_page_aug()`.
fn ept_violation(asm: &mut Assembler, leaves: VcpuLeaves, at: &Places) {
    asm.place(at.fault);
    asm.function("kvm_tdp_mmu_map", "arch/x86/kvm/mmu/tdp_mmu.c");
    asm.line(
        Instr::FaultLock {
            to: asm.to(at.unlock),
        },
        "read_lock(mmu_lock), look at the mirror SPTE",
    );
    asm.setting.held = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
    asm.setting.frozen = true;
    asm.function("tdx_mem_page_aug", TDX);
    asm.line(
        Instr::Call {
            leaf: leaves.aug,
            site: CallSite::Other,
        },
        "tdh_mem_page_aug()",
    );
    asm.line(Instr::AugStatus, "err?");
    asm.setting.frozen = false;
    asm.function("kvm_tdp_mmu_map", "arch/x86/kvm/mmu/tdp_mmu.c");
    asm.place(at.unlock);
    asm.line(
        Instr::Unlock {
            to: asm.to(at.run_loop),
        },
        "read_unlock(mmu_lock)",
    );
}

fn flag_test(asm: &mut Assembler, decisions: &Decisions, at: &Places) {
    let keep_exit_reason = decisions.exit_reason_on_flag == ExitReasonOnFlag::Kept;
    // A test hoisted above local_irq_disable() has nothing to undo.
    let hoisted = decisions.vcpu_flag_test == VcpuFlagTest::BeforeIrqDisable;
    let irqs_off = decisions.irq_disable == IrqDisable::BeforeModeStore;
    let to = asm.to(match decisions.flag_return {
        _ if hoisted => at.run_loop,
        FlagReturn::ReenterGuest if irqs_off && is_in_fastpath(decisions) => at.reenter,
        FlagReturn::ExitHandled | FlagReturn::ReenterGuest if irqs_off => at.out,
        _ => at.turned_back,
    });
    asm.line(
        Instr::TestFlag {
            to,
            keep_exit_reason,
        },
        "READ_ONCE(wait_for_sept_zap)?",
    );
}

/// Whether the flag is tested in the fastpath loop: only `tdx_vcpu_run()` has a fastpath's return value to give.
const fn is_in_fastpath(decisions: &Decisions) -> bool {
    matches!(
        decisions.vcpu_flag_test,
        VcpuFlagTest::InTdxVcpuRun | VcpuFlagTest::FirstLapOnly
    )
}

/// `kvm_vcpu_exit_request()`.
fn exit_request(asm: &mut Assembler, decisions: &Decisions, to: Label) {
    let request = Instr::ExitRequest {
        to: asm.to(to),
        sees_mode: decisions.exit_request == ExitRequest::ModeOrWork,
    };
    asm.line(request, "kvm_vcpu_exit_request()?");
}

fn irq_disable(asm: &mut Assembler) {
    asm.line(Instr::IrqDisable, "local_irq_disable()");
    asm.setting.irqs_off = true;
}

/// `__srcu_read_lock()` has an smp_mb() too (kernel/rcu/srcutree.c); a light flavour has not.
fn srcu_read_lock(asm: &mut Assembler, decisions: &Decisions) {
    if decisions.vcpu_barrier == VcpuBarrier::LightSrcu {
        asm.line(Instr::Nop, "srcu_read_lock_fast()");
    } else {
        asm.line(Instr::FullBarrier, "srcu_read_lock(): smp_mb()");
    }
}
