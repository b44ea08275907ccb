//! What the actors do not have.

use crate::actors::message::MAX_VCPUS;
use crate::kernel::unsupported::{Implemented, Unsupported, is_implemented};
use crate::scenario::Scenario;

/// A question that this form does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The scenario has something that the actors do not have.
    #[error("the actor model has no {what}; {remedy}")]
    NotThere {
        /// What.
        what: &'static str,
        /// How to ask instead.
        remedy: &'static str,
    },
    /// A decision has a value that the actors do not have.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The lock table lacks a leaf.
    #[error("lock table {table} has no row for {leaf}, which {agent} issues")]
    MissingLeaf {
        /// The lock table.
        table: String,
        /// The leaf.
        leaf: &'static str,
        /// The actor.
        agent: &'static str,
    },
}

/// What the actors implement: everything but what only older kernels had, and M15, M18 and M30.
pub(super) const IMPLEMENTED: Implemented = &[
    (
        "flag_raise",
        &["before-kick", "after-kick", "around-all-three", "never"],
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
    ("kick_mode_read", &["locked-cmpxchg", "plain-load"]),
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
        &["kick-and-retry", "give-up", "retry-without-kick"],
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

/// Whether the actors obey this value of this decision, both spelled as in the data files.
#[must_use]
pub fn implements(decision: &str, value: &str) -> bool {
    is_implemented(IMPLEMENTED, decision, value)
}

pub(super) fn refuse(scenario: &Scenario) -> Result<(), SetupError> {
    let not_there = |what, remedy| Err(SetupError::NotThere { what, remedy });
    if scenario.vcpus == 0 || scenario.vcpus > MAX_VCPUS {
        return not_there("room for that many vCPUs", "ask for 1 to 4");
    }
    if scenario.pages != 1 {
        return not_there("second page", "ask for one page, or the packed model");
    }
    if !scenario.threads.is_empty() {
        return not_there("ioctl threads", "ask the packed model");
    }
    if !scenario.finalized {
        return not_there(
            "TD that is not finalized",
            "ask the packed model: no vCPU runs before TDH.MR.FINALIZE",
        );
    }
    let more = [
        (scenario.inodes != 1, "second inode"),
        (!scenario.zap.is_empty(), "other zapper than the profile's"),
        (scenario.zappers != 1, "second zapper"),
        (scenario.migrate, "CPU that a vCPU could move to"),
        (scenario.late, "vCPU that is created later"),
        (scenario.host_priority_timeout, "HP_LOCK_TIMEOUT"),
    ];
    match more.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => not_there(what, "ask the packed model"),
        None => Ok(()),
    }
}
