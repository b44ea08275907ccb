//! What one run of the code is about.

use super::module::Version;
use super::runtime::{Order, Runtime};
use crate::closed_enum::closed_enum;
use crate::kernel::decisions::Decisions;
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

/// Something the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// TDG.MEM.PAGE.ACCEPT.
    Accept,
    /// TDG.MEM.PAGE.ATTR.RD.
    AttrRead,
    /// TDG.MEM.PAGE.ATTR.WR.
    AttrWrite,
    /// An access, which faults if the entry is FREE or blocked; the fault may be the one that arms
    /// 0-step.
    Access {
        /// It is.
        arms: bool,
    },
    /// TDG.VP.VMCALL, with or without progress of RIP since the last entry.
    Vmcall {
        /// With.
        progress: bool,
    },
    /// An interrupt ends the guest: the kick's, if it is pending.
    Interrupt {
        /// See [`Deed::Vmcall`].
        progress: bool,
    },
}

/// What the guest does each time it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// These deeds, and then TDG.VP.VMCALL without progress.
    Script(&'static [Deed]),
    /// Whatever the engine chooses, before and between entries too.
    Any,
}

/// What a free guest chooses from, by number.
pub(super) const CHOICES: [Deed; 9] = [
    Deed::Accept,
    Deed::AttrRead,
    Deed::AttrWrite,
    Deed::Access { arms: false },
    Deed::Access { arms: true },
    Deed::Vmcall { progress: false },
    Deed::Vmcall { progress: true },
    Deed::Interrupt { progress: false },
    Deed::Interrupt { progress: true },
];

impl Guest {
    pub(super) fn deed<R: Runtime>(&self, step: usize) -> Deed {
        match self {
            Self::Script(deeds) => {
                let last = Deed::Vmcall { progress: false };
                deeds.get(step).copied().unwrap_or(last)
            }
            Self::Any => CHOICES[usize::from(R::choose(CHOICES.len() as u8)) % CHOICES.len()],
        }
    }
}

/// A scenario: one zapper, some vCPUs, one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The protocol's decisions.
    pub decisions: Decisions,
    /// The TDX module's version.
    pub module: Version,
    /// How many vCPUs.
    pub vcpus: usize,
    /// How often each goes round `vcpu_run()`.
    pub laps: usize,
    /// What the zapper does.
    pub window: Window,
    /// How many pages it removes, where it removes whole pages: one after the other, each once a fault
    /// has mapped it again.
    pub zaps: usize,
    /// How it comes to its window; the whole removal makes all its calls.
    pub first_call: FirstCall,
    /// What the guests do.
    pub guest: Guest,
    /// 0-step is armed on every vCPU at the start.
    pub zero_step_armed: bool,
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
            vcpus: 1,
            laps: 2,
            window,
            zaps: 1,
            first_call: FirstCall::WasBusy,
            guest: Guest::Script(match window {
                Window::Track => &[],
                _ => &[Deed::AttrRead],
            }),
            zero_step_armed: false,
            migrate: false,
            late: false,
            foreign_kick: false,
            lock_words: Order::Relaxed,
            grain: Grain::Contended,
        }
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

    /// The first TD_EPOCH is 1; a page that was never blocked has BEPOCH 0.
    pub(super) const fn prepared(&self) -> Prepared {
        let (entry, td_epoch, bepoch) = match self.window {
            Window::Block | Window::Whole => (EntryState::Mapped, 1, 0),
            Window::Track => (EntryState::Blocked, 1, 1),
            Window::Remove => (EntryState::Blocked, 2, 1),
        };
        Prepared {
            entry,
            marked: matches!(self.first_call, FirstCall::WasBusyOnEntry),
            td_epoch,
            bepoch,
            mirror_present: matches!(self.window, Window::Whole),
        }
    }
}
