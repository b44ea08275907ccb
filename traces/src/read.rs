//! Reading and writing traces.

use crate::schema::{FORMAT, Held, Trace};
use serde::Deserialize;
use serde_json::error::Category;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The longest input that is read: 16 MiB, far beyond any shortest counterexample.
pub const MAX_BYTES: usize = 16 << 20;

/// Why a text is not a trace.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TraceError {
    /// Longer than [`MAX_BYTES`].
    #[error("the trace is {bytes} bytes long; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Broken or cut-off JSON.
    #[error("line {line}, column {column}: not JSON: {message}")]
    NotJson {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// JSON, but of another format or of another version of this one.
    #[error("{}; this program reads {FORMAT:?}", found_in_words(found.as_deref()))]
    OtherFormat {
        /// The `format` field, when there is one.
        found: Option<String>,
    },
    /// The right format, but a field is missing, unknown or of the wrong type.
    #[error("line {line}, column {column}: not a trace: {message}")]
    NotATrace {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong with the field.
        message: String,
    },
    /// Every field can be read, but they contradict each other.
    #[error("the trace contradicts itself: {0}")]
    Inconsistent(String),
}

/// The one field that every version has; the others are looked at once this one is known.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Envelope {
    format: Option<String>,
}

impl Trace {
    /// Reads a trace and checks that it makes sense by itself.
    ///
    /// # Errors
    ///
    /// See [`TraceError`]: too long, not JSON, another format, wrong fields, or inconsistent.
    pub fn from_json(text: &str) -> Result<Self, TraceError> {
        if text.len() > MAX_BYTES {
            return Err(TraceError::TooLarge { bytes: text.len() });
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(in_place)?;
        if envelope.format.as_deref() != Some(FORMAT) {
            return Err(TraceError::OtherFormat {
                found: envelope.format,
            });
        }
        let trace: Self = serde_json::from_str(text).map_err(in_place)?;
        trace.check()?;
        Ok(trace)
    }

    /// The trace as JSON, indented, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Only a map with keys other than strings could fail here, and the schema has none.
        let json = serde_json::to_string_pretty(self).expect("every key of a trace is a string");
        json + "\n"
    }

    /// The same on few lines: the head, one line for each step, the verdict. A changed step is a
    /// changed line.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let head = Self {
            steps: Vec::new(),
            ..self.clone()
        };
        let head = serde_json::to_string(&head).expect("every key of a trace is a string");
        let steps = self.steps.iter().map(serde_json::to_string);
        let steps: Vec<String> = steps
            .map(|step| step.expect("every key of a step is a string"))
            .collect();
        // Within a string the quotes would stand behind backslashes.
        let steps = format!("\"steps\":[\n{}\n]", steps.join(",\n"));
        head.replacen("\"steps\":[]", &steps, 1) + "\n"
    }

    /// Checks that there are steps, that every agent named anywhere is listed, once, and that
    /// changes follow from one another.
    ///
    /// # Errors
    ///
    /// [`TraceError::Inconsistent`], naming the first place that does not fit.
    pub fn check(&self) -> Result<(), TraceError> {
        let mut listed = BTreeSet::new();
        for agent in &self.agents {
            if !listed.insert(agent.id.as_str()) {
                return inconsistent(format!("agent {:?} is listed twice", agent.id));
            }
        }
        if self.steps.is_empty() {
            return inconsistent("it has no steps".to_owned());
        }
        if let Some(start) = self.loop_starts_at
            && !(1..=self.steps.len() + 1).contains(&start)
        {
            return inconsistent(format!(
                "its loop starts at step {start}, but it has {} steps",
                self.steps.len()
            ));
        }
        match self
            .named_agents()
            .find(|(_, agent)| !listed.contains(agent))
        {
            None => self.check_changes(),
            Some((place, agent)) => inconsistent(format!(
                "{place} names agent {agent:?}, which is not listed"
            )),
        }
    }

    /// Every change is of a field that there is, from the value it has.
    fn check_changes(&self) -> Result<(), TraceError> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for (field, value) in &self.initial {
            values.insert(field, value);
        }
        for (index, step) in self.steps.iter().enumerate() {
            for change in &step.changed {
                let (number, field) = (index + 1, &change.field);
                match values.insert(field, &change.to) {
                    Some(before) if before == change.from => {}
                    Some(before) => {
                        return inconsistent(format!(
                            "step {number} changes {field:?} from {:?}, but it is {before:?}",
                            change.from
                        ));
                    }
                    None => {
                        return inconsistent(format!(
                            "step {number} changes {field:?}, which is not among the initial fields"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every mention of an agent, with the place of the mention.
    fn named_agents(&self) -> impl Iterator<Item = (String, &str)> {
        let in_steps = self.steps.iter().enumerate().flat_map(|(index, step)| {
            let taken = std::iter::once(("", &step.agent));
            let locks = step
                .locks
                .iter()
                .map(|held| ("a lock held after ", &held.agent));
            let enabled = step
                .enabled
                .iter()
                .map(|other| ("an alternative to ", &other.agent));
            let blocked = step
                .blocked
                .iter()
                .map(|other| ("an agent blocked at ", &other.agent));
            let all = taken.chain(locks).chain(enabled).chain(blocked);
            all.map(move |(what, agent)| (format!("{what}step {}", index + 1), agent.as_str()))
        });
        let in_verdict = self.verdict.conflict.iter().flat_map(|conflict| {
            let holders = conflict.held.iter().map(|Held { agent, .. }| agent);
            std::iter::once(&conflict.wanted_by)
                .chain(holders)
                .map(|agent| ("the conflict".to_owned(), agent.as_str()))
        });
        in_steps.chain(in_verdict)
    }
}

fn inconsistent(what: String) -> Result<(), TraceError> {
    Err(TraceError::Inconsistent(what))
}

/// A parser's error with its place in fields, and out of its message.
fn in_place(error: serde_json::Error) -> TraceError {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let place = format!(" at line {line} column {column}");
    let message = whole.strip_suffix(&place).unwrap_or(&whole).to_owned();
    match error.classify() {
        Category::Data => TraceError::NotATrace {
            line,
            column,
            message,
        },
        Category::Syntax | Category::Eof | Category::Io => TraceError::NotJson {
            line,
            column,
            message,
        },
    }
}

fn found_in_words(found: Option<&str>) -> String {
    match found {
        None => "the file does not say its format".to_owned(),
        Some(format) => {
            let start: String = format.chars().take(60).collect();
            format!("the file's format is {start:?}")
        }
    }
}

#[cfg(test)]
mod tests;
