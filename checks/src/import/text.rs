//! The import for people.

use super::compare::{self, Compared};
use super::sites::{self, Decided};
use super::table::Column;
use super::{Import, Imported, Ours};
use crate::report::wrapped_at;
use seamcheck_model::closed_enum::ClosedEnum;
use std::fmt::Write;

/// No line is wider, unless there are many tables or long names.
const WIDTH: usize = 100;

/// The import for people.
#[must_use]
pub fn text(import: &Import, ours: &Ours) -> String {
    let mut out = String::new();
    for found in &import.found {
        if !out.is_empty() {
            out.push('\n');
        }
        head(&mut out, import, found);
        tables(&mut out, found, ours);
        untold(&mut out, found, ours);
        decisions(&mut out, found, ours);
    }
    let silent = import.texts - import.found.len();
    if silent > 0 {
        let texts = if silent == 1 {
            "1 other text"
        } else {
            "other texts"
        };
        let count = if silent == 1 {
            String::new()
        } else {
            format!("{silent} ")
        };
        let _ = writeln!(
            out,
            "\n{count}{texts} in it with no lock table and no retry site."
        );
    }
    out
}

fn head(out: &mut String, import: &Import, found: &Imported) {
    let subject = found
        .text
        .subject
        .as_deref()
        .map_or(String::new(), |subject| {
            format!(": {}", super::text::shown(subject))
        });
    let _ = writeln!(out, "{}{subject}", import.file);
    if let Some(id) = &found.text.message_id {
        let _ = writeln!(out, "  Message-ID {}", shown(id));
    }
    for note in &found.text.notes {
        let _ = writeln!(out, "  {note}");
    }
    for line in &found.diff.short {
        let _ = writeln!(
            out,
            "  the hunk at line {line} has fewer lines than it says: only those were looked at"
        );
    }
}

/// Nothing in it that a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let visible = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    visible.take(200).collect()
}

fn tables(out: &mut String, found: &Imported, ours: &Ours) {
    if found.tables.is_empty() {
        out.push_str("\nNo lock table in its text.\n");
        return;
    }
    let places = found
        .tables
        .iter()
        .map(|table| format!("line {}", table.line));
    let places: Vec<String> = places.collect();
    let _ = writeln!(out, "\nLock table at {}\n", places.join(", "));
    let columns = ours
        .tables
        .iter()
        .map(|(name, _)| format!(" {:<10}", short(name)));
    let columns: String = columns.collect();
    let line = format!(
        "  {:<11} {:<21} {:<10}{columns}",
        "lock", "leaf", "the patch"
    );
    let _ = writeln!(out, "{}", line.trim_end());
    for entry in &found.compared {
        let column = entry.entry.column.map_or("?", Column::key);
        let cells = entry.ours.iter().map(|table| {
            let same = entry
                .entry
                .column
                .is_some_and(|column| table.agrees(column));
            let text = if same {
                "same".to_owned()
            } else {
                table.text()
            };
            format!(" {text:<10}")
        });
        let cells: String = cells.collect();
        let (lock, leaf) = (entry.lock.key(), &entry.entry.leaf);
        let _ = writeln!(
            out,
            "{}",
            format!("  {lock:<11} {leaf:<21} {column:<10}{cells}").trim_end()
        );
    }
    for row in &found.foreign {
        let entries = row
            .entries
            .iter()
            .map(|entry| format!("{} {}", entry.leaf, entry.column.map_or("?", Column::key)));
        let entries: Vec<String> = entries.collect();
        let line = format!(
            "`{}` is no lock of the model, so its row is not compared: {}",
            shown(&row.label),
            entries.join(", ")
        );
        wrapped_at(out, 2, 4, WIDTH, &line);
    }
    left_out(out, found, ours);
}

