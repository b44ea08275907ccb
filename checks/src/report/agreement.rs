//! The matrix of agreement: rows mutants, columns forms of the claim.

mod chapter;
mod scope;

pub use chapter::markdown;
use scope::by_form;

use crate::agree::{Agreement, Cell, Column, Disagreement, Row, Stand};
use crate::exit::Exit;
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario::Memory;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The format's name and version.
const FORMAT: &str = "seamcheck.agreement.v1";

#[derive(Serialize)]
struct Matrix {
    format: &'static str,
    exit: u8,
    /// The ledger's numbers, of all verdicts together.
    rests_on: Vec<u64>,
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
    stand: &'static str,
    cells: BTreeMap<&'static str, CellText>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
enum CellText {
    Answer {
        verdict: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        counts: &'static str,
        scope: String,
        runs: Vec<String>,
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
pub fn json(agreement: &Agreement, exit: Exit, rests_on: Vec<u64>) -> impl Serialize + use<> {
    Matrix {
        format: FORMAT,
        exit: exit as u8,
        rests_on,
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
        stand: row.stand().key(),
        cells: by_column(&row.cells, |cell| match cell {
            Cell::Answer(answer) => CellText::Answer {
                verdict: answer.verdict.word(),
                length: match answer.verdict {
                    Verdict::Violated(length) => Some(length),
                    _ => None,
                },
                counts: answer.counts().key(),
                scope: answer.scope_text(),
                runs: answer.runs.clone(),
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

/// The matrix for people: sequential consistency and x86-TSO side by side, questions that come out
/// alike on one line.
#[must_use]
pub fn human(agreement: &Agreement) -> String {
    let Agreement { rows, apart } = agreement;
    let mut out = String::new();
    let mut lines = vec![Group {
        mutant: "mutant".to_owned(),
        properties: "property".to_owned(),
        cells: heads(),
        agrees: true,
    }];
    lines.extend(groups(rows));
    let widths = widths(&lines);
    for line in lines {
        let _ = writeln!(
            out,
            "{:<28} {:<22} {}{}",
            line.mutant,
            line.properties,
            padded(&line.cells, &widths),
            if line.agrees { "" } else { "  DISAGREE" }
        );
    }
    let cells = || rows.iter().flat_map(|row| &row.cells);
    if cells().any(|cell| matches!(cell, Cell::Answer(answer) if !answer.scope_text().is_empty())) {
        let _ = write!(out, "\n{}", scope::LEGEND);
    }
    for (column, why) in reasons(rows) {
        let _ = writeln!(out, "\n{} cannot see: {why}", column.name());
    }
    for found in apart {
        show(&mut out, found);
    }
    let _ = writeln!(out, "\n{}{}", by_form(rows), totals(rows));
    out
}

/// The last line: how many questions more than one form decides, and how many of them alike.
#[must_use]
pub fn totals(rows: &[Row]) -> String {
    let count = |stand| rows.iter().filter(|row| row.stand() == stand).count();
    let apart = count(Stand::Differ);
    let compared = count(Stand::Agree) + apart;
    if apart == 0 {
        format!("verdicts compared with a second form: {compared}, all agree")
    } else {
        format!("verdicts compared with a second form: {compared}, of which {apart} differ")
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
        Cell::Answer(answer) => answer.to_string(),
        Cell::CannotSee(_) => "cannot see".into(),
        Cell::NotRun => "not run".into(),
    }
}

/// A head for each column, once for each memory model.
fn heads() -> Vec<String> {
    let of = |memory: &Memory| {
        let key = memory.key();
        Column::ALL.map(|column| format!("{key} {}", column.name()))
    };
    Memory::ALL.iter().flat_map(of).collect()
}

/// As wide as the widest cell, and never narrower than a verdict.
fn widths(lines: &[Group]) -> Vec<usize> {
    let widest = |at: usize| {
        let cells = lines.iter().filter_map(|line| line.cells.get(at));
        cells.map(|cell| cell.chars().count()).max()
    };
    (0..heads().len())
        .map(|at| widest(at).unwrap_or(0).max(12))
        .collect()
}

fn padded(cells: &[String], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths);
    let cells: Vec<String> = cells
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
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
