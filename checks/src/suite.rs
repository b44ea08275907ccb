//! The suite: `suite/*.toml`, the one place where expectations live.

mod code;

pub use code::{CodeSettings, ExpectedHeld};

use crate::profiles::Profile;
use crate::question::{DROP, HOLD, Question, QuestionError, Source};
use crate::scenario_text;
use crate::verdict::{Expected, property_names};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::{DataError, Reader, suggest};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;

/// The suite that comes with the program, file by file: name and text.
pub const FILES: &[(&str, &str)] = &[
    ("suite/default.toml", include_str!("../suite/default.toml")),
    ("suite/actors.toml", include_str!("../suite/actors.toml")),
    ("suite/threads.toml", include_str!("../suite/threads.toml")),
    (
        "suite/versions.toml",
        include_str!("../suite/versions.toml"),
    ),
    ("suite/nightly.toml", include_str!("../suite/nightly.toml")),
];

/// The files' names without directory and ending, as profiles name them.
#[must_use]
pub fn file_names() -> Vec<&'static str> {
    FILES.iter().map(|(path, _)| file_name(path)).collect()
}

fn file_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".toml").unwrap_or(name)
}

/// Which formulation of the claim a run searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The packed model.
    Packed,
    /// The stateright actor model.
    Actors,
    /// The instrumented code under loom.
    Loom,
    /// The instrumented code under shuttle.
    Shuttle,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Packed, Self::Actors, Self::Loom, Self::Shuttle];

    /// How it is spelled in the suite, in the ledger and in reports.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Actors => "actors",
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
        }
    }

    /// The form that is spelled so.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.key() == key)
    }
}

/// One run: a question with what is expected of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// `claim/tso`: the check and the memory model.
    pub name: String,
    /// The check's name.
    pub check: String,
    /// Its group in the report.
    pub group: String,
    /// One sentence.
    pub about: String,
    /// What is searched.
    pub form: Form,
    /// The lock table's version.
    pub module: String,
    /// The kernel profile's version.
    pub kernel: String,
    /// Decisions changed on top of the profile.
    pub set: Vec<(String, String)>,
    /// Who takes part.
    pub scenario: Scenario,
    /// How far the code is run.
    pub code: CodeSettings,
    /// The exact number of states (executions, for loom) of a search that is not cut short.
    pub states: Option<u64>,
    /// loom: the exact counts of executions by what the packed model says of them.
    pub held: ExpectedHeld,
    /// The exact number of views that prove what is expected to hold for every number of vCPUs.
    pub views: Option<u64>,
    /// What is expected, the check's subject first.
    pub expect: Vec<(Property, Expected)>,
    /// Whether stateright searches it too.
    pub stateright: bool,
}

impl Run {
    /// The question.
    ///
    /// # Errors
    /// When a version, a decision or the scenario is wrong.
    pub fn question(&self) -> Result<Question, QuestionError> {
        let (module, kernel) = (Source::module(&self.module)?, Source::kernel(&self.kernel)?);
        Question::new(module, kernel, self.set.clone(), self.scenario.clone())
    }
}

/// Everything that comes with the program, in the order of its files.
///
/// # Errors
/// As [`parse`], and when two files have a check of the same name.
pub fn built_in() -> Result<Vec<Run>, DataError> {
    let mut runs = Vec::new();
    for (file, text) in FILES {
        parse_into(&mut runs, file, text)?;
    }
    Ok(runs)
}

/// What a profile runs.
///
/// # Errors
/// As [`built_in`].
pub fn of_profile(profile: &Profile) -> Result<Vec<Run>, DataError> {
    let mut runs = Vec::new();
    for (file, text) in FILES {
        if profile.suites.iter().any(|name| name == file_name(file)) {
            parse_into(&mut runs, file, text)?;
        }
    }
    Ok(runs)
}

/// Reads a suite from one file.
///
/// # Errors
/// At the first thing that is not understood, with its place and a remedy.
pub fn parse(file: &str, text: &str) -> Result<Vec<Run>, DataError> {
    let mut runs = Vec::new();
    parse_into(&mut runs, file, text)?;
    Ok(runs)
}

fn parse_into(runs: &mut Vec<Run>, file: &str, text: &str) -> Result<(), DataError> {
    let parsed = Reader::parse(file, text)?;
    let root = Reader::root(file, text, &parsed);
    root.only(&["check"])?;
    for row in root.tables("check")? {
        let more = parse_check(row)?;
        if runs
            .iter()
            .any(|run| more.iter().any(|new| new.check == run.check))
        {
            return Err(row.error_at("name", "duplicate check"));
        }
        runs.extend(more);
    }
    Ok(())
}

