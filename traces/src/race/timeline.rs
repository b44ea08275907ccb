//! Steps turned into lines under function names.

use super::cast::Cast;
use super::text::Line;
use crate::schema::{Step, Trace};

/// After so many steps of others, a reader no longer sees which function a column is in.
const FORGOTTEN_AFTER: usize = 8;

/// One line of one column.
#[derive(Debug)]
pub(super) struct Row {
    /// The column, counted from 0.
    pub(super) column: usize,
    /// What stands there.
    pub(super) line: Line,
}

/// Where a column was left when another took over.
#[derive(Clone, Copy)]
struct Left<'a> {
    function: &'a str,
    at: usize,
}

/// Every drawn step in execution order, function names above the steps taken in them.
pub(super) fn rows(trace: &Trace, cast: &Cast) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut left: Vec<Option<Left>> = vec![None; trace.agents.len()];
    let drawn = trace
        .steps
        .iter()
        .filter_map(|step| Some((cast.column(&step.agent)?, step)));
    for (now, (column, step)) in drawn.enumerate() {
        let function = step.anchor.function.as_str();
        let known = left[column]
            .is_some_and(|left| left.function == function && now - left.at <= FORGOTTEN_AFTER);
        left[column] = Some(Left { function, at: now });
        rows.extend(
            lines(step, known)
                .into_iter()
                .map(|line| Row { column, line }),
        );
    }
    rows
}

/// The lines of one step; `known` when the function it is in needs no saying.
fn lines(step: &Step, known: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let function = step.anchor.function.as_str();
    let titled = !function.is_empty() && function != step.name;
    if titled && !known {
        lines.push(Line::new(0, &called(function)));
    }
    let indent = if titled { 2 } else { 0 };
    lines.push(Line::new(indent, &step.name));
    let arrow = step
        .status
        .iter()
        .map(|word| Line::new(indent + 2, &format!("-> {word}")));
    lines.extend(arrow);
    let name = step
        .status_name
        .iter()
        .map(|name| Line::new(indent + 5, &format!("({name})")));
    lines.extend(name);
    lines
}

/// A C function with its parentheses; a SEAMCALL or an ioctl as it is.
fn called(function: &str) -> String {
    let in_c = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if function.chars().all(in_c) {
        format!("{function}()")
    } else {
        function.to_owned()
    }
}

#[cfg(test)]
mod tests;
