//! Tables of verdicts and counts in chapters that are written by hand, held against the suite.

use seamcheck::scenario_text;
use seamcheck::suite::{self, Run};
use seamcheck::verdict::Expected;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::{Decisions, OnFailure};
use seamcheck_model::property::Property;
use seamcheck_model::resource::{Evidence, KvmLock, KvmMode, LockKind, Mode, Resource};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::table::{Condition, Effect};

/// The rows of a text's tables, cell by cell, without bold print.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let inner = line.trim_matches('|').replace("\\|", "/");
        let cells = inner.split('|').map(|cell| cell.replace("**", ""));
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    lines.map(cells).collect()
}

/// The names between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The property that a cell names, by its number or its name.
fn property(cell: &str) -> Option<Property> {
    let numbered = match cell {
        "I1" => Property::NoVcpuInside,
        "I2" | "the claim" => Property::NoSecondBusy,
        "I3" => Property::FlagUnderMmuLock,
        "I4" => Property::FlagTested,
        "I6" => Property::EpochEmpty,
        "I7" => Property::TrackedRemove,
        "I8" => Property::InterruptOnce,
        "I9" => Property::NoMarkLeft,
        "I10" => Property::KickOnlyWhenBusy,
        _ => return Property::from_key(cell),
    };
    Some(numbered)
}

fn expected(runs: &[Run], name: &str, property: Property) -> Option<Expected> {
    let run = runs.iter().find(|run| run.name == name)?;
    let mut all = run.expect.iter();
    all.find(|(other, _)| *other == property)
        .map(|(_, expected)| *expected)
}

#[test]
fn the_verdicts_in_the_chapter_on_mutants_are_those_of_the_suite() {
    let runs = suite::built_in().expect("well-formed");
    let mut count = 0;
    for row in rows(include_str!("../../docs/mutants.md")) {
        let [first, middle @ .., sc, tso] = row.as_slice() else {
            continue;
        };
        let (Some(sc), Some(tso)) = (Expected::parse(sc), Expected::parse(tso)) else {
            continue;
        };
        let mut about = middle.iter();
        let about = about.find_map(|cell| property(cell.trim_matches('`')));
        let about = about.unwrap_or(Property::NoSecondBusy);
        for name in names(first) {
            for (memory, said) in [("sc", sc), ("tso", tso)] {
                let run = format!("{name}/{memory}");
                assert_eq!(expected(&runs, &run, about), Some(said), "{run}: {about:?}");
                count += 1;
            }
        }
    }
    assert!(count > 90, "{count} verdicts");
}

/// A number as the chapters print it: groups of three digits.
fn number(cell: &str) -> Option<u64> {
    cell.replace(' ', "").parse().ok()
}

