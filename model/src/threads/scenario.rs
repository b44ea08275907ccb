//! What one run of the code is about.

use super::beside::Beside;
use super::guest::{Guest, Scripted};
use super::module::Version;
use super::runtime::Order;
use super::zappers::Zappers;
use crate::closed_enum::closed_enum;
use crate::kernel::KvmHeld;
use crate::kernel::decisions::{Decisions, FlagRaise, FlagReturn};
use crate::kernel::unsupported::{Implemented, Unsupported, is_implemented, refuse_others};
use crate::system::state::EntryState;

/// What the code implements.
const IMPLEMENTED: Implemented = &[
    (
        "flag_raise",
        &[
            "before-kick",
            "after-kick",
            "around-all-three",
            "never",
            "request-bit",
        ],
    ),
    (
        "flag_clear",
        &["after-retry", "before-retry", "only-on-success"],
    ),
    (
        "kick",
        &[
            "request-wait",
            "request-wait-in-guest-only",
            "request-no-wait",
            "vcpu-kick",
            "none",
        ],
    ),
    (
        "kick_mode_read",
        &["locked-cmpxchg", "cpu-before-mode", "plain-load"],
    ),
    (
        "vcpu_flag_test",
        &[
            "in-tdx-vcpu-run",
            "first-lap-only",
            "before-mode-store",
            "before-irq-disable",
            "absent",
        ],
    ),
    (
        "vcpu_barrier",
        &[
            "srcu-unlock",
            "absent",
            "srcu-unlock-before-mode-store",
            "light-srcu",
        ],
    ),
    ("mode_outside", &["after-vp-enter", "before-vp-enter"]),
    ("irq_disable", &["before-mode-store", "after-flag-test"]),
    (
        "busy_predicate",
        &[
            "masked",
            "bit-test",
            "sept-busy",
            "sept-busy-track-masked",
            "unmasked",
            "masked-or-epoch-busy",
        ],
    ),
    (
        "on_busy",
        &[
            "kick-and-retry",
            "give-up",
            "block-eagain-ignored",
            "ignore",
            "retry-without-kick",
        ],
    ),
    ("track_kick", &["after-track", "absent"]),
    ("exit_request", &["mode-or-work", "work-only"]),
    (
        "flag_return",
        &["exit-handled", "reenter-guest", "sleep", "sleep-woken"],
    ),
    ("vp_enter_busy", &["exit-handled", "reenter-guest"]),
    ("exit_reason_on_flag", &["kept", "undefined"]),
];

/// Whether the code obeys this value of this decision, both spelled as in the data files.
#[must_use]
pub fn implements(decision: &str, value: &str) -> bool {
    is_implemented(IMPLEMENTED, decision, value)
}

closed_enum! { "window",
    /// What the zapper does.
    pub enum Window {
        Block = "block": "TDH.MEM.RANGE.BLOCK, from a page that is mapped",
        Track = "track": "TDH.MEM.TRACK and the kick that follows it, from a page that is blocked",
        Remove = "remove": "TDH.MEM.PAGE.REMOVE, from a page that is blocked and tracked",
        Whole = "whole": "the whole page removal, from a page that is mapped",
    }
}

/// How a window is come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstCall {
    /// The first call is made; the window is entered when it happens to be busy.
    Made,
    /// The window is entered at once, wherever the vCPUs are: a call that was busy has changed nothing
    /// but TDHP, so with [`Self::WasBusyOnEntry`] this is every way of entering it, without the
    /// executions that never do.
    WasBusy,
    /// The same, and the call has left TDHP set: it was busy on the S-EPT entry.
    WasBusyOnEntry,
}

/// How much of the code there is to interleave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Every lock is a word, and `kvm_vcpu_exit_request()` looks at the mode.
    Full,
    /// Without the words of locks that everybody takes shared (TDR, OP_STATE, TDVPR) or that one
    /// thread alone takes (the page's PAMT): no attempt on them fails, no holder is noticed, and
    /// with [`Order::Relaxed`] they order nothing. And without `kvm_vcpu_exit_request()`, unless a decision
    /// rests on it: a vCPU that sees EXITING_GUEST_MODE early does what one turned back by the flag does.
    Contended,
}

