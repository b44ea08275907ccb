//! Whether independent models give the same verdicts: computed from the outcomes of ordinary runs,
//! never searched twice.
//!
//! A row is a question with a property, a column a form of the claim. To add a form, add a
//! [`Column`]: the compiler asks for the rest.

mod beyond_the_code;

use crate::engine::Cut;
use crate::forms::{self, TraceStep};
use crate::packed::Packed;
use crate::runner::Outcome;
use crate::suite::{Form, Run};
use crate::verdict::{Expected, Verdict};
use beyond_the_code::{beyond_the_code, is_plain};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;

/// A form of the claim that answers questions of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The packed model: the oracle that every row has.
    Packed,
    /// The stateright actor model.
    Actors,
    /// The code under loom, every window that was run.
    Loom,
    /// The code under shuttle.
    Shuttle,
}

impl Column {
    /// All of them, in the order they are printed.
    pub const ALL: [Self; 4] = [Self::Packed, Self::Actors, Self::Loom, Self::Shuttle];

    /// How the column is headed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Actors => "actors",
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
        }
    }

    /// Whose runs fill it.
    const fn form(self) -> Form {
        match self {
            Self::Packed => Form::Packed,
            Self::Actors => Form::Actors,
            Self::Loom => Form::Loom,
            Self::Shuttle => Form::Shuttle,
        }
    }

    /// Why it has no answer to a question, if it can have none.
    fn cannot_see(self, run: &Run, property: Property) -> Option<String> {
        match self {
            Self::Packed => None,
            Self::Actors if property.is_liveness() => {
                Some("it is asked for what must never happen only".into())
            }
            Self::Actors => {
                let question = run.question().ok()?;
                let refused = forms::actors::setup(&question).err()?;
                Some(refused.to_string())
            }
            Self::Loom | Self::Shuttle if beyond_the_code(run, property).is_some() => {
                beyond_the_code(run, property).map(str::to_owned)
            }
            Self::Shuttle if run.scenario.memory == Memory::Tso => {
                Some("it is sequentially consistent: no store waits".into())
            }
            Self::Loom | Self::Shuttle => None,
        }
    }

    /// Whether an outcome of this form answers the question of a packed run.
    fn answers(self, outcome: &Run, asked: &Run) -> bool {
        match self {
            Self::Packed | Self::Actors => asks_the_same(outcome, asked),
            Self::Loom | Self::Shuttle => {
                is_plain(asked)
                    && outcome.scenario.migrate == asked.scenario.migrate
                    && outcome.scenario.late == asked.scenario.late
                    && outcome.scenario.foreign_kick == asked.scenario.foreign_kick
                    && is_same_protocol(outcome, asked)
                    && memory_of(outcome) == asked.scenario.memory
            }
        }
    }
}

/// loom's weak memory allows all that x86-TSO does; what falls there falls for a store that waits.
fn memory_of(run: &Run) -> Memory {
    if run.name.ends_with("/weak") {
        Memory::Tso
    } else {
        run.scenario.memory
    }
}

/// What a form says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Its verdict.
    Verdict(Verdict),
    /// The question is none for it, for this reason.
    CannotSee(String),
    /// It could be asked, and was not.
    NotRun,
}

/// A question with a property, and what each form says.
#[derive(Clone, Debug)]
pub struct Row {
    /// The packed run's check: the mutant's name.
    pub mutant: String,
    /// The memory model.
    pub memory: Memory,
    /// The property.
    pub property: Property,
    /// Per [`Column::ALL`].
    pub cells: [Cell; Column::ALL.len()],
}

impl Row {
    /// How many forms have come to a verdict.
    #[must_use]
    pub fn verdicts(&self) -> usize {
        self.words().count()
    }

    /// False when two verdicts differ. How long a counterexample is depends on what a form calls one
    /// step, so lengths are not compared; a search that was cut short says nothing.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let mut words = self.words();
        let first = words.next();
        words.all(|word| Some(word) == first)
    }

    fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.cells.iter().filter_map(|cell| match cell {
            Cell::Verdict(Verdict::Unknown(_)) | Cell::CannotSee(_) | Cell::NotRun => None,
            Cell::Verdict(verdict) => Some(verdict.word()),
        })
    }
}

/// A run with what was said of its properties.
#[derive(Clone, Debug)]
struct Answers<'a> {
    run: &'a Run,
    verdicts: Vec<(Property, Verdict)>,
}

/// What a suite's outcomes say of each other.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// The matrix.
    pub rows: Vec<Row>,
    /// Its rows whose verdicts differ.
    pub apart: Vec<Disagreement>,
}

impl Agreement {
    /// Compares outcomes.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        Self {
            rows: matrix(outcomes),
            apart: disagreements(outcomes),
        }
    }
}

/// The matrix of a suite's outcomes: a row for each packed run and each of its properties.
#[must_use]
pub fn matrix(outcomes: &[Outcome]) -> Vec<Row> {
    let answers = outcomes.iter().map(|outcome| {
        let verdicts = outcome.verdicts.iter();
        Answers {
            run: &outcome.run,
            verdicts: verdicts.map(|(asked, _, found)| (*asked, *found)).collect(),
        }
    });
    rows(&answers.collect::<Vec<_>>())
}

