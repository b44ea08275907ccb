//! What stands above and below the columns.

use super::WIDTH;
use super::cast::Cast;
use super::text::{Line, ascii, paragraph};
use crate::schema::{Conflict, Trace};

/// The property, in its own sentence.
pub(super) fn property(trace: &Trace) -> Vec<String> {
    paragraph(&trace.question.property_text, WIDTH)
}

/// Which module, which kernel, which memory; then what was changed in that kernel.
pub(super) fn question(trace: &Trace) -> Vec<String> {
    let question = &trace.question;
    let (module, kernel, memory) = (
        &question.module.name,
        &question.kernel.name,
        &question.memory,
    );
    let versions = format!("Module {module}, kernel {kernel}, memory {memory}");
    let mut lines = paragraph(&versions, WIDTH);
    if !question.set.is_empty() {
        let changes: Vec<String> = question
            .set
            .iter()
            .map(|(name, value)| change(name, value))
            .collect();
        lines.extend(
            Line::new(0, &format!("with {}", changes.join(", ")))
                .wrap(WIDTH)
                .rows,
        );
    }
    lines
}

/// A decision and its value; a KVM lock added or taken away has none.
fn change(name: &str, value: &str) -> String {
    if value.is_empty() {
        name.to_owned()
    } else {
        format!("{name}={value}")
    }
}

/// The agents without a column.
pub(super) fn folded(cast: &Cast) -> Vec<String> {
    cast.folded
        .iter()
        .flat_map(|remark| Line::new(0, remark).wrap(WIDTH).rows)
        .collect()
}

/// What the last step showed. The result comes first, lest the property above be read as a fact.
pub(super) fn verdict(trace: &Trace) -> Vec<String> {
    let verdict = &trace.verdict;
    let mut result = verdict.result.clone();
    if let Some(first) = result.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    paragraph(&format!("{result}: {}", verdict.reason), WIDTH)
}

/// The lock that could not be had: who wanted it, and who stood in the way.
pub(super) fn conflict(trace: &Trace) -> Vec<String> {
    let Some(conflict) = &trace.verdict.conflict else {
        return Vec::new();
    };
    let cells = cells(trace, conflict);
    let width = |index: usize| cells.iter().map(|row| row[index].len()).max().unwrap_or(0);
    let (mode, who) = (width(1), width(2));
    let mut lines = Line::new(0, &format!("Lock {}", conflict.lock))
        .wrap(WIDTH)
        .rows;
    if let [only] = lines.as_mut_slice() {
        *only = only.replacen("Lock ", "Lock      ", 1);
    }
    for row in &cells {
        let aligned = format!(
            "  {:6}  {:mode$}  {:who$}  {}",
            row[0], row[1], row[2], row[3]
        );
        let aligned = aligned.trim_end();
        if aligned.len() <= WIDTH {
            lines.push(aligned.to_owned());
        } else {
            lines.extend(Line::new(2, aligned).wrap(WIDTH).rows);
        }
    }
    if conflict.held.is_empty() {
        lines.push("  held    by no one".to_owned());
    }
    lines
}

/// The rows of the conflict: wanted or held, the mode, who, and for what.
fn cells(trace: &Trace, conflict: &Conflict) -> Vec<[String; 4]> {
    let name = |id: &str| {
        let listed = trace.agents.iter().find(|agent| agent.id == id);
        ascii(listed.map_or(id, |agent| &agent.name))
    };
    let row = |what: &str, mode: &str, id: &str, by: &str| {
        [what.to_owned(), ascii(mode), name(id), ascii(by)]
    };
    let wanted = row(
        "wanted",
        &conflict.wanted_mode,
        &conflict.wanted_by,
        &conflict.wanted_for,
    );
    let held = conflict
        .held
        .iter()
        .map(|held| row("held", &held.mode, &held.agent, &held.by));
    std::iter::once(wanted).chain(held).collect()
}

#[cfg(test)]
mod tests;
