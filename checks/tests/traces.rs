//! Every counterexample of the suite can be executed again, written, read and drawn.

mod common;

use common::{ended, run, runs, search, system};
use seamcheck::suite::{Form, Run};
use seamcheck::trace::{build, verify};
use seamcheck::verdict::{Expected, Verdict, judge};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_traces::race::WIDTH;
use seamcheck_traces::{CallEdge, Trace, race};

/// The runs in which something is expected to break.
fn violated() -> impl Iterator<Item = Run> {
    runs().into_iter().filter(|run| {
        let breaks = |(property, expected): &(Property, Expected)| {
            !property.is_liveness() && matches!(expected, Expected::Violated(_))
        };
        run.form == Form::Packed && run.expect.iter().any(breaks)
    })
}

/// Every violation that a search of the run meets, expected of it or not, with its length.
fn traces_of(run: &Run) -> Vec<(Trace, u64)> {
    let (question, system) = (run.question().expect("asked before"), system(run));
    let report = search(&system);
    let built = report.violations.iter().map(|violation| {
        let trace = build(&question, &system, violation, Some(&run.name));
        let what = format!("{}: {}", run.name, violation.property.key());
        (
            trace.unwrap_or_else(|| panic!("{what} is not found again")),
            violation.length(),
        )
    });
    let traces: Vec<_> = built.collect();
    for (property, expected) in &run.expect {
        if let (false, Expected::Violated(length)) = (property.is_liveness(), expected) {
            assert_eq!(
                judge(&system, &report, *property),
                Verdict::Violated(*length)
            );
            let is_theirs = |trace: &Trace| trace.question.property == property.key();
            assert!(
                traces.iter().any(|(trace, _)| is_theirs(trace)),
                "{}",
                run.name
            );
        }
    }
    traces
}

fn assert_sound(trace: &Trace, length: u64, what: &str) {
    // It says everything that is needed to ask again, and executes again.
    let (_, property) = verify(trace).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(property.key(), trace.question.property, "{what}");
    // One step of the search is one step of the trace and those fused to it.
    let whole = trace.steps.iter().filter(|step| !step.fused).count();
    assert_eq!(whole as u64, length, "{what}");
    assert_eq!(
        Trace::from_json(&trace.to_json()).as_ref(),
        Ok(trace),
        "{what}"
    );
}

fn assert_legible(trace: &Trace, what: &str) {
    let drawn = race(trace);
    for line in drawn.lines() {
        assert!(line.is_ascii() && line.len() <= WIDTH, "{what}: {line}");
        assert_eq!(line, line.trim_end(), "{what}");
    }
    assert!(drawn.contains("Violated: "), "{what}");
    let rule = drawn.lines().find(|line| line.starts_with("---"));
    let columns = rule
        .expect("columns have a rule")
        .split_whitespace()
        .count();
    let moves = |id: &str| trace.steps.iter().any(|step| step.agent == id);
    let (active, idle): (Vec<_>, Vec<_>) = trace.agents.iter().partition(|agent| moves(&agent.id));
    assert_eq!(columns, active.len().min(3), "{what}:\n{drawn}");
    for agent in idle {
        assert!(
            drawn.contains(&format!("({}: no steps)", agent.name)),
            "{what}:\n{drawn}"
        );
    }
}

/// What fails is said: whoever ends the trace with a status word is told who stood in its way.
fn assert_explains(trace: &Trace, what: &str) {
    let last = trace.steps.last().expect("a trace has steps");
    let property = Property::from_key(&trace.question.property).expect("verified");
    if property == Property::NoSecondBusy {
        assert_eq!(last.seamcall, Some(CallEdge::Returned), "{what}");
        let status = last.status_name.as_deref().unwrap_or_default();
        assert!(
            status.starts_with("TDX_OPERAND_BUSY | "),
            "{what}: {status}"
        );
        let conflict = trace.verdict.conflict.as_ref().expect("a lock decides it");
        assert!(conflict.wanted_by.starts_with("zapper"), "{what}");
        assert!(
            !conflict.held.is_empty(),
            "{what}: nobody holds {}",
            conflict.lock
        );
    }
    assert!(
        trace.verdict.reason.ends_with('.'),
        "{what}: {}",
        trace.verdict.reason
    );
}

#[test]
fn every_counterexample_of_the_suite_is_executed_again_and_drawn() {
    let mut count = 0;
    for run in violated() {
        for (trace, length) in traces_of(&run) {
            let what = format!("{}: {}", run.name, trace.question.property);
            assert_sound(&trace, length, &what);
            assert_legible(&trace, &what);
            assert_explains(&trace, &what);
            count += 1;
        }
    }
    // The runs of the suite can only become more.
    assert!(count >= 80, "{count} traces");
}

fn drawn(name: &str) -> String {
    let ended = ended(&["explain", name]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    ended.out
}

#[test]
fn the_race_without_the_barrier_is_this_one() {
    insta::assert_snapshot!("race_M06", drawn("M06/tso"));
}

#[test]
fn the_race_beside_init_vcpu_is_this_one() {
    insta::assert_snapshot!("race_claim_init_vcpu", drawn("claim-init-vcpu/tso"));
}

#[test]
fn the_race_in_the_readme_is_what_the_program_draws() {
    let readme = include_str!("../../README.md");
    let (_, from) = readme
        .split_once("`check explain M06/tso`")
        .expect("it is there");
    let block = from.lines().skip_while(|line| !line.starts_with("    "));
    let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
    let lines: Vec<&str> = block
        .map(|line| line.strip_prefix("    ").unwrap_or(""))
        .collect();
    let race = lines.join("\n");
    assert!(race.lines().count() > 50, "{race}");
    assert!(drawn("M06/tso").contains(race.trim_end()), "{race}");
}

#[test]
fn a_property_can_be_asked_for_by_name_and_a_check_that_holds_has_nothing_to_explain() {
    let other = ended(&["explain", "claim-init-vcpu", "--property", "no-bug-on"]);
    assert!(
        other.out.contains("Violated: KVM_BUG_ON fires"),
        "{}",
        other.out
    );
    // The first run of a check in which something breaks is meant.
    let meant = run("M06/tso").name;
    assert_eq!(drawn("M06"), drawn(&meant));
    for (name, said) in [
        ("claim", "claim/tso does not break no-second-busy"),
        ("M06/sc", "M06/sc does not break no-second-busy"),
        ("loom-M06", "is no run of the packed model"),
    ] {
        let refused = ended(&["explain", name]);
        assert_eq!(refused.status, Some(2), "{name}");
        assert_eq!(refused.out, "", "{name}");
        assert!(
            common::words(&refused.err).contains(said),
            "{}",
            refused.err
        );
    }
}
