//! loom's executions, each held against the packed model.

mod common;

use common::Outcome;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::threads::conformance::{Conformance, Fit, Held};
use seamcheck_model::threads::{
    Bounds, Event, FirstCall, Guest, LoomReport, Memory, Order, Scenario, Scripted, Version,
    Window, run_under_loom_held,
};

use FirstCall::{WasBusy, WasBusyOnEntry};
use Memory::{SequentiallyConsistent, Weak};
use Window::{Block, Remove, Track};

const ALL: Bounds = Bounds {
    executions: 100_000,
    preemptions: None,
};

const WINDOWS: [Window; 3] = [Block, Track, Remove];

fn merged() -> Outcome<Decisions> {
    Ok(common::profile("6.16")?.decisions)
}

fn changed(decision: &str, value: &str) -> Outcome<Decisions> {
    let mut decisions = merged()?;
    decisions.set(decision, value)?;
    Ok(decisions)
}

/// The code of a scenario, held against the model of other decisions.
fn held(code: &Scenario, of: Decisions, memory: Memory, bounds: Bounds) -> Outcome<LoomReport> {
    let model = Scenario {
        decisions: of,
        ..*code
    };
    let (table, kernel) = (
        common::table(seamcheck_model::closed_enum::ClosedEnum::key(code.module))?,
        common::profile("6.16")?,
    );
    let held = Held::new(&table, &kernel, &model, memory)?;
    let property = Property::NoSecondBusy;
    Ok(run_under_loom_held(code, memory, property, bounds, held)?)
}

/// Held against the model of its own decisions.
fn own(code: &Scenario, memory: Memory, bounds: Bounds) -> Outcome<(LoomReport, Conformance)> {
    let report = held(code, code.decisions, memory, bounds)?;
    let conformance = report.conformance.clone().ok_or("nothing was held")?;
    Ok((report, conformance))
}

/// In order, by program order, weaker than x86, undecided.
fn counts(found: &Conformance) -> [usize; 4] {
    [
        found.in_order,
        found.by_program_order,
        found.weaker_than_x86,
        found.undecided,
    ]
}

#[test]
fn code_and_model_come_to_the_same_outcomes_where_memory_is_sequentially_consistent() -> Outcome<()>
{
    for (window, first_call, laps, executions, outcomes) in [
        (Block, WasBusy, 1, 102, 5),
        (Block, WasBusy, 2, 829, 11),
        (Block, WasBusyOnEntry, 1, 102, 5),
        (Block, WasBusyOnEntry, 2, 829, 11),
        (Track, WasBusy, 1, 329, 6),
        (Track, WasBusy, 2, 16_327, 16),
        (Remove, WasBusy, 1, 102, 4),
        (Remove, WasBusy, 2, 621, 6),
        (Remove, WasBusyOnEntry, 1, 102, 5),
        (Remove, WasBusyOnEntry, 2, 829, 11),
    ] {
        let mut code = Scenario::of_window(merged()?, window);
        (code.first_call, code.laps) = (first_call, laps);
        let (report, found) = own(&code, SequentiallyConsistent, ALL)?;
        let what = format!("{window:?} {first_call:?} {laps}");
        assert_eq!(report.executions, executions, "{what}");
        assert_eq!(counts(&found), [executions, 0, 0, 0], "{what}");
        let compared = found.outcomes.ok_or("not compared")?;
        assert!(compared.agree(), "{what}: {compared:?}");
        assert_eq!((compared.code, compared.model), (outcomes, outcomes));
    }
    Ok(())
}

/// A vCPU that is in its guest is held from there, and on its first lap only does what it does once.
#[test]
fn a_removal_that_begins_in_the_guest_comes_to_the_outcomes_of_the_model() -> Outcome<()> {
    for (guest, laps, executions, outcomes) in [
        (Guest::Once(Scripted::AttrRead.deeds()), 1, 7_541, 10),
        (Guest::Script(&[]), 2, 12_432, 6),
    ] {
        let code = Scenario {
            first_call: FirstCall::Made,
            in_guest: true,
            guest,
            laps,
            ..Scenario::of_window(merged()?, Window::Whole)
        };
        let (report, found) = own(&code, SequentiallyConsistent, ALL)?;
        assert!(found.start_is_reached && !report.capped);
        assert_eq!(counts(&found), [executions, 0, 0, 0], "{guest:?}");
        let compared = found.outcomes.ok_or("not compared")?;
        assert!(compared.agree(), "{compared:?}");
        assert_eq!(compared.code, outcomes);
    }
    Ok(())
}

