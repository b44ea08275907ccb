//! Every value of every decision is code: what each leads to, under loom and under shuttle.

mod common;

use common::Outcome;
use common::code::model_of;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::threads::{
    Bounds, Budget, Entry, LoomReport, Memory, Scenario, Strategy, Window, conformance,
    run_under_loom, run_under_shuttle,
};

use Memory::{SequentiallyConsistent, Weak};

const WINDOWS: [Window; 3] = [Window::Block, Window::Track, Window::Remove];

fn decided(changes: &[(&str, &str)]) -> Outcome<Decisions> {
    let mut decisions = common::profile("6.16")?.decisions;
    for (decision, value) in changes {
        decisions.set(decision, value)?;
    }
    Ok(decisions)
}

fn claim(scenario: &Scenario, memory: Memory) -> Outcome<LoomReport> {
    let bounds = Bounds {
        executions: 200_000,
        preemptions: None,
    };
    let report = run_under_loom(scenario, memory, Property::NoSecondBusy, bounds)?;
    assert!(!report.capped && report.gave_up.is_none(), "{report:?}");
    Ok(report)
}

#[test]
fn no_value_of_a_decision_is_refused() -> Outcome<()> {
    for decision in Decisions::NAMES {
        for (value, _) in Decisions::values(decision) {
            let scenario = Scenario::of_window(decided(&[(decision, value)])?, Window::Block);
            assert_eq!(scenario.check(), Ok(()), "{decision} = {value}");
        }
    }
    Ok(())
}

/// M33: whoever sleeps on the flag does not enter.
#[test]
fn a_vcpu_that_sleeps_on_the_flag_keeps_the_claim() -> Outcome<()> {
    for value in ["sleep", "sleep-woken"] {
        for window in WINDOWS {
            let scenario = Scenario::of_window(decided(&[("flag_return", value)])?, window);
            let report = claim(&scenario, Weak)?;
            assert_eq!(report.violation, None, "{value} {window:?}");
            assert!(report.turned_back > 0 && report.second_calls > 0);
        }
    }
    Ok(())
}

/// M32: interrupts are off while the flag is tested again and again. A vCPU that comes back between the
/// kick's look at its mode and the IPI has stored IN_GUEST_MODE over EXITING_GUEST_MODE, so the look at mode
/// in between does not help: it waits for the zapper, and the zapper for it. The packed model says the same
/// (`check run M32`).
#[test]
fn a_vcpu_that_tests_the_flag_again_with_interrupts_off_hangs() -> Outcome<()> {
    for exit_request in ["mode-or-work", "work-only"] {
        let changes = [
            ("flag_return", "reenter-guest"),
            ("exit_request", exit_request),
        ];
        let scenario = Scenario::of_window(decided(&changes)?, Window::Block);
        let bounds = Bounds {
            executions: 200_000,
            preemptions: None,
        };
        let report = run_under_loom(&scenario, Weak, Property::NoSecondBusy, bounds)?;
        assert_eq!(report.violation, None, "{exit_request}");
        assert!(report.gave_up.is_some(), "{exit_request}");
    }
    Ok(())
}

/// M18: the kick reads `vcpu->cpu` while the store of the flag waits.
#[test]
fn a_cpu_read_before_mode_gets_the_ipi_of_a_vcpu_that_has_moved() -> Outcome<()> {
    for (value, memory, falls) in [
        ("cpu-before-mode", Weak, true),
        ("cpu-before-mode", SequentiallyConsistent, false),
        ("locked-cmpxchg", Weak, false),
        ("locked-cmpxchg", SequentiallyConsistent, false),
    ] {
        let mut scenario =
            Scenario::of_window(decided(&[("kick_mode_read", value)])?, Window::Block);
        scenario.migrate = true;
        let report = claim(&scenario, memory)?;
        assert_eq!(report.violation.is_some(), falls, "{value} {memory:?}");
    }
    Ok(())
}

