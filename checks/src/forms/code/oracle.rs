//! What shuttle's schedules are held against.

use super::request::CodeRequest;
use crate::question::{Question, QuestionError};
use seamcheck_model::system::{Reductions, State, System};
use seamcheck_model::threads::conformance::{
    HeldError, NotInside, check, check_window, model_of, window_start,
};
use seamcheck_model::threads::{Entry, Scenario, Window};

/// The packed model of the same protocol, without reductions, and where a
/// window begins in it.
pub(super) struct Oracle {
    model: System,
    window: Option<State>,
}

impl Oracle {
    /// The model, or why it has no such window.
    ///
    /// # Errors
    /// When the request's question is wrong.
    pub(super) fn new(
        request: &CodeRequest,
        code: &Scenario,
    ) -> Result<Result<Self, HeldError>, QuestionError> {
        let question = request.question(model_of(code))?;
        let question = Question {
            decisions: request.model_decisions()?,
            ..question
        };
        let model = question.system(Reductions::NONE)?;
        if request.window == Window::Whole {
            let window = None;
            return Ok(Ok(Self { model, window }));
        }
        let code = Scenario {
            decisions: question.decisions,
            ..*code
        };
        match window_start(&question.table, &question.profile, &code, &model) {
            Ok(start) => Ok(Ok(Self {
                model,
                window: Some(start),
            })),
            Err(HeldError::Config(error)) => Err(error.into()),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Holds a schedule.
    ///
    /// # Errors
    /// Where code and model part.
    pub(super) fn check(&self, journal: &[Entry]) -> Result<(), NotInside> {
        match &self.window {
            Some(start) => check_window(&self.model, start, journal),
            None => check(&self.model, journal),
        }
    }
}
