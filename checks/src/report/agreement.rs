//! The matrix of agreement: rows mutants, columns forms of the claim.

use crate::agree::{Agreement, Cell, Column, Disagreement, Row};
use crate::exit::Exit;
use seamcheck_model::actors;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::threads;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The format's name and version.
const FORMAT: &str = "seamcheck.agreement.v1";

#[derive(Serialize)]
struct Matrix {
    format: &'static str,
    exit: u8,
    #[serde(flatten)]
    table: Table,
}

/// The matrix, as it stands in this format and in the suite's report.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Line>,
    disagreements: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Line {
    mutant: String,
    memory: &'static str,
    property: &'static str,
    agrees: bool,
    cells: BTreeMap<&'static str, CellText>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
enum CellText {
    Verdict {
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
    },
    CannotSee {
        cannot_see: String,
    },
    NotRun {
        not_run: bool,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    mutant: String,
    memory: &'static str,
    property: &'static str,
    traces: BTreeMap<&'static str, String>,
}

/// The matrix as JSON.
#[must_use]
pub fn json(agreement: &Agreement, exit: Exit) -> impl Serialize + use<> {
    Matrix {
        format: FORMAT,
        exit: exit as u8,
        table: table(agreement),
    }
}

pub(super) fn table(agreement: &Agreement) -> Table {
    let shown = |found: &Disagreement| Shown {
        mutant: found.row.mutant.clone(),
        memory: found.row.memory.key(),
        property: found.row.property.key(),
        traces: by_column(&found.traces, String::clone),
    };
    Table {
        columns: Column::ALL.map(Column::name).to_vec(),
        rows: agreement.rows.iter().map(line).collect(),
        disagreements: agreement.apart.iter().map(shown).collect(),
    }
}

fn line(row: &Row) -> Line {
    Line {
        mutant: row.mutant.clone(),
        memory: row.memory.key(),
        property: row.property.key(),
        agrees: row.agrees(),
        cells: by_column(&row.cells, |cell| match cell {
            Cell::Verdict(verdict) => CellText::Verdict {
                verdict: verdict.word(),
                length: match verdict {
                    crate::verdict::Verdict::Violated(length) => Some(*length),
                    _ => None,
                },
            },
            Cell::CannotSee(why) => CellText::CannotSee {
                cannot_see: why.clone(),
            },
            Cell::NotRun => CellText::NotRun { not_run: true },
        }),
    }
}

fn by_column<'a, T, U>(values: &'a [T], text: impl Fn(&'a T) -> U) -> BTreeMap<&'static str, U> {
    let columns = Column::ALL.into_iter().map(Column::name);
    columns.zip(values.iter().map(text)).collect()
}

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

/// The matrix for people: sequential consistency and x86-TSO side by side, questions that come out
/// alike on one line.
#[must_use]
pub fn human(agreement: &Agreement) -> String {
    let Agreement { rows, apart } = agreement;
    let mut out = String::new();
    let heads: Vec<String> = Memory::ALL
        .iter()
        .flat_map(|memory| Column::ALL.map(|column| format!("{} {}", memory.key(), column.name())))
        .collect();
    let _ = writeln!(
        out,
        "{:<28} {:<22} {}",
        "mutant",
        "property",
        padded(&heads)
    );
    for group in groups(rows) {
        let _ = writeln!(
            out,
            "{:<28} {:<22} {}{}",
            group.mutant,
            group.properties,
            padded(&group.cells),
            if group.agrees { "" } else { "  DISAGREE" }
        );
    }
    for (column, why) in reasons(rows) {
        let _ = writeln!(out, "\n{} cannot see: {why}", column.name());
    }
    for found in apart {
        show(&mut out, found);
    }
    let _ = writeln!(out, "\n{}", totals(rows));
    out
}

/// The last line: how many questions were asked of more than one form, and how many come out alike.
#[must_use]
pub fn totals(rows: &[Row]) -> String {
    let compared = rows.iter().filter(|row| row.verdicts() > 1);
    let apart = compared.clone().filter(|row| !row.agrees()).count();
    let compared = compared.count();
    if apart == 0 {
        format!("verdicts compared with a second model: {compared}, all agree")
    } else {
        format!("verdicts compared with a second model: {compared}, of which {apart} differ")
    }
}

/// What a suite's report says of it: one line, and both sides of each disagreement; nothing when the
/// suite asks nothing twice.
#[must_use]
pub fn in_suite(agreement: &Agreement) -> String {
    let Agreement { rows, apart } = agreement;
    let mut out = String::new();
    if rows.iter().any(|row| row.verdicts() > 1) {
        let _ = writeln!(out, "\n{}; `check agree` prints the matrix", totals(rows));
    }
    for found in apart {
        show(&mut out, found);
    }
    out
}

struct Group {
    mutant: String,
    properties: String,
    cells: Vec<String>,
    agrees: bool,
}

/// One line for the properties of a mutant that come out alike under both memory models.
fn groups(rows: &[Row]) -> Vec<Group> {
    let mut groups: Vec<(Group, usize)> = Vec::new();
    let mut names: Vec<(&str, &'static str)> = Vec::new();
    for row in rows {
        let name = (row.mutant.as_str(), row.property.key());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for (mutant, property) in names {
        let of = |memory: &Memory| {
            rows.iter().find(|row| {
                row.mutant == mutant && row.property.key() == property && row.memory == *memory
            })
        };
        let cells: Vec<String> = Memory::ALL
            .iter()
            .flat_map(|memory| match of(memory) {
                Some(row) => row.cells.iter().map(text).collect::<Vec<_>>(),
                None => vec![String::new(); Column::ALL.len()],
            })
            .collect();
        let agrees = Memory::ALL
            .iter()
            .all(|memory| of(memory).is_none_or(Row::agrees));
        match groups.last_mut() {
            Some((group, count)) if group.mutant == mutant && group.cells == cells => {
                *count += 1;
                group.properties = format!("{count} properties");
            }
            _ => groups.push((
                Group {
                    mutant: mutant.to_owned(),
                    properties: property.to_owned(),
                    cells,
                    agrees,
                },
                1,
            )),
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Verdict(verdict) => verdict.to_string(),
        Cell::CannotSee(_) => "cannot see".into(),
        Cell::NotRun => "not run".into(),
    }
}

fn padded(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<12}")).collect();
    cells.join(" ").trim_end().to_owned()
}

/// Why a form cannot see some questions, each reason once, with the first column that gives it.
fn reasons(rows: &[Row]) -> Vec<(Column, String)> {
    let mut reasons: Vec<(Column, String)> = Vec::new();
    for row in rows {
        for (column, cell) in Column::ALL.iter().zip(&row.cells) {
            if let Cell::CannotSee(why) = cell
                && !reasons.iter().any(|(_, known)| known == why)
            {
                reasons.push((*column, why.clone()));
            }
        }
    }
    reasons
}

/// Both sides of a disagreement.
fn show(out: &mut String, found: &Disagreement) {
    let row = &found.row;
    let _ = writeln!(
        out,
        "\n{}/{} {}",
        row.mutant,
        row.memory.key(),
        row.property.key()
    );
    for ((column, cell), trace) in Column::ALL.iter().zip(&row.cells).zip(&found.traces) {
        let _ = writeln!(out, "\n  {}: {}", column.name(), text(cell));
        let lines = trace.lines();
        for line in lines {
            let _ = writeln!(out, "    {line}");
        }
    }
}
