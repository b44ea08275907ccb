//! The report for people.

use super::{conflicts, grouped, particulars, reductions, rests_on, scope};
use crate::assumptions::tags;
use crate::packed::Packed;
use crate::prove::answer::Proof;
use crate::runner::Outcome;
use crate::verdict::{Verdict, missing_witnesses};
use anstyle::{AnsiColor, Style};
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

/// The verdict of the check's subject, its scope, the locks, the assumptions, the search.
fn at_length(out: &mut String, outcome: &Outcome) {
    let Some((property, expected, found)) = outcome.verdicts.first() else {
        return;
    };
    let _ = writeln!(
        out,
        "\n  {} {}",
        verdict(*found, expected.is_met_by(*found)),
        bold(&outcome.run.name)
    );
    let mut line = |head: &str, text: &str| wrapped(out, head, text);
    line("property", property.key());
    line("scope", &scope(outcome));
    for word in ["holds", "violated", "vacuous", "unknown"] {
        let same = outcome.verdicts[1..]
            .iter()
            .filter(|(.., found)| found.word() == word);
        let names: Vec<&str> = same.map(|(property, ..)| property.key()).collect();
        if !names.is_empty() {
            line(&format!("also {word}"), &names.join(", "));
        }
    }
    let Some(packed) = &outcome.packed else {
        return;
    };
    let (resources, pairs) = conflicts(&packed.system);
    let names: Vec<&str> = resources.iter().map(|resource| resource.key()).collect();
    let seen = if matches!(found, Verdict::Holds) {
        ", each of them seen BUSY"
    } else {
        ""
    };
    line(
        "in conflict",
        &format!("{} ({pairs} pairs of leaves{seen})", names.join(", ")),
    );
    for assumption in particulars(packed) {
        line("assumes", &assumption);
    }
    line(
        "rests on",
        &format!("{} (check assumptions)", tags(&rests_on(outcome))),
    );
    if let Some(length) = packed.up_to_bug_on(*property) {
        line("but", &up_to_bug_on(length));
    }
    if let Some(collision) = collision(packed, *property) {
        line("because", &collision);
        line("see", &format!("check explain {}", outcome.run.name));
    }
    if let Some(Ok(proof)) = &packed.proof {
        line("every number", &proved(proof));
    }
    line("explored", &explored(packed));
    line("reductions", &reductions(&packed.system).join("; "));
}

/// What a property that is not broken is worth when the VM dies first.
fn up_to_bug_on(length: u64) -> String {
    format!(
        "only up to a KVM_BUG_ON: the first fires after {length} transitions (no-bug-on), the VM is \
         dead, and nothing moves any more"
    )
}

/// The proof for every number of vCPUs.
fn proved(proof: &Proof) -> String {
    format!(
        "of vCPUs from one on: proved, {} views, {:.1} s; checked again in {:.1} s",
        grouped(proof.views.len()),
        proof.collected_in.as_secs_f64(),
        proof.rechecked_in.as_secs_f64()
    )
}

/// The lines of the programs and of the module that never ran.
fn silent(out: &mut String, outcome: &Outcome) {
    let Some(packed) = &outcome.packed else {
        return;
    };
    for step in super::never_fired(packed) {
        wrapped(out, "never ran", &step);
    }
}

/// The sentence about the lock that could not be had.
fn collision(packed: &Packed, property: Property) -> Option<String> {
    let trace = packed.trace(property, None)?.ok()?;
    let conflict = trace.verdict.conflict?;
    let holder = conflict.held.first()?;
    Some(format!(
        "{} wants {} {}, {} holds it {}",
        conflict.wanted_for, conflict.lock, conflict.wanted_mode, holder.by, holder.mode
    ))
}

fn explored(packed: &Packed) -> String {
    let report = &packed.report;
    let rate = report.states as f64 / report.elapsed.as_secs_f64().max(1e-6);
    let mut text = format!(
        "{} states, {} transitions, depth {}, {:.1} s ({} states/s), {} bytes a state ({} of them key)",
        grouped(report.states),
        grouped(report.transitions),
        report.depth,
        report.elapsed.as_secs_f64(),
        grouped(rate as u64),
        report.bytes / report.states.max(1),
        report.key_bytes,
    );
    if let Some(report) = &packed.liveness {
        let _ = write!(
            text,
            "; with vCPUs told apart {} states, {:.1} s",
            grouped(report.states),
            report.elapsed.as_secs_f64()
        );
    }
    if let Some(opinion) = packed.stateright {
        let said = match opinion.violated_after {
            Some(length) => format!("the same shortest violation ({length})"),
            None => "the same states".to_owned(),
        };
        let _ = write!(
            text,
            "; stateright: {said}, fingerprint collision < {:.0e}",
            opinion.collision.max(1e-12)
        );
    }
    text
}

