//! What an answer in a scope of its own counts for, on small suites.

use super::*;
use crate::suite;

fn rows_of(checks: &[String]) -> Vec<Row> {
    let runs = suite::parse("test.toml", &checks.concat());
    expected(&runs.expect("well-formed"))
}

fn check(name: &str, form: &str, rest: &str) -> String {
    format!(
        "[[check]]\nname = \"{name}\"\ngroup = \"g\"\nabout = \"a.\"\nform = \"{form}\"\n\
         module = \"1.5.05\"\nkernel = \"6.16\"\n{rest}\n\n"
    )
}

/// The packed model with so many vCPUs, under sequential consistency.
fn packed(vcpus: usize, verdict: &str) -> String {
    let rest = format!("scenario = {{ vcpus = {vcpus} }}\nsc = {{ {verdict} }}");
    check("model", "packed", &rest)
}

fn code(name: &str, form: &str, vcpus: usize, code: &str, verdict: &str) -> String {
    let rest = format!(
        "scenario = {{ vcpus = {vcpus} }}\ncode = {{ {code} }}\nsc = {{ no-second-busy = \"{verdict}\" }}"
    );
    check(name, form, &rest)
}

fn loom(vcpus: usize, settings: &str, verdict: &str) -> String {
    code("loom", "loom", vcpus, settings, verdict)
}

const HOLDS: &str = "no-second-busy = \"holds\"";

fn only(rows: Vec<Row>) -> Row {
    let [row] = &rows[..] else {
        panic!("{} rows", rows.len())
    };
    row.clone()
}

/// The only row, and how the code's column reads in it.
fn read(checks: &[String], column: Column) -> (Stand, String) {
    let row = only(rows_of(checks));
    let at = Column::ALL.iter().position(|one| *one == column);
    let text = match &row.cells[at.expect("a column")] {
        Cell::Answer(answer) => answer.to_string(),
        other => format!("{other:?}"),
    };
    (row.stand(), text)
}

#[test]
fn what_holds_with_fewer_vcpus_or_within_a_bound_is_no_agreement() {
    let whole = "window = \"whole\", preemptions = 2";
    for (vcpus, settings, text) in [
        (1, "window = \"block\"", "holds (1 vCPU, B, 2 laps)"),
        (3, whole, "holds (2 laps, ≤2 preemptions)"),
        (2, whole, "holds (2 vCPUs, 2 laps, ≤2 preemptions)"),
    ] {
        let checks = [packed(3, HOLDS), loom(vcpus, settings, "holds")];
        let read = read(&checks, Column::Loom);
        assert_eq!(read, (Stand::Compatible, text.to_owned()));
    }
}

#[test]
fn the_same_from_a_model_in_the_same_scenario_is_one() {
    let actors = packed(2, HOLDS)
        .replace("\"model\"", "\"actors\"")
        .replace("\"packed\"", "\"actors\"");
    let read = read(&[packed(2, HOLDS), actors], Column::Actors);
    assert_eq!(read, (Stand::Agree, "holds".to_owned()));
}

#[test]
fn a_violation_with_fewer_vcpus_contradicts_what_holds_with_more() {
    let found = loom(1, "window = \"block\", preemptions = 2", "violated 9");
    let violated = "no-second-busy = \"violated 21\"";
    let (stand, text) = read(&[packed(2, HOLDS), found.clone()], Column::Loom);
    assert_eq!((stand, &*text), (Stand::Differ, "violated 9"));
    let (stand, _) = read(&[packed(2, violated), found], Column::Loom);
    assert_eq!(stand, Stand::Agree);
}

#[test]
fn a_violation_with_more_vcpus_is_against_a_proof_for_every_number_and_nothing_else() {
    let found = code("shuttle", "shuttle", 4, "seed = 1", "violated 7");
    let (stand, text) = read(&[packed(1, HOLDS), found.clone()], Column::Shuttle);
    assert_eq!((stand, &*text), (Stand::Compatible, "violated 7 (4 vCPUs)"));
    let proved = format!("views = 1, {HOLDS}");
    let (stand, _) = read(&[packed(1, &proved), found.clone()], Column::Shuttle);
    assert_eq!(stand, Stand::Differ);
    let violated = packed(1, "no-second-busy = \"violated 21\"");
    let (stand, _) = read(&[violated, found], Column::Shuttle);
    assert_eq!(stand, Stand::Compatible);
}

#[test]
fn a_sample_is_told_as_one_and_is_no_verdict() {
    let sample = code("shuttle", "shuttle", 4, "seed = 1", "unknown");
    let (stand, text) = read(&[packed(2, HOLDS), sample], Column::Shuttle);
    assert_eq!(stand, Stand::Alone);
    assert_eq!(text, "sampled (4 vCPUs, 3 laps)");
}