/// What our tables have and the patch's has not.
fn left_out(out: &mut String, found: &Imported, ours: &Ours) {
    let rows = found.rows();
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, table) in &ours.tables {
        let mut parts: Vec<String> = Vec::new();
        for missing in compare::missing(&rows, table) {
            let (lock, mode) = (missing.lock.key(), missing.mode.key());
            parts.push(format!("{} on {lock} ({mode})", missing.leaf));
        }
        let locks = compare::unlisted(&rows, table);
        if !locks.is_empty() {
            let keys: Vec<&str> = locks.iter().map(|lock| lock.key()).collect();
            parts.push(format!("everything about {}", keys.join(", ")));
        }
        let text = parts.join("; ");
        if text.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, names)) => names.push(name),
            None => groups.push((text, vec![name])),
        }
    }
    if !groups.is_empty() {
        out.push_str("\nIn our tables and not in the patch's\n\n");
    }
    for (text, names) in groups {
        wrapped_at(out, 2, 4, WIDTH, &format!("{}: {text}", names.join(", ")));
    }
}

/// The entries whose column can not be told, with both readings.
fn untold(out: &mut String, found: &Imported, ours: &Ours) {
    if found.untold().next().is_none() {
        return;
    }
    out.push_str("\nColumns that can not be told\n\n");
    let why = if found.tables.iter().any(|table| table.is_collapsed) {
        "The table's blanks were collapsed on the way, so that a name's place no longer tells its \
         column. Nothing was guessed; each name has two readings."
    } else {
        "These names do not stand under a column. Nothing was guessed; each has two readings."
    };
    wrapped_at(out, 2, 2, WIDTH, why);
    for entry in found.untold() {
        let (leaf, label) = (&entry.entry.leaf, shown(&entry.label));
        let shared = agreeing(entry, Column::Shared, ours);
        let exclusive = agreeing(entry, Column::Exclusive, ours);
        let line = entry.entry.line;
        let text =
            format!("line {line}: {leaf}, {label}: if SHARED, {shared}; if EXCLUSIVE, {exclusive}");
        wrapped_at(out, 2, 6, WIDTH, &text);
    }
}

/// `1.5.05, 2.0.12 agree`
fn agreeing(entry: &Compared, column: Column, ours: &Ours) -> String {
    let tables = ours.tables.iter().zip(&entry.ours);
    let agree = tables.filter(|(_, table)| table.agrees(column));
    let names: Vec<&str> = agree.map(|((name, _), _)| short(name)).collect();
    match names.as_slice() {
        [] => "no table here agrees".to_owned(),
        [one] => format!("{one} agrees"),
        several => format!("{} agree", several.join(", ")),
    }
}

fn decisions(out: &mut String, found: &Imported, ours: &Ours) {
    if found.diff.hunks == 0 {
        out.push_str("\nNo diff in its text.\n");
        return;
    }
    if found.decided.is_empty() {
        let _ = writeln!(
            out,
            "\nNo retry site in its diff ({} hunks).",
            found.diff.hunks
        );
        return;
    }
    for (is_before, heading) in [(false, "After the patch"), (true, "Before it")] {
        let some: Vec<&Decided> = found
            .decided
            .iter()
            .filter(|decided| decided.is_before == is_before)
            .collect();
        if !some.is_empty() {
            let _ = writeln!(out, "\n{heading}\n");
        }
        for decided in some {
            let about = decided
                .leaf
                .as_deref()
                .map_or(String::new(), |leaf| format!(" of {leaf}"));
            let place = if decided.function.is_empty() {
                format!("line {}", decided.line)
            } else {
                format!("{}(), line {}", decided.function, decided.line)
            };
            let line = format!("{}{about} = {}  [{place}]", decided.decision, decided.value);
            let _ = writeln!(out, "  {line}");
            let cells = ours.kernels.iter().map(|(name, kernel)| {
                match sites::of_profile(&kernel.decisions, decided) {
                    same if same == decided.value => format!("{} same", short(name)),
                    other => format!("{} {other}", short(name)),
                }
            });
            let cells: Vec<String> = cells.collect();
            wrapped_at(out, 6, 6, WIDTH, &cells.join(", "));
        }
    }
}

/// A file's name without its directory.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
