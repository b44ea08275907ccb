//! Two models, the same verdicts: the matrix, and what a difference looks like.

mod common;

use common::ended;
use seamcheck::agree::{Agreement, Cell, disagreements, matrix};
use seamcheck::engine::{Limits, Watch};
use seamcheck::runner::{Outcome, run_one};
use seamcheck::suite::{Form, Run, built_in};
use seamcheck::verdict::Verdict;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;

fn run(name: &str) -> Run {
    let mut all = built_in().expect("well-formed").into_iter();
    all.find(|run| run.name == name).expect("such a run")
}

fn outcome(name: &str) -> Outcome {
    run_one(run(name), Limits::default(), &Watch::default())
}

/// Every mutant that is one decision of the core protocol, and needs one page of a finalized TD.
const MUTANTS: [&str; 21] = [
    "M01",
    "M02",
    "M03",
    "M04",
    "M05",
    "M05-irq",
    "M06",
    "M07",
    "M08",
    "M08-light",
    "M09",
    "M11",
    "M12",
    "M19",
    "M20",
    "M21",
    "M22",
    "M23",
    "M24",
    "M25",
    "M37",
];

#[test]
fn every_core_mutant_is_asked_of_both_models_under_both_memory_models() {
    let runs = built_in().expect("well-formed");
    let packed = |run: &&Run| run.form == Form::Packed;
    for mutant in MUTANTS.into_iter().chain(["M29", "M29-fixed", "claim"]) {
        for asked in runs.iter().filter(packed).filter(|run| run.check == mutant) {
            let twin = runs
                .iter()
                .find(|run| run.name == format!("actors-{}", asked.name));
            let twin = twin.unwrap_or_else(|| panic!("no twin of {}", asked.name));
            assert!(seamcheck::agree::asks_the_same(asked, twin), "{mutant}");
        }
    }
}

#[test]
fn a_mutant_that_tso_alone_breaks_is_broken_in_both_models() {
    let names = ["M06/sc", "M06/tso", "actors-M06/sc", "actors-M06/tso"];
    let outcomes: Vec<Outcome> = names.into_iter().map(outcome).collect();
    let rows = matrix(&outcomes);
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert!(row.agrees() && row.verdicts() == 2, "{row:?}");
        let Cell::Answer(answer) = &row.cells[1] else {
            panic!("{row:?}")
        };
        let broken = matches!(answer.verdict, Verdict::Violated(_));
        assert_eq!(broken, row.memory == Memory::Tso);
    }
    assert!(disagreements(&outcomes).is_empty());
}

#[test]
fn a_difference_is_shown_with_the_trace_of_the_side_that_has_one() {
    let mut outcomes = [outcome("M06/tso"), outcome("actors-M06/tso")];
    // What a model without store queues would say.
    for (_, _, found) in &mut outcomes[1].verdicts {
        *found = Verdict::Holds;
    }
    let apart = disagreements(&outcomes);
    let [found] = &apart[..] else {
        panic!("{} rows differ", apart.len())
    };
    assert_eq!(found.row.property, Property::NoSecondBusy);
    assert!(found.traces[0].contains("tdx_no_vcpus_enter_start()"));
    let shown = seamcheck::report::agreement::in_suite(&Agreement::of(&outcomes));
    assert!(
        shown.contains("with a second form: 1, of which 1 differ"),
        "{shown}"
    );
    assert!(shown.contains("actors: holds"), "{shown}");
}

/// Only a run of the code can tell M06's window under loom.
#[test]
fn the_matrix_has_what_the_code_said_and_how_far_it_looked() {
    let ended = ended(&["agree", "M06"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    assert!(ended.out.contains("holds (B, 2 laps)"), "{}", ended.out);
    assert!(ended.out.contains("violated 102 "), "{}", ended.out);
    assert!(ended.out.contains("sampled (4 vCPUs"), "{}", ended.out);
    assert!(ended.out.contains("form: 2, all agree"), "{}", ended.out);
}

#[test]
fn the_matrix_names_what_a_model_cannot_see() {
    let ended = ended(&["agree", "M10", "M22"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    insta::assert_snapshot!("agree", ended.out);
}

#[test]
fn exploring_says_when_a_port_is_taken() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ended = ended(&["explore", "--port", &port]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("can not be had"), "{}", ended.err);
    assert!(ended.err.contains("--port 0"), "{}", ended.err);
}
