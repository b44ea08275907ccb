//! Which choice of the protocol is needed: for each decision each value, and what the suite says of it.

use crate::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use std::fmt::Write;

/// A chapter of the book.
#[must_use]
pub fn markdown(runs: &[Run]) -> String {
    let mut out = String::from(
        "# What each choice is needed for\n\n\
         For each decision of the protocol each value, and what the suite expects of a kernel that takes\n\
         it: the first property of each run, under sequential consistency and under x86-TSO. A value that\n\
         breaks nothing is an equivalent one, or upstream's own. `check list --necessity` prints this\n\
         chapter, and a test keeps it the same; `check run` holds the verdicts against the model.\n\n\
         A number behind *violated* is the length of the shortest counterexample, in transitions; `check\n\
         explain RUN` draws it.\n",
    );
    for name in Decisions::NAMES {
        let _ = writeln!(out, "\n## {name}\n");
        for (value, about) in Decisions::values(name) {
            let _ = writeln!(out, "- `{value}`: {about}");
        }
        let _ = writeln!(out, "\n| value | run | property | SC | x86-TSO |");
        let _ = writeln!(out, "| --- | --- | --- | --- | --- |");
        for (value, _) in Decisions::values(name) {
            rows(&mut out, name, value, runs);
        }
    }
    out
}

fn rows(out: &mut String, name: &str, value: &str, runs: &[Run]) {
    let asks = |run: &&Run| run.form == Form::Packed && sets(run, name, value);
    let mut checks: Vec<&str> = Vec::new();
    for run in runs.iter().filter(asks) {
        if !checks.contains(&run.check.as_str()) {
            checks.push(&run.check);
        }
    }
    if checks.is_empty() {
        let _ = writeln!(
            out,
            "| `{value}` | every profile that is not changed | | | |"
        );
    }
    for check in checks {
        let expected = |memory: &str| {
            let name = format!("{check}/{memory}");
            let run = runs.iter().find(|run| run.name == name);
            run.and_then(|run| run.expect.first())
        };
        let (sc, tso) = (expected("sc"), expected("tso"));
        let property = sc.or(tso).map_or("", |(property, _)| property.key());
        let text = |cell: Option<&(_, crate::verdict::Expected)>| {
            cell.map_or_else(String::new, |(_, expected)| expected.to_string())
        };
        let others = others(runs, check, name);
        let _ = writeln!(
            out,
            "| `{value}`{others} | {check} | {property} | {} | {} |",
            text(sc),
            text(tso)
        );
    }
}

fn sets(run: &Run, name: &str, value: &str) -> bool {
    let mut set = run.set.iter();
    set.any(|(decision, chosen)| decision == name && chosen == value)
}

/// What else the check changes, and beside whom it runs: without it the value may be harmless.
fn others(runs: &[Run], check: &str, name: &str) -> String {
    let Some(run) = runs.iter().find(|run| run.check == check) else {
        return String::new();
    };
    let set = run.set.iter().filter(|(decision, _)| decision != name);
    let set: Vec<String> = set
        .map(|(decision, value)| format!("`{decision}={value}`"))
        .collect();
    let mut out = String::new();
    if !set.is_empty() {
        let _ = write!(out, " with {}", set.join(", "));
    }
    if !run.scenario.threads.is_empty() {
        let _ = write!(out, " beside {}", run.scenario.threads.join(", "));
    }
    out
}

/// Values of decisions that no run of the packed model asks about, neither by a change nor by its
/// profile.
#[must_use]
pub fn not_asked(runs: &[Run]) -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    for name in Decisions::NAMES {
        for (value, _) in Decisions::values(name) {
            let by_profile = |run: &Run| {
                run.question()
                    .is_ok_and(|question| question.decisions.get(name) == Some(value))
            };
            let mut packed = runs.iter().filter(|run| run.form == Form::Packed);
            if !packed.any(|run| sets(run, name, value) || by_profile(run)) {
                missing.push((*name, value));
            }
        }
    }
    missing
}
