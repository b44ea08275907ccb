//! Engines against each other on protocols that nobody chose: random decisions, lock tables and
//! scenarios, the same ones every time.

mod common;
#[path = "common/random_protocol.rs"]
mod random_protocol;

use random_protocol::{asked, broken, each, safety, searched};
use seamcheck::engine::{Limits, Watch, stateright};
use seamcheck::prove::answer;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::system::Reductions;
use std::sync::Arc;

#[test]
fn the_exact_engine_and_stateright_agree_on_random_protocols() {
    each(48, &asked(), |asked| {
        let question = asked.question().ok()?;
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
    each(32, &asked(), |asked| {
        let question = asked.question().ok()?;
        let reduced = searched(&question.system(Reductions::ALL).ok()?, 4_000, 1)?;
        let whole = searched(&question.system(Reductions::NONE).ok()?, 400_000, 2)?;
        assert_eq!(broken(&reduced), broken(&whole));
        Some(())
    });
}

#[test]
fn what_is_proved_for_every_number_is_broken_by_none_in_random_protocols() {
    let all = safety().fold(0, |set, property| set | property.bit());
    each(32, &asked(), |asked| {
        let question = asked.question().ok()?;
        let limits = Limits {
            states: 20_000,
            ..Limits::default()
        };
        let system = answer::system(&question).ok()?;
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
