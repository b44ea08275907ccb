//! A check in a few lines.

use super::layout::{verdict, wrapped_at};
use crate::assumptions::tags;
use crate::report::{grouped, rests_on};
use crate::runner::Outcome;
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use std::fmt::Write;

/// One check, its memory models side by side.
pub(super) fn row(out: &mut String, from: &[Outcome]) {
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
            .map(|form| format!("{} {}{}", grouped(form.states), form.unit, held(form)))
    })
}

/// Whether executions were held against the packed model, and how many it can not show.
fn held(form: &crate::forms::FormReport) -> String {
    match form.held.as_ref().map(|held| held.weaker_than_x86) {
        None => String::new(),
        Some(0) => ", all inside the model".to_owned(),
        Some(weaker) => format!(", {} of them weaker than x86", grouped(weaker)),
    }
}
