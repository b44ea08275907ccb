//! `check import`: a patch mail's lock table and retry sites, against the model's data.
//!
//! [`mail`] gets at the text, [`table`] and [`diff`] find what is in it, [`sites`] and [`compare`]
//! hold that against kernel profiles and lock tables; [`text`] and [`json`] report.

pub mod compare;
pub mod diff;
pub mod json;
pub mod mail;
pub mod sites;
pub mod table;
pub mod text;

use crate::exit::Exit;
use compare::Compared;
use diff::{Diff, DiffReader};
use mail::Text;
use regex::Regex;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::table::LockTable;
use sites::Decided;
use table::{Column, Row, Table, TableReader};

/// A pattern that is written in this program; tests compile every one.
fn pattern(text: &str) -> Regex {
    match Regex::new(text) {
        Ok(regex) => regex,
        Err(error) => unreachable!("{text}: {error}"),
    }
}

/// The tables and profiles that a patch is held against; the first of each is the one that decides.
#[derive(Debug)]
pub struct Ours {
    /// Lock tables, with the names they were asked for by.
    pub tables: Vec<(String, LockTable)>,
    /// Kernel profiles, with the names they were asked for by.
    pub kernels: Vec<(String, KernelProfile)>,
}

/// What one text of a file holds.
#[derive(Debug)]
pub struct Imported {
    /// The text's head.
    pub text: Text,
    /// Its lock tables.
    pub tables: Vec<Table>,
    /// Its diff.
    pub diff: Diff,
    /// Entries whose lock the model has, compared.
    pub compared: Vec<Compared>,
    /// Rows whose lock the model does not have.
    pub foreign: Vec<Row>,
    /// The decisions its diff shows.
    pub decided: Vec<Decided>,
}

impl Imported {
    fn new(mut text: Text, ours: &Ours) -> Self {
        let mut diff = DiffReader::new().read(&text.lines);
        if let Some(lines) = text.unflowed_from.take() {
            let as_it_came = DiffReader::new().read(&lines);
            if as_it_came.short.len() < diff.short.len() {
                text.notes = vec!["it says format=flowed, but its hunks are whole as they came"];
                (text.lines, diff) = (lines, as_it_came);
            }
        }
        let tables = TableReader::new().read(&text.lines);
        let rows: Vec<Row> = tables.iter().flat_map(|table| table.rows.clone()).collect();
        let known: Vec<LockTable> = ours.tables.iter().map(|(_, table)| table.clone()).collect();
        Self {
            compared: compare::compare(&rows, &known),
            foreign: rows
                .into_iter()
                .filter(|row| row.resource.is_none())
                .collect(),
            decided: sites::decided(&diff),
            text,
            tables,
            diff,
        }
    }

    /// All rows of all its tables.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.tables
            .iter()
            .flat_map(|table| table.rows.clone())
            .collect()
    }

    /// True when there is anything in it.
    #[must_use]
    pub fn is_something(&self) -> bool {
        !self.tables.is_empty() || !self.decided.is_empty()
    }

    /// The entries whose column can not be told.
    pub fn untold(&self) -> impl Iterator<Item = &Compared> {
        self.compared
            .iter()
            .filter(|found| found.entry.column.is_none())
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Import {
    /// Its name.
    pub file: String,
    /// How many texts it has, those with nothing in them included.
    pub texts: usize,
    /// The texts with something in them.
    pub found: Vec<Imported>,
}

impl Import {
    /// Takes a file apart and compares.
    #[must_use]
    pub fn new(file: String, bytes: &[u8], ours: &Ours) -> Self {
        let texts = mail::texts(bytes);
        let count = texts.len();
        let found = texts.into_iter().map(|text| Imported::new(text, ours));
        Self {
            file,
            texts: count,
            found: found.filter(Imported::is_something).collect(),
        }
    }

    /// 0: all that was found is as the first table and the first profile have it. 10: something
    /// differs. 20: a column can not be told, or a hunk is not whole.
    #[must_use]
    pub fn exit(&self, ours: &Ours) -> Exit {
        let each = self.found.iter().map(|found| {
            if differs(found, ours) {
                Exit::Violated
            } else if found.untold().next().is_some() || !found.diff.short.is_empty() {
                Exit::Unknown
            } else {
                Exit::AsExpected
            }
        });
        Exit::worst(each)
    }
}

fn differs(found: &Imported, ours: &Ours) -> bool {
    let told = |column: Option<Column>, entry: &Compared| {
        column.is_some_and(|column| {
            let first = entry.ours.first();
            first.is_some_and(|first| !first.agrees(column))
        })
    };
    let in_table = found
        .compared
        .iter()
        .any(|entry| told(entry.entry.column, entry));
    let left_out = ours.tables.first().is_some_and(|(_, table)| {
        !found.tables.is_empty() && !compare::missing(&found.rows(), table).is_empty()
    });
    let in_diff = ours.kernels.first().is_some_and(|(_, kernel)| {
        let after = found.decided.iter().filter(|decided| !decided.is_before);
        let mut values =
            after.map(|decided| (decided.value, sites::of_profile(&kernel.decisions, decided)));
        values.any(|(patch, profile)| patch != profile)
    });
    in_table || left_out || !found.foreign.is_empty() || in_diff
}

#[cfg(test)]
mod tests;