/// M31: without a vCPU to walk the kick is no barrier.
#[test]
fn a_vcpu_created_during_the_kick_enters_on_a_weak_memory_only() -> Outcome<()> {
    for (memory, falls) in [(Weak, true), (SequentiallyConsistent, false)] {
        let mut scenario = Scenario::of_window(decided(&[])?, Window::Block);
        scenario.late = true;
        let report = claim(&scenario, memory)?;
        assert_eq!(report.violation.is_some(), falls, "{memory:?}");
    }
    Ok(())
}

/// M30: a vCPU that is created meanwhile has no bit of its own set.
#[test]
fn a_request_bit_of_each_vcpu_misses_one_that_is_created_meanwhile() -> Outcome<()> {
    let rfc = common::profile("rfc-request-bit")?.decisions;
    for (late, falls) in [(false, false), (true, true)] {
        for memory in [Weak, SequentiallyConsistent] {
            let mut scenario = Scenario::of_window(rfc, Window::Block);
            scenario.late = late;
            let report = claim(&scenario, memory)?;
            assert_eq!(report.violation.is_some(), falls, "{late} {memory:?}");
            assert!(late || report.turned_back > 0);
        }
    }
    Ok(())
}

/// M39: nothing is left to claim, and nothing to see.
#[test]
fn without_flag_and_kick_there_is_no_second_call() -> Outcome<()> {
    for value in ["retry-without-kick", "ignore", "block-eagain-ignored"] {
        let scenario = Scenario::of_window(decided(&[("on_busy", value)])?, Window::Block);
        let report = claim(&scenario, Weak)?;
        assert_eq!(
            (report.violation, report.second_calls),
            (None, 0),
            "{value}"
        );
    }
    Ok(())
}

/// M15 and G1: the removal goes on after a BLOCK or TRACK that was not done.
#[test]
fn an_ignored_busy_ends_in_a_remove_that_is_refused() -> Outcome<()> {
    let code = Scenario::whole(decided(&[("on_busy", "ignore")])?, 2, 3);
    for property in [Property::TrackedRemove, Property::NoBugOn] {
        let budget = Budget {
            strategy: Strategy::Random,
            schedules: 5_000,
            seed: 1,
        };
        let report = run_under_shuttle(&code, property, &budget, |_| Ok(()))?;
        assert!(report.violation.is_some(), "{property:?}");
    }
    Ok(())
}

/// Under shuttle each of them stays inside the packed model that has made the same choice.
#[test]
fn each_value_of_a_decision_is_inside_its_own_model() -> Outcome<()> {
    let plain = scenario::Scenario::default();
    let moving = scenario::Scenario {
        migrate: true,
        ..plain.clone()
    };
    for (changes, scenario) in [
        (&[("flag_return", "reenter-guest")][..], &plain),
        (&[("flag_return", "sleep")], &plain),
        (&[("flag_return", "sleep-woken")], &plain),
        (
            &[
                ("flag_return", "sleep"),
                ("vcpu_flag_test", "before-mode-store"),
            ],
            &plain,
        ),
        (&[("on_busy", "ignore")], &plain),
        (&[("on_busy", "block-eagain-ignored")], &plain),
        (&[("on_busy", "retry-without-kick")], &plain),
        (&[("busy_predicate", "sept-busy-track-masked")], &plain),
        (&[("kick_mode_read", "cpu-before-mode")], &plain),
        (&[("kick_mode_read", "cpu-before-mode")], &moving),
        (&[], &moving),
    ] {
        let decisions = decided(changes)?;
        let scenario = scenario::Scenario {
            vcpus: 2,
            ..scenario.clone()
        };
        let code = Scenario {
            migrate: scenario.migrate,
            ..Scenario::whole(decisions, 2, 3)
        };
        let model = model_of("1.5.05", decisions, scenario)?;
        let oracle = move |journal: &[Entry]| {
            conformance::check(&model, journal).map_err(|found| found.to_string())
        };
        let budget = Budget {
            strategy: Strategy::Random,
            schedules: 500,
            seed: 1,
        };
        // A property of the end: no schedule breaks it, so none is cut short.
        let report = run_under_shuttle(&code, Property::ZapFinishes, &budget, oracle)?;
        assert_eq!(report.objection, None, "{changes:?}");
        assert_eq!(
            (report.schedules, report.failed),
            (500, None),
            "{changes:?}"
        );
    }
    Ok(())
}
