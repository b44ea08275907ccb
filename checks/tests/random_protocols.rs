//! Engines against each other on protocols that nobody chose: random decisions, lock tables and
//! scenarios, the same ones every time.

mod common;
#[path = "common/random_protocol.rs"]
mod random_protocol;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use random_protocol::{Asked, asked};
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Report, Watch, stateright};
use seamcheck::prove::answer;
use seamcheck::question::Question;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::system::{Reductions, System};
use std::cell::Cell;
use std::sync::Arc;

/// Every property that a state or a step decides.
fn safety() -> impl Iterator<Item = Property> {
    let all = Property::ALL.iter().copied();
    all.filter(|property| !property.is_liveness())
}

fn searched(system: &System, states: u64, threads: usize) -> Option<Report> {
    let limits = Limits {
        states,
        threads,
        ..Limits::default()
    };
    let report = exact::search(system, Until::Everything, limits, &Watch::default());
    report.complete.then_some(report)
}

fn broken(report: &Report) -> Vec<&'static str> {
    let broken = safety().filter(|property| report.violation(*property).is_some());
    broken.map(Property::key).collect()
}

/// Tries `cases` random protocols; `check` says whether a case was of the size it needs.
fn each(cases: u32, check: impl Fn(&Question) -> Option<()>) {
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20250113),
        max_shrink_iters: 64,
        ..Config::default()
    };
    let used = Cell::new(0);
    let run = TestRunner::new(config).run(&asked(), |asked: Asked| {
        // A table that is changed at random may be refused; it must be refused with a message.
        if let Ok(question) = asked.question() {
            used.set(used.get() + u32::from(check(&question).is_some()));
        }
        Ok(())
    });
    run.expect("no disagreement");
    assert!(
        used.get() * 4 > cases,
        "only {} of {cases} said anything",
        used.get()
    );
}

#[test]
fn the_exact_engine_and_stateright_agree_on_random_protocols() {
    each(48, |question| {
        let system = Arc::new(question.system(Reductions::ALL).ok()?);
        let report = searched(&system, 20_000, 1)?;
        for property in safety() {
            let (limits, watch) = (Limits::default(), Watch::default());
            let opinion = stateright::search(&system, property, limits, &watch).ok()?;
            let found = report.violation(property).map(|found| found.length());
            assert_eq!(opinion.violated_after, found, "{}", property.key());
            if found.is_none() {
                assert_eq!(opinion.states, report.states, "{}", property.key());
            }
        }
        Some(())
    });
}

#[test]
fn reductions_change_no_verdict_of_random_protocols() {
    each(32, |question| {
        let reduced = searched(&question.system(Reductions::ALL).ok()?, 4_000, 1)?;
        let whole = searched(&question.system(Reductions::NONE).ok()?, 400_000, 2)?;
        assert_eq!(broken(&reduced), broken(&whole));
        Some(())
    });
}

#[test]
fn what_is_proved_for_every_number_is_broken_by_none_in_random_protocols() {
    let all = safety().fold(0, |set, property| set | property.bit());
    each(32, |question| {
        let limits = Limits {
            states: 20_000,
            ..Limits::default()
        };
        let system = answer::system(question).ok()?;
        let report = searched(&question.system(Reductions::ALL).ok()?, 20_000, 1)?;
        // The scenario without a vCPU has no view.
        let vcpus = question.scenario.vcpus;
        for property in safety().filter(|_| vcpus > 0) {
            let proof = answer::prove(&system, property.bit() & all, limits, &Watch::default());
            if let Err(answer::Unproved::Flaw(flaw)) = &proof {
                panic!("{}: {flaw}", property.key());
            }
            let is_broken = report.violation(property).is_some();
            assert!(!(proof.is_ok() && is_broken), "{}", property.key());
        }
        (vcpus > 0).then_some(())
    });
}
