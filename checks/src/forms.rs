//! The claim's other forms: the stateright actor model and the code under loom and shuttle.

mod actors;
pub mod code;

use crate::question::QuestionError;
use crate::suite::{Form, Run};
use crate::verdict::Verdict;
use std::time::Duration;

/// What the search of another form found.
#[derive(Clone, Debug)]
pub struct FormReport {
    /// On the claim.
    pub verdict: Verdict,
    /// States, executions or schedules.
    pub states: u64,
    /// `states`, `executions` or `schedules`.
    pub unit: &'static str,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// Where the code did what the packed model can not.
    pub divergence: Option<String>,
}

/// Searches the run's form.
///
/// # Errors
/// When the form does not know a decision.
pub fn search(run: &Run) -> Result<FormReport, QuestionError> {
    match run.form {
        Form::Loom | Form::Shuttle => code::search(run),
        Form::Actors | Form::Packed => {
            let decisions = run.question()?.decisions;
            let report = actors::search(decisions, run.scenario.vcpus);
            report.map_err(|error| QuestionError::Usage(format!("{}: {error}", run.name)))
        }
    }
}