#[test]
fn the_counts_in_the_chapter_on_the_claim_are_those_of_the_suite() {
    let runs = suite::built_in().expect("well-formed");
    let mut count = 0;
    for row in rows(include_str!("../../docs/claim.md")) {
        let [vcpus, memory, states, _, verdict] = row.as_slice() else {
            continue;
        };
        let (Some(vcpus), Some(states)) = (number(vcpus), number(states)) else {
            continue;
        };
        let memory = match memory.as_str() {
            "SC" => "sc",
            _ => "tso",
        };
        let asks = |run: &&Run| {
            let plain = Scenario {
                vcpus: vcpus as usize,
                memory: run.scenario.memory,
                ..Scenario::default()
            };
            run.name.ends_with(&format!("/{memory}"))
                && (run.kernel.as_str(), run.module.as_str()) == ("6.16", "1.5.05")
                && run.set.is_empty()
                && run.form == suite::Form::Packed
                && run.scenario == plain
        };
        let run = runs.iter().find(asks);
        let run = run.unwrap_or_else(|| panic!("no run of {vcpus} vCPUs, {memory}"));
        assert_eq!(run.states, Some(states), "{}", run.name);
        let found = expected(&runs, &run.name, Property::NoSecondBusy);
        assert_eq!(found, Expected::parse(verdict), "{}", run.name);
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn the_views_in_the_chapter_on_every_number_are_those_of_the_suite() {
    let runs = suite::built_in().expect("well-formed");
    let mut count = 0;
    for row in rows(include_str!("../../docs/every-n.md")) {
        let Some(views) = row.get(1).and_then(|cell| number(cell)) else {
            continue;
        };
        let known = runs.iter().any(|run| run.views == Some(views));
        assert!(known, "{}: {views} views", row[0]);
        count += 1;
    }
    assert!(count >= 6, "{count} proofs");
}

#[test]
fn the_sizes_in_the_chapter_on_actors_are_those_of_the_suite() {
    let runs = suite::built_in().expect("well-formed");
    let mut count = 0;
    for row in rows(include_str!("../../docs/actors.md")) {
        let Some((kernel, module)) = row[0].split_once(", module ") else {
            continue;
        };
        let kernel = kernel.replace(' ', "-");
        let scopes = [(1, "/sc"), (1, "/tso"), (2, "/sc"), (2, "/tso")];
        for ((vcpus, memory), cell) in scopes.into_iter().zip(&row[1..]) {
            let asks = |run: &&Run| {
                let plain = Scenario {
                    vcpus,
                    memory: run.scenario.memory,
                    ..Scenario::default()
                };
                run.form == suite::Form::Actors
                    && run.name.ends_with(memory)
                    && (run.kernel.as_str(), run.module.as_str()) == (kernel.as_str(), module)
                    && run.set.is_empty()
                    && run.scenario == plain
            };
            let run = runs.iter().find(asks);
            let run =
                run.unwrap_or_else(|| panic!("no run of {kernel}, {module}, {vcpus}{memory}"));
            assert_eq!(run.states, number(cell), "{}", run.name);
            count += 1;
        }
    }
    assert_eq!(count, 16);
}

#[test]
fn the_chapter_on_tables_lists_every_word_of_the_files() {
    fn keys<T: ClosedEnum>() -> Vec<&'static str> {
        T::ALL.iter().map(|value| value.key()).collect()
    }
    let all = [
        keys::<Effect>(),
        keys::<Condition>(),
        keys::<Resource>(),
        keys::<LockKind>(),
        keys::<Mode>(),
        keys::<Evidence>(),
        keys::<KvmLock>(),
        keys::<KvmMode>(),
        keys::<OnFailure>(),
        scenario_text::NAMES.to_vec(),
    ];
    let chapter = include_str!("../../docs/tables.md");
    for word in all.concat() {
        let ways = [
            format!("`{word}`"),
            format!("`{word} "),
            format!("\"{word}\""),
        ];
        let found = ways.iter().any(|way| chapter.contains(way));
        assert!(found, "docs/tables.md does not have `{word}`");
    }
}

#[test]
fn every_property_stands_in_the_chapter_on_the_claim_or_on_liveness() {
    let claim = include_str!("../../docs/claim.md");
    let liveness = include_str!("../../docs/liveness.md");
    for property in Property::ALL {
        let row = format!("| `{}` |", property.key());
        let chapter = if property.is_liveness() {
            liveness
        } else {
            claim
        };
        assert!(chapter.contains(&row), "no row for {}", property.key());
    }
}

#[test]
fn the_chapter_on_tables_lists_every_decision_with_every_value() {
    let rows = rows(include_str!("../../docs/tables.md"));
    for name in Decisions::NAMES {
        let at = rows
            .iter()
            .position(|row| row[0] == format!("`{name}`"))
            .unwrap_or_else(|| panic!("{name} has no row"));
        // A row that is too long goes on in the next, which names no decision.
        let more = rows[at + 1..].iter().take_while(|row| row[0].is_empty());
        let cells = std::iter::once(&rows[at]).chain(more);
        let said: Vec<&str> = cells.flat_map(|row| names(&row[1])).collect();
        let known: Vec<&str> = Decisions::values(name)
            .iter()
            .map(|(key, _)| *key)
            .collect();
        let mut sorted = [said.clone(), known.clone()];
        sorted.iter_mut().for_each(|list| list.sort_unstable());
        assert_eq!(sorted[0], sorted[1], "{name}");
    }
}
