//! A schedule in a file, with all that is needed to make it again.

use super::answer::CodeAnswer;
use super::request::CodeRequest;
use serde::{Deserialize, Serialize};

pub use seamcheck_model::threads::Steps;

/// The file's format.
pub const FORMAT: &str = "seamcheck.schedule.v1";

/// A saved schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSchedule {
    /// [`FORMAT`].
    pub format: String,
    /// What was run.
    pub request: CodeRequest,
    /// Which threads ran, in order.
    pub steps: StepsText,
}

/// A schedule as text: the number of the thread at each step, `?` where a choice was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsText {
    /// The seed of the choices.
    pub seed: u64,
    /// The threads.
    pub threads: String,
}

impl From<&Steps> for StepsText {
    fn from(steps: &Steps) -> Self {
        let word = |thread: &Option<usize>| {
            thread.map_or_else(|| "?".to_owned(), |thread| thread.to_string())
        };
        let words: Vec<String> = steps.threads.iter().map(word).collect();
        Self {
            seed: steps.seed,
            threads: words.join(" "),
        }
    }
}

/// Why a file is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not the format.
    #[error("{0}")]
    Json(String),
    /// Another format.
    #[error("the format is `{0}`, not `{FORMAT}`")]
    OtherFormat(String),
    /// A word of the schedule.
    #[error("step {at}: `{word}` is no number of a thread")]
    Word {
        /// Which step.
        at: usize,
        /// What stands there.
        word: String,
    },
}

impl SavedSchedule {
    /// The file of a schedule that violates, or that the model does not allow; `None` where there is none.
    ///
    /// # Errors
    /// When it can not be written as JSON.
    pub fn text(
        request: &CodeRequest,
        answer: &CodeAnswer,
    ) -> Result<Option<String>, serde_json::Error> {
        let Some(steps) = answer.steps.clone() else {
            return Ok(None);
        };
        let saved = Self {
            format: FORMAT.to_owned(),
            request: request.clone(),
            steps,
        };
        serde_json::to_string_pretty(&saved).map(|text| Some(text + "\n"))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is not a schedule.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let saved: Self =
            serde_json::from_str(text).map_err(|error| ScheduleError::Json(error.to_string()))?;
        if saved.format == FORMAT {
            Ok(saved)
        } else {
            Err(ScheduleError::OtherFormat(saved.format))
        }
    }

    /// The schedule.
    ///
    /// # Errors
    /// At the first word that is no thread's number.
    pub fn steps(&self) -> Result<Steps, ScheduleError> {
        let words = self.steps.threads.split_whitespace().enumerate();
        let threads = words.map(|(at, word)| match word {
            "?" => Ok(None),
            _ => word.parse().map(Some).map_err(|_| ScheduleError::Word {
                at,
                word: word.to_owned(),
            }),
        });
        Ok(Steps {
            seed: self.steps.seed,
            threads: threads.collect::<Result<_, _>>()?,
        })
    }
}
