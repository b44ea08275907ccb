//! The report for programs: `seamcheck.report.v1`, documented in docs/json.md.

use super::agreement::{self, Table};
use super::{never_fired, particulars, reductions, rests_on};
use crate::agree::Agreement;
use crate::exit::Exit;
use crate::packed::Packed;
use crate::prove::answer::Proof;
use crate::runner::Outcome;
use crate::scenario_text;
use crate::suite::Run;
use crate::verdict::{Verdict, missing_witnesses};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use serde::Serialize;
use std::collections::BTreeMap;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.report.v1";

/// A report.
#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    /// Runs are missing, or were cut short, because the user interrupted them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_run: Vec<String>,
    runs: Vec<RunReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Table>,
}

#[derive(Debug, Serialize)]
struct RunReport {
    name: String,
    check: String,
    group: String,
    about: String,
    form: &'static str,
    question: QuestionText,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<PropertyVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stateright: Option<StaterightText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assumptions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rests_on: Vec<u64>,
    differences: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct QuestionText {
    module: String,
    kernel: String,
    set: BTreeMap<String, String>,
    memory: String,
    scenario: BTreeMap<String, String>,
}

impl QuestionText {
    pub(super) fn of(run: &Run) -> Self {
        Self {
            module: run.module.clone(),
            kernel: run.kernel.clone(),
            set: run.set.iter().cloned().collect(),
            memory: run.name.rsplit('/').next().unwrap_or_default().to_owned(),
            scenario: scenario_text::to_map(&run.scenario),
        }
    }

    /// The question asked for every number of vCPUs.
    pub(super) fn of_every_number(run: &Run) -> Self {
        let mut question = Self::of(run);
        question.scenario.remove("vcpus");
        question
    }
}

#[derive(Debug, Serialize)]
struct PropertyVerdict {
    property: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    up_to_bug_on: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_seen: Vec<String>,
}

#[derive(Debug, Serialize)]
struct SearchText {
    unit: &'static str,
    states: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    transitions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u64>,
    complete: bool,
    seconds: f64,
    states_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_state: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_bytes: Option<usize>,
    reductions: Vec<String>,
    never_fired: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preemptions: Option<usize>,
}

#[derive(Debug, Serialize)]
struct StaterightText {
    states: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    violated_after: Option<u64>,
    fingerprint_collision_below: f64,
    seconds: f64,
}

/// A proof for every number of vCPUs from one on.
#[derive(Debug, Serialize)]
pub(super) struct ProofText {
    views: u64,
    singletons: usize,
    rechecked: u64,
    seconds: f64,
    recheck_seconds: f64,
}

impl From<&Proof> for ProofText {
    fn from(proof: &Proof) -> Self {
        Self {
            views: proof.views.len(),
            singletons: proof.views.shareds().len(),
            rechecked: proof.rechecked,
            seconds: proof.collected_in.as_secs_f64(),
            recheck_seconds: proof.rechecked_in.as_secs_f64(),
        }
    }
}

/// A suite's report.
#[must_use]
pub fn suite(
    outcomes: &[Outcome],
    agreement: &Agreement,
    exit: Exit,
    not_run: Vec<String>,
) -> Report {
    let runs = outcomes.iter().map(|outcome| run_report(outcome, false));
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        partial: !not_run.is_empty() || outcomes.iter().any(Outcome::is_interrupted),
        not_run,
        runs: runs.collect(),
        agreement: Some(agreement::table(agreement)),
    }
}

/// An answer, where nothing is expected and nothing compared.
#[must_use]
pub fn answer(outcome: &Outcome, exit: Exit) -> Report {
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        partial: outcome.is_interrupted(),
        not_run: Vec::new(),
        runs: vec![run_report(outcome, true)],
        agreement: None,
    }
}

/// A list of runs, nothing searched.
#[must_use]
pub fn list(runs: &[Run]) -> Report {
    let runs = runs
        .iter()
        .map(|run| RunReport {
            verdicts: run
                .expect
                .iter()
                .map(|(property, expected)| PropertyVerdict {
                    property: property.key(),
                    expected: Some(expected.to_string()),
                    verdict: None,
                    length: None,
                    because: None,
                    up_to_bug_on: None,
                    not_seen: Vec::new(),
                })
                .collect(),
            ..head(run)
        })
        .collect();
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: 0,
        partial: false,
        not_run: Vec::new(),
        runs,
        agreement: None,
    }
}

