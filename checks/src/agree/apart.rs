//! Rows whose verdicts differ, and what each side has to show.

use super::{Cell, Column, Row, matrix};
use crate::forms::TraceStep;
use crate::packed::Packed;
use crate::runner::Outcome;
use seamcheck_model::property::Property;

/// A row whose verdicts differ, with what each side has to show.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The row.
    pub row: Row,
    /// Per column, the counterexample in its own form; empty if it has none.
    pub traces: [String; Column::ALL.len()],
}

/// Every row whose verdicts differ.
#[must_use]
pub fn disagreements(outcomes: &[Outcome]) -> Vec<Disagreement> {
    let rows = matrix(outcomes).into_iter();
    rows.filter(|row| !row.agrees())
        .map(|row| Disagreement {
            traces: std::array::from_fn(|at| trace(outcomes, &row, &row.cells[at])),
            row,
        })
        .collect()
}

/// The counterexample of the run that a cell shows.
fn trace(outcomes: &[Outcome], row: &Row, cell: &Cell) -> String {
    let Cell::Answer(answer) = cell else {
        return String::new();
    };
    let outcome = outcomes
        .iter()
        .find(|outcome| answer.runs.contains(&outcome.run.name));
    let drawn = outcome.and_then(|outcome| match (&outcome.packed, &outcome.form) {
        (Some(packed), _) => drawn(packed, row.property),
        (None, Some(form)) => Some(listed(&form.trace)),
        (None, None) => None,
    });
    drawn.unwrap_or_default()
}

fn drawn(packed: &Packed, property: Property) -> Option<String> {
    let trace = packed.trace(property, None)?.ok()?;
    Some(seamcheck_traces::race(&trace))
}

fn listed(steps: &[TraceStep]) -> String {
    let lines = steps.iter().enumerate();
    lines
        .map(|(index, TraceStep(text))| format!("{:>4}  {text}\n", index + 1))
        .collect()
}
