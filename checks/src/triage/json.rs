//! `seamcheck.triage.v1`.

use super::causes::Cause;
use super::changes::Changes;
use super::log::Log;
use super::search::{Found, Pair};
use super::{Answer, Triage};
use crate::exit::Exit;
use crate::scenario_text;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario::Scenario;
use seamcheck_traces::Trace;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.triage.v1";

/// The triage, as JSON.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    file: &'a str,
    lines: u64,
    binary_lines: u64,
    long_lines: u64,
    failures: Vec<FailureText<'a>>,
    more_failures: u64,
    unclear: Vec<UnclearText<'a>>,
    more_unclear: u64,
    clues: Vec<ClueText<'a>>,
}

#[derive(Debug, Serialize)]
struct FailureText<'a> {
    line: u64,
    count: u64,
    text: &'a str,
    leaf: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf_number: Option<u64>,
    status: String,
    status_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meaning: Option<&'static str>,
    values: BTreeMap<&'a str, String>,
    explained: bool,
    causes: Vec<CauseText<'a>>,
    found: Vec<FoundText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<NeedsText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a Trace>,
}

#[derive(Debug, Serialize)]
struct NeedsText<'a> {
    kernel: &'a str,
    module: &'a str,
    texts: &'a [String],
}

#[derive(Debug, Serialize)]
struct CauseText<'a> {
    text: String,
    modules: &'a [String],
    leaf: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holders: Vec<HolderText<'a>>,
}

#[derive(Debug, Serialize)]
struct HolderText<'a> {
    leaf: &'a str,
    held: &'static str,
}

#[derive(Debug, Serialize)]
struct FoundText<'a> {
    kernel: &'a str,
    module: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    rests_on: &'a BTreeSet<u64>,
}

#[derive(Debug, Serialize)]
struct ChangesText<'a> {
    kernel: &'a str,
    module: &'a str,
    complete: bool,
    found: Vec<ChangeText>,
}

#[derive(Debug, Serialize)]
struct ChangeText {
    decision: &'static str,
    value: &'static str,
    length: u64,
}

#[derive(Debug, Serialize)]
struct UnclearText<'a> {
    line: u64,
    why: &'static str,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct ClueText<'a> {
    kind: &'static str,
    line: u64,
    text: &'a str,
}

impl<'a> From<&'a (Cause, Vec<String>)> for CauseText<'a> {
    fn from((cause, modules): &'a (Cause, Vec<String>)) -> Self {
        let (leaf, lock, wanted, holders) = match cause {
            Cause::Lock {
                leaf,
                lock,
                wanted,
                holders,
            } => (
                leaf,
                Some(lock.key()),
                Some(wanted.key()),
                holders.as_slice(),
            ),
            Cause::State { leaf, .. } => (leaf, None, None, &[][..]),
        };
        let holders = holders.iter().map(|(leaf, mode)| HolderText {
            leaf,
            held: mode.key(),
        });
        Self {
            text: cause.text(),
            modules,
            leaf,
            lock,
            wanted,
            holders: holders.collect(),
        }
    }
}

impl<'a> From<&'a Pair> for FoundText<'a> {
    fn from(pair: &'a Pair) -> Self {
        let mut text = Self {
            kernel: &pair.kernel,
            module: &pair.module,
            result: result(&pair.found),
            length: None,
            memory: None,
            scenario: None,
            reaction: None,
            states: None,
            because: None,
            rests_on: &pair.rests_on,
        };
        let mut ran = |scenario: &Scenario| {
            text.memory = Some(scenario.memory.key());
            text.scenario = Some(scenario_text::to_map(scenario));
        };
        match &pair.found {
            Found::Logged(sighting) => {
                ran(&sighting.question.scenario);
                text.length = Some(sighting.violation.length());
            }
            Found::Silent(silence) => {
                ran(&silence.question.scenario);
                text.length = Some(silence.length());
                text.reaction = Some(silence.reaction);
                text.because = silence.cut.map(|cut| cut.text());
            }
            Found::Never { states, .. } => text.states = Some(*states),
            Found::Unknown(cut) => text.because = Some(cut.text()),
            Found::NoRow | Found::NoCaller | Found::PerVcpu => {}
        }
        text
    }
}

impl<'a> From<&'a Changes> for ChangesText<'a> {
    fn from(changes: &'a Changes) -> Self {
        let found = changes.found.iter().map(|change| ChangeText {
            decision: change.decision,
            value: change.value,
            length: change.sighting.violation.length(),
        });
        Self {
            kernel: &changes.kernel,
            module: &changes.module,
            complete: !changes.is_cut,
            found: found.collect(),
        }
    }
}

/// As it is spelled in JSON.
const fn result(found: &Found) -> &'static str {
    match found {
        Found::Logged(sighting) if sighting.is_hypothetical => "logged-hypothetical",
        Found::Logged(_) => "logged",
        Found::Silent(_) => "silent",
        Found::PerVcpu => "not-searched",
        Found::Never { .. } => "never",
        Found::NoRow => "no-row",
        Found::NoCaller => "no-caller",
        Found::Unknown(_) => "unknown",
    }
}

impl<'a> From<&'a Answer> for FailureText<'a> {
    fn from(answer: &'a Answer) -> Self {
        let (seen, status) = (&answer.seen, answer.seen.failure.status);
        let values = seen.failure.values.iter();
        Self {
            line: seen.line,
            count: seen.count,
            text: &seen.text,
            leaf: answer.leaf_text(),
            leaf_number: answer.leaf_number().map(|number| number.0),
            status: status.to_string(),
            status_name: status.pretty(),
            meaning: status.meaning(),
            values: values
                .map(|(name, value)| (name.as_str(), format!("{value:#x}")))
                .collect(),
            explained: answer.is_explained(),
            causes: answer.causes.iter().map(CauseText::from).collect(),
            found: answer.pairs.iter().map(FoundText::from).collect(),
            changes: answer.changes.as_ref().map(ChangesText::from),
            needs: answer.needs.as_ref().map(|needs| NeedsText {
                kernel: &needs.kernel,
                module: &needs.module,
                texts: &needs.texts,
            }),
            trace: answer.trace.as_ref(),
        }
    }
}

/// The triage, as JSON.
#[must_use]
pub fn report(triage: &Triage, exit: Exit) -> Report<'_> {
    let Log {
        lines,
        binary,
        long,
        more_failures,
        more_unclear,
        ..
    } = triage.log;
    let unclear = triage.log.unclear.iter().map(|unclear| UnclearText {
        line: unclear.line,
        why: unclear.why,
        text: &unclear.text,
    });
    let clues = triage.log.clues.iter().map(|clue| ClueText {
        kind: clue.kind.key(),
        line: clue.line,
        text: &clue.text,
    });
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        file: &triage.file,
        lines,
        binary_lines: binary,
        long_lines: long,
        failures: triage.answers.iter().map(FailureText::from).collect(),
        more_failures,
        unclear: unclear.collect(),
        more_unclear,
        clues: clues.collect(),
    }
}
