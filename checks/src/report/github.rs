//! The report for GitHub Actions: a few annotations, and everything in the step summary.

use super::{differences, rests_on, scope, subject};
use crate::assumptions::tags;
use crate::runner::Outcome;
use std::fmt::Write;

/// GitHub shows about ten annotations of a step; more would push out others'.
const MOST: usize = 10;

/// Workflow commands, one line each, for runs that are not as expected.
#[must_use]
pub fn annotations(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let differing = || {
        outcomes
            .iter()
            .filter(|outcome| !outcome.differences.is_empty())
    };
    let all = differing().count();
    // The last one says how many more there are.
    let shown = if all > MOST { MOST - 1 } else { all };
    for outcome in differing().take(shown) {
        let said = differences(outcome);
        let _ = writeln!(
            out,
            "::error title={}::{}",
            property(&format!("seamcheck: {}", outcome.run.name)),
            data(&format!("{}\n{}", said.join("\n"), scope(outcome)))
        );
    }
    let more = all - shown;
    if more > 0 {
        let _ = writeln!(
            out,
            "::error title=seamcheck::{more} more runs differ: see the step summary"
        );
    }
    out
}

/// Markdown for the file that `GITHUB_STEP_SUMMARY` names.
#[must_use]
pub fn summary(outcomes: &[Outcome], totals: &str) -> String {
    let mut out = format!("## seamcheck\n\n{}\n", cell(totals));
    let mut group = "";
    for outcome in outcomes {
        if outcome.run.group != group {
            group = &outcome.run.group;
            let _ = writeln!(out, "\n### {}\n", cell(group));
            let _ = writeln!(out, "| run | verdict | property | rests on | as expected |");
            let _ = writeln!(out, "| --- | --- | --- | --- | --- |");
        }
        let (verdict, property) = subject(outcome);
        let as_expected = if outcome.differences.is_empty() {
            "yes".to_owned()
        } else {
            format!("**no**: {}", differences(outcome).join("; "))
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            cell(&outcome.run.name),
            cell(&verdict),
            cell(property),
            tags(&rests_on(outcome)),
            cell(&as_expected)
        );
    }
    out
}

/// A command's message: a line break or a `%` would end it or begin something else.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A command's property, in which `:` and `,` mean something too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// In a table: no bar, no line break.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', "<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_github_is_escaped() {
        assert_eq!(data("100 %\nnext"), "100 %25%0Anext");
        assert_eq!(property("a: b, c"), "a%3A b%2C c");
        assert_eq!(cell("TDX_OPERAND_BUSY | RCX"), "TDX_OPERAND_BUSY \\| RCX");
    }
}
