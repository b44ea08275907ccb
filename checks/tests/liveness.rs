//! What must happen in the end: endless executions, who is owed a turn in them, and their traces.

mod common;

use common::{ended, recorded, replayed, run, runs, words};
use seamcheck::engine::{Limits, Watch};
use seamcheck::liveness::fairness::{Actor, able, actor, owed};
use seamcheck::liveness::lasso::breaks;
use seamcheck::liveness::{self, Found};
use seamcheck::suite::Run;
use seamcheck::verdict::Expected;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{Agent, Event, Reductions, State, System};

/// The system of a run, vCPUs told apart.
fn told_apart(run: &Run, reductions: Reductions) -> System {
    let reductions = Reductions {
        sort_vcpus: false,
        ..reductions
    };
    let question = run.question().expect("the suite asks only what exists");
    question.system(reductions).expect("it fits")
}

fn word(found: &Found) -> &'static str {
    match found {
        Found::Holds => "holds",
        Found::Violated(_) => "violated",
        Found::Vacuous => "vacuous",
    }
}

/// The liveness properties that a run is about, with what is expected of them.
fn wanted(run: &Run) -> Vec<(Property, Expected)> {
    let all = run.expect.iter().copied();
    all.filter(|(property, _)| property.is_liveness()).collect()
}

#[test]
fn one_vcpu_comes_to_the_same_verdicts_without_any_reduction() {
    let mut met = 0;
    for run in runs().iter().filter(|run| run.scenario.vcpus == 1) {
        let wanted = wanted(run);
        if wanted.is_empty() || !run.scenario.threads.is_empty() && run.scenario.finalized {
            continue;
        }
        let properties: Vec<Property> = wanted.iter().map(|(property, _)| *property).collect();
        let system = told_apart(run, Reductions::NONE);
        let report = liveness::search(&system, &properties, Limits::default(), &Watch::default());
        for (property, expected) in wanted {
            let found = report.of(property).expect("nothing is cut short");
            let expected = expected.to_string();
            let name = format!("{}: {}", run.name, property.key());
            assert!(expected.starts_with(word(found)), "{name}: {}", word(found));
            met += 1;
        }
    }
    assert!(met > 30, "{met}");
}

#[test]
fn a_limit_that_is_hit_leaves_no_verdict() {
    let run = run("live/tso");
    let limits = Limits {
        states: 1000,
        ..Limits::default()
    };
    let system = told_apart(&run, Reductions::ALL);
    let properties = [Property::ZapFinishes];
    let report = liveness::search(&system, &properties, limits, &Watch::default());
    assert!(report.of(Property::ZapFinishes).is_err());
}

/// The first transition of an agent's, and where it leads.
fn first(system: &System, state: &State, agent: Agent) -> (Event, State) {
    let mut found = None;
    system.successors(state, |event, after| {
        if event.agent == agent && found.is_none() {
            found = Some((event, after));
        }
    });
    found.expect("it can move")
}

/// A vCPU that goes to userspace and comes back.
fn errand(system: &System, state: &State) -> Vec<(State, Event)> {
    let mut steps = Vec::new();
    let mut here = *state;
    for _ in 0..4 {
        let mut next = None;
        system.successors(&here, |event, after| {
            let (part, _, outcome) = system.labels.parts(event.trail[0]);
            let goes = part == Part::Vcpu && (outcome == 1 || here != *state);
            if goes && event.agent == Agent::Vcpu(0) && next.is_none() {
                next = Some((event, after));
            }
        });
        let (event, after) = next.expect("a vCPU can go to userspace");
        steps.push((here, event));
        here = after;
        if here == *state {
            return steps;
        }
    }
    panic!("it does not come back");
}

