//! A run at length: its scope, its locks, what it assumes, how it was searched.

use super::layout::{bold, headline, verdict, wrapped};
use crate::packed::Packed;
use crate::prove::answer::Proof;
use crate::report::{
    conflicts, grouped, never_fired, particulars, reductions, rests_on, rests_on_text, scope,
};
use crate::runner::Outcome;
use crate::verdict::{Verdict, missing_witnesses};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use std::fmt::Write;

/// The verdict of the check's subject, its scope, the locks, the assumptions, the search.
pub(super) fn at_length(out: &mut String, outcome: &Outcome) {
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
        line("rests on", &rests_on_text(&rests_on(outcome)));
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
    line("rests on", &rests_on_text(&rests_on(outcome)));
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
pub(super) fn silent(out: &mut String, outcome: &Outcome) {
    let Some(packed) = &outcome.packed else {
        return;
    };
    for step in never_fired(packed) {
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
    if let Some(opinion) = packed.opinion() {
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
        line("rests on", &rests_on_text(&rests_on(outcome)));
        line("explored", &explored(packed));
        line("reductions", &reductions(&packed.system).join("; "));
    }
    out
}
