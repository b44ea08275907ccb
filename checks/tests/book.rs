//! Chapters that the program writes, and the book's table of contents.

mod common;

use common::ended;
use seamcheck::agree::{self, Cell, Column, Counts, Stand};
use seamcheck::report::necessity;
use seamcheck::suite;
use std::path::Path;

#[test]
fn the_chapter_on_necessity_is_what_the_suite_says() {
    let printed = ended(&["list", "--necessity"]);
    let chapter = include_str!("../../docs/necessity.md");
    assert!(
        printed.out == chapter,
        "docs/necessity.md differs from `check list --necessity`; `just book` writes it again"
    );
}

#[test]
fn the_chapter_on_agreement_is_what_the_suite_says() {
    let printed = ended(&["list", "--agreement"]);
    let chapter = include_str!("../../docs/agreement.md");
    assert!(
        printed.out == chapter,
        "docs/agreement.md differs from `check list --agreement`; `just book` writes it again"
    );
}

#[test]
fn no_two_forms_are_expected_to_disagree() {
    let runs = suite::built_in().expect("well-formed");
    let rows = agree::expected(&runs);
    let compared = rows.iter().filter(|row| row.stand() == Stand::Agree);
    assert!(compared.clone().count() > 250, "{}", compared.count());
    for row in rows {
        assert!(row.agrees(), "{row:?}");
    }
}

#[test]
fn three_vcpus_are_searched_by_the_packed_model_alone() {
    let runs = suite::built_in().expect("well-formed");
    let rows = agree::expected(&runs).into_iter();
    let rows: Vec<_> = rows.filter(|row| row.mutant == "6.16-3vcpu-full").collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row.stand(), Stand::Compatible, "{row:?}");
        let loom = Column::ALL.iter().position(|one| *one == Column::Loom);
        let Cell::Answer(answer) = &row.cells[loom.expect("a column")] else {
            panic!("{row:?}")
        };
        assert_eq!(answer.counts(), Counts::Within);
        assert!(answer.to_string().contains(" vCPU"), "{answer}");
    }
}

#[test]
fn every_value_of_every_decision_is_asked_about() {
    let runs = suite::built_in().expect("well-formed");
    assert_eq!(necessity::not_asked(&runs), []);
}

#[test]
fn the_table_of_contents_names_every_chapter_and_no_other() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let contents = include_str!("../../docs/SUMMARY.md");
    let mut named: Vec<&str> = contents
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    let mut there: Vec<String> = Vec::new();
    for directory in ["", "adr/"] {
        for entry in std::fs::read_dir(docs.join(directory)).expect("there") {
            let name = entry.expect("readable").file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".md") && name != "SUMMARY.md" {
                there.push(format!("{directory}{name}"));
            }
        }
    }
    named.sort_unstable();
    there.sort_unstable();
    assert_eq!(named, there);
}
