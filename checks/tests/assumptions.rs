//! The assumption ledger: in the book, in the suite, in every report.

mod common;
#[path = "common/documented.rs"]
mod documented;

use common::{ended, words};
use documented::Format;
use seamcheck::assumptions::LEDGER;
use seamcheck::suite;
use std::collections::BTreeSet;

#[test]
fn the_chapter_is_the_ledger() {
    let printed = ended(&["assumptions", "--markdown"]);
    let chapter = include_str!("../../docs/assumptions.md");
    assert!(
        printed.out == chapter,
        "docs/assumptions.md differs from `check assumptions --markdown`; `just book` writes it again"
    );
}

#[test]
fn what_drops_an_assumption_is_a_run_of_the_suite() {
    let runs = suite::built_in().expect("well-formed");
    let dropped = LEDGER.iter().filter_map(|one| one.weakened.as_ref().ok());
    let mut count = 0;
    for name in dropped {
        assert!(runs.iter().any(|run| run.name == *name), "{name}");
        count += 1;
    }
    assert!(count >= 6);
}

#[test]
fn json_has_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.assumptions.v1");
    let printed = ended(&["assumptions", "--json"]);
    let mut met = BTreeSet::new();
    format.assert_fits(&serde_json::from_str(&printed.out).expect("JSON"), &mut met);
    assert_eq!(met, format.all(), "left: met, right: documented");
}

#[test]
fn a_verdict_names_what_it_rests_on() {
    // A3 is TSO's, A4 that of SC; A10 to A13 need a vCPU; A8 a decision that nobody has read.
    for (args, rests) in [
        (&["what-if"][..], "A1-A3 A5 A9-A18 A22-A23 A31"),
        (
            &["what-if", "--memory", "sc"],
            "A1-A2 A4-A5 A9-A18 A22-A23 A31",
        ),
        (&["what-if", "--vcpus", "0"], "A1-A3 A5 A9 A14-A18 A22"),
        (
            &["what-if", "--kernel", "patch-v1"],
            "A1-A3 A5 A8-A18 A22-A23 A31",
        ),
        (
            &["what-if", "--module", "2.0.12"],
            "A1-A3 A5-A6 A9-A18 A22-A23 A31",
        ),
        (
            &["what-if", "--module", "patch-table"],
            "A1-A3 A6 A9-A18 A21-A23 A31",
        ),
        (
            &["what-if", "--with", "any-tdr-exclusive"],
            "A1-A3 A5 A7 A9-A18 A22-A23 A31",
        ),
        (
            &["what-if", "--property", "zap-finishes"],
            "A1-A3 A5 A9-A18 A20 A22-A23 A31",
        ),
        (&["prove"], "A1-A3 A5 A9-A19 A22-A23 A31"),
        // A violation is of one number of vCPUs.
        (
            &["prove", "--set", "kick=none"],
            "A1-A3 A5 A9-A18 A22-A23 A31",
        ),
        // Neither A3 nor A4: the memory is C11's.
        (
            &["code", "--window", "remove"],
            "A1-A2 A5 A9-A12 A14-A15 A17 A22-A23 A26-A31",
        ),
        (
            &["code", "--engine", "shuttle", "--schedules", "20"],
            "A1-A2 A4-A5 A9-A15 A17 A22-A23 A26-A27 A31",
        ),
    ] {
        let said = words(&ended(args).out);
        let wanted = format!("rests on {rests} (check assumptions)");
        assert!(said.contains(&wanted), "{args:?}: {said}");
    }
}

#[test]
fn every_verdict_of_every_form_names_what_it_rests_on() {
    let runs = [
        "M01/sc",
        "actors-M01/tso",
        "loom-remove",
        "shuttle-M19",
        "live-1vcpu/sc",
    ];
    let json = ended(&[&["run", "--json"], &runs[..]].concat());
    let report: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let reported = report["runs"].as_array().expect("runs");
    assert_eq!(reported.len(), runs.len());
    for run in reported {
        let rests_on = run["rests_on"].as_array();
        let rests_on = rests_on.unwrap_or_else(|| panic!("{}", run["name"]));
        let numbers = rests_on.iter().map(|number| number.as_u64().expect("one"));
        let actors_own = numbers.clone().filter(|number| [24, 25].contains(number));
        let is_actors = run["form"] == "actors";
        assert_eq!(actors_own.count(), if is_actors { 2 } else { 0 });
        assert!(numbers.clone().any(|number| number == 1));
    }
    let said = ended(&[&["run"], &runs[..]].concat()).out;
    let rows = said.matches("rests on A1").count();
    assert_eq!(rows, runs.len(), "{said}");
}

#[test]
fn a_decision_that_is_set_is_no_longer_assumed() {
    let assumed = words(&ended(&["what-if", "--kernel", "patch-v1"]).out);
    let said = "decisions of patch-v1 that nobody has read: kick_mode_read, vcpu_barrier";
    assert!(assumed.contains(said), "{assumed}");
    let set = ["--set", "kick_mode_read=locked-cmpxchg"];
    let args = [&["what-if", "--kernel", "patch-v1"], &set[..]].concat();
    let assumed = words(&ended(&args).out);
    assert!(
        assumed.contains("nobody has read: vcpu_barrier"),
        "{assumed}"
    );
}
