//! The suite: what it must contain, and how it says that something is not as expected.

mod common;

use common::{run, runs};
use seamcheck::engine::{Limits, Watch};
use seamcheck::exit::Exit;
use seamcheck::runner::{Difference, Outcome, run_one};
use seamcheck::suite::{Form, Run, parse, select};
use seamcheck::verdict::{Expected, Verdict};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

const MUTANTS: [&str; 28] = [
    "M01", "M02", "M03", "M04", "M05", "M06", "M07", "M08", "M09", "M11", "M12", "M19", "M20",
    "M21", "M22", "M23", "M24", "M25", "M29", "M37", "M13", "M14", "M15", "M18", "M27", "M30",
    "M31", "M38",
];

/// `M05` has the variants `M05` and `M05-irq`.
fn is_variant(check: &str, mutant: &str) -> bool {
    let rest = check.strip_prefix(mutant);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[test]
fn every_mutant_is_asked_about_under_both_memory_models() {
    let names: BTreeSet<String> = runs().into_iter().map(|run| run.name).collect();
    for mutant in MUTANTS {
        let all = runs().into_iter().map(|run| run.check);
        let variants: BTreeSet<String> = all.filter(|check| is_variant(check, mutant)).collect();
        assert!(!variants.is_empty(), "{mutant} is missing");
        for variant in variants {
            for memory in ["sc", "tso"] {
                assert!(
                    names.contains(&format!("{variant}/{memory}")),
                    "{variant}/{memory}"
                );
            }
        }
    }
}

#[test]
fn every_property_is_seen_to_break_and_to_hold() {
    let met = |property: Property, wanted: fn(Expected) -> bool| {
        let expected = runs().into_iter().flat_map(|run| run.expect);
        expected
            .into_iter()
            .any(|(other, verdict)| other == property && wanted(verdict))
    };
    for property in Property::ALL {
        let (key, holds) = (property.key(), |verdict| verdict == Expected::Holds);
        assert!(met(*property, holds), "{key} holds nowhere");
        let breaks = |verdict| matches!(verdict, Expected::Violated(_));
        assert!(met(*property, breaks), "{key} breaks nowhere");
    }
}

#[test]
fn only_these_runs_may_come_to_no_verdict() {
    // But for the hang, each is a mutant, or a kernel, that never makes the call which the claim is about.
    let wanted = [
        "M22/sc no-second-busy vacuous",
        "M22/tso no-second-busy vacuous",
        "M23/sc no-second-busy vacuous",
        "M23/tso no-second-busy vacuous",
        "M38/sc no-second-busy vacuous",
        "M38/tso no-second-busy vacuous",
        "actors-M22/sc no-second-busy vacuous",
        "actors-M22/tso no-second-busy vacuous",
        "actors-M23/sc no-second-busy vacuous",
        "actors-M23/tso no-second-busy vacuous",
        "actors-M38/sc no-second-busy vacuous",
        "actors-M38/tso no-second-busy vacuous",
        // The vCPU spins with interrupts off, and loom gives up on an execution without end.
        "loom-M32/weak no-second-busy unknown",
        "loom-M22/sc no-second-busy vacuous",
        "loom-M22/weak no-second-busy vacuous",
        "loom-M23/sc no-second-busy vacuous",
        "loom-M23/weak no-second-busy vacuous",
        "loom-M38/sc no-second-busy vacuous",
        "loom-M38/weak no-second-busy vacuous",
        "loom-R5-6.19/sc no-second-busy vacuous",
        "loom-R5-6.19/weak no-second-busy vacuous",
        "loom-R5-next/sc no-second-busy vacuous",
        "loom-R5-next/weak no-second-busy vacuous",
        "loom-R5-next-2.0.12/sc no-second-busy vacuous",
        "loom-R5-next-2.0.12/weak no-second-busy vacuous",
        "R5-6.16-1.5.01/tso no-second-busy vacuous",
        "R5-6.19-1.5.05/tso no-second-busy vacuous",
        "R5-next-1.5.05/tso no-second-busy vacuous",
        "R5-next-2.0.12/tso no-second-busy vacuous",
        "finalize-beside-hole-tracked/tso no-second-busy vacuous",
    ];
    let mut found = Vec::new();
    // Nothing that shuttle does not find is said to hold.
    for run in runs().into_iter().filter(|run| run.form != Form::Shuttle) {
        for (property, expected) in run.expect {
            if matches!(expected, Expected::Vacuous | Expected::Unknown) {
                found.push(format!("{} {} {expected}", run.name, property.key()));
            }
        }
    }
    assert_eq!(found, wanted);
}

#[test]
fn the_claim_comes_first_and_its_exception_second() {
    let names: Vec<String> = runs().into_iter().map(|run| run.name).collect();
    assert_eq!(names[..2], ["claim/tso", "claim-init-vcpu/tso"]);
    let (claim, exception) = (run("claim/tso"), run("claim-init-vcpu/tso"));
    let of = |run: &Run| run.expect.first().copied();
    assert_eq!(of(&claim), Some((Property::NoSecondBusy, Expected::Holds)));
    assert!(matches!(
        of(&exception),
        Some((Property::NoSecondBusy, Expected::Violated(_)))
    ));
    // Neither changes a decision: both are about the patch as merged.
    assert_eq!((&claim.set, &exception.set), (&Vec::new(), &Vec::new()));
    assert_eq!(
        (claim.kernel.as_str(), exception.kernel.as_str()),
        ("6.16", "6.16")
    );
}

#[test]
fn a_check_is_selected_with_all_its_runs_and_a_run_alone() {
    let names = |wanted: &[&str]| -> Vec<String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let selected = select(runs(), &wanted).expect("they exist");
        selected.into_iter().map(|run| run.name).collect()
    };
    // In the suite's order, and once each.
    assert_eq!(
        names(&["M06", "M02/sc", "M06/tso"]),
        ["M02/sc", "M06/sc", "M06/tso"]
    );
    assert_eq!(names(&[]).len(), runs().len());
    let one = select(runs(), &["M066".to_owned()]).expect_err("there is none");
    assert!(one.to_string().contains("did you mean `M06`?"), "{one}");
}

