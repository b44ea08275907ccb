//! The protocol's code under shuttle, each schedule held against the packed model.

mod common;

use common::Outcome;
use common::code::model;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::threads::conformance::{EndsEarly, NotInside};
use seamcheck_model::threads::{
    Budget, Entry, Scenario, ShuttleReport, Steps, Strategy, Version, conformance, run_on_threads,
    run_under_shuttle,
};

fn budget(strategy: Strategy, schedules: usize) -> Budget {
    Budget {
        strategy,
        schedules,
        seed: 1,
    }
}

/// Runs the code of some decisions against the model of others.
fn held(code: Scenario, of: Decisions, module: &str, budget: &Budget) -> Outcome<ShuttleReport> {
    let model = model(module, of, code.vcpus)?;
    let oracle = move |journal: &[Entry]| {
        conformance::check(&model, journal).map_err(|found| found.to_string())
    };
    Ok(run_under_shuttle(
        &code,
        Property::NoSecondBusy,
        budget,
        oracle,
    )?)
}

fn merged() -> Outcome<Decisions> {
    Ok(common::profile("6.16")?.decisions)
}

fn changed(decision: &str, value: &str) -> Outcome<Decisions> {
    let mut decisions = merged()?;
    decisions.set(decision, value)?;
    Ok(decisions)
}

#[test]
fn every_schedule_of_the_code_is_inside_the_model() -> Outcome<()> {
    for (module, version) in [("1.5.05", Version::V1_5_05), ("2.0.12", Version::V2_0_12)] {
        for (vcpus, schedules) in [(1, 1_000), (2, 500), (4, 100)] {
            for strategy in [Strategy::Random, Strategy::Pct { depth: 3 }] {
                let mut code = Scenario::whole(merged()?, vcpus, 3);
                code.module = version;
                let report = held(code, merged()?, module, &budget(strategy, schedules))?;
                assert_eq!(report.objection, None, "{module}, {vcpus} vCPUs");
                assert_eq!(report.violation, None, "{module}, {vcpus} vCPUs");
                assert_eq!((report.schedules, report.given_up), (schedules, 0));
                assert!(report.second_calls > 0 && report.turned_back > 0);
            }
        }
    }
    Ok(())
}

/// The check can fail: the code of a mutant is not inside the model of the kernel as merged.
#[test]
fn the_code_of_another_protocol_is_not_inside_the_model() -> Outcome<()> {
    for (decision, value) in [
        ("kick", "request-no-wait"),
        ("vcpu_flag_test", "absent"),
        ("flag_clear", "before-retry"),
        ("mode_outside", "before-vp-enter"),
        ("track_kick", "absent"),
        ("busy_predicate", "sept-busy"),
    ] {
        let code = Scenario::whole(changed(decision, value)?, 2, 3);
        let report = held(code, merged()?, "1.5.05", &budget(Strategy::Random, 1_000))?;
        assert!(report.objection.is_some(), "{decision} = {value}");
    }
    Ok(())
}

/// Each thread's end is one of the model's: without its last event a run is the beginning of one.
#[test]
fn a_run_that_stops_before_its_last_event_is_not_inside_the_model() -> Outcome<()> {
    for (decision, value) in [("kick", "request-wait"), ("flag_return", "sleep")] {
        let decisions = changed(decision, value)?;
        let model = model("1.5.05", decisions, 2)?;
        let oracle = move |journal: &[Entry]| {
            conformance::check(&model, journal).map_err(|found| found.to_string())?;
            let Some((last, before)) = journal.split_last() else {
                return Err("nothing happened".to_owned());
            };
            match conformance::check(&model, before) {
                Err(NotInside::End(EndsEarly { agent, .. })) if agent == last.agent => Ok(()),
                other => Err(format!("without {last}: {other:?}")),
            }
        };
        let code = Scenario::whole(decisions, 2, 3);
        let budget = budget(Strategy::Random, 300);
        let report = run_under_shuttle(&code, Property::NoSecondBusy, &budget, oracle)?;
        assert_eq!(report.objection, None, "{decision} = {value}");
        assert_eq!((report.schedules, report.failed), (300, None));
    }
    Ok(())
}

/// The tree mode of TDH.VP.ENTER is a difference between module versions that conformance sees.
#[test]
fn the_code_of_another_module_version_is_not_inside_the_model() -> Outcome<()> {
    let code = Scenario {
        module: Version::V2_0_12,
        ..Scenario::whole(merged()?, 2, 6)
    };
    let report = held(code, merged()?, "1.5.05", &budget(Strategy::Random, 20_000))?;
    assert!(report.objection.is_some());
    Ok(())
}

#[test]
fn the_same_seed_makes_the_same_schedules() -> Outcome<()> {
    let run = || {
        held(
            Scenario::whole(changed("kick", "vcpu-kick")?, 3, 3),
            changed("kick", "vcpu-kick")?,
            "1.5.05",
            &budget(Strategy::Random, 5_000),
        )
    };
    let (first, again) = (run()?, run()?);
    assert!(first.violation.is_some());
    assert_eq!(first, again);
    Ok(())
}

#[test]
fn a_violating_schedule_can_be_made_again() -> Outcome<()> {
    let decisions = changed("kick", "request-no-wait")?;
    let code = Scenario::whole(decisions, 4, 3);
    let found = held(code, decisions, "1.5.05", &budget(Strategy::Random, 5_000))?;
    let (steps, journal) = found.violation.ok_or("nothing found")?;
    let again = held(
        code,
        decisions,
        "1.5.05",
        &budget(Strategy::Replay(steps), 1),
    )?;
    let (_, same) = again.violation.ok_or("not found again")?;
    assert_eq!(journal, same);
    Ok(())
}

#[test]
fn a_schedule_that_does_not_fit_the_code_makes_no_execution() -> Outcome<()> {
    let steps = Steps {
        seed: 1,
        threads: vec![Some(0), Some(9)],
    };
    let code = Scenario::whole(merged()?, 1, 1);
    let report = held(
        code,
        merged()?,
        "1.5.05",
        &budget(Strategy::Replay(steps), 1),
    )?;
    assert_eq!(report.schedules, 0);
    Ok(())
}

/// A smoke test: that it runs and ends on this machine, and keeps the claim meanwhile.
#[test]
fn the_same_code_runs_on_real_threads() -> Outcome<()> {
    let met = run_on_threads(&Scenario::whole(merged()?, 3, 5), 200)?;
    assert!(!met.violates(Property::NoSecondBusy));
    assert!(met.entered > 0);
    Ok(())
}
