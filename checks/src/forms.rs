//! The claim's other forms: the stateright actor model and the code under loom.

mod actors;
mod loom;

use crate::question::QuestionError;
use crate::suite::{Form, Run};
use crate::verdict::Verdict;
use std::time::Duration;

/// What the search of another form found.
#[derive(Clone, Debug)]
pub struct FormReport {
    /// On the claim.
    pub verdict: Verdict,
    /// States, or executions.
    pub states: u64,
    /// `states` or `executions`.
    pub unit: &'static str,
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// Searches the run's form.
///
/// # Errors
/// When the form does not know a decision.
pub fn search(run: &Run) -> Result<FormReport, QuestionError> {
    let decisions = run.question()?.decisions;
    let report = match run.form {
        Form::Loom => loom::search(decisions),
        Form::Actors | Form::Packed => actors::search(decisions, run.scenario.vcpus),
    };
    report.map_err(|error| QuestionError::Usage(format!("{}: {error}", run.name)))
}
