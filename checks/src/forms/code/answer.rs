//! What came out, and the verdict that follows.

use super::held::HeldText;
use super::request::{CodeRequest, Engine, plural};
use crate::engine::Cut;
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::{Property, PropertySet};
use seamcheck_model::system::Agent;
use seamcheck_model::threads::{Entry, LoomReport, Met, ShuttleReport};
use serde::{Deserialize, Serialize};

/// An answer; `format` names it for whoever reads it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeAnswer {
    /// Executions, schedules or rounds that were made; the last is the violating one, if there is one.
    pub executions: u64,
    /// Of these, with a second call.
    pub second_calls: u64,
    /// Of these, with a vCPU that the flag turned back.
    pub turned_back: u64,
    /// The property was violated.
    pub violated: bool,
    /// The fewest preemptions that violate, when they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<usize>,
    /// Executions with fewer: none of them violates. The first is of the bound 0.
    pub without: Vec<u64>,
    /// A bound on executions was hit.
    pub capped: bool,
    /// loom gave up, in its words; or schedules that went on for too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<String>,
    /// The engine failed, in its words: a bug, or a schedule that does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The events of the violating execution, or of the one that the model does not allow.
    pub events: Vec<String>,
    /// What the model had to object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<String>,
    /// Executions or schedules that the model allows.
    pub conforming: u64,
    /// loom: what came of holding its executions against the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldText>,
    /// Why they were not, though they were to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_held: Option<String>,
    /// The properties that were seen violated, whatever was asked.
    pub seen_violated: Vec<String>,
    /// The properties of which what they are about happened, whatever was asked; real threads note none.
    pub happened: Vec<String>,
    /// Why it was given up from outside, if it was.
    #[serde(skip)]
    pub cut: Option<Cut>,
    /// The violating schedule, for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<super::schedule::StepsText>,
}

impl CodeAnswer {
    pub(super) fn of_loom(report: &LoomReport) -> Self {
        let held = report.conformance.as_ref();
        let parted = held.and_then(|held| held.divergence.as_ref());
        let journal = report
            .violation
            .as_ref()
            .or_else(|| parted.map(|(_, journal)| journal));
        Self {
            executions: report.executions as u64,
            second_calls: report.second_calls as u64,
            turned_back: report.turned_back as u64,
            violated: report.violation.is_some(),
            capped: report.capped,
            gave_up: report.gave_up.clone(),
            events: texts(journal.map_or(&[], Vec::as_slice)),
            divergence: held.and_then(HeldText::divergence),
            conforming: held.map_or(0, HeldText::conforming),
            held: held.map(|held| HeldText::new(held, report.violation.is_some())),
            seen_violated: keys(report.met.violated),
            happened: keys(report.met.happened),
            ..Self::default()
        }
    }

    pub(super) fn of_shuttle(report: &ShuttleReport, conformance: bool) -> Self {
        let found = report.violation.as_ref();
        let objection = report.objection.as_ref();
        let steps = found
            .map(|(steps, _)| steps)
            .or_else(|| objection.map(|(_, steps, _)| steps));
        let journal = found
            .map(|(_, journal)| journal)
            .or_else(|| objection.map(|(_, _, journal)| journal));
        let given_up = report.given_up;
        let agreeing = report.schedules - usize::from(objection.is_some());
        Self {
            executions: report.schedules as u64,
            second_calls: report.second_calls as u64,
            turned_back: report.turned_back as u64,
            violated: found.is_some(),
            gave_up: (given_up > 0).then(|| format!("{given_up} schedules went on for too long")),
            events: texts(journal.map_or(&[], Vec::as_slice)),
            divergence: objection.map(|(text, ..)| text.clone()),
            failed: report.failed.clone(),
            conforming: if conformance { agreeing as u64 } else { 0 },
            seen_violated: keys(report.met.violated),
            happened: keys(report.met.happened),
            steps: steps.map(Into::into),
            ..Self::default()
        }
    }

    pub(super) fn of_std(met: Met, rounds: usize, property: Property) -> Self {
        Self {
            executions: rounds as u64,
            second_calls: met.second_calls.into(),
            turned_back: met.turned_back.into(),
            violated: met.violates(property),
            seen_violated: keys(met.violated),
            ..Self::default()
        }
    }

    /// The verdict. Only loom can say that something holds: the others make a sample.
    #[must_use]
    pub fn verdict(&self, request: &CodeRequest) -> Verdict {
        if self.violated {
            return Verdict::Violated(self.executions);
        }
        if let Some(cut) = self.cut {
            return Verdict::Unknown(cut);
        }
        if self.failed.is_some() {
            return Verdict::Unknown(Cut::Failed);
        }
        if self.capped {
            return Verdict::Unknown(Cut::Executions);
        }
        if self.gave_up.is_some() {
            return Verdict::Unknown(Cut::Endless);
        }
        if self.divergence.is_some() {
            return Verdict::Unknown(Cut::Parted);
        }
        if self.is_vacuous(request) {
            return Verdict::Vacuous;
        }
        match request.engine {
            Engine::Loom => Verdict::Holds,
            Engine::Shuttle | Engine::Std => Verdict::Unknown(Cut::Sample),
        }
    }

    /// A limit was hit, or the engine could not go on.
    pub(super) const fn stopped_early(&self) -> bool {
        self.capped || self.gave_up.is_some() || self.failed.is_some() || self.cut.is_some()
    }

    /// The engine's bounds with what came out, in words.
    #[must_use]
    pub fn reach_text(&self, request: &CodeRequest) -> String {
        match self.preemptions {
            Some(bound) => format!("{bound} preemption{}, and none with fewer", plural(bound)),
            None => request.reach_text(),
        }
    }

    /// Nothing that the property is about ever happened. The claim and I1 need a vCPU that was turned back,
    /// too. Real threads do not say.
    fn is_vacuous(&self, request: &CodeRequest) -> bool {
        let decided = |name: &str| request.decisions.get(name).map(String::as_str);
        let turns_back =
            decided("vcpu_flag_test") != Some("absent") && decided("flag_raise") != Some("never");
        // Before the TD is finalized there is no vCPU to turn back.
        let turns_back = turns_back && request.beside.finalized;
        let property = request.property;
        let needs_it = matches!(property, Property::NoSecondBusy | Property::NoVcpuInside);
        let happened = match request.engine {
            Engine::Std => !needs_it || self.second_calls > 0,
            _ => self.happened.iter().any(|name| name == property.key()),
        };
        !happened || (needs_it && turns_back && self.turned_back == 0)
    }
}

pub(super) fn texts(journal: &[Entry]) -> Vec<String> {
    let mut removals = journal.iter().filter(|entry| entry.event.is_of_a_removal());
    let second = removals.find(|entry| matches!(entry.agent, Agent::Thread(_)));
    let text = |entry: &Entry| match second {
        Some(second) if entry.agent == second.agent => format!("zapper 2 {}", entry.event),
        _ => entry.to_string(),
    };
    journal.iter().map(text).collect()
}

fn keys(set: PropertySet) -> Vec<String> {
    let seen = Property::ALL
        .iter()
        .filter(|property| set & property.bit() != 0);
    seen.map(|property| property.key().to_owned()).collect()
}
