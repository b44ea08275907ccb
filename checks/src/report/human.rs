//! The report for people.

mod layout;
mod length;
mod row;

pub use length::answer;

pub(super) use layout::{headline, wrapped};

use super::grouped;
use crate::runner::Outcome;
use layout::bold;
use length::{at_length, silent};
use row::row;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use std::fmt::Write;

/// The group whose checks are shown at length.
const AT_LENGTH: &str = "the claim";

/// A suite's report.
#[must_use]
pub fn suite(outcomes: &[Outcome], verbose: bool) -> String {
    let mut out = String::new();
    let mut group = "";
    for (index, outcome) in outcomes.iter().enumerate() {
        if outcome.run.group != group {
            group = &outcome.run.group;
            let _ = writeln!(out, "{}{}", if index > 0 { "\n" } else { "" }, bold(group));
            if group == AT_LENGTH {
                let _ = writeln!(out, "  {}", Property::NoSecondBusy.about());
            }
        }
        if verbose || group == AT_LENGTH {
            at_length(&mut out, outcome);
            if verbose {
                silent(&mut out, outcome);
            }
        } else if first_of_check(outcomes, index) {
            row(&mut out, &outcomes[index..]);
        }
    }
    differences(&mut out, outcomes);
    out
}

fn first_of_check(outcomes: &[Outcome], index: usize) -> bool {
    index == 0 || outcomes[index - 1].run.check != outcomes[index].run.check
}

fn differences(out: &mut String, outcomes: &[Outcome]) {
    let wrong: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| !outcome.differences.is_empty())
        .collect();
    if wrong.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", bold("not as the suite expects"));
    for outcome in wrong {
        for difference in &outcome.differences {
            let _ = writeln!(out, "  {}: {difference}", outcome.run.name);
        }
    }
}

/// The last line.
#[must_use]
pub fn totals(outcomes: &[Outcome], planned: usize, seconds: f64) -> String {
    let met = outcomes
        .iter()
        .filter(|outcome| outcome.differences.is_empty())
        .count();
    let states: u64 = outcomes
        .iter()
        .filter_map(|outcome| outcome.packed.as_ref())
        .map(|packed| packed.report.states)
        .sum();
    let missing = planned - outcomes.len();
    let partial = match missing {
        0 if outcomes.iter().any(Outcome::is_interrupted) => " (partial: interrupted)".to_owned(),
        0 => String::new(),
        _ => format!(", {missing} not run (partial: interrupted)"),
    };
    format!(
        "{} run{}, {met} as expected, {} not{partial}; {} states in {seconds:.1} s",
        outcomes.len(),
        if outcomes.len() == 1 { "" } else { "s" },
        outcomes.len() - met,
        grouped(states)
    )
}