#[test]
fn a_zapper_that_is_not_let_on_does_not_break_that_its_removal_ends() {
    let system = told_apart(&run("live-1vcpu/sc"), Reductions::ALL);
    let (_, begun) = first(&system, &system.initial(), Agent::Zapper);
    let cycle = errand(&system, &begun);
    let could = owed(&system, &begun, able(&system, &begun));
    assert_ne!(could & Actor::Zapper.bit(), 0);
    assert!(!breaks(&system, Property::ZapFinishes, &begun, &cycle));
    // Before it has begun it may rest; then nobody waits for it either.
    let start = system.initial();
    let cycle = errand(&system, &start);
    let could = owed(&system, &start, able(&system, &start));
    assert_eq!(could & Actor::Zapper.bit(), 0);
    assert!(!breaks(&system, Property::ZapFinishes, &start, &cycle));
    assert!(!breaks(&system, Property::NobodyWaits, &start, &cycle));
}

#[test]
fn a_vcpu_that_turns_away_by_itself_is_not_kept_from_running() {
    let system = told_apart(&run("live-1vcpu/sc"), Reductions::ALL);
    let start = system.initial();
    let cycle = errand(&system, &start);
    for (state, event) in &cycle {
        assert_eq!(actor(&system, state, event), Actor::Vcpu(0));
    }
    assert!(!breaks(&system, Property::VcpuEnters, &start, &cycle));
    assert!(!breaks(&system, Property::NoStarvation, &start, &cycle));
}

/// The same trace with its loop said to start elsewhere, or nowhere.
fn with_loop(text: &str, start: Option<u64>) -> String {
    let mut trace: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let fields = trace.as_object_mut().expect("an object");
    match start {
        Some(start) => fields.insert("loop_starts_at".into(), start.into()),
        None => fields.remove("loop_starts_at"),
    };
    trace.to_string()
}

#[test]
fn a_loop_is_believed_only_where_it_is_one() {
    let (directory, text) = recorded("lasso", "M39/sc");
    let trace: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let start = trace["loop_starts_at"].as_u64().expect("a number");
    let steps = trace["steps"].as_array().expect("steps").len() as u64;
    assert_eq!(replayed(&directory, &text).status, Some(0));
    for wrong in [1, start - 1, start + 1, steps, steps + 1] {
        let ended = replayed(&directory, &with_loop(&text, Some(wrong)));
        assert_eq!(ended.status, Some(2), "{wrong}: {}", ended.out);
    }
    let without = replayed(&directory, &with_loop(&text, None));
    let said = "do not show a violation of zap-finishes";
    assert!(words(&without.err).contains(said), "{}", without.err);
    let beyond = replayed(&directory, &with_loop(&text, Some(steps + 2)));
    assert!(
        words(&beyond.err).contains("its loop starts at step"),
        "{}",
        beyond.err
    );
}

#[test]
fn a_trace_that_ends_has_no_loop() {
    let (directory, text) = recorded("no-lasso", "M20/sc");
    let ended = replayed(&directory, &with_loop(&text, Some(1)));
    assert_eq!(ended.status, Some(2), "{}", ended.out);
    assert!(words(&ended.err).contains("are no loop"), "{}", ended.err);
}

#[test]
fn a_lasso_is_drawn_as_stem_and_loop() {
    let ended = ended(&["explain", "M32/sc", "--property", "zap-finishes"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    insta::assert_snapshot!(ended.out);
}

#[test]
fn a_rest_is_drawn_as_one() {
    let ended = ended(&["explain", "M33/sc"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let rests = ended.out.contains("nobody has to do anything more");
    assert!(rests, "{}", ended.out);
}

#[test]
fn a_question_about_the_end_is_answered_and_has_no_proof_for_every_number() {
    let ask = |args: &[&str]| ended(&[&["what-if", "--property", "zap-finishes"], args].concat());
    assert_eq!(ask(&[]).status, Some(0));
    assert_eq!(ask(&["--set=flag_return=reenter-guest"]).status, Some(10));
    assert_eq!(ask(&["--max-states=100"]).status, Some(20));
    // A TD that is not finalized runs no vCPU, so that none can be kept from running.
    let vacuous = ended(&["what-if", "--property=vcpu-enters", "--set=finalized=false"]);
    assert_eq!(vacuous.status, Some(11), "{}", vacuous.out);
    let proof = ended(&["prove", "--property=zap-finishes"]);
    assert_eq!(proof.status, Some(2));
    assert!(
        words(&proof.err).contains("about what happens in the end"),
        "{}",
        proof.err
    );
}