/// The same of what a suite expects, nothing searched: a run that is not as expected fails anyway.
#[must_use]
pub fn expected(runs: &[Run]) -> Vec<Row> {
    let verdict = |expected: Expected| match expected {
        Expected::Holds => Verdict::Holds,
        Expected::Violated(length) => Verdict::Violated(length),
        Expected::Vacuous => Verdict::Vacuous,
        Expected::Unknown => Verdict::Unknown(Cut::States),
    };
    let answers = runs.iter().map(|run| Answers {
        run,
        verdicts: run
            .expect
            .iter()
            .map(|(asked, expected)| (*asked, verdict(*expected)))
            .collect(),
    });
    rows(&answers.collect::<Vec<_>>())
}

fn rows(answers: &[Answers<'_>]) -> Vec<Row> {
    let packed = answers
        .iter()
        .filter(|answer| answer.run.form == Form::Packed);
    let mut rows = Vec::new();
    for answer in packed {
        for (property, _) in &answer.verdicts {
            rows.push(Row {
                mutant: answer.run.check.clone(),
                memory: answer.run.scenario.memory,
                property: *property,
                cells: Column::ALL.map(|column| cell(answers, answer.run, column, *property)),
            });
        }
    }
    rows
}

fn cell(answers: &[Answers<'_>], run: &Run, column: Column, property: Property) -> Cell {
    let twins = answers
        .iter()
        .filter(|answer| answer.run.form == column.form() && column.answers(answer.run, run));
    let asked = |twin: &Answers<'_>| {
        let mut verdicts = twin.verdicts.iter();
        let found = verdicts.find(|(asked, _)| *asked == property);
        found.map(|(_, verdict)| *verdict)
    };
    // One window of the code that breaks it is enough.
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Violated(_) => 0,
        Verdict::Holds => 1,
        Verdict::Vacuous => 2,
        Verdict::Unknown(_) => 3,
    };
    match twins.filter_map(asked).min_by_key(rank) {
        Some(verdict) => Cell::Verdict(verdict),
        None => column
            .cannot_see(run, property)
            .map_or(Cell::NotRun, Cell::CannotSee),
    }
}

/// The outcomes of a form's runs that ask the same. A question may be in a suite more than once, with
/// other properties.
fn twins<'a>(
    outcomes: &'a [Outcome],
    run: &'a Run,
    column: Column,
) -> impl Iterator<Item = &'a Outcome> {
    outcomes.iter().filter(move |outcome| {
        outcome.run.form == column.form() && column.answers(&outcome.run, run)
    })
}

/// Whether two runs ask the same question, whatever their form.
#[must_use]
pub fn asks_the_same(one: &Run, other: &Run) -> bool {
    is_same_protocol(one, other) && one.scenario == other.scenario
}

fn is_same_protocol(one: &Run, other: &Run) -> bool {
    one.module == other.module && one.kernel == other.kernel && one.set == other.set
}

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
            traces: Column::ALL.map(|column| trace(outcomes, &row, column)),
            row,
        })
        .collect()
}

fn trace(outcomes: &[Outcome], row: &Row, column: Column) -> String {
    let asked = outcomes.iter().find(|outcome| {
        outcome.packed.is_some()
            && outcome.run.check == row.mutant
            && outcome.run.scenario.memory == row.memory
    });
    let answers = |outcome: &&Outcome| {
        let mut verdicts = outcome.verdicts.iter();
        verdicts.any(|(property, ..)| *property == row.property)
    };
    let outcome = asked.and_then(|asked| twins(outcomes, &asked.run, column).find(answers));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(packed: Cell, actors: Cell) -> Row {
        Row {
            mutant: "M01".into(),
            memory: Memory::Tso,
            property: Property::NoSecondBusy,
            cells: [packed, actors, Cell::NotRun, Cell::NotRun],
        }
    }

    #[test]
    fn verdicts_agree_by_word_whatever_the_length() {
        let violated = |length| Cell::Verdict(Verdict::Violated(length));
        assert!(row(violated(23), violated(21)).agrees());
        assert!(!row(violated(23), Cell::Verdict(Verdict::Holds)).agrees());
        assert!(
            !row(
                Cell::Verdict(Verdict::Vacuous),
                Cell::Verdict(Verdict::Holds)
            )
            .agrees()
        );
    }

    #[test]
    fn a_form_that_says_nothing_disagrees_with_nobody() {
        let holds = Cell::Verdict(Verdict::Holds);
        for silent in [
            Cell::NotRun,
            Cell::CannotSee("no second page".into()),
            Cell::Verdict(Verdict::Unknown(Cut::Time)),
        ] {
            let row = row(holds.clone(), silent);
            assert!(row.agrees());
            assert_eq!(row.verdicts(), 1);
        }
    }
}
