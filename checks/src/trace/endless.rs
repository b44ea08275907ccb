//! Executions without end: a stem, and a loop that is gone round for ever.

use super::fields::fields;
use super::render;
use super::replay::{self, Single};
use super::verify::VerifyError;
use crate::liveness::lasso::{self, Lasso};
use crate::question::Question;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::system::{Event, State, System};
use seamcheck_traces::schema as trace;

/// The trace of a lasso; `None` when it can not be executed again. `system` is the one that was
/// searched, vCPUs told apart.
#[must_use]
pub fn build(
    question: &Question,
    system: &System,
    property: Property,
    lasso: &Lasso,
    check: Option<&str>,
) -> Option<trace::Trace> {
    let stem = replay::singles_of(system, &lasso.stem)?;
    let events = [&lasso.stem[..], &lasso.cycle].concat();
    let singles = replay::singles_of(system, &events)?;
    let single = replay::single_stepping(system);
    let steps = singles.iter().map(|step| render::render(&single, step));
    let steps: Vec<trace::Step> = steps.collect();
    let loop_starts_at = stem.len() + 1;
    Some(trace::Trace {
        format: trace::FORMAT.into(),
        tool: crate::TOOL.into(),
        check: check.map(str::to_owned),
        question: render::question_of(question, property),
        agents: render::agents(system),
        initial: fields(system, &system.initial()),
        verdict: verdict(property, loop_starts_at, steps.len()),
        steps,
        loop_starts_at: Some(loop_starts_at),
    })
}

/// What the steps show, the loop starting at one of them (from 1) or behind the last.
#[must_use]
pub fn verdict(property: Property, loop_starts_at: usize, steps: usize) -> trace::Verdict {
    let ends = if loop_starts_at > steps {
        format!("After step {steps} nobody has to do anything more")
    } else {
        format!("Steps {loop_starts_at} to {steps} repeat for ever, and everybody takes a turn")
    };
    trace::Verdict {
        result: "violated".into(),
        reason: format!("{ends}, {}.", never(property)),
        conflict: None,
    }
}

const fn never(property: Property) -> &'static str {
    match property {
        Property::ZapFinishes => "but the page removal never ends",
        Property::FlagComesDown => "but wait_for_sept_zap stays up",
        Property::VcpuEnters => "no page is removed any more, but vCPU 0 never calls TDH.VP.ENTER",
        Property::GuestRuns => "no page is removed any more, but vCPU 0's guest never runs",
        Property::NoStarvation => "but vCPU 0 never calls TDH.VP.ENTER",
        Property::NobodyWaits => "but somebody never gets the KVM lock it waits for",
        Property::MarkGoesAway => {
            "no page is removed any more, but vCPU 0's TDCALLs are refused for a mark that nobody clears"
        }
        _ => "and it is broken",
    }
}

/// Checks that single steps which the model confirms make a loop that breaks the property.
///
/// # Errors
/// When they do not.
pub fn verify(
    system: &System,
    property: Property,
    singles: &[Single],
    loop_starts_at: Option<usize>,
) -> Result<(), VerifyError> {
    let number = loop_starts_at.ok_or(VerifyError::Verdict(property.key()))?;
    let refused = VerifyError::Loop { number };
    let cycle = number.checked_sub(1).and_then(|from| singles.get(from..));
    let cycle = cycle.ok_or(VerifyError::Loop { number })?;
    let entry = match (cycle.first(), singles.last()) {
        (None, last) => last.map_or_else(|| system.initial(), |last| last.after),
        (Some(first), Some(last)) if first.before == last.after && !first.fused => first.before,
        _ => return Err(refused),
    };
    let mut system = system.clone();
    system.reductions.sort_vcpus = false;
    let taken = transitions(&system, cycle).ok_or(refused)?;
    if !lasso::breaks(&system, property, &entry, &taken) {
        return Err(VerifyError::Verdict(property.key()));
    }
    Ok(())
}

/// The transitions that single steps make up, each with the state before it.
fn transitions(system: &System, singles: &[Single]) -> Option<Vec<(State, Event)>> {
    let groups = singles.chunk_by(|_, next| next.fused);
    let transition = |group: &[Single]| {
        let (first, last) = (group.first()?, group.last()?);
        let trail = || group.iter().flat_map(|step| step.event.trail.iter());
        let mut found = None;
        system.successors(&first.before, |event, after| {
            let same = event.agent == first.event.agent && event.trail.iter().eq(trail());
            if same && after == last.after {
                found = Some(event);
            }
        });
        found.map(|event| (first.before, event))
    };
    groups.map(transition).collect()
}
