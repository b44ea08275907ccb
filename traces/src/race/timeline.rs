//! Steps turned into lines under function names.

use super::cast::Cast;
use super::text::Line;
use crate::outline::in_short;
use crate::schema::{Step, Trace};

/// After so many steps of others, a reader no longer sees which function a column is in.
const FORGOTTEN_AFTER: usize = 8;

/// One line of the drawing.
#[derive(Debug)]
pub(super) enum Row {
    /// A line of one column, counted from 0.
    In(usize, Line),
    /// A line across all columns.
    Across(&'static str),
}

/// Above the steps that repeat, below them, and where there are none.
const LOOP: &str = "-- from here on again and again, for ever: --";
const BACK: &str = "-- and back to the line above --";
const REST: &str = "-- nobody has to do anything more --";

/// Where a column was left when another took over.
#[derive(Clone)]
struct Left {
    function: String,
    at: usize,
}

/// Every drawn step in execution order, function names above the steps taken in them.
pub(super) fn rows(trace: &Trace, cast: &Cast) -> Vec<Row> {
    let split = trace
        .loop_starts_at
        .map_or(trace.steps.len(), |start| start - 1);
    let (stem, cycle) = trace.steps.split_at(split.min(trace.steps.len()));
    let mut rows = of_steps(stem, trace.agents.len(), cast);
    match trace.loop_starts_at {
        None => {}
        Some(_) if cycle.is_empty() => rows.push(Row::Across(REST)),
        Some(_) => {
            rows.push(Row::Across(LOOP));
            rows.extend(of_steps(cycle, trace.agents.len(), cast));
            rows.push(Row::Across(BACK));
        }
    }
    rows
}

fn of_steps(steps: &[Step], agents: usize, cast: &Cast) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut left: Vec<Option<Left>> = vec![None; agents];
    let short = in_short(steps, 0);
    let drawn = short.iter().filter_map(|row| {
        let mut step = steps[row.first - 1].clone();
        if row.is_whole_call() {
            step.name.push_str(" -> TDX_SUCCESS");
        }
        Some((cast.column(&step.agent)?, step))
    });
    for (now, (column, step)) in drawn.enumerate() {
        let function = step.anchor.function.as_str();
        let known = left[column]
            .as_ref()
            .is_some_and(|left| left.function == function && now - left.at <= FORGOTTEN_AFTER);
        left[column] = Some(Left {
            function: function.to_owned(),
            at: now,
        });
        rows.extend(
            lines(&step, known)
                .into_iter()
                .map(|line| Row::In(column, line)),
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