#[test]
fn a_window_that_came_to_no_end_is_not_hidden_by_another_that_holds() {
    let block = code("one", "loom", 1, "window = \"block\"", "holds");
    let track = code("two", "loom", 1, "window = \"track\"", "unknown");
    let both = [packed(1, HOLDS), block.clone(), track.clone()];
    assert_eq!(read(&both, Column::Loom).1, "unknown (T, 2 laps)");
    let laps = "window = \"track\", laps = 3";
    let further = code("three", "loom", 1, laps, "holds");
    let (_, text) = read(&[packed(1, HOLDS), block, track, further], Column::Loom);
    assert_eq!(text, "holds (B T, 2 laps)");
}

#[test]
fn windows_are_told_together_with_the_fewest_laps_of_any() {
    let marked = "window = \"remove\", marked = true, laps = 1";
    let checks = [
        packed(2, HOLDS),
        code("one", "loom", 1, marked, "holds"),
        code("two", "loom", 1, "window = \"block\"", "holds"),
        code("three", "loom", 1, "window = \"block\", laps = 1", "holds"),
    ];
    let (_, text) = read(&checks, Column::Loom);
    assert_eq!(text, "holds (1 vCPU, B Rh, 1 lap)");
}

#[test]
fn a_violation_on_a_weak_memory_counts_for_x86_only_where_the_model_shows_it() {
    let tso = packed(1, HOLDS).replace("\nsc =", "\ntso =");
    let weak = |settings: &str| loom(1, settings, "violated 9").replace("\nsc =", "\nweak =");
    let (stand, text) = read(&[tso.clone(), weak("window = \"block\"")], Column::Loom);
    assert_eq!(
        (stand, &*text),
        (Stand::Compatible, "violated 9 (weak memory)")
    );
    let held = weak("window = \"block\", conformance = true");
    let (stand, text) = read(&[tso, held], Column::Loom);
    assert_eq!((stand, &*text), (Stand::Differ, "violated 9"));
}

#[test]
fn a_window_that_takes_another_vcpu_says_nothing_of_the_row_without_it() {
    let late = |check: String| check.replace("{ vcpus = 1", "{ vcpus = 1, late = true");
    let checks = [
        late(packed(1, HOLDS)),
        late(loom(1, "window = \"block\"", "violated 9")),
    ];
    let (stand, text) = read(&checks, Column::Loom);
    assert_eq!(
        (stand, &*text),
        (Stand::Compatible, "violated 9 (1+1 vCPUs)")
    );
}

#[test]
fn code_of_another_question_is_no_answer() {
    let settings = "window = \"remove\"";
    let same = loom(1, settings, "violated 9");
    for other in [
        same.replace("1.5.05", "2.0.12"),
        same.replace("6.16", "patch-v1"),
        same.replace("\nsc =", "\nset = { kick = \"none\" }\nsc ="),
        same.replace("vcpus = 1", "vcpus = 1, migrate = true"),
        same.replace("\nsc =", "\nweak ="),
        // Nothing in the model begins there.
        same.replace("remove\"", "track\", marked = true"),
    ] {
        let (stand, text) = read(&[packed(1, HOLDS), other.clone()], Column::Loom);
        assert_eq!((stand, &*text), (Stand::Alone, "NotRun"), "{other}");
    }
    assert_eq!(
        read(&[packed(1, HOLDS), same], Column::Loom).0,
        Stand::Compatible
    );
}

fn row(packed: Cell, actors: Cell) -> Row {
    Row {
        mutant: "M01".into(),
        memory: Memory::Tso,
        property: Property::NoSecondBusy,
        every_number: false,
        cells: [packed, actors, Cell::NotRun, Cell::NotRun],
    }
}

fn said(verdict: Verdict) -> Cell {
    Cell::Answer(Answer::to_the_same(verdict, "run"))
}

#[test]
fn verdicts_agree_by_word_whatever_the_length() {
    let violated = |length| said(Verdict::Violated(length));
    assert!(row(violated(23), violated(21)).agrees());
    assert!(!row(violated(23), said(Verdict::Holds)).agrees());
    assert!(!row(said(Verdict::Vacuous), said(Verdict::Holds)).agrees());
}

#[test]
fn a_form_that_says_nothing_disagrees_with_nobody() {
    for silent in [
        Cell::NotRun,
        Cell::CannotSee("no second page".into()),
        said(Verdict::Unknown(Cut::Time)),
    ] {
        let row = row(said(Verdict::Holds), silent);
        assert_eq!((row.stand(), row.verdicts()), (Stand::Alone, 1));
    }
}
