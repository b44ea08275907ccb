//! The claim's other forms: the stateright actor model and the code under loom.

use crate::question::QuestionError;
use crate::suite::Run;
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
    Err(QuestionError::Usage(format!("{}: this form is not here yet", run.name)))
}
