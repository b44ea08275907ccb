//! The matrix as a chapter of the book.

use super::reasons;
use crate::agree::{Cell, Column, Row};
use seamcheck_model::actors;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::threads;
use std::fmt::Write;

/// A chapter of the book: every property in every form, the claim first.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "# The same verdicts from independent forms\n\n\
         The claim, `no-second-busy`, for every check of the packed model that a second form answers too,\n\
         and for every mutant. The actors are another model, loom and shuttle run code. Lengths are each\n\
         form's own: what is one step differs, and loom and shuttle count executions and schedules.\n\
         *unknown*: a sample was made and none of it violates, or an execution did not end. A letter: the\n\
         question is none for that form, for the reason below the tables. Blank: not run. `check list\n\
         --agreement` prints this chapter from what the suite expects, and a test keeps it the same; `check\n\
         run` holds each cell against a search, and `check agree` prints the whole matrix.\n\n",
    );
    let reasons = reasons(rows);
    let claim = |row: &&Row| row.property == Property::NoSecondBusy;
    let told = |row: &&Row| row.verdicts() > 1 || is_mutant(row);
    markdown_table(
        &mut out,
        "check",
        rows.iter().filter(claim).filter(told),
        &reasons,
    );
    out.push_str("\n## The other properties\n\n");
    out.push_str("Where the code has an answer, or the check is a mutant.\n\n");
    let other =
        |row: &&Row| !claim(row) && !row.property.is_liveness() && (is_mutant(row) || by_code(row));
    markdown_table(
        &mut out,
        "check, property",
        rows.iter().filter(other),
        &reasons,
    );
    out.push_str("\n## Letters\n\n");
    for (letter, (_, why)) in LETTERS.chars().zip(&reasons) {
        let _ = writeln!(out, "- *{letter}*: {why}");
    }
    out.push_str(&not_implemented());
    out
}

/// The values of decisions that a form refuses, by name: a gap in a column that is none of the suite's.
fn not_implemented() -> String {
    let mut out = String::from(
        "\n## What a form refuses\n\n\
         The packed model has every decision. A value that another form does not implement is refused by\n\
         name, and never taken for another; all values that are not listed here are implemented by all.\n\n\
         | decision | value | actors | code |\n| --- | --- | --- | --- |\n",
    );
    for name in Decisions::NAMES {
        for (value, _) in Decisions::values(name) {
            let forms = [
                actors::implements(name, value),
                threads::implements(name, value),
            ];
            if forms != [true; 2] {
                let [actors, code] = forms.map(|has| if has { "" } else { "refused" });
                let _ = writeln!(out, "| {name} | {value} | {actors} | {code} |");
            }
        }
    }
    out
}

/// Named as one in docs/mutants.md.
fn is_mutant(row: &Row) -> bool {
    let number = row.mutant.strip_prefix('M').unwrap_or_default();
    number.starts_with(|first: char| first.is_ascii_digit())
}

fn by_code(row: &Row) -> bool {
    let columns = Column::ALL.iter().zip(&row.cells);
    columns
        .filter(|(column, _)| matches!(column, Column::Loom | Column::Shuttle))
        .any(|(_, cell)| matches!(cell, Cell::Verdict(_)))
}

/// A letter for each reason.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// Rows, both memory models side by side.
fn markdown_table<'a>(
    out: &mut String,
    what: &str,
    rows: impl Iterator<Item = &'a Row> + Clone,
    reasons: &[(Column, String)],
) {
    let heads = Memory::ALL
        .iter()
        .flat_map(|memory| Column::ALL.map(|column| format!("{} {}", memory.key(), column.name())));
    let heads: Vec<String> = heads.collect();
    let _ = writeln!(out, "| {what} | {} |", heads.join(" | "));
    let _ = writeln!(out, "| --- |{}", " --- |".repeat(heads.len()));
    let mut names: Vec<(&str, Property)> = Vec::new();
    for row in rows.clone() {
        let name = (row.mutant.as_str(), row.property);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let cells = Memory::ALL.iter().flat_map(|memory| {
            let mut rows = rows.clone();
            let row = rows
                .find(|row| (row.mutant.as_str(), row.property) == name && row.memory == *memory);
            (0..Column::ALL.len()).map(move |at| {
                row.map_or_else(String::new, |row| in_table(&row.cells[at], reasons))
            })
        });
        let cells: Vec<String> = cells.collect();
        let (check, property) = name;
        let property = match property {
            Property::NoSecondBusy => String::new(),
            property => format!(", {}", property.key()),
        };
        let _ = writeln!(out, "| {check}{property} | {} |", cells.join(" | "));
    }
}

fn in_table(cell: &Cell, reasons: &[(Column, String)]) -> String {
    match cell {
        Cell::Verdict(verdict) => verdict.to_string(),
        Cell::CannotSee(why) => {
            let at = reasons.iter().position(|(_, known)| known == why);
            let letter = at.and_then(|at| LETTERS.chars().nth(at));
            letter.map_or_else(|| "–".to_owned(), |letter| format!("*{letter}*"))
        }
        Cell::NotRun => String::new(),
    }
}
