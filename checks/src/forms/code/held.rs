//! What came of holding loom's executions against the model, as text.

use super::answer::texts;
use crate::report::grouped;
use seamcheck_model::threads::Event;
use seamcheck_model::threads::conformance::{Compared, Conformance, Fit};
use serde::{Deserialize, Serialize};

/// Counts, and what there is to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldText {
    /// The model comes to where the scenario begins.
    pub start_is_reached: bool,
    /// Executions that the model accepts in loom's order.
    pub in_order: u64,
    /// Executions of which it accepts another order, each thread's own kept.
    pub by_program_order: u64,
    /// Executions that x86 can not show; no fault of the code.
    pub weaker_than_x86: u64,
    /// Executions for which the search for an order was cut short.
    pub undecided: u64,
    /// The first execution that is weaker than x86.
    pub first_weaker: Vec<String>,
    /// Whether x86 shows the violating execution; `None` when none violates or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation_is_on_x86: Option<bool>,
    /// Where code and model part: how many events of the execution fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverges_at: Option<u64>,
    /// How many outcomes the code has, where they are compared with the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcomes: Option<u64>,
}

impl HeldText {
    pub(super) fn new(found: &Conformance, violated: bool) -> Self {
        Self {
            start_is_reached: found.start_is_reached,
            in_order: found.in_order as u64,
            by_program_order: found.by_program_order as u64,
            weaker_than_x86: found.weaker_than_x86 as u64,
            undecided: found.undecided as u64,
            first_weaker: texts(found.first_weaker.as_deref().unwrap_or_default()),
            violation_is_on_x86: match found.last.filter(|_| violated) {
                Some(Fit::InOrder | Fit::ByProgramOrder) => Some(true),
                Some(Fit::WeakerThanX86) => Some(false),
                Some(Fit::Undecided) | None => None,
            },
            diverges_at: found
                .divergence
                .as_ref()
                .map(|(parted, _)| parted.at as u64),
            outcomes: found.outcomes.as_ref().map(|found| found.code as u64),
        }
    }

    /// Executions that the model allows.
    pub(super) fn conforming(found: &Conformance) -> u64 {
        (found.in_order + found.by_program_order) as u64
    }

    /// Where code and model part: both sides.
    pub(super) fn divergence(found: &Conformance) -> Option<String> {
        let parted = found.divergence.as_ref();
        let parted = parted.map(|(divergence, _)| divergence.to_string());
        parted.or_else(|| found.outcomes.as_ref().and_then(differ))
    }

    /// The counts in a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![format!("{} in loom's order", grouped(self.in_order))];
        let mut also = |count: u64, what: &str| {
            if count > 0 {
                parts.push(format!("{} {what}", grouped(count)));
            }
        };
        also(self.by_program_order, "in another that x86 allows");
        also(self.weaker_than_x86, "weaker than x86");
        also(self.undecided, "for which no order was found in time");
        parts.join(", ")
    }
}

/// Outcomes that only one side has.
fn differ(found: &Compared) -> Option<String> {
    if found.agree() {
        return None;
    }
    let shown = |side: &str, outcome: &Option<Vec<Vec<Event>>>| {
        let lists = outcome.as_ref()?.iter().map(|events| {
            let events: Vec<String> = events.iter().map(ToString::to_string).collect();
            format!("[{}]", events.join("; "))
        });
        let lists: Vec<String> = lists.collect();
        Some(format!(
            "; only the {side} comes to {}",
            lists.join(" beside ")
        ))
    };
    Some(format!(
        "the code comes to {} outcomes, the model to {}{}{}",
        found.code,
        found.model,
        shown("code", &found.only_code).unwrap_or_default(),
        shown("model", &found.only_model).unwrap_or_default()
    ))
}
