//! The protocol's code under loom, window by window.

mod common;

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::threads::{
    Bounds, FirstCall, Grain, Guest, LoomError, LoomReport, Memory, Order, Scenario, Scripted,
    Window, run_under_loom,
};

use Memory::{SequentiallyConsistent, Weak};

const ALL: Bounds = Bounds {
    executions: 100_000,
    preemptions: None,
};

const WINDOWS: [Window; 3] = [Window::Block, Window::Track, Window::Remove];

/// A changed decision, and whether the violation needs a weak memory.
const MUTANTS: [(&str, &str, bool); 14] = [
    ("flag_raise", "never", false),
    ("flag_raise", "after-kick", false),
    ("flag_clear", "before-retry", false),
    ("kick", "none", false),
    ("kick", "request-no-wait", false),
    ("kick", "vcpu-kick", false),
    ("vcpu_flag_test", "absent", false),
    ("vcpu_flag_test", "before-mode-store", false),
    ("vcpu_flag_test", "before-irq-disable", false),
    ("mode_outside", "before-vp-enter", false),
    ("irq_disable", "after-flag-test", false),
    ("vcpu_barrier", "absent", true),
    ("vcpu_barrier", "srcu-unlock-before-mode-store", true),
    ("kick_mode_read", "plain-load", true),
];

/// Changes that change nothing of the claim, and whether they change executions. A vCPU tests the flag on a later lap
/// only where it tries a BUSY entry again, as in patch v1; with one vCPU it never finds it up there.
const EQUIVALENT: [(&str, &str, &str, bool); 3] = [
    ("patch-v1", "vcpu_flag_test", "first-lap-only", false),
    ("6.16", "vp_enter_busy", "reenter-guest", true),
    ("6.16", "exit_request", "work-only", true),
];

fn decisions_of(kernel: &str) -> Decisions {
    common::profile(kernel)
        .expect("a built-in profile")
        .decisions
}

fn merged() -> Decisions {
    decisions_of("6.16")
}

fn changed(decision: &str, value: &str) -> Decisions {
    let mut decisions = merged();
    decisions.set(decision, value).expect("a known decision");
    decisions
}

fn claim(scenario: &Scenario, memory: Memory, bounds: Bounds) -> LoomReport {
    run_under_loom(scenario, memory, Property::NoSecondBusy, bounds).expect("a scenario for loom")
}

fn assert_complete(report: &LoomReport, what: &str) {
    assert!(!report.capped, "{what}: {} executions", report.executions);
    assert_eq!(report.gave_up, None, "{what}");
}

#[test]
fn the_claim_holds_in_every_window_on_a_weak_memory_with_locks_that_order_nothing() {
    for kernel in ["6.16", "patch-v1"] {
        for (window, weak, rmw) in [
            (Window::Block, 1_368, 829),
            (Window::Track, 31_591, 16_327),
            (Window::Remove, 788, 621),
        ] {
            for (memory, executions) in [(Weak, weak), (SequentiallyConsistent, rmw)] {
                let scenario = Scenario::of_window(decisions_of(kernel), window);
                let report = claim(&scenario, memory, ALL);
                let what = format!("{kernel} {window:?} {memory:?}");
                assert_complete(&report, &what);
                assert_eq!(report.violation, None, "{what}");
                assert_eq!(report.executions, executions, "{what}");
                assert_eq!(report.second_calls, executions, "{what}");
                assert!(report.turned_back > 0, "{what}");
            }
        }
    }
}

/// No mutex of loom's guards anything here, so no edge of one can stand in for a barrier.
#[test]
fn every_mutant_is_violated_in_every_window_on_a_weak_memory() {
    for (decision, value, _) in MUTANTS {
        for window in WINDOWS {
            let scenario = Scenario::of_window(changed(decision, value), window);
            let report = claim(&scenario, Weak, ALL);
            assert!(
                report.violation.is_some(),
                "{decision} = {value} {window:?}"
            );
        }
    }
}

#[test]
fn only_the_missing_barriers_need_a_weak_memory() {
    for (decision, value, needs_weak) in MUTANTS {
        for window in WINDOWS {
            let scenario = Scenario::of_window(changed(decision, value), window);
            let report = claim(&scenario, SequentiallyConsistent, ALL);
            let what = format!("{decision} = {value} {window:?}");
            assert_eq!(report.violation.is_none(), needs_weak, "{what}");
            assert_complete(&report, &what);
        }
    }
}

/// A barrier is not missed because the module's locks are weaker here than on x86.
#[test]
fn a_missing_barrier_is_found_whatever_the_locks_order() {
    for (decision, value, _) in MUTANTS.into_iter().filter(|(_, _, needs_weak)| *needs_weak) {
        for order in [Order::Relaxed, Order::AcqRel, Order::FullBarrier] {
            let mut scenario = Scenario::of_window(changed(decision, value), Window::Block);
            scenario.lock_words = order;
            let report = claim(&scenario, Weak, ALL);
            assert!(report.violation.is_some(), "{decision} = {value} {order:?}");
        }
    }
}

