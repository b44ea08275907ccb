//! Engines against each other on protocols that nobody chose: random decisions, lock tables and
//! scenarios, the same ones every time.

mod common;
#[path = "common/random_protocol.rs"]
mod random_protocol;

use random_protocol::{asked, asked_plainly, broken, each, safety, searched};
use seamcheck::engine::exact::Until;
use seamcheck::engine::{Limits, Watch, stateright};
use seamcheck::liveness::{self, Found};
use seamcheck::packed::Packed;
use seamcheck::prove::answer;
use seamcheck::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
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
        let limits = at_most(20_000);
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

#[test]
fn what_happens_in_the_end_of_random_protocols_is_the_same_without_reductions() {
    let wanted: Vec<Property> = Property::ALL
        .iter()
        .copied()
        .filter(|property| property.is_liveness())
        .collect();
    each(16, &asked_plainly(), |asked| {
        let question = asked.question().ok()?;
        // Without reductions the graph of two vCPUs is too large.
        if question.scenario.vcpus != 1 {
            return None;
        }
        let (small, large) = (at_most(10_000), at_most(200_000));
        let (until, watch) = (Until::Everything, Watch::default());
        let packed = Packed::search(question.clone(), &wanted, until, small, &watch).ok()?;
        let system = question.system(Reductions::NONE).ok()?;
        let whole = liveness::search(&system, &wanted, large, &watch);
        for property in &wanted {
            let found = match whole.of(*property).ok()? {
                Found::Holds => "holds",
                Found::Violated(_) => "violated",
                Found::Vacuous => "vacuous",
            };
            let verdict = packed.verdict(*property);
            if let Verdict::Unknown(_) = verdict {
                return None;
            }
            assert_eq!(verdict.word(), found, "{}", property.key());
            // Executed again, and judged as an execution: nothing of the graph is asked for that.
            if let Some(trace) = packed.trace(*property, None) {
                trace.expect("it is fair, and breaks the property");
            }
        }
        Some(())
    });
}

fn at_most(states: u64) -> Limits {
    Limits {
        states,
        ..Limits::default()
    }
}