const KEYS: [&str; 13] = [
    "name",
    "group",
    "about",
    "form",
    "module",
    "kernel",
    "set",
    "scenario",
    "code",
    "stateright",
    "sc",
    "tso",
    "weak",
];

/// A check is one run for each memory model it gives expectations for.
fn parse_check(row: Reader<'_>) -> Result<Vec<Run>, DataError> {
    row.only(&KEYS)?;
    let form = if row.has("form") {
        let given = row.string("form")?;
        Form::from_key(given).ok_or_else(|| {
            row.error_at("form", format!("unknown form `{given}`"))
                .with_help("packed, actors, loom or shuttle")
        })?
    } else {
        Form::Packed
    };
    let mut scenario = Scenario::default();
    if row.has("scenario") {
        let settings = row.table("scenario")?;
        settings.only(&scenario_text::NAMES)?;
        for key in settings.keys() {
            scenario_text::set(&mut scenario, key, &settings.scalar(key)?)
                .map_err(|error| settings.error_at(key, error.to_string()))?;
        }
    }
    let mut set = Vec::new();
    if row.has("set") {
        let changes = row.table("set")?;
        let known = [Decisions::NAMES, &[HOLD, DROP]].concat();
        changes.only(&known)?;
        for key in changes.keys() {
            let value = changes.string(key)?;
            set.push(match key {
                HOLD | DROP => (format!("{key} {value}"), String::new()),
                _ => (key.to_owned(), value.to_owned()),
            });
        }
    }
    let code = if row.has("code") {
        CodeSettings::parse(row.table("code")?)?
    } else {
        CodeSettings::default()
    };
    let mut runs = Vec::new();
    for memory in ["sc", "tso", "weak"]
        .into_iter()
        .filter(|memory| row.has(memory))
    {
        let mut scenario = scenario.clone();
        if memory != "weak" {
            scenario_text::set(&mut scenario, "memory", memory)
                .map_err(|error| row.error(error.to_string()))?;
        }
        let expected = row.table(memory)?;
        runs.push(Run {
            name: format!("{}/{memory}", row.string("name")?),
            check: row.string("name")?.to_owned(),
            group: row.string("group")?.to_owned(),
            about: row.string("about")?.to_owned(),
            form,
            module: row.string("module")?.to_owned(),
            kernel: row.string("kernel")?.to_owned(),
            set: set.clone(),
            scenario,
            code,
            states: expected.number("states")?,
            held: ExpectedHeld::parse(expected)?,
            views: expected.number("views")?,
            expect: parse_expect(expected)?,
            stateright: row.boolean("stateright", true)?,
        });
    }
    if runs.is_empty() {
        return Err(row.error("a check needs `sc`, `tso` or `weak`, with what is expected"));
    }
    Ok(runs)
}

fn parse_expect(table: Reader<'_>) -> Result<Vec<(Property, Expected)>, DataError> {
    let known: Vec<&str> = property_names()
        .into_iter()
        .chain(["states", "views"])
        .chain(ExpectedHeld::KEYS)
        .collect();
    table.only(&known)?;
    let mut expect = Vec::new();
    for key in table.keys() {
        let Some(property) = Property::from_key(key) else {
            continue;
        };
        let expected = Expected::parse(table.string(key)?).ok_or_else(|| {
            table.error_at(key, "not a verdict").with_help(
                "holds, vacuous, unknown or violated N, N the length of the shortest trace",
            )
        })?;
        expect.push((property, expected));
    }
    if expect.is_empty() {
        return Err(table
            .error("nothing is expected")
            .with_help("name at least one property"));
    }
    Ok(expect)
}

/// The runs whose check or run name is one of `names`; all of them for no names.
///
/// # Errors
/// When a name matches nothing; the message suggests the closest.
pub fn select(runs: Vec<Run>, names: &[String]) -> Result<Vec<Run>, QuestionError> {
    for name in names {
        if !runs
            .iter()
            .any(|run| run.check == *name || run.name == *name)
        {
            // Somebody who wrote a memory model meant a run, not a check.
            let known: Vec<&str> = runs
                .iter()
                .map(|run| {
                    if name.contains('/') {
                        &run.name
                    } else {
                        &run.check
                    }
                })
                .map(String::as_str)
                .collect();
            let hint = suggest::closest(name, &known).map_or_else(
                || "; `check list` names them all".to_owned(),
                |close| format!("; did you mean `{close}`?"),
            );
            return Err(QuestionError::Usage(format!(
                "no check is called `{name}`{hint}"
            )));
        }
    }
    let wanted = |run: &Run| {
        names.is_empty()
            || names
                .iter()
                .any(|name| run.check == *name || run.name == *name)
    };
    Ok(runs.into_iter().filter(wanted).collect())
}
