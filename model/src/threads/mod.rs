//! The claim as code: KVM's and the module's functions, written once against a small [`Runtime`]
//! and run by loom on a weak memory.
//!
//! A first scenario: the window of TDH.MEM.TRACK, one zapper and one vCPU. What the packed model
//! asserts of the protocol's barriers is here left to the memory model of another engine.

mod interrupts;
mod kvm;
mod loom_rt;
mod loom_run;
mod module;
mod runtime;

pub use loom_rt::{Loom, LoomSc};
pub use loom_run::{LoomReport, Memory, run_under_loom};
pub use module::Status;
pub use runtime::{Bits, Flag, Mode, Order, Runtime};

use crate::kernel::decisions::Decisions;
use crate::kernel::unsupported::{Implemented, Unsupported, refuse_others};
use kvm::{KvmTdx, Lap};
use std::sync::Arc;

/// What this form implements.
const IMPLEMENTED: Implemented = &[
    ("flag_raise", &["before-kick", "never"]),
    ("flag_clear", &["after-retry"]),
    ("kick", &["request-wait", "request-no-wait", "none"]),
    ("kick_mode_read", &["locked-cmpxchg", "plain-load"]),
    ("vcpu_flag_test", &["in-tdx-vcpu-run", "absent"]),
    ("vcpu_barrier", &["srcu-unlock", "absent"]),
    ("mode_outside", &["after-vp-enter"]),
    ("irq_disable", &["before-mode-store"]),
    ("busy_predicate", &["masked"]),
    ("on_busy", &["kick-and-retry"]),
    ("track_kick", &["after-track"]),
    ("exit_request", &["mode-or-work"]),
    ("flag_return", &["exit-handled"]),
    ("vp_enter_busy", &["exit-handled"]),
    ("exit_reason_on_flag", &["kept"]),
];

/// How the window of TDH.MEM.TRACK is come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstCall {
    /// The first call is made; the window is entered when it happens to be busy.
    Made,
    /// The window is entered at once, wherever the vCPU is: a busy TDH.MEM.TRACK has changed
    /// nothing, so this is every way of entering it, without the executions that never do.
    WasBusy,
}

/// A scenario: the zapper in the window of TDH.MEM.TRACK, a vCPU going round its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackWindow {
    /// The protocol's decisions.
    pub decisions: Decisions,
    /// How often the vCPU goes round.
    pub laps: usize,
    /// How the window is come to.
    pub first_call: FirstCall,
    /// What the module's lock words order: Relaxed to prove, FullBarrier (x86) to refute.
    pub lock_words: Order,
}

impl TrackWindow {
    /// Refuses decisions that the code does not implement.
    ///
    /// # Errors
    /// Names the first such decision and its value.
    pub fn check(&self) -> Result<(), Unsupported> {
        refuse_others(IMPLEMENTED, &self.decisions)
    }
}

/// What one execution came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the second call returned, if one was made.
    pub second_call: Option<Status>,
    /// The flag turned the vCPU back at least once.
    pub turned_back: bool,
}

impl Outcome {
    /// The claim is violated.
    #[must_use]
    pub fn second_call_was_busy(self) -> bool {
        self.second_call == Some(Status::OperandBusy)
    }
}

