//! The zapper: `tdx_sept_remove_private_spte()` and what it calls (arch/x86/kvm/vmx/tdx.c, 6.16).
//!
//! BLOCK, TRACK, kick, REMOVE; each SEAMCALL has a window of its own: try, and when it is busy,
//! raise `wait_for_sept_zap`, kick, call once more, lower the flag. The second call is the same
//! SEAMCALL from its first step on; only the line it returns to differs.

use super::assembler::{Assembler, Label, Program};
use super::instr::{CallSite, Instr, KickStep};
use crate::kernel::decisions::{FlagClear, FlagRaise, Kick, KickModeRead, OnBusy, TrackKick};
use crate::kernel::{Decisions, KvmHeld};
use crate::module::LeafId;
use crate::resource::{KvmLock, KvmMode};

const TDX: &str = "arch/x86/kvm/vmx/tdx.c";
const KVM_MAIN: &str = "virt/kvm/kvm_main.c";

/// The three SEAMCALLs of a page removal.
#[derive(Clone, Copy, Debug)]
pub struct ZapLeaves {
    /// TDH.MEM.RANGE.BLOCK.
    pub block: LeafId,
    /// TDH.MEM.TRACK.
    pub track: LeafId,
    /// TDH.MEM.PAGE.REMOVE.
    pub remove: LeafId,
}

/// The zapper's program under the given decisions; `locks` are held around the whole removal. Where
/// KVM `premaps`, TDH.MEM.RANGE.BLOCK may fail for a page that was not added yet.
#[must_use]
pub fn program(decisions: &Decisions, leaves: ZapLeaves, locks: KvmHeld, premaps: bool) -> Program {
    let mut asm = Assembler::default();
    let (begin, finish, runnable) = (asm.label(), asm.label(), asm.label());
    let unlock = asm.label();
    let freeze = freezes(locks);
    let whole = decisions.flag_raise == FlagRaise::AroundAllThree;

    asm.place(begin);
    asm.function("kvm_tdp_mmu_unmap_gfn_range", "arch/x86/kvm/mmu/tdp_mmu.c");
    asm.line(Instr::BeginZap { locks }, "write_lock(mmu_lock)");
    asm.setting.held = locks;
    let gone = asm.to(unlock);
    asm.line(
        Instr::RemoveMirrorSpte { freeze, gone },
        "remove the mirror SPTE",
    );
    if whole {
        start(&mut asm, decisions);
    }

    let block = NoFail {
        leaf: leaves.block,
        function: "tdx_sept_zap_private_spte",
        is_first: true,
    };
    let premap = premaps.then_some(finish);
    window(&mut asm, decisions, block, finish, premap);

    asm.function("tdx_track", TDX);
    asm.line(
        Instr::UnlessRunnable {
            to: asm.to(runnable),
        },
        "state != TD_STATE_RUNNABLE?",
    );
    let track = NoFail {
        leaf: leaves.track,
        function: "tdx_track",
        is_first: false,
    };
    window(&mut asm, decisions, track, finish, None);
    if decisions.track_kick == TrackKick::AfterTrack {
        kick(&mut asm, decisions);
    }
    asm.place(runnable);

    let remove = NoFail {
        leaf: leaves.remove,
        function: "tdx_sept_drop_private_spte",
        is_first: false,
    };
    window(&mut asm, decisions, remove, finish, None);

    asm.place(finish);
    if whole {
        stop(&mut asm, decisions);
    }
    asm.function("kvm_tdp_mmu_unmap_gfn_range", "arch/x86/kvm/mmu/tdp_mmu.c");
    if freeze {
        asm.line(Instr::ThawMirrorSpte, "the mirror SPTE is not present");
    }
    asm.place(unlock);
    asm.line(
        Instr::Unlock { to: asm.to(begin) },
        "write_unlock(mmu_lock)",
    );
    asm.finish()
}

/// Whether a removal under these locks freezes the mirror SPTE, as KVM does wherever it zaps without
/// mmu_lock for write (`tdp_mmu_zap_spte_atomic`; never upstream for a mirror SPTE).
#[must_use]
pub const fn freezes(locks: KvmHeld) -> bool {
    !locks.has_mode(KvmLock::MmuLock, KvmMode::Write)
}

/// A SEAMCALL that KVM can not let fail, and the function it stands in.
#[derive(Clone, Copy)]
struct NoFail {
    leaf: LeafId,
    function: &'static str,
    /// TDH.MEM.RANGE.BLOCK.
    is_first: bool,
}

