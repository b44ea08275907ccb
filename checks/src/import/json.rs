//! `seamcheck.import.v1`.

use super::compare;
use super::sites;
use super::table::{Column, Row};
use super::{Import, Imported, Ours};
use crate::exit::Exit;
use seamcheck_model::closed_enum::ClosedEnum;
use serde::Serialize;
use std::collections::BTreeMap;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.import.v1";

/// The import, as JSON.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    file: &'a str,
    module: &'a str,
    kernel: &'a str,
    texts: usize,
    found: Vec<TextText<'a>>,
}

#[derive(Debug, Serialize)]
struct TextText<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    notes: &'a [&'static str],
    tables: Vec<TableText>,
    rows: Vec<RowText<'a>>,
    foreign: Vec<ForeignText<'a>>,
    missing: Vec<MissingText<'a>>,
    hunks: usize,
    short_hunks: &'a [usize],
    decisions: Vec<DecisionText<'a>>,
}

#[derive(Debug, Serialize)]
struct TableText {
    line: usize,
    collapsed: bool,
}

#[derive(Debug, Serialize)]
struct RowText<'a> {
    line: usize,
    lock: &'static str,
    label: &'a str,
    leaf: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'static str>,
    readings: Vec<ReadingText<'a>>,
    ours: BTreeMap<&'a str, String>,
}

#[derive(Debug, Serialize)]
struct ReadingText<'a> {
    column: &'static str,
    agrees_with: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct ForeignText<'a> {
    label: &'a str,
    leaf: &'a str,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct MissingText<'a> {
    module: &'a str,
    lock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct DecisionText<'a> {
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<&'a str>,
    value: &'static str,
    function: &'a str,
    line: usize,
    before: bool,
    ours: BTreeMap<&'a str, &'static str>,
}

fn foreign(row: &Row) -> impl Iterator<Item = ForeignText<'_>> {
    row.entries.iter().map(|entry| ForeignText {
        label: &row.label,
        leaf: &entry.leaf,
        line: entry.line,
        column: entry.column.map(Column::key),
    })
}

fn missing<'a>(found: &Imported, ours: &'a Ours) -> Vec<MissingText<'a>> {
    let (rows, mut all) = (found.rows(), Vec::new());
    if found.tables.is_empty() {
        return all;
    }
    for (module, table) in &ours.tables {
        all.extend(
            compare::missing(&rows, table)
                .into_iter()
                .map(|missing| MissingText {
                    module,
                    lock: missing.lock.key(),
                    leaf: Some(missing.leaf),
                    mode: Some(missing.mode.key()),
                }),
        );
        all.extend(
            compare::unlisted(&rows, table)
                .into_iter()
                .map(|lock| MissingText {
                    module,
                    lock: lock.key(),
                    leaf: None,
                    mode: None,
                }),
        );
    }
    all
}

fn text<'a>(found: &'a Imported, ours: &'a Ours) -> TextText<'a> {
    let names = || ours.tables.iter().map(|(name, _)| name.as_str());
    let rows = found.compared.iter().map(|compared| {
        let possible = match compared.entry.column {
            Some(column) => vec![column],
            None => vec![Column::Shared, Column::Exclusive],
        };
        let readings = possible.into_iter().map(|column| ReadingText {
            column: column.key(),
            agrees_with: names()
                .zip(&compared.ours)
                .filter(|(_, table)| table.agrees(column))
                .map(|(name, _)| name)
                .collect(),
        });
        RowText {
            line: compared.entry.line,
            lock: compared.lock.key(),
            label: &compared.label,
            leaf: &compared.entry.leaf,
            note: compared.entry.note.as_deref(),
            column: compared.entry.column.map(Column::key),
            readings: readings.collect(),
            ours: names()
                .zip(compared.ours.iter().map(compare::Ours::text))
                .collect(),
        }
    });
    let decisions = found.decided.iter().map(|decided| DecisionText {
        decision: decided.decision,
        leaf: decided.leaf.as_deref(),
        value: decided.value,
        function: &decided.function,
        line: decided.line,
        before: decided.is_before,
        ours: ours
            .kernels
            .iter()
            .map(|(name, kernel)| (name.as_str(), sites::of_profile(&kernel.decisions, decided)))
            .collect(),
    });
    TextText {
        subject: found.text.subject.as_deref(),
        message_id: found.text.message_id.as_deref(),
        notes: &found.text.notes,
        tables: found
            .tables
            .iter()
            .map(|table| TableText {
                line: table.line,
                collapsed: table.is_collapsed,
            })
            .collect(),
        rows: rows.collect(),
        foreign: found.foreign.iter().flat_map(foreign).collect(),
        missing: missing(found, ours),
        hunks: found.diff.hunks,
        short_hunks: &found.diff.short,
        decisions: decisions.collect(),
    }
}

/// The import, as JSON.
#[must_use]
pub fn report<'a>(import: &'a Import, ours: &'a Ours, exit: Exit) -> Report<'a> {
    let first = |name: Option<&'a str>| name.unwrap_or_default();
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        file: &import.file,
        module: first(ours.tables.first().map(|(name, _)| name.as_str())),
        kernel: first(ours.kernels.first().map(|(name, _)| name.as_str())),
        texts: import.texts,
        found: import.found.iter().map(|found| text(found, ours)).collect(),
    }
}