#[test]
fn nothing_on_the_weak_memory_is_weaker_than_x86_whatever_the_locks_order() -> Outcome<()> {
    for (window, first_call, laps, expected) in [
        (Block, WasBusy, 1, [126, 16, 0, 0]),
        (Block, WasBusy, 2, [1_194, 174, 0, 0]),
        (Track, WasBusy, 1, [401, 64, 0, 0]),
        (Track, WasBusy, 2, [23_647, 7_944, 0, 0]),
        (Remove, WasBusy, 1, [126, 16, 0, 0]),
        (Remove, WasBusy, 2, [772, 16, 0, 0]),
        (Remove, WasBusyOnEntry, 2, [1_194, 174, 0, 0]),
    ] {
        for order in [Order::Relaxed, Order::FullBarrier] {
            let mut code = Scenario::of_window(merged()?, window);
            (code.first_call, code.laps, code.lock_words) = (first_call, laps, order);
            let (report, found) = own(&code, Weak, ALL)?;
            let what = format!("{window:?} {first_call:?} {laps} {order:?}");
            assert_eq!(report.violation, None, "{what}");
            assert_eq!(counts(&found), expected, "{what}");
            assert_eq!(expected[0] + expected[1], report.executions, "{what}");
            assert_eq!(found.divergence, None, "{what}");
        }
    }
    Ok(())
}

#[test]
fn two_vcpus_are_inside_the_model_on_both_memories() -> Outcome<()> {
    let bounds = Bounds {
        preemptions: Some(2),
        ..ALL
    };
    for (window, memory, expected) in [
        (Block, SequentiallyConsistent, [427, 0, 0, 0]),
        (Block, Weak, [661, 392, 0, 0]),
        (Track, SequentiallyConsistent, [693, 0, 0, 0]),
        (Track, Weak, [547, 26, 0, 0]),
        (Remove, SequentiallyConsistent, [373, 0, 0, 0]),
        (Remove, Weak, [597, 386, 0, 0]),
    ] {
        let mut code = Scenario::of_window(merged()?, window);
        code.vcpus = 2;
        let (_, found) = own(&code, memory, bounds)?;
        assert_eq!(counts(&found), expected, "{window:?} {memory:?}");
        assert!(found.start_is_reached, "{window:?}");
        assert_eq!(found.outcomes, None, "a bound leaves outcomes out");
    }
    Ok(())
}

#[test]
fn a_whole_removal_is_inside_the_model_on_both_memories() -> Outcome<()> {
    let bounds = Bounds {
        preemptions: Some(3),
        ..ALL
    };
    let mut code = Scenario::of_window(merged()?, Window::Whole);
    code.first_call = FirstCall::Made;
    for (memory, expected) in [
        (SequentiallyConsistent, [1_933, 0, 0, 0]),
        (Weak, [1_933, 8, 0, 0]),
    ] {
        let (_, found) = own(&code, memory, bounds)?;
        assert_eq!(counts(&found), expected, "{memory:?}");
    }
    Ok(())
}

/// Decisions whose code and model are held against each other.
const MUTANTS: [(&str, &str); 15] = [
    ("flag_raise", "never"),
    ("flag_raise", "after-kick"),
    ("flag_clear", "before-retry"),
    ("kick", "none"),
    ("kick", "request-no-wait"),
    ("kick", "vcpu-kick"),
    ("vcpu_flag_test", "absent"),
    ("vcpu_flag_test", "before-mode-store"),
    ("vcpu_flag_test", "before-irq-disable"),
    ("mode_outside", "before-vp-enter"),
    ("irq_disable", "after-flag-test"),
    ("vcpu_barrier", "absent"),
    ("vcpu_barrier", "srcu-unlock-before-mode-store"),
    ("vcpu_barrier", "light-srcu"),
    ("kick_mode_read", "plain-load"),
];

#[test]
fn the_code_of_every_mutant_is_inside_its_own_model_on_both_memories() -> Outcome<()> {
    for (decision, value) in MUTANTS {
        for window in WINDOWS {
            for memory in [SequentiallyConsistent, Weak] {
                if memory == Weak && window != Block {
                    // Held with locks as on x86, below.
                    continue;
                }
                let code = Scenario::of_window(changed(decision, value)?, window);
                let (report, found) = own(&code, memory, ALL)?;
                let what = format!("{decision} = {value} {window:?} {memory:?}");
                assert_eq!(found.divergence, None, "{what}");
                assert_eq!(counts(&found).iter().sum::<usize>(), report.executions);
                assert_eq!(found.undecided, 0, "{what}");
                if let Some(compared) = found.outcomes {
                    assert!(compared.agree(), "{what}: {compared:?}");
                }
            }
        }
    }
    Ok(())
}

/// With locks as on x86, nothing that loom shows is weaker than x86, its counterexamples least of all.
#[test]
fn every_counterexample_on_the_weak_memory_is_one_on_x86() -> Outcome<()> {
    for (decision, value) in MUTANTS {
        for window in WINDOWS {
            let mut code = Scenario::of_window(changed(decision, value)?, window);
            code.lock_words = Order::FullBarrier;
            let (report, found) = own(&code, Weak, ALL)?;
            let what = format!("{decision} = {value} {window:?}: {:?}", counts(&found));
            assert!(report.violation.is_some(), "{what}");
            let on_x86 = [Some(Fit::InOrder), Some(Fit::ByProgramOrder)];
            assert!(on_x86.contains(&found.last), "{what}");
            assert_eq!(found.weaker_than_x86, 0, "{what}");
            assert_eq!(found.divergence, None, "{what}");
        }
    }
    Ok(())
}

