//! The code where somebody else kicks vCPUs, too: a thread that is no zapper's, under shuttle and loom.

mod common;

use common::code::model_of;
use common::{Outcome, profile};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::threads::{
    Bounds, Budget, Entry, Event, LoomReport, Memory, Scenario, ShuttleReport, Strategy, Window,
    conformance, run_under_loom, run_under_shuttle,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use Memory::{SequentiallyConsistent, Weak};

const IN_GUEST_ONLY: &str = "request-wait-in-guest-only";

fn kicks_by(kick: &str) -> Outcome<Decisions> {
    let mut decisions = profile("6.16")?.decisions;
    decisions.set("kick", kick)?;
    Ok(decisions)
}

/// Whole removals under shuttle, the code beside kicks by others, the model beside them or not. Returns
/// also how often a kick of the zapper's found EXITING_GUEST_MODE.
fn held(kick: &str, model_is_kicked: bool, schedules: usize) -> Outcome<(ShuttleReport, usize)> {
    let decisions = kicks_by(kick)?;
    let code = Scenario {
        foreign_kick: true,
        ..Scenario::whole(decisions, 2, 3)
    };
    let model = model_of(
        "1.5.05",
        decisions,
        scenario::Scenario {
            vcpus: 2,
            foreign_kick: model_is_kicked,
            ..scenario::Scenario::default()
        },
    )?;
    let found = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&found);
    let oracle = move |journal: &[Entry]| {
        let exiting = |entry: &&Entry| match entry.event {
            Event::Visited { outcome, .. } => outcome == 2 || outcome == 3,
            _ => false,
        };
        counted.fetch_add(journal.iter().filter(exiting).count(), Ordering::Relaxed);
        conformance::check(&model, journal).map_err(|found| found.to_string())
    };
    let budget = Budget {
        strategy: Strategy::Random,
        schedules,
        seed: 1,
    };
    let report = run_under_shuttle(&code, Property::NoSecondBusy, &budget, oracle)?;
    Ok((report, found.load(Ordering::Relaxed)))
}

#[test]
fn every_schedule_beside_kicks_by_others_is_inside_the_model_that_has_them() -> Outcome<()> {
    let (report, found) = held("request-wait", true, 500)?;
    assert_eq!((report.objection, report.violation), (None, None));
    assert_eq!((report.schedules, report.given_up), (500, 0));
    assert!(found > 50, "EXITING_GUEST_MODE was found {found} times");
    assert!(report.second_calls > 0 && report.turned_back > 0);
    Ok(())
}

/// The check can fail.
#[test]
fn a_model_that_nobody_else_kicks_does_not_have_them() -> Outcome<()> {
    let (report, _) = held("request-wait", false, 100)?;
    let objection = report.objection.map(|(text, ..)| text).unwrap_or_default();
    assert!(objection.contains("kicked by somebody else"), "{objection}");
    Ok(())
}

#[test]
fn an_ipi_only_in_guest_mode_is_found_by_shuttle_and_is_inside_the_model() -> Outcome<()> {
    let (report, found) = held(IN_GUEST_ONLY, true, 5_000)?;
    assert_eq!(report.objection, None);
    assert!(report.violation.is_some() && found > 0);
    Ok(())
}

/// One lap of one vCPU: every interleaving with one kick by somebody else.
fn under_loom(kick: &str, kicked: bool, window: Window, memory: Memory) -> Outcome<LoomReport> {
    let scenario = Scenario {
        foreign_kick: kicked,
        laps: 1,
        ..Scenario::of_window(kicks_by(kick)?, window)
    };
    let bounds = Bounds {
        executions: 400_000,
        preemptions: None,
    };
    let report = run_under_loom(&scenario, memory, Property::NoSecondBusy, bounds)?;
    assert!(!report.capped && report.gave_up.is_none(), "{report:?}");
    Ok(report)
}

#[test]
fn beside_a_kick_by_somebody_else_every_window_keeps_the_claim_under_loom() -> Outcome<()> {
    for window in [Window::Block, Window::Track, Window::Remove] {
        for memory in [Weak, SequentiallyConsistent] {
            let report = under_loom("request-wait", true, window, memory)?;
            assert_eq!(report.violation, None, "{window:?} {memory:?}");
            assert!(report.second_calls > 0 && report.turned_back > 0);
        }
    }
    Ok(())
}

#[test]
fn an_ipi_only_in_guest_mode_breaks_every_window_where_somebody_else_kicks() -> Outcome<()> {
    for window in [Window::Block, Window::Track, Window::Remove] {
        for memory in [Weak, SequentiallyConsistent] {
            for kicked in [false, true] {
                let report = under_loom(IN_GUEST_ONLY, kicked, window, memory)?;
                let falls = report.violation.is_some();
                assert_eq!(falls, kicked, "{window:?} {memory:?}, kicked: {kicked}");
            }
        }
    }
    Ok(())
}
