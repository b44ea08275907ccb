//! What can be otherwise than the suite expects, in words and as an exit status.

use crate::engine::Cut;
use crate::exit::Exit;
use crate::verdict::{Expected, Verdict};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;

/// Something that is not as the suite expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Another verdict.
    Verdict {
        /// Of which property.
        property: Property,
        /// What was expected.
        expected: Expected,
        /// What was found.
        found: Verdict,
    },
    /// Another number of states.
    States {
        /// What was expected.
        expected: Option<u64>,
        /// What was found.
        found: u64,
    },
    /// Other counts of what the packed model says of loom's executions.
    Held {
        /// Of what.
        what: &'static str,
        /// What was expected.
        expected: u64,
        /// What was found.
        found: u64,
    },
    /// Another number of preemptions.
    Preemptions {
        /// What was expected.
        expected: usize,
        /// What was found.
        found: Option<usize>,
    },
    /// Another number of views.
    Views {
        /// What was expected.
        expected: u64,
        /// What was found.
        found: u64,
    },
    /// No proof for every number of vCPUs where there should be one.
    Unproved {
        /// Why.
        why: String,
        /// The exit status.
        exit: Exit,
    },
    /// stateright found something else.
    Engines(String),
    /// stateright was not asked, because it would take too much memory.
    NotAsked {
        /// How much, in MiB.
        mebibytes: u64,
    },
    /// stateright was asked, and came to no end.
    NoOpinion(Cut),
    /// The suite has no right to ask this.
    Invalid(String),
}

impl Difference {
    /// The exit status it leads to.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Verdict {
                found: Verdict::Vacuous,
                ..
            } => Exit::Vacuous,
            Self::Verdict {
                found: Verdict::Unknown(Cut::Interrupted),
                ..
            } => Exit::Interrupted,
            Self::Verdict {
                found: Verdict::Unknown(_),
                ..
            } => Exit::Unknown,
            Self::Verdict { .. }
            | Self::States { .. }
            | Self::Held { .. }
            | Self::Preemptions { .. }
            | Self::Views { .. } => Exit::Violated,
            Self::Unproved { exit, .. } => *exit,
            Self::Engines(_) => Exit::Disagreement,
            Self::NoOpinion(Cut::Interrupted) => Exit::Interrupted,
            Self::NotAsked { .. } | Self::NoOpinion(_) => Exit::Unknown,
            Self::Invalid(_) => Exit::Usage,
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Verdict {
                property,
                expected,
                found,
            } => {
                write!(f, "{}: expected {expected}, found {found}", property.key())?;
                if let Verdict::Unknown(cut) = found {
                    write!(f, " ({})", cut.text())?;
                }
                Ok(())
            }
            Self::States {
                expected: Some(expected),
                found,
            } => write!(f, "expected {expected} states, found {found}"),
            Self::States {
                expected: None,
                found,
            } => write!(f, "{found} states, and the suite records no number"),
            Self::Held {
                what,
                expected,
                found,
            } => write!(f, "expected {expected} {what}, found {found}"),
            Self::Preemptions { expected, found } => {
                let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
                write!(
                    f,
                    "expected {expected} as the fewest preemptions, found {found}"
                )
            }
            Self::Views { expected, found } => {
                write!(
                    f,
                    "expected a proof of {expected} views, found one of {found}"
                )
            }
            Self::Unproved { why, .. } => write!(f, "not proved for every number of vCPUs: {why}"),
            Self::NotAsked { mebibytes } => write!(
                f,
                "stateright was not asked: it would take about {mebibytes} MiB (see --max-memory)"
            ),
            Self::NoOpinion(cut) => write!(f, "stateright has no opinion: {}", cut.text()),
            Self::Engines(text) | Self::Invalid(text) => f.write_str(text),
        }
    }
}