/// The check can fail, and says where: the code of a mutant against the model of the kernel as merged.
#[test]
fn code_and_model_of_different_protocols_part_on_both_memories() -> Outcome<()> {
    for (decision, value) in [
        ("flag_raise", "after-kick"),
        ("flag_clear", "before-retry"),
        ("kick", "request-no-wait"),
        ("vcpu_flag_test", "absent"),
        ("mode_outside", "before-vp-enter"),
        ("irq_disable", "after-flag-test"),
    ] {
        for window in WINDOWS {
            for memory in [SequentiallyConsistent, Weak] {
                let code = Scenario::of_window(changed(decision, value)?, window);
                let report = held(&code, merged()?, memory, ALL)?;
                let found = report.conformance.ok_or("nothing was held")?;
                let what = format!("{decision} = {value} {window:?} {memory:?}");
                let (divergence, journal) = found.divergence.ok_or(what.clone())?;
                assert_eq!(journal[divergence.at], divergence.code, "{what}");
                assert!(!divergence.model.contains(&divergence.code.event), "{what}");
            }
        }
    }
    Ok(())
}

/// What a barrier forbids is counted, not taken for a fault: without the barrier the code does nothing
/// else than with it, it only sees other values.
#[test]
fn a_missing_barrier_is_weaker_than_the_model_with_it_and_no_divergence() -> Outcome<()> {
    for window in WINDOWS {
        let code = Scenario::of_window(changed("vcpu_barrier", "absent")?, window);
        let found = held(&code, merged()?, Weak, ALL)?.conformance;
        let found = found.ok_or("nothing was held")?;
        assert_eq!(found.divergence, None, "{window:?}");
        assert_eq!(found.last, Some(Fit::WeakerThanX86), "{window:?}");
        let weaker = found.first_weaker.ok_or("none is shown")?;
        assert!(
            weaker
                .iter()
                .any(|entry| entry.event == Event::TestFlag(false)),
            "{window:?}"
        );
    }
    Ok(())
}

/// A wrong value of anything else is no matter of memory.
#[test]
fn another_mark_on_the_entry_is_a_divergence_on_both_memories() -> Outcome<()> {
    for memory in [SequentiallyConsistent, Weak] {
        let code = Scenario::of_window(merged()?, Block);
        let marked = Scenario {
            first_call: WasBusyOnEntry,
            ..code
        };
        let held = Held::new(
            &common::table("1.5.05")?,
            &common::profile("6.16")?,
            &marked,
            memory,
        )?;
        let property = Property::NoSecondBusy;
        let found = run_under_loom_held(&code, memory, property, ALL, held)?;
        let found = found.conformance.ok_or("nothing was held")?;
        assert!(found.divergence.is_some(), "{memory:?}");
    }
    Ok(())
}

/// Where a window begins is where the model comes to.
#[test]
fn the_model_comes_to_where_a_window_begins() -> Outcome<()> {
    let v1 = Version::V1_5_05;
    let v2 = Version::V2_0_12;
    for (module, window, first_call, armed, reached) in [
        (v1, Block, WasBusy, false, true),
        (v1, Block, WasBusy, true, true),
        (v1, Block, WasBusyOnEntry, false, true),
        (v1, Track, WasBusy, false, true),
        // TRACK looks at no entry.
        (v1, Track, WasBusyOnEntry, false, false),
        (v1, Remove, WasBusy, false, true),
        (v1, Remove, WasBusyOnEntry, false, true),
        (v2, Block, WasBusy, true, true),
        // REMOVE and TDH.VP.ENTER take the tree shared: only the entry is left to be busy.
        (v2, Remove, WasBusy, false, false),
        (v2, Remove, WasBusyOnEntry, false, true),
    ] {
        let code = Scenario {
            module,
            first_call,
            zero_step_armed: armed,
            ..Scenario::of_window(merged()?, window)
        };
        let once = Bounds {
            executions: 1,
            preemptions: None,
        };
        let (_, found) = own(&code, SequentiallyConsistent, once)?;
        let what = format!("{module:?} {window:?} {first_call:?} {armed}");
        assert_eq!(found.start_is_reached, reached, "{what}");
    }
    Ok(())
}

#[test]
fn a_window_that_the_model_does_not_have_is_refused() -> Outcome<()> {
    let code = Scenario::of_window(changed("on_busy", "give-up")?, Block);
    let refused = own(&code, Weak, ALL).map(|_| ()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "by these decisions the model makes no second TDH.MEM.RANGE.BLOCK: it has no such window"
    );
    Ok(())
}