/// One execution of a scenario, on the engine `R`: the zapper on this thread, the vCPU on another.
///
/// The decisions are taken as [`TrackWindow::check`]ed.
#[must_use]
pub fn claim_in_track_window<R: Runtime>(scenario: &TrackWindow) -> Outcome {
    let kvm_tdx = Arc::new(KvmTdx::<R>::new(scenario.decisions, 1, scenario.lock_words));
    let laps = scenario.laps;
    let vcpu = {
        let kvm_tdx = Arc::clone(&kvm_tdx);
        R::spawn(move || {
            let turned_back = |_: &usize| kvm_tdx.vcpu_enter_guest(0) == Lap::TurnedBack;
            (0..laps).filter(turned_back).count()
        })
    };
    let enters_window = match scenario.first_call {
        FirstCall::Made => kvm_tdx.first_track() == Status::OperandBusy,
        FirstCall::WasBusy => true,
    };
    let second_call = enters_window.then(|| kvm_tdx.retry_track());
    Outcome {
        second_call,
        turned_back: vcpu() > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Memory::{SequentiallyConsistent, Weak};

    const CAP: usize = 100_000;

    /// Changed decision, and whether the violation needs a weak memory.
    const MUTANTS: [(&str, &str, bool); 6] = [
        ("flag_raise", "never", false),
        ("kick", "none", false),
        ("kick", "request-no-wait", false),
        ("vcpu_flag_test", "absent", false),
        ("vcpu_barrier", "absent", true),
        ("kick_mode_read", "plain-load", true),
    ];

    fn as_merged(laps: usize, first_call: FirstCall, lock_words: Order) -> TrackWindow {
        TrackWindow {
            decisions: Decisions::first_of_each(),
            laps,
            first_call,
            lock_words,
        }
    }

    fn mutant(decision: &str, value: &str, lock_words: Order) -> TrackWindow {
        let mut scenario = as_merged(2, FirstCall::WasBusy, lock_words);
        scenario.decisions.set(decision, value).unwrap();
        scenario
    }

    #[test]
    fn the_claim_holds_on_a_weak_memory_with_locks_that_order_nothing() {
        for (laps, first_call, executions) in [
            (1, FirstCall::WasBusy, 142),
            (2, FirstCall::WasBusy, 1_368),
            (3, FirstCall::WasBusy, 6_546),
            (1, FirstCall::Made, 43),
            (2, FirstCall::Made, 682),
            (3, FirstCall::Made, 4_113),
        ] {
            let scenario = as_merged(laps, first_call, Order::Relaxed);
            let report = run_under_loom(&scenario, Weak, CAP).unwrap();
            assert!(
                !report.violated && !report.capped,
                "{laps} {first_call:?}: {report:?}"
            );
            assert!(report.second_calls > 0, "{laps} {first_call:?}: {report:?}");
            assert_eq!(report.executions, executions, "{laps} {first_call:?}");
        }
    }

    #[test]
    fn every_mutant_is_violated_on_a_weak_memory_whatever_the_locks_order() {
        for (decision, value, _) in MUTANTS {
            for order in [Order::Relaxed, Order::AcqRel, Order::FullBarrier] {
                let report = run_under_loom(&mutant(decision, value, order), Weak, CAP).unwrap();
                assert!(
                    report.violated,
                    "{decision} = {value}, {order:?}: {report:?}"
                );
            }
        }
    }

    #[test]
    fn the_claim_holds_when_memory_is_sequentially_consistent_and_the_search_complete() {
        for first_call in [FirstCall::WasBusy, FirstCall::Made] {
            let scenario = as_merged(2, first_call, Order::Relaxed);
            let report = run_under_loom(&scenario, SequentiallyConsistent, CAP).unwrap();
            assert!(
                !report.violated && !report.capped,
                "{first_call:?}: {report:?}"
            );
            assert!(
                report.second_calls > 0 && report.turned_back > 0,
                "{report:?}"
            );
        }
    }

    #[test]
    fn only_the_missing_barriers_need_a_weak_memory() {
        for (decision, value, needs_weak) in MUTANTS {
            let scenario = mutant(decision, value, Order::Relaxed);
            let report = run_under_loom(&scenario, SequentiallyConsistent, CAP).unwrap();
            assert_eq!(
                report.violated, !needs_weak,
                "{decision} = {value}: {report:?}"
            );
            assert!(!report.capped, "{decision} = {value}: {report:?}");
        }
    }

    #[test]
    fn a_run_that_is_cut_short_says_so() {
        let scenario = as_merged(1, FirstCall::WasBusy, Order::Relaxed);
        let run = |cap| run_under_loom(&scenario, Weak, cap).unwrap();
        assert!(run(141).capped);
        assert!(!run(142).capped);
    }

    #[test]
    fn a_decision_the_code_does_not_implement_is_refused() {
        let refused = run_under_loom(&mutant("kick", "vcpu-kick", Order::Relaxed), Weak, CAP);
        assert_eq!(
            refused,
            Err(Unsupported {
                decision: "kick",
                value: "vcpu-kick"
            })
        );
    }
}
