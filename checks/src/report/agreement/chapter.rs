//! The matrix as a chapter of the book.

use super::scope::{LEGEND, RULE, by_form};
use super::{heads, reasons, totals};
use crate::agree::{Cell, Column, Row};
use seamcheck_model::actors;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::threads;
use std::fmt::Write;

/// What the chapter is, and what it comes from.
const HEAD: &str = "\
# The same verdicts from independent forms

The claim, `no-second-busy`, for every check of the packed model that a second form says something of
too, and for every mutant. The actors are another model, loom and shuttle run code. Lengths are each
form's own: what is one step differs, and loom and shuttle count executions and schedules. *sampled*:
schedules were made, and none of them violates. *unknown*: an execution did not end. A letter: the
question is none for that form, for the reason below the tables. Blank: not run.

Nothing is searched for this chapter. `check list --agreement` prints it from what the suite
*expects*, and a test keeps the file the same as that. It is `check run` that holds what is expected
against searches: a run that comes out otherwise fails. By day it leaves out the nightly checks, here
`6.16-3vcpu-full` and loom with up to five preemptions. `check agree` searches all that is compared, the
nightly checks with it, and prints the matrix of what came out, every row and every property.

";

/// A chapter of the book: every property in every form, the claim first.
#[must_use]
pub fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(HEAD);
    let _ = writeln!(out, "{LEGEND}\n## What counts\n\n{RULE}");
    out.push_str("Of the packed model's questions on what must never happen:\n\n");
    let safety = rows.iter().filter(|row| !row.property.is_liveness());
    let safety: Vec<Row> = safety.cloned().collect();
    for line in by_form(&safety).lines().chain([&*totals(&safety)]) {
        let _ = writeln!(out, "    {line}");
    }
    out.push_str("\n## The claim\n\n");
    let reasons = reasons(rows);
    let claim = |row: &&Row| row.property == Property::NoSecondBusy;
    let told = |row: &&Row| row.verdicts() > 1 || is_mutant(row);
    let table = |out: &mut String, what, told: &[&Row]| {
        markdown_table(out, what, rows, told, &reasons);
    };
    let told: Vec<&Row> = rows.iter().filter(claim).filter(told).collect();
    table(&mut out, "check", &told);
    out.push_str("\n## The other properties\n\n");
    out.push_str("Where the code has an answer, or the check is a mutant.\n\n");
    let other =
        |row: &&Row| !claim(row) && !row.property.is_liveness() && (is_mutant(row) || by_code(row));
    let told: Vec<&Row> = rows.iter().filter(other).collect();
    table(&mut out, "check, property", &told);
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
        .any(|(_, cell)| matches!(cell, Cell::Answer(_)))
}

/// A letter for each reason.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

/// The rows that are told, both memory models side by side, though one of them alone be worth it.
fn markdown_table(
    out: &mut String,
    what: &str,
    rows: &[Row],
    told: &[&Row],
    reasons: &[(Column, String)],
) {
    let heads = heads();
    let _ = writeln!(out, "| {what} | {} |", heads.join(" | "));
    let _ = writeln!(out, "| --- |{}", " --- |".repeat(heads.len()));
    let mut names: Vec<(&str, Property)> = Vec::new();
    for row in told {
        let name = (row.mutant.as_str(), row.property);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let cells = Memory::ALL.iter().flat_map(|memory| {
            let row = rows
                .iter()
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
        Cell::Answer(answer) => answer.to_string(),
        Cell::CannotSee(why) => {
            let at = reasons.iter().position(|(_, known)| known == why);
            let letter = at.and_then(|at| LETTERS.chars().nth(at));
            letter.map_or_else(|| "–".to_owned(), |letter| format!("*{letter}*"))
        }
        Cell::NotRun => String::new(),
    }
}
