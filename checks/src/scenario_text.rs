//! Scenarios as named settings: in traces, in the suite, on the command line.

use crate::question::QuestionError;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario::{Memory, Scenario};
use std::collections::BTreeMap;

/// The names of the settings.
pub const NAMES: [&str; 17] = [
    "vcpus",
    "pages",
    "inodes",
    "zap",
    "zappers",
    "populated",
    "threads",
    "finalized",
    "accept",
    "attr",
    "zero_step",
    "exit_reason",
    "migrate",
    "late",
    "host_priority_timeout",
    "foreign_kick",
    "memory",
];

/// Every setting but the memory model, which traces carry apart; settings that only some questions
/// make, where they are made.
#[must_use]
pub fn to_map(scenario: &Scenario) -> BTreeMap<String, String> {
    let pairs = [
        ("vcpus", scenario.vcpus.to_string()),
        ("pages", scenario.pages.to_string()),
        ("threads", scenario.threads.join(" ")),
        ("finalized", scenario.finalized.to_string()),
        ("accept", scenario.accept.to_string()),
        ("attr", scenario.attr.to_string()),
        ("zero_step", scenario.zero_step.to_string()),
        ("exit_reason", scenario.exit_reason.to_string()),
    ];
    let unusual = [
        (scenario.inodes != 1, "inodes", scenario.inodes.to_string()),
        (!scenario.zap.is_empty(), "zap", scenario.zap.clone()),
        (
            scenario.zappers != 1,
            "zappers",
            scenario.zappers.to_string(),
        ),
        (
            scenario.populated,
            "populated",
            scenario.populated.to_string(),
        ),
        (scenario.migrate, "migrate", scenario.migrate.to_string()),
        (scenario.late, "late", scenario.late.to_string()),
        (
            scenario.host_priority_timeout,
            "host_priority_timeout",
            scenario.host_priority_timeout.to_string(),
        ),
        (
            scenario.foreign_kick,
            "foreign_kick",
            scenario.foreign_kick.to_string(),
        ),
    ];
    let unusual = unusual.into_iter().filter(|(is_set, ..)| *is_set);
    pairs
        .into_iter()
        .chain(unusual.map(|(_, name, value)| (name, value)))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Changes one setting.
///
/// # Errors
/// When the name or the value is not understood.
pub fn set(scenario: &mut Scenario, name: &str, value: &str) -> Result<(), QuestionError> {
    match name {
        "vcpus" => scenario.vcpus = number(name, value)?,
        "pages" => scenario.pages = number(name, value)?,
        "zappers" => scenario.zappers = number(name, value)?,
        "inodes" => scenario.inodes = number(name, value)?,
        "migrate" => scenario.migrate = truth(name, value)?,
        "late" => scenario.late = truth(name, value)?,
        "host_priority_timeout" => scenario.host_priority_timeout = truth(name, value)?,
        "foreign_kick" => scenario.foreign_kick = truth(name, value)?,
        "zap" => scenario.zap = value.to_owned(),
        "populated" => scenario.populated = truth(name, value)?,
        "threads" => scenario.threads = value.split_whitespace().map(str::to_owned).collect(),
        "finalized" => scenario.finalized = truth(name, value)?,
        "accept" => scenario.accept = truth(name, value)?,
        "attr" => scenario.attr = truth(name, value)?,
        "zero_step" => scenario.zero_step = truth(name, value)?,
        "exit_reason" => scenario.exit_reason = truth(name, value)?,
        "memory" => {
            scenario.memory = Memory::from_key(value).ok_or_else(|| {
                QuestionError::Usage(format!("memory is `sc` or `tso`, not `{value}`"))
            })?;
        }
        _ => {
            let known = seamcheck_model::data::suggest::did_you_mean(name, &NAMES);
            return Err(QuestionError::Usage(format!(
                "unknown scenario setting `{name}`{known}"
            )));
        }
    }
    Ok(())
}

fn number(name: &str, value: &str) -> Result<usize, QuestionError> {
    value
        .parse()
        .map_err(|_| QuestionError::Usage(format!("{name} is a number, not `{value}`")))
}

fn truth(name: &str, value: &str) -> Result<bool, QuestionError> {
    value
        .parse()
        .map_err(|_| QuestionError::Usage(format!("{name} is `true` or `false`, not `{value}`")))
}
