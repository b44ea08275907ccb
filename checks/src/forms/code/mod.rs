//! The protocol as code: what is asked of an engine, and what came out.
//!
//! A request is whole: it says the same in a suite's run, on the command line, to a child process
//! and in the file of a schedule that is to be made again.

pub mod answer;
mod beside;
mod bounds;
mod by_key;
pub mod child;
pub mod engine;
pub mod fewest;
pub(crate) mod guest;
pub mod held;
mod not_held;
mod oracle;
pub mod patience;
pub mod request;
pub mod schedule;
pub mod version;
mod zappers;

pub use answer::CodeAnswer;
pub use beside::BesideText;
pub use held::HeldText;
pub use patience::Patience;
pub use request::{CodeRequest, Engine, WATCHED};
pub use schedule::SavedSchedule;

use super::{FormReport, TraceStep};
use crate::engine::{Clock, Cut, Limits, Watch};
use crate::question::QuestionError;
use crate::suite::Run;

/// Runs what a run of the suite asks.
///
/// # Errors
/// When the code or the engine can not do what the run asks.
pub(super) fn search(
    run: &Run,
    limits: Limits,
    watch: &Watch,
) -> Result<FormReport, QuestionError> {
    let clock = Clock::start();
    let patience = Patience::new(limits, watch);
    let asked = CodeRequest::of(run)?;
    let request = asked.clone().at_most(limits.states);
    let answer = fewest::answer(&request, patience)?;
    let fewer = request.engine != Engine::Loom && request.schedules < asked.schedules;
    let answer = CodeAnswer {
        cut: answer.cut.or(fewer.then_some(Cut::States)),
        ..answer
    };
    if let Some(why) = &answer.not_held {
        return Err(QuestionError::Usage(format!("{}: {why}", run.name)));
    }
    let schedule = SavedSchedule::text(&request, &answer)
        .map_err(|error| QuestionError::Usage(error.to_string()))?;
    Ok(FormReport {
        verdicts: run
            .expect
            .iter()
            .map(|(property, _)| (*property, answer.verdict(&request)))
            .collect(),
        states: answer.executions,
        unit: request.engine.unit(),
        elapsed: clock.elapsed(),
        missing: Vec::new(),
        reach: Some(answer.reach_text(&request)),
        preemptions: answer.preemptions,
        trace: answer.events.into_iter().map(TraceStep).collect(),
        schedule,
        divergence: answer.divergence,
        held: answer.held,
    })
}
