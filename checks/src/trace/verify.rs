//! A trace from a file is executed again, step by step, before anyone sees it.

use super::render;
use super::replay::{Single, single_stepping};
use crate::question::{Question, QuestionError, Source};
use crate::scenario_text;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
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
    /// The steps are right but do not show what the verdict says.
    #[error("the steps do not end in a violation of {0}")]
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
    let single = single_stepping(&system);
    let mut singles: Vec<Single> = Vec::new();
    if !follow(
        &single,
        &system.initial(),
        &given.steps,
        &mut singles,
        &mut 0,
    ) {
        let number = singles.len().min(given.steps.len().saturating_sub(1));
        let step = &given.steps[number];
        return Err(VerifyError::Step {
            number: number + 1,
            agent: step.agent.clone(),
            name: step.name.clone(),
        });
    }
    let violated = singles.last().is_some_and(|last| {
        single.broken(&last.before, &last.event, &last.after) & property.bit() != 0
    });
    if !violated || given.verdict != render::verdict(&single, property, &singles) {
        return Err(VerifyError::Verdict(property.key()));
    }
    Ok((question, property))
}

/// The question a trace carries.
///
/// # Errors
/// When it is not understood.
pub fn question(given: &trace::Question) -> Result<Question, QuestionError> {
    let source = |given: &trace::Source, find: fn(&str) -> Result<Source, QuestionError>| {
        match &given.toml {
            Some(text) => Ok(Source {
                name: given.name.clone(),
                text: text.clone(),
                is_builtin: false,
            }),
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

/// Depth first: a written step does not say which page a guest chose until that shows. `deepest`
/// is how far any choice came; on failure `singles` holds that many steps.
fn follow(
    single: &System,
    state: &State,
    rest: &[trace::Step],
    singles: &mut Vec<Single>,
    deepest: &mut usize,
) -> bool {
    let Some((wanted, later)) = rest.split_first() else {
        return true;
    };
    let mut choices = Vec::new();
    single.successors(state, |event, after| {
        if render::agent_id(event.agent) == wanted.agent {
            choices.push(Single {
                before: *state,
                event,
                after,
                fused: wanted.fused,
            });
        }
    });
    for choice in choices {
        if render::render(single, &choice) != *wanted {
            continue;
        }
        let after = choice.after;
        singles.push(choice);
        *deepest = (*deepest).max(singles.len());
        if follow(single, &after, later, singles, deepest) {
            return true;
        }
        if singles.len() == *deepest {
            return false;
        }
        singles.pop();
    }
    false
}