/// One SEAMCALL that must succeed in the end. `premap` is where a tolerated premap error goes on.
fn window(
    asm: &mut Assembler,
    decisions: &Decisions,
    call: NoFail,
    give_up: Label,
    premap: Option<Label>,
) {
    let (done, ignored, leaf) = (asm.label(), asm.label(), call.leaf);
    asm.function(call.function, TDX);
    if decisions.flag_raise == FlagRaise::AroundAllThree {
        asm.line(
            Instr::Call {
                leaf,
                site: CallSite::NoFail,
            },
            "SEAMCALL",
        );
    } else {
        let attempt = asm.label();
        asm.place(attempt);
        asm.line(
            Instr::Call {
                leaf,
                site: CallSite::Attempt,
            },
            "SEAMCALL",
        );
        asm.line(
            Instr::UnlessBusy {
                leaf,
                to: asm.to(done),
            },
            "busy?",
        );
        match decisions.on_busy {
            OnBusy::KickAndRetry => retry(asm, decisions, call),
            OnBusy::GiveUp => {
                let to = asm.to(give_up);
                asm.line(Instr::GiveUp { to }, "return -EAGAIN");
            }
            OnBusy::Ignore => go_on(asm, ignored),
            OnBusy::BlockEagainIgnored if call.is_first => go_on(asm, ignored),
            OnBusy::BlockEagainIgnored | OnBusy::RetryWithoutKick => {
                let to = asm.to(attempt);
                asm.line(Instr::Jump { to }, "while (busy)");
            }
        }
    }
    asm.place(done);
    asm.function(call.function, TDX);
    if let Some(finish) = premap {
        asm.line(
            Instr::UnlessPremapError { to: asm.to(finish) },
            "tdx_is_sept_zap_err_due_to_premap()?",
        );
    }
    asm.line(Instr::BugOn, "KVM_BUG_ON(err, kvm)");
    asm.place(ignored);
}

/// `return -EAGAIN`, and the caller goes on as if nothing had been.
fn go_on(asm: &mut Assembler, next: Label) {
    let to = asm.to(next);
    asm.line(Instr::GiveUp { to }, "return -EAGAIN, ignored");
}

/// `tdx_no_vcpus_enter_start()`, the second call, `tdx_no_vcpus_enter_stop()`.
fn retry(asm: &mut Assembler, decisions: &Decisions, call: NoFail) {
    let skip_stop = asm.label();
    start(asm, decisions);
    if decisions.flag_clear == FlagClear::BeforeRetry {
        stop(asm, decisions);
    }
    asm.function(call.function, TDX);
    asm.line(
        Instr::Call {
            leaf: call.leaf,
            site: CallSite::NoFail,
        },
        "SEAMCALL",
    );
    match decisions.flag_clear {
        FlagClear::BeforeRetry => {}
        FlagClear::AfterRetry => stop(asm, decisions),
        FlagClear::OnlyOnSuccess => {
            asm.line(
                Instr::IfError {
                    to: asm.to(skip_stop),
                },
                "if (err) return, flag left up",
            );
            stop(asm, decisions);
        }
    }
    asm.place(skip_stop);
}

fn start(asm: &mut Assembler, decisions: &Decisions) {
    let raise = |asm: &mut Assembler| {
        asm.function("tdx_no_vcpus_enter_start", TDX);
        asm.line(
            Instr::StoreFlag { value: true },
            "WRITE_ONCE(wait_for_sept_zap, true)",
        );
        asm.setting.flag_window = true;
    };
    match decisions.flag_raise {
        FlagRaise::BeforeKick | FlagRaise::AroundAllThree => {
            raise(asm);
            kick(asm, decisions);
        }
        FlagRaise::AfterKick => {
            kick(asm, decisions);
            raise(asm);
        }
        // The bits are set by the kick itself, as it walks the vCPUs.
        FlagRaise::RequestBit => {
            asm.setting.flag_window = true;
            kick(asm, decisions);
        }
        FlagRaise::Never => kick(asm, decisions),
    }
}

fn stop(asm: &mut Assembler, decisions: &Decisions) {
    if !asm.setting.flag_window {
        return;
    }
    if decisions.flag_raise == FlagRaise::RequestBit {
        asm.function("tdx_no_vcpus_enter_stop", TDX);
        asm.line(Instr::ClearRequests, "kvm_clear_request() on every vCPU");
        asm.setting.flag_window = false;
        return;
    }
    asm.function("tdx_no_vcpus_enter_stop", TDX);
    asm.line(
        Instr::StoreFlag { value: false },
        "WRITE_ONCE(wait_for_sept_zap, false)",
    );
    asm.setting.flag_window = false;
}

/// `kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE)`, or what a decision puts in its place.
fn kick(asm: &mut Assembler, decisions: &Decisions) {
    let function = match decisions.kick {
        Kick::None => return,
        Kick::VcpuKick => "kvm_vcpu_kick",
        Kick::RequestWait | Kick::RequestWaitInGuestOnly | Kick::RequestNoWait => {
            "kvm_make_all_cpus_request"
        }
    };
    asm.function(function, KVM_MAIN);
    let read = match decisions.kick_mode_read {
        KickModeRead::LockedCmpxchg => "cmpxchg(mode, IN, EXITING)",
        KickModeRead::CpuBeforeMode => "READ_ONCE(cpu); cmpxchg(mode, IN, EXITING)",
        KickModeRead::PlainLoad => "READ_ONCE(mode)",
    };
    asm.line(
        Instr::Kick {
            step: KickStep::Visit,
        },
        read,
    );
    asm.line(
        Instr::Kick {
            step: KickStep::Send,
        },
        "smp_call_function_many(ack_kick)",
    );
    if decisions.kick.waits() {
        asm.line(
            Instr::Kick {
                step: KickStep::Wait,
            },
            "csd_lock_wait(): all acknowledged",
        );
    }
    asm.line(
        Instr::Kick {
            step: KickStep::End,
        },
        "put_cpu()",
    );
}