/// A scenario: some vCPUs, one zapper and one page, or two zappers that remove a page each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The protocol's decisions.
    pub decisions: Decisions,
    /// The TDX module's version.
    pub module: Version,
    /// Who removes pages. Two are in one window only where mmu_lock for write does not keep them apart.
    pub zappers: Zappers,
    /// How many vCPUs.
    pub vcpus: usize,
    /// How often each goes round `vcpu_run()`.
    pub laps: usize,
    /// What the zapper does.
    pub window: Window,
    /// How often a zapper removes its page, where it removes whole pages: again once a fault has mapped it
    /// again.
    pub zaps: usize,
    /// How it comes to its window; the whole removal makes all its calls.
    pub first_call: FirstCall,
    /// What the guests do.
    pub guest: Guest,
    /// 0-step is armed on every vCPU at the start.
    pub zero_step_armed: bool,
    /// Every vCPU is in its guest when the zapper begins: its first lap is what is left of one.
    pub in_guest: bool,
    /// A vCPU may come back on another CPU, between two laps. One with a script does each time.
    pub migrate: bool,
    /// vCPUs are created after the start, at any time: what KVM refuses once the TD is finalized.
    pub late: bool,
    /// A thread that is no zapper's kicks each vCPU: once, or once for each lap where the guest is free.
    pub foreign_kick: bool,
    /// What the module's lock words order: Relaxed to prove, FullBarrier (x86) to refute.
    pub lock_words: Order,
    /// See [`Grain`].
    pub grain: Grain,
    /// Who else there is.
    pub beside: Beside,
}

/// The state a window starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) entry: EntryState,
    /// TDHP.
    pub(super) marked: bool,
    pub(super) td_epoch: u64,
    pub(super) bepoch: u64,
    pub(super) mirror_present: bool,
}

impl Scenario {
    /// One vCPU that goes round twice, the window entered at once, lock words that order nothing.
    #[must_use]
    pub const fn of_window(decisions: Decisions, window: Window) -> Self {
        Self {
            decisions,
            module: Version::V1_5_05,
            zappers: Zappers::ONE,
            vcpus: 1,
            laps: 2,
            window,
            zaps: 1,
            first_call: FirstCall::WasBusy,
            guest: Guest::Script(Scripted::of_window(window).deeds()),
            zero_step_armed: false,
            in_guest: false,
            migrate: false,
            late: false,
            foreign_kick: false,
            lock_words: Order::Relaxed,
            grain: Grain::Contended,
            beside: Beside::NOBODY,
        }
    }

    /// Whether a vCPU goes through `kvm_vcpu_exit_request()`; see [`Grain`].
    pub(super) const fn has_exit_request(&self) -> bool {
        matches!(self.grain, Grain::Full)
            || matches!(self.decisions.flag_raise, FlagRaise::RequestBit)
            || matches!(self.decisions.flag_return, FlagReturn::ReenterGuest)
    }

    /// The whole removal, every lock a word, the guest free: for engines with schedules of their own.
    #[must_use]
    pub const fn whole(decisions: Decisions, vcpus: usize, laps: usize) -> Self {
        Self {
            vcpus,
            laps,
            first_call: FirstCall::Made,
            guest: Guest::Any,
            grain: Grain::Full,
            lock_words: Order::FullBarrier,
            ..Self::of_window(decisions, Window::Whole)
        }
    }

    /// Refuses decisions that the code does not implement.
    ///
    /// # Errors
    /// Names the first such decision and its value.
    pub fn check(&self) -> Result<(), Unsupported> {
        refuse_others(IMPLEMENTED, &self.decisions)
    }

    /// The whole removal, first calls made, every interleaving of it: for loom, beside an ioctl.
    #[must_use]
    pub const fn beside_ioctls(decisions: Decisions, beside: Beside) -> Self {
        Self {
            vcpus: 0,
            laps: 1,
            first_call: FirstCall::Made,
            beside,
            ..Self::of_window(decisions, Window::Whole)
        }
    }

    /// How many vCPUs have a thread: KVM_RUN is refused before the TD is finalized.
    pub(super) const fn running_vcpus(&self) -> usize {
        if self.beside.finalized { self.vcpus } else { 0 }
    }

    /// How many vCPUs and ioctls have a thread.
    pub(super) fn others(&self) -> usize {
        self.running_vcpus() + self.beside.ioctls().count()
    }

    /// How many threads there are, the zappers' among them, and who else kicks.
    pub(super) fn threads(&self) -> usize {
        self.zappers.count() + self.others() + usize::from(self.foreign_kick)
    }

    /// The KVM locks around a page removal.
    pub(super) fn zap_locks(&self) -> KvmHeld {
        if self.beside == Beside::NOBODY {
            self.zappers.locks()
        } else {
            self.beside.zap
        }
    }

    /// The first TD_EPOCH is 1; a page that was never blocked has BEPOCH 0.
    pub(super) const fn prepared(&self) -> Prepared {
        let (entry, td_epoch, bepoch) = match self.window {
            Window::Block | Window::Whole => (EntryState::Mapped, 1, 0),
            Window::Track => (EntryState::Blocked, 1, 1),
            Window::Remove => (EntryState::Blocked, 2, 1),
        };
        let there = self.beside.populated;
        Prepared {
            entry: if there { entry } else { EntryState::Free },
            marked: matches!(self.first_call, FirstCall::WasBusyOnEntry),
            td_epoch,
            bepoch,
            mirror_present: there && matches!(self.window, Window::Whole),
        }
    }
}