fn head(run: &Run) -> RunReport {
    RunReport {
        name: run.name.clone(),
        check: run.check.clone(),
        group: run.group.clone(),
        about: run.about.clone(),
        form: run.form.key(),
        question: QuestionText::of(run),
        verdicts: Vec::new(),
        search: None,
        stateright: None,
        proof: None,
        assumptions: Vec::new(),
        rests_on: Vec::new(),
        differences: Vec::new(),
    }
}

fn run_report(outcome: &Outcome, asked: bool) -> RunReport {
    let not_seen = |property: Property, found: Verdict| match &outcome.packed {
        Some(packed) if matches!(found, Verdict::Vacuous) => {
            missing_witnesses(&packed.system, &packed.report, property)
                .into_iter()
                .map(|witness| witness.text(&packed.system))
                .collect()
        }
        _ => Vec::new(),
    };
    let verdicts = outcome
        .verdicts
        .iter()
        .map(|(property, expected, found)| PropertyVerdict {
            property: property.key(),
            expected: (!asked).then(|| expected.to_string()),
            verdict: Some(found.word()),
            length: if let Verdict::Violated(length) = found {
                Some(*length)
            } else {
                None
            },
            because: because(outcome, *property, *found),
            up_to_bug_on: outcome
                .packed
                .as_ref()
                .and_then(|packed| packed.up_to_bug_on(*property)),
            not_seen: not_seen(*property, *found),
        });
    RunReport {
        verdicts: verdicts.collect(),
        search: search(outcome),
        stateright: outcome
            .packed
            .as_ref()
            .and_then(Packed::opinion)
            .map(|opinion| StaterightText {
                states: opinion.states,
                violated_after: opinion.violated_after,
                fingerprint_collision_below: opinion.collision,
                seconds: opinion.elapsed.as_secs_f64(),
            }),
        proof: outcome
            .packed
            .as_ref()
            .and_then(|packed| packed.proof.as_ref()?.as_ref().ok())
            .map(ProofText::from),
        assumptions: outcome.packed.as_ref().map(particulars).unwrap_or_default(),
        rests_on: rests_on(outcome),
        differences: outcome
            .differences
            .iter()
            .map(ToString::to_string)
            .collect(),
        ..head(&outcome.run)
    }
}

fn because(outcome: &Outcome, property: Property, found: Verdict) -> Option<&'static str> {
    match (found, &outcome.packed) {
        (Verdict::Unknown(cut), _) => Some(cut.text()),
        (Verdict::Vacuous, Some(packed)) if !packed.has_happened(property) => {
            Some("nothing that the property is about ever happened")
        }
        _ => None,
    }
}

fn search(outcome: &Outcome) -> Option<SearchText> {
    if let Some(form) = &outcome.form {
        let seconds = form.elapsed.as_secs_f64();
        return Some(SearchText {
            unit: form.unit,
            states: form.states,
            transitions: None,
            depth: None,
            complete: form.is_complete(),
            seconds,
            states_per_second: form.states as f64 / seconds.max(1e-6),
            bytes_per_state: None,
            key_bytes: None,
            reductions: Vec::new(),
            never_fired: Vec::new(),
            reach: form.reach.clone(),
            preemptions: form.preemptions,
        });
    }
    let packed = outcome.packed.as_ref()?;
    let report = &packed.report;
    let seconds = report.elapsed.as_secs_f64();
    Some(SearchText {
        unit: "states",
        states: report.states,
        transitions: Some(report.transitions),
        depth: Some(report.depth),
        complete: report.complete,
        seconds,
        states_per_second: report.states as f64 / seconds.max(1e-6),
        bytes_per_state: Some(report.bytes / report.states.max(1)),
        key_bytes: Some(report.key_bytes),
        reductions: reductions(&packed.system),
        never_fired: never_fired(packed),
        reach: None,
        preemptions: None,
    })
}