/// In a whole removal, where an entry can be BUSY, and with a look at the mode.
#[test]
fn equivalent_mutants_survive() {
    let bounds = Bounds {
        preemptions: Some(3),
        ..ALL
    };
    for (kernel, decision, value, is_other) in EQUIVALENT {
        let original = Scenario {
            first_call: FirstCall::Made,
            grain: Grain::Full,
            ..Scenario::of_window(decisions_of(kernel), Window::Whole)
        };
        let mut mutant = original;
        mutant.decisions.set(decision, value).expect("a decision");
        let [original, mutant] = [original, mutant].map(|scenario| claim(&scenario, Weak, bounds));
        assert_eq!(mutant.violation, None, "{decision} = {value}");
        assert_complete(&mutant, value);
        assert!(mutant.turned_back > 0 && mutant.second_calls > 0);
        let differs = mutant.executions != original.executions;
        assert_eq!(differs, is_other, "{decision} = {value}");
    }
}

/// What the guest meets there it meets before the kick or after the window: so the numbers are one and the same.
#[test]
fn the_claim_holds_whatever_the_guest_does() {
    for guest in Scripted::ALL
        .iter()
        .filter(|guest| **guest != Scripted::Vmcall)
    {
        let ends_by_interrupt = *guest == Scripted::Interrupt;
        for (window, executions) in [(Window::Block, 1_368), (Window::Remove, 788)] {
            let scenario = Scenario {
                guest: Guest::Script(guest.deeds()),
                ..Scenario::of_window(merged(), window)
            };
            let report = claim(&scenario, Weak, ALL);
            assert_complete(&report, guest.key());
            assert_eq!(report.violation, None, "{guest:?} {window:?}");
            let expected = if ends_by_interrupt { 2_207 } else { executions };
            assert_eq!(report.executions, expected, "{guest:?} {window:?}");
        }
    }
}

/// Begun in the guest, with a TDCALL to make: what is left of that lap, and another.
#[test]
fn a_whole_removal_that_finds_the_vcpu_in_its_guest_keeps_the_claim() {
    let bounds = Bounds {
        preemptions: Some(4),
        ..ALL
    };
    let scenario = |kernel: &str| Scenario {
        first_call: FirstCall::Made,
        guest: Guest::Once(Scripted::AttrRead.deeds()),
        in_guest: true,
        ..Scenario::of_window(decisions_of(kernel), Window::Whole)
    };
    for kernel in ["6.16", "patch-v1"] {
        let report = claim(&scenario(kernel), Weak, bounds);
        assert_complete(&report, kernel);
        assert_eq!(report.violation, None, "{kernel}");
        assert!(
            report.turned_back > 0 && report.second_calls > 0,
            "{kernel}"
        );
    }
    for (decision, value) in [("kick", "none"), ("kick", "request-no-wait")] {
        let mut broken = scenario("6.16");
        broken.decisions.set(decision, value).expect("a decision");
        let report = claim(&broken, Weak, bounds);
        assert!(report.violation.is_some(), "{decision} = {value}");
    }
}

#[test]
fn two_vcpus_keep_the_claim_up_to_two_preemptions() {
    let bounds = Bounds {
        preemptions: Some(2),
        ..ALL
    };
    for (window, executions) in [
        (Window::Block, 1_053),
        (Window::Track, 573),
        (Window::Remove, 983),
    ] {
        let mut scenario = Scenario::of_window(merged(), window);
        scenario.vcpus = 2;
        let report = claim(&scenario, Weak, bounds);
        assert_complete(&report, window.key());
        assert_eq!(report.violation, None, "{window:?}");
        assert_eq!(report.executions, executions, "{window:?}");
    }
}

#[test]
fn a_run_that_is_cut_short_says_so() {
    let scenario = Scenario::of_window(merged(), Window::Remove);
    let cut_at = |executions| claim(&scenario, Weak, Bounds { executions, ..ALL }).capped;
    assert!(cut_at(787));
    assert!(!cut_at(788));
}

#[test]
fn what_loom_can_not_run_is_refused_before_it_panics() {
    let mut many = Scenario::of_window(merged(), Window::Block);
    many.vcpus = 5;
    let refused = run_under_loom(&many, Weak, Property::NoSecondBusy, ALL);
    assert_eq!(
        refused,
        Err(LoomError::TooManyThreads { given: 5, most: 4 })
    );
    let free = Scenario::whole(merged(), 1, 1);
    let refused = run_under_loom(&free, Weak, Property::NoSecondBusy, ALL);
    assert_eq!(refused, Err(LoomError::Choices));
}