/// The outcome of one small check with other expectations, or other questions.
fn outcome(question: &str, expected: &str) -> Outcome {
    let text = format!(
        "[[check]]\nname = \"small\"\ngroup = \"test\"\nabout = \"test\"\nmodule = \"1.5.05\"\n\
         kernel = \"6.16\"\n{question}\nsc = {{ {expected} }}\n"
    );
    let mut runs = parse("suite.toml", &text).expect("well-formed");
    run_one(runs.remove(0), Limits::default(), &Watch::default())
}

fn statuses(outcome: &Outcome) -> Vec<Exit> {
    outcome.differences.iter().map(Difference::exit).collect()
}

#[test]
fn another_number_of_states_is_that_difference_alone() {
    let holds = r#"no-second-busy = "holds""#;
    assert_eq!(
        outcome("", &format!("states = 2413, {holds}")).differences,
        []
    );
    for (given, expected) in [("states = 2412, ", Some(2412)), ("", None)] {
        let outcome = outcome("", &format!("{given}{holds}"));
        let found = 2413;
        assert_eq!(
            outcome.differences,
            [Difference::States { expected, found }]
        );
        assert_eq!(statuses(&outcome), [Exit::Violated]);
    }
}

#[test]
fn another_verdict_is_that_difference_alone() {
    let no_kick = r#"set = { kick = "none" }"#;
    let unmasked = r#"set = { busy_predicate = "unmasked" }"#;
    for (question, states, expected, found, exit) in [
        (
            "",
            2413,
            Expected::Violated(14),
            Verdict::Holds,
            Exit::Violated,
        ),
        ("", 2413, Expected::Vacuous, Verdict::Holds, Exit::Violated),
        ("", 2413, Expected::Unknown, Verdict::Holds, Exit::Violated),
        (
            no_kick,
            2826,
            Expected::Holds,
            Verdict::Violated(14),
            Exit::Violated,
        ),
        // Another length is another counterexample.
        (
            no_kick,
            2826,
            Expected::Violated(15),
            Verdict::Violated(14),
            Exit::Violated,
        ),
        (
            unmasked,
            1547,
            Expected::Holds,
            Verdict::Vacuous,
            Exit::Vacuous,
        ),
    ] {
        let text = format!("states = {states}, no-second-busy = \"{expected}\"");
        let outcome = outcome(question, &text);
        let property = Property::NoSecondBusy;
        let wanted = Difference::Verdict {
            property,
            expected,
            found,
        };
        assert_eq!(outcome.differences, [wanted], "{question} {text}");
        assert_eq!(statuses(&outcome), [exit], "{question} {text}");
    }
}

#[test]
fn a_question_that_can_not_be_asked_is_a_difference_too() {
    let outcome = outcome(
        r#"scenario = { threads = "KVM_TDX_INIT_VCPU" }"#,
        r#"no-second-busy = "holds""#,
    );
    let [Difference::Invalid(text)] = outcome.differences.as_slice() else {
        panic!("{:?}", outcome.differences);
    };
    assert!(text.contains("refused once the TD is finalized"), "{text}");
    assert_eq!(statuses(&outcome), [Exit::Usage]);
    assert!(outcome.verdicts.is_empty());
}

#[test]
fn a_search_that_is_stopped_comes_to_no_verdict() {
    let watch = Watch::default();
    watch.stop.store(true, Ordering::Relaxed);
    // Two vCPUs: the watch is looked at every few thousand states.
    let outcome = run_one(run("claim/tso"), Limits::default(), &watch);
    let unknown = |(.., found): &(Property, Expected, Verdict)| found.word() == "unknown";
    assert!(
        outcome.verdicts.iter().all(unknown),
        "{:?}",
        outcome.verdicts
    );
    assert_eq!(Exit::worst(statuses(&outcome)), Exit::Interrupted);
    let packed = outcome.packed.expect("it was searched");
    assert!(
        packed.stateright.is_none(),
        "a cut search has nothing to compare"
    );
}
