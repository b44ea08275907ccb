//! The claim's other forms: the stateright actor model and the code under loom and shuttle.

pub mod actors;
pub mod code;

use crate::engine::{Limits, Watch};
use crate::question::QuestionError;
use crate::suite::{Form, Run};
use crate::verdict::Verdict;
use seamcheck_model::property::Property;
use std::time::Duration;

/// A step of a trace in another form, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceStep(pub String);

/// What the search of another form found.
#[derive(Clone, Debug)]
pub struct FormReport {
    /// Per property that was asked for.
    pub verdicts: Vec<(Property, Verdict)>,
    /// States, executions or schedules.
    pub states: u64,
    /// `states`, `executions` or `schedules`.
    pub unit: &'static str,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// How far the code was run, in words; `None` for a model.
    pub reach: Option<String>,
    /// The fewest preemptions that violate, when they were looked for.
    pub preemptions: Option<usize>,
    /// Witnesses that were not seen, in words.
    pub missing: Vec<String>,
    /// The shortest counterexample (the code: the first that was found) to the first property that is violated, if the form has one.
    pub trace: Vec<TraceStep>,
    /// Where the code did what the packed model can not.
    pub divergence: Option<String>,
    /// Shuttle's violating schedule, a file for `check code --replay`.
    pub schedule: Option<String>,
    /// What came of holding each execution against the packed model.
    pub held: Option<code::HeldText>,
}

impl FormReport {
    /// What it says about a property; `None` when it was not asked.
    #[must_use]
    pub fn verdict(&self, property: Property) -> Option<Verdict> {
        let mut verdicts = self.verdicts.iter();
        verdicts
            .find(|(asked, _)| *asked == property)
            .map(|(_, verdict)| *verdict)
    }

    /// True when no property is left unknown.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        !verdicts.any(|(_, verdict)| matches!(verdict, Verdict::Unknown(_)))
    }
}

/// Searches the run's form.
///
/// # Errors
/// When the form does not know a decision, or has not what the scenario asks for.
pub fn search(run: &Run, limits: Limits, watch: &Watch) -> Result<FormReport, QuestionError> {
    let question = run.question()?;
    let wanted: Vec<Property> = run.expect.iter().map(|(property, _)| *property).collect();
    match run.form {
        Form::Loom | Form::Shuttle => code::search(run, limits, watch),
        Form::Actors | Form::Packed => actors::search(&question, &wanted, limits, watch),
    }
}
