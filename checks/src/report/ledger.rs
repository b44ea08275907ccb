//! The assumption ledger, for people, for the book and as `seamcheck.assumptions.v1`.

use super::human;
use crate::assumptions::Assumption;
use crate::suite::Run;
use seamcheck_model::closed_enum::ClosedEnum;
use serde::Serialize;
use std::fmt::Write;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.assumptions.v1";

/// The ledger as JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    tool: &'static str,
    assumptions: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    number: u64,
    text: String,
    source: String,
    applies: &'static str,
    forms: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weakened_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_weakened: Option<String>,
}

/// What the suite expects of a run, its subject only: `no-second-busy violated 14`.
fn expected(runs: &[Run], name: &str) -> Option<String> {
    let run = runs.iter().find(|run| run.name == name)?;
    let (property, expected) = run.expect.first()?;
    Some(format!("{} {expected}", property.key()))
}

/// As JSON.
#[must_use]
pub fn json(ledger: &[Assumption], runs: &[Run]) -> Report {
    let entries = ledger.iter().map(|one| Entry {
        number: one.number,
        text: one.text.clone(),
        source: one.source.clone(),
        applies: one.applies.text(),
        forms: one.forms.iter().map(|form| form.key()).collect(),
        weakened_by: one.weakened.clone().ok(),
        then: one
            .weakened
            .as_ref()
            .ok()
            .and_then(|name| expected(runs, name)),
        not_weakened: one.weakened.clone().err(),
    });
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        assumptions: entries.collect(),
    }
}

/// For people.
#[must_use]
pub fn human(ledger: &[Assumption], runs: &[Run]) -> String {
    let mut out = String::new();
    for one in ledger {
        let _ = writeln!(out, "A{}", one.number);
        let mut line = |head: &str, text: &str| human::wrapped(&mut out, head, text);
        line("assumed", &one.text);
        line("grounds", &one.source);
        line("by", &one.by());
        match &one.weakened {
            Ok(name) => {
                let then = expected(runs, name).unwrap_or_default();
                line("without it", &format!("{then} (check run {name})"));
            }
            Err(why) => line("not dropped", why),
        }
    }
    out
}

/// A chapter of the book.
#[must_use]
pub fn markdown(ledger: &[Assumption], runs: &[Run]) -> String {
    let mut out = String::from(
        "# Assumptions\n\n\
         What a verdict rests on and no search here shows. Every report prints the numbers that its\n\
         verdicts rest on. `check assumptions` prints this list; the list is `checks/assumptions.toml`,\n\
         and a test keeps this chapter the same.\n",
    );
    for one in ledger {
        let _ = writeln!(out, "\n## A{}\n\n{}\n", one.number, one.text);
        let _ = writeln!(out, "- Grounds: {}", one.source);
        let _ = writeln!(out, "- Assumed by {}.", one.by());
        let _ = match &one.weakened {
            Ok(name) => {
                let then = expected(runs, name).unwrap_or_default();
                writeln!(out, "- Without it, `{name}`: {then}.")
            }
            Err(why) => writeln!(out, "- Not dropped by any run: {why}"),
        };
    }
    out
}
