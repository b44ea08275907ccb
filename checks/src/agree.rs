//! Whether independent models give the same verdicts: computed from the outcomes of ordinary runs,
//! never searched twice.
//!
//! A row is a question with a property, a column a form of the claim. An answer is told with its scope,
//! and counts for what follows from it: [`Counts`]. To add a form, add a [`Column`]: the compiler asks for
//! the rest.

mod answer;
mod apart;
mod beyond_the_code;
mod choose;
mod reach;
mod row;
mod start;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Counts, Larger, Scope, Smaller};
pub use apart::{Disagreement, disagreements};
pub use row::{Cell, Row, Stand};
pub use start::{Reached, Start};

use crate::engine::Cut;
use crate::forms;
use crate::runner::Outcome;
use crate::suite::{Form, Run};
use crate::verdict::{Expected, Verdict};
use beyond_the_code::{beyond_the_code, is_plain};
use choose::Candidate;
use reach::Reach;
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

    /// Whether a run of this form asks what a packed run does: a model in the same scenario, the code in
    /// one of its own, that [`Scope`] compares.
    fn asks(self, run: &Run, asked: &Run) -> bool {
        run.form == self.form()
            && match self {
                Self::Packed | Self::Actors => asks_the_same(run, asked),
                Self::Loom | Self::Shuttle => {
                    beside(run) == beside(asked)
                        && run.scenario.migrate == asked.scenario.migrate
                        && run.scenario.late == asked.scenario.late
                        && run.scenario.foreign_kick == asked.scenario.foreign_kick
                        && run.scenario.zappers == asked.scenario.zappers
                        && (asked.scenario.zero_step || !run.code.zero_step_armed)
                        && is_same_protocol(run, asked)
                        && memory_of(run) == asked.scenario.memory
                        && is_plain(asked)
                }
            }
    }
}

/// Whether a run of any form has something to say on a packed run's question.
#[must_use]
pub fn is_compared(run: &Run, asked: &Run) -> bool {
    Column::ALL.iter().any(|column| column.asks(run, asked))
}

/// Who is beside the zapper, and the TD that they find. vCPUs do not run there: how many there are is a part
/// of it.
fn beside(run: &Run) -> (&[String], bool, bool, Option<usize>) {
    let scenario = &run.scenario;
    let idle = (!scenario.finalized).then_some(scenario.vcpus);
    let (finalized, populated) = (scenario.finalized, scenario.populated);
    (&scenario.threads, finalized, populated, idle)
}

/// loom's weak memory allows all that x86-TSO does, and more: [`Larger::Memory`].
fn memory_of(run: &Run) -> Memory {
    if run.name.ends_with("/weak") {
        Memory::Tso
    } else {
        run.scenario.memory
    }
}

/// A run with what was said of its properties.
#[derive(Clone, Debug)]
struct Said<'a> {
    run: &'a Run,
    verdicts: Vec<(Property, Verdict)>,
    /// What holds is proved for every number of vCPUs.
    every_number: bool,
    /// How far the code reaches; `None` for a model.
    reach: Option<Reach>,
}

impl Said<'_> {
    fn of(&self, property: Property) -> Option<Verdict> {
        let mut verdicts = self.verdicts.iter();
        let found = verdicts.find(|(asked, _)| *asked == property);
        found.map(|(_, verdict)| *verdict)
    }
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
    let said = outcomes.iter().map(|outcome| {
        let verdicts = outcome.verdicts.iter();
        let proof = outcome.packed.as_ref().map(|packed| &packed.proof);
        let held = outcome.form.as_ref().and_then(|form| form.held.as_ref());
        let on_x86 = held.and_then(|held| held.violation_is_on_x86);
        Said {
            run: &outcome.run,
            verdicts: verdicts.map(|(asked, _, found)| (*asked, *found)).collect(),
            every_number: matches!(proof, Some(Some(Ok(_)))),
            reach: Reach::of(&outcome.run, on_x86 == Some(true)),
        }
    });
    rows(&said.collect::<Vec<_>>())
}

/// The same of what a suite expects, nothing searched: a run that is not as expected fails anyway. So does
/// one that is held against the model and violated by what x86 can not show.
#[must_use]
pub fn expected(runs: &[Run]) -> Vec<Row> {
    let said = runs.iter().map(|run| Said {
        run,
        verdicts: run
            .expect
            .iter()
            .map(|(asked, expected)| (*asked, expected_verdict(run.form, *expected)))
            .collect(),
        every_number: run.views.is_some(),
        reach: Reach::of(run, run.code.conformance),
    });
    rows(&said.collect::<Vec<_>>())
}

fn expected_verdict(form: Form, expected: Expected) -> Verdict {
    match (expected, form) {
        (Expected::Holds, _) => Verdict::Holds,
        (Expected::Violated(length), _) => Verdict::Violated(length),
        (Expected::Vacuous, _) => Verdict::Vacuous,
        (Expected::Unknown, Form::Packed | Form::Actors) => Verdict::Unknown(Cut::States),
        (Expected::Unknown, Form::Loom) => Verdict::Unknown(Cut::Endless),
        (Expected::Unknown, Form::Shuttle) => Verdict::Unknown(Cut::Sample),
    }
}

fn rows(said: &[Said<'_>]) -> Vec<Row> {
    let packed = said.iter().filter(|said| said.run.form == Form::Packed);
    let mut rows = Vec::new();
    for asked in packed {
        for (property, verdict) in &asked.verdicts {
            rows.push(Row {
                mutant: asked.run.check.clone(),
                memory: asked.run.scenario.memory,
                property: *property,
                every_number: asked.every_number
                    && *verdict == Verdict::Holds
                    && !property.is_liveness(),
                cells: Column::ALL.map(|column| cell(said, asked.run, column, *property)),
            });
        }
    }
    rows
}

fn cell(said: &[Said<'_>], run: &Run, column: Column, property: Property) -> Cell {
    let asked = said.iter().filter(|said| column.asks(said.run, run));
    let found = asked.filter_map(|said| Some((said, said.of(property)?)));
    let answer = match column {
        Column::Packed | Column::Actors => {
            let best = { found }.min_by_key(|(_, verdict)| rank(*verdict));
            best.map(|(said, verdict)| Answer::to_the_same(verdict, &said.run.name))
        }
        Column::Loom | Column::Shuttle => {
            let candidates = found.filter_map(|(said, verdict)| {
                Some(Candidate {
                    name: &said.run.name,
                    verdict,
                    reach: said.reach.as_ref()?,
                })
            });
            choose::answer(&candidates.collect::<Vec<_>>(), run)
        }
    };
    match answer {
        Some(answer) => Cell::Answer(answer),
        None => column
            .cannot_see(run, property)
            .map_or(Cell::NotRun, Cell::CannotSee),
    }
}

/// A model's question may be in a suite more than once, with other properties or other limits.
const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Violated(_) => 0,
        Verdict::Holds => 1,
        Verdict::Vacuous => 2,
        Verdict::Unknown(_) => 3,
    }
}

/// Whether two runs ask the same question, whatever their form.
#[must_use]
pub fn asks_the_same(one: &Run, other: &Run) -> bool {
    is_same_protocol(one, other) && one.scenario == other.scenario
}

fn is_same_protocol(one: &Run, other: &Run) -> bool {
    one.module == other.module && one.kernel == other.kernel && one.set == other.set
}