/// One check, its memory models side by side.
fn row(out: &mut String, from: &[Outcome]) {
    let check = &from[0].run.check;
    let runs: Vec<&Outcome> = from
        .iter()
        .take_while(|outcome| outcome.run.check == *check)
        .collect();
    let _ = write!(out, "  {check:<26}");
    let is_weak = runs
        .iter()
        .any(|outcome| outcome.run.name.ends_with("/weak"));
    for memory in if is_weak { ["weak", ""] } else { ["sc", "tso"] } {
        let cell = runs
            .iter()
            .find(|outcome| outcome.run.name.ends_with(&format!("/{memory}")));
        match cell.and_then(|outcome| outcome.verdicts.first()) {
            Some((_, expected, found)) => {
                let _ = write!(
                    out,
                    " {memory:>4} {}",
                    verdict(*found, expected.is_met_by(*found))
                );
            }
            None => {
                let _ = write!(out, " {:<18}", "");
            }
        }
    }
    let property = from[0]
        .verdicts
        .first()
        .map_or("", |(property, ..)| property.key());
    let states: Vec<String> = runs.iter().filter_map(|outcome| size(outcome)).collect();
    let _ = writeln!(out, " {property:<20} {}", states.join(" / "));
    wrapped_at(out, 6, &from[0].run.about);
    for form in runs.iter().filter_map(|outcome| outcome.form.as_ref()) {
        if let Some(reach) = &form.reach {
            let seconds = form.elapsed.as_secs_f64();
            wrapped_at(out, 6, &format!("within {reach}; {seconds:.1} s"));
        }
    }
    let last = runs.last().copied().unwrap_or(&from[0]);
    let others = last.verdicts.iter().skip(1);
    let (hold, do_not): (Vec<_>, Vec<_>) =
        others.partition(|(.., found)| matches!(found, Verdict::Holds));
    let mut also: Vec<String> = do_not
        .iter()
        .map(|(property, _, found)| format!("{} {found}", property.key()))
        .collect();
    match hold.len() {
        0 => {}
        1..3 => also.extend(
            hold.iter()
                .map(|(property, ..)| format!("{} holds", property.key())),
        ),
        more => also.push(format!("{more} more properties hold")),
    }
    let proved = runs.iter().filter_map(|outcome| {
        let proof = outcome.packed.as_ref()?.proof.as_ref()?.as_ref().ok()?;
        Some(grouped(proof.views.len()))
    });
    let proved: Vec<String> = proved.collect();
    if !proved.is_empty() {
        also.push(format!(
            "what holds is proved for every number of vCPUs ({} views)",
            proved.join(" / ")
        ));
    }
    let first = last.verdicts.first().zip(last.packed.as_ref());
    if let Some(length) = first.and_then(|((property, ..), packed)| packed.up_to_bug_on(*property))
    {
        also.push(format!(
            "a KVM_BUG_ON ends everything, the first after {length}"
        ));
    }
    let rests = rests_on(last);
    if !rests.is_empty() {
        also.push(format!("rests on {}", tags(&rests)));
    }
    if !also.is_empty() {
        wrapped_at(out, 6, &format!("also: {}", also.join(", ")));
    }
}

/// States, or executions.
fn size(outcome: &Outcome) -> Option<String> {
    let packed = outcome
        .packed
        .as_ref()
        .map(|packed| format!("{} states", grouped(packed.report.states)));
    packed.or_else(|| {
        outcome
            .form
            .as_ref()
            .map(|form| format!("{} {}", grouped(form.states), form.unit))
    })
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
    let partial = if missing > 0 {
        format!(", {missing} not run (interrupted)")
    } else {
        String::new()
    };
    format!(
        "{} run{}, {met} as expected, {} not{partial}; {} states in {seconds:.1} s",
        outcomes.len(),
        if outcomes.len() == 1 { "" } else { "s" },
        outcomes.len() - met,
        grouped(states)
    )
}

/// A verdict and what it is about.
pub(super) fn headline(found: Verdict, property: Property) -> String {
    format!("{} {}", verdict(found, true), bold(property.key()))
}

/// One question's answer.
#[must_use]
pub fn answer(outcome: &Outcome, packed: &Packed) -> String {
    let mut out = String::new();
    for (property, _, found) in &outcome.verdicts {
        let _ = writeln!(out, "{}", headline(*found, *property));
        let mut line = |head: &str, text: &str| wrapped(&mut out, head, text);
        line("property", property.about());
        line("scope", &scope(outcome));
        if let Verdict::Unknown(cut) = found {
            line("because", cut.text());
        }
        let is_vacuous = *found == Verdict::Vacuous;
        if is_vacuous && !packed.has_happened(*property) {
            line(
                "because",
                "nothing that the property is about ever happened",
            );
        }
        if is_vacuous {
            for witness in missing_witnesses(&packed.system, &packed.report, *property) {
                line("not seen", &witness.text(&packed.system));
            }
        }
        if let Some(length) = packed.up_to_bug_on(*property) {
            line("but", &up_to_bug_on(length));
        }
        for assumption in particulars(packed) {
            line("assumes", &assumption);
        }
        line(
            "rests on",
            &format!("{} (check assumptions)", tags(&rests_on(outcome))),
        );
        line("explored", &explored(packed));
        line("reductions", &reductions(&packed.system).join("; "));
    }
    out
}

pub(super) fn wrapped(out: &mut String, head: &str, text: &str) {
    let mut first = true;
    for line in wrap(text, 64) {
        let _ = writeln!(
            out,
            "            {:<13} {line}",
            if first { head } else { "" }
        );
        first = false;
    }
}

fn wrapped_at(out: &mut String, indent: usize, text: &str) {
    for line in wrap(text, 88 - indent) {
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width
        {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

/// A verdict in a column: a mark tells what differs from the suite, so that colour is not needed.
fn verdict(found: Verdict, expected: bool) -> String {
    let colour = match found {
        _ if !expected => AnsiColor::Red,
        Verdict::Holds => AnsiColor::Green,
        Verdict::Violated(_) => AnsiColor::Yellow,
        Verdict::Vacuous | Verdict::Unknown(_) => AnsiColor::Magenta,
    };
    let style = colour.on_default();
    let mark = if expected { ' ' } else { '!' };
    let text = match found {
        Verdict::Violated(length) => format!("violated {length}"),
        _ => found.word().to_owned(),
    };
    format!("{style}{mark}{text:<12}{style:#}")
}
