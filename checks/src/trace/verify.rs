//! A trace from a file is executed again, step by step, before anyone sees it.

use super::fields::fields;
use super::replay::{Single, single_stepping};
use super::{endless, render};
use crate::question::{Question, QuestionError, Source};
use crate::scenario_text;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::{Reductions, State, System};
use seamcheck_traces::schema as trace;

/// Why a trace is not what it says it is.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its question is not understood.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// Its property does not exist.
    #[error("unknown property `{0}`")]
    UnknownProperty(String),
    /// Something in its head is not what the model makes of it.
    #[error(
        "{0} is not what today's model says: the trace is from another version, or was changed"
    )]
    Head(&'static str),
    /// A step that the model does not take there.
    #[error("step {number} ({agent}: {name}) is not a step of today's model at this point")]
    Step {
        /// Counted from 1.
        number: usize,
        /// Who.
        agent: String,
        /// What.
        name: String,
    },
    /// A step is said to be fused to the one before, or not, and is not.
    #[error(
        "step {number}: today's model does not take it together with the steps around it as the trace says"
    )]
    Fused {
        /// Counted from 1.
        number: usize,
    },
    /// The execution is said to go round, and does not.
    #[error("the steps from {number} on are no loop: the last does not lead back there")]
    Loop {
        /// Where the loop is said to start, counted from 1.
        number: usize,
    },
    /// The steps are right but do not show what the verdict says.
    #[error("the steps do not show a violation of {0}")]
    Verdict(&'static str),
}

/// Executes a trace again.
///
/// # Errors
/// At the first thing that today's model does not confirm.
pub fn verify(given: &trace::Trace) -> Result<(Question, Property), VerifyError> {
    let question = question(&given.question)?;
    let property = Property::from_key(&given.question.property)
        .ok_or_else(|| VerifyError::UnknownProperty(given.question.property.clone()))?;
    let system = question.system(Reductions::ALL)?;
    if given.question != render::question_of(&question, property) {
        return Err(VerifyError::Head("the question"));
    }
    if given.agents != render::agents(&system) {
        return Err(VerifyError::Head("the list of agents"));
    }
    if given.initial != fields(&system, &system.initial()) {
        return Err(VerifyError::Head("the list of fields at the start"));
    }
    let single = single_stepping(&system);
    let singles = follow(&single, &system.initial(), &given.steps)?;
    if let Some(number) = wrongly_fused(&system, &singles) {
        return Err(VerifyError::Fused { number });
    }
    let verdict = if property.is_liveness() {
        endless::verify(&system, property, &singles, given.loop_starts_at)?;
        let start = given.loop_starts_at.unwrap_or_default();
        endless::verdict(property, start, singles.len())
    } else {
        if let Some(number) = given.loop_starts_at {
            return Err(VerifyError::Loop { number });
        }
        if !ends_in_violation(&single, property, &singles) {
            return Err(VerifyError::Verdict(property.key()));
        }
        render::verdict(&single, property, &singles)
    };
    if given.verdict != verdict {
        return Err(VerifyError::Verdict(property.key()));
    }
    Ok((question, property))
}

fn ends_in_violation(single: &System, property: Property, singles: &[Single]) -> bool {
    singles.last().is_some_and(|last| {
        single.broken(&last.before, &last.event, &last.after) & property.bit() != 0
    })
}

/// The question a trace carries.
///
/// # Errors
/// When it is not understood.
pub fn question(given: &trace::Question) -> Result<Question, QuestionError> {
    let source = |given: &trace::Source, find: fn(&str) -> Result<Source, QuestionError>| {
        match &given.toml {
            Some(text) => Source::own(&given.name, text),
            None => find(&given.name),
        }
    };
    let mut scenario = Scenario::default();
    for (name, value) in &given.scenario {
        scenario_text::set(&mut scenario, name, value)?;
    }
    scenario_text::set(&mut scenario, "memory", &given.memory)?;
    let set = given
        .set
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Question::new(
        source(&given.module, Source::module)?,
        source(&given.kernel, Source::kernel)?,
        set,
        scenario,
    )
}

/// The first step of a group that is no transition of the reduced system, counted from 1. Behind
/// the last step of a trace more may have been fused.
fn wrongly_fused(system: &System, singles: &[Single]) -> Option<usize> {
    let mut start = 0;
    while start < singles.len() {
        let fused = singles[start + 1..]
            .iter()
            .take_while(|single| single.fused);
        let end = start + 1 + fused.count();
        let group = &singles[start..end];
        let trail: Vec<StepId> = group
            .iter()
            .flat_map(|single| single.event.trail.iter().copied())
            .collect();
        let (first, last) = (&group[0], &group[group.len() - 1]);
        let mut is_one = false;
        system.successors(&first.before, |event, after| {
            is_one |= event.agent == first.event.agent
                && if end == singles.len() {
                    event.trail.starts_with(&trail)
                } else {
                    *event.trail == *trail && after == last.after
                };
        });
        if singles[start].fused || !is_one {
            return Some(start + 1);
        }
        start = end;
    }
    None
}

/// The single steps that the written ones stand for.
///
/// A written step does not say which page or TDCALL a guest chose until that shows, so that several
/// states can be reached by the same words. They are followed side by side: a file can be long, and
/// can be made so that every step leaves a choice.
fn follow(
    single: &System,
    initial: &State,
    written: &[trace::Step],
) -> Result<Vec<Single>, VerifyError> {
    let mut layers: Vec<Vec<Reached>> = Vec::with_capacity(written.len());
    let mut here = vec![*initial];
    for (index, wanted) in written.iter().enumerate() {
        let layer = taken(single, &here, wanted);
        if layer.is_empty() {
            return Err(VerifyError::Step {
                number: index + 1,
                agent: wanted.agent.clone(),
                name: wanted.name.clone(),
            });
        }
        here = layer.iter().map(|reached| reached.by.after).collect();
        layers.push(layer);
    }
    let mut singles = Vec::with_capacity(layers.len());
    let mut at = 0;
    for mut layer in layers.into_iter().rev() {
        let reached = layer.swap_remove(at);
        at = reached.from;
        singles.push(reached.by);
    }
    singles.reverse();
    Ok(singles)
}

/// A state that the written steps so far can lead to.
struct Reached {
    by: Single,
    /// Which of the states one step earlier it is reached from.
    from: usize,
}

/// Every state that one written step leads to from these, each once.
fn taken(single: &System, states: &[State], wanted: &trace::Step) -> Vec<Reached> {
    let mut layer: Vec<Reached> = Vec::new();
    for (from, state) in states.iter().enumerate() {
        let mut choices = Vec::new();
        single.successors(state, |event, after| {
            if render::agent_id(single, event.agent) == wanted.agent {
                choices.push(Single {
                    before: *state,
                    event,
                    after,
                    fused: wanted.fused,
                });
            }
        });
        for by in choices {
            let is_new = layer.iter().all(|other| other.by.after != by.after);
            if is_new && render::render(single, &by) == *wanted {
                layer.push(Reached { by, from });
            }
        }
    }
    layer
}
