//! A question: a lock table, a kernel profile, changed decisions and a scenario.

use miette::{Diagnostic, LabeledSpan};
use seamcheck_model::builtin;
use seamcheck_model::data::DataError;
use seamcheck_model::kernel::{ChangeError, DecisionError, Decisions, KernelProfile};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::{ConfigError, Reductions, System};
use seamcheck_model::table::LockTable;
use std::path::Path;

/// A data file: built in, or a user's own with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Version name, or the path that was given.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether it came with the program.
    pub is_builtin: bool,
}

impl Source {
    /// A built-in lock table by version, or the file at that path.
    ///
    /// # Errors
    /// When there is no such version and no readable file.
    pub fn module(name: &str) -> Result<Self, QuestionError> {
        Self::find(name, builtin::MODULES, "module")
    }

    /// A built-in kernel profile by version, or the file at that path.
    ///
    /// # Errors
    /// When there is no such version and no readable file.
    pub fn kernel(name: &str) -> Result<Self, QuestionError> {
        Self::find(name, builtin::KERNELS, "kernel")
    }

    /// A user's own file, of which the text is at hand.
    ///
    /// # Errors
    /// When the name is not that of a file, and could be taken for a version.
    pub fn own(name: &str, text: &str) -> Result<Self, QuestionError> {
        if !looks_like_a_file(name) {
            return Err(QuestionError::Usage(format!(
                "`{name}` is the name of a version, but comes with a text of its own"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            is_builtin: false,
        })
    }

    /// Reads it as a lock table.
    ///
    /// # Errors
    /// At the first thing that is not understood.
    pub fn table(&self) -> Result<LockTable, QuestionError> {
        LockTable::parse(&self.name, &self.text).map_err(|error| bad_data(error, self))
    }

    /// Reads it as a kernel profile.
    ///
    /// # Errors
    /// At the first thing that is not understood.
    pub fn profile(&self) -> Result<KernelProfile, QuestionError> {
        KernelProfile::parse(&self.name, &self.text).map_err(|error| bad_data(error, self))
    }

    fn find(name: &str, known: &[(&str, &str)], what: &'static str) -> Result<Self, QuestionError> {
        if let Some((name, text)) = known.iter().find(|(version, _)| *version == name) {
            return Ok(Self {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
                is_builtin: true,
            });
        }
        if !looks_like_a_file(name) {
            let known = known
                .iter()
                .map(|(version, _)| (*version).to_owned())
                .collect();
            return Err(QuestionError::UnknownVersion {
                what,
                given: name.to_owned(),
                known,
            });
        }
        let text = std::fs::read_to_string(name).map_err(|error| QuestionError::Unreadable {
            path: name.to_owned(),
            error: error.to_string(),
        })?;
        Ok(Self {
            name: name.to_owned(),
            text,
            is_builtin: false,
        })
    }
}

/// Versions have no directory and do not end in `.toml`.
fn looks_like_a_file(name: &str) -> bool {
    let extension = Path::new(name).extension();
    name.contains('/') || extension.is_some_and(|extension| extension == "toml")
}

/// A data file that is not understood, with its text.
#[derive(Debug)]
pub struct BadData {
    /// What is wrong, and where.
    pub error: DataError,
    /// The file.
    pub source: Source,
}

/// What can be wrong with a question.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// No built-in version has this name.
    #[error("unknown {what} `{given}`: it is one of {}, or the path of a .toml file", .known.join(", "))]
    UnknownVersion {
        /// `module` or `kernel`.
        what: &'static str,
        /// What was given.
        given: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The file can not be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// Its path.
        path: String,
        /// The system's words.
        error: String,
    },
    /// The file's content is wrong.
    #[error("{}", .0.error)]
    Data(Box<BadData>),
    /// A decision is wrong.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// A KVM lock can not be added or taken away.
    #[error(transparent)]
    Lock(#[from] ChangeError),
    /// The scenario does not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something else about the words given.
    #[error("{0}")]
    Usage(String),
}

impl Diagnostic for QuestionError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        match self {
            Self::Data(bad) => bad
                .error
                .help
                .as_ref()
                .map(|help| Box::new(help) as Box<dyn std::fmt::Display>),
            Self::Decision(_) => Some(Box::new(
                "`check list --decisions` names every decision and its values",
            )),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match self {
            Self::Data(bad) => Some(Box::new(std::iter::once(LabeledSpan::new_with_span(
                None,
                bad.error.span.clone(),
            )))),
            _ => None,
        }
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        match self {
            Self::Data(bad) => Some(&bad.source as &dyn miette::SourceCode),
            _ => None,
        }
    }
}

impl miette::SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let contents = self.text.read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name.clone(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

/// How a KVM lock that is added is written among the changes: `hold LOCK:MODE@PATH`.
pub const HOLD: &str = "hold";
/// How one that is taken away is written: `drop LOCK@PATH`.
pub const DROP: &str = "drop";

/// A question, ready to be searched.
#[derive(Clone, Debug)]
pub struct Question {
    /// The lock table's file.
    pub module: Source,
    /// The kernel profile's file.
    pub kernel: Source,
    /// Decisions changed on top of the profile, and KVM locks added or taken away ([`HOLD`],
    /// [`DROP`]; their values are empty).
    pub set: Vec<(String, String)>,
    /// Who takes part.
    pub scenario: Scenario,
    /// The lock table.
    pub table: LockTable,
    /// The kernel profile.
    pub profile: KernelProfile,
    /// The decisions that result.
    pub decisions: Decisions,
}

impl Question {
    /// Reads the data files and applies the changes.
    ///
    /// # Errors
    /// When a file, a decision or a value is not understood.
    pub fn new(
        module: Source,
        kernel: Source,
        set: Vec<(String, String)>,
        scenario: Scenario,
    ) -> Result<Self, QuestionError> {
        let (table, mut profile) = (module.table()?, kernel.profile()?);
        let mut decisions = profile.decisions;
        for (name, value) in &set {
            match name.split_once(' ') {
                Some((HOLD, place)) => profile.hold(place)?,
                Some((DROP, place)) => profile.release(place)?,
                _ => decisions.set(name, value)?,
            }
        }
        Ok(Self {
            module,
            kernel,
            set,
            scenario,
            table,
            profile,
            decisions,
        })
    }

    /// The system the question is about.
    ///
    /// # Errors
    /// When the scenario does not fit the table or the profile.
    pub fn system(&self, reductions: Reductions) -> Result<System, QuestionError> {
        Ok(System::new(
            &self.table,
            &self.profile,
            self.decisions,
            self.scenario.clone(),
            reductions,
        )?)
    }
}

pub(crate) fn bad_data(error: DataError, source: &Source) -> QuestionError {
    QuestionError::Data(Box::new(BadData {
        error,
        source: source.clone(),
    }))
}
