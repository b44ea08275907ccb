//! Two engines, the same counts; one engine twice, the same report.

mod common;

use common::{run, runs, search, system};
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Cut, Limits, Report, Watch, stateright};
use seamcheck::runner::run_all;
use seamcheck::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use std::sync::Arc;
use std::time::Duration;

/// The runs that are small enough to be searched several times.
fn small() -> Vec<Run> {
    let is_small = |run: &Run| run.states.is_some_and(|states| states < 50_000);
    let packed = runs().into_iter().filter(|run| run.form == Form::Packed);
    let small: Vec<Run> = packed.filter(is_small).collect();
    assert!(small.len() > 50, "{} runs", small.len());
    small
}

/// Everything in a report but the time it took.
fn text(report: Report) -> String {
    let elapsed = Duration::ZERO;
    format!("{:?}", Report { elapsed, ..report })
}

#[test]
fn stateright_finds_the_same_states_or_a_violation_of_the_same_length() {
    for run in small() {
        let system = Arc::new(system(&run));
        let report = search(&system);
        if report.cut.is_some() {
            // A store buffer overflowed: there is nothing to compare.
            assert_eq!(
                (run.check.as_str(), report.cut),
                ("M08-light", Some(Cut::StoreBuffer))
            );
            continue;
        }
        for (property, _) in &run.expect {
            let what = format!("{}: {}", run.name, property.key());
            let opinion =
                stateright::search(&system, *property, Limits::default(), &Watch::default());
            let opinion = opinion.expect("no limit is hit");
            let violation = report.violation(*property);
            assert_eq!(
                opinion.violated_after,
                violation.map(|found| found.length()),
                "{what}"
            );
            if violation.is_none() {
                assert_eq!(opinion.states, report.states, "{what}");
            }
        }
    }
}

#[test]
fn two_searches_give_the_same_report() {
    for run in small() {
        let system = system(&run);
        let (one, two) = (search(&system), search(&system));
        assert_eq!(text(one), text(two), "{}", run.name);
        // Nor does it matter when the system was built.
        let again = common::system(&run);
        assert_eq!(text(search(&system)), text(search(&again)), "{}", run.name);
    }
}

#[test]
fn any_number_of_threads_comes_to_the_same_report() {
    let some = [
        "6.16-1.5.05-2vcpu/sc",
        "M06/tso",
        "M20/sc",
        "epoch-empty-broken/tso",
    ];
    for name in some {
        let run = run(name);
        let system = system(&run);
        let mut untils = vec![Until::Everything];
        let first = search(&system)
            .violations
            .first()
            .map(|found| found.property);
        untils.extend(first.map(Until::Violates));
        for until in untils {
            let with = |threads| {
                let limits = Limits {
                    threads,
                    ..Limits::default()
                };
                let report = exact::search(&system, until, limits, &Watch::default());
                // Each thread has room of its own.
                text(Report { bytes: 0, ..report })
            };
            let one = with(1);
            for threads in [2, 3, 8] {
                assert!(with(threads) == one, "{name} on {threads} threads");
            }
        }
    }
}

#[test]
fn a_search_that_stops_at_a_violation_finds_the_same_one() {
    for run in small() {
        let system = system(&run);
        let whole = search(&system);
        for violation in &whole.violations {
            let until = Until::Violates(violation.property);
            let report = exact::search(&system, until, Limits::default(), &Watch::default());
            let found = report.violation(violation.property).expect("found before");
            assert_eq!(
                format!("{found:?}"),
                format!("{violation:?}"),
                "{}",
                run.name
            );
            assert!(
                report.states <= whole.states && !report.complete,
                "{}",
                run.name
            );
        }
    }
}

#[test]
fn a_counterexample_is_a_path_of_the_system() {
    for run in small() {
        let system = system(&run);
        for violation in &search(&system).violations {
            // From the initial state on, and no state twice: it is a shortest one.
            let mut keys = violation.path.clone();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len() as u64, violation.length(), "{}", run.name);
            assert!(seamcheck::trace::replay::singles(&system, violation).is_some());
        }
    }
}

#[test]
fn a_limit_on_states_is_kept_and_named() {
    let system = system(&run("6.16-1.5.05-1vcpu/sc"));
    let whole = search(&system);
    assert!(whole.complete && whole.cut.is_none());
    for states in [0, 1, 100, whole.states - 1] {
        let limits = Limits {
            states,
            ..Limits::default()
        };
        let report = exact::search(&system, Until::Everything, limits, &Watch::default());
        assert_eq!((report.complete, report.cut), (false, Some(Cut::States)));
        // One transition may add several states at once.
        assert!(
            (states + 1..states + 20).contains(&report.states),
            "{}",
            report.states
        );
    }
    let limits = Limits {
        states: whole.states,
        ..Limits::default()
    };
    let report = exact::search(&system, Until::Everything, limits, &Watch::default());
    assert_eq!(text(report), text(whole));
}

#[test]
fn two_workers_give_the_results_in_the_suites_order() {
    let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>();
    let asked = small();
    let outcomes = run_all(asked.clone(), Limits::default(), &Watch::default(), |_| {});
    let answered: Vec<Run> = outcomes.iter().map(|outcome| outcome.run.clone()).collect();
    assert_eq!(names(&answered), names(&asked));
    for outcome in outcomes {
        assert_eq!(outcome.differences, [], "{}", outcome.run.name);
    }
}
