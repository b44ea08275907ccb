//! Running a request in this process.

use super::answer::CodeAnswer;
use super::request::{CodeRequest, Engine, WATCHED};
use super::schedule::Steps;
use crate::question::{Question, QuestionError};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario;
use seamcheck_model::system::{Reductions, System};
use seamcheck_model::threads::conformance::{self, Held, HeldError, NoStart};
use seamcheck_model::threads::{
    Budget, Entry, Scenario, Strategy, Window, check_for_loom, run_on_threads, run_under_loom,
    run_under_loom_held, run_under_shuttle,
};

/// Runs a request.
///
/// # Errors
/// When the code or the engine can not do what it asks.
pub fn answer(request: &CodeRequest) -> Result<CodeAnswer, QuestionError> {
    check(request)?;
    let scenario = request.scenario()?;
    match request.engine {
        Engine::Loom => under_loom(request, &scenario),
        Engine::Shuttle => {
            let strategy = request
                .pct
                .map_or(Strategy::Random, |depth| Strategy::Pct { depth });
            schedules(request, strategy)
        }
        Engine::Std => {
            let met = run_on_threads(&scenario, request.schedules).map_err(usage)?;
            Ok(CodeAnswer::of_std(met, request.schedules, request.property))
        }
    }
}

fn under_loom(request: &CodeRequest, scenario: &Scenario) -> Result<CodeAnswer, QuestionError> {
    check_for_loom(scenario).map_err(usage)?;
    let (memory, property, bounds) = (request.memory, request.property, request.bounds());
    let held = request.conformance.then(|| held(request, scenario));
    let report = match held.transpose()? {
        Some(Ok(held)) => run_under_loom_held(scenario, memory, property, bounds, held),
        Some(Err(why)) => {
            let report = run_under_loom(scenario, memory, property, bounds).map_err(usage)?;
            return Ok(CodeAnswer {
                not_held: Some(why.to_string()),
                ..CodeAnswer::of_loom(&report)
            });
        }
        None => run_under_loom(scenario, memory, property, bounds),
    };
    Ok(CodeAnswer::of_loom(&report.map_err(usage)?))
}

/// The models that executions are held against, or why there are none.
fn held(request: &CodeRequest, code: &Scenario) -> Result<Result<Held, NoStart>, QuestionError> {
    let question = request.question(scenario::Scenario::default())?;
    let model = Scenario {
        decisions: request.model_decisions()?,
        ..*code
    };
    match Held::new(&question.table, &question.profile, &model, request.memory) {
        Ok(held) => Ok(Ok(held)),
        Err(HeldError::NoStart(why)) => Ok(Err(why)),
        Err(HeldError::Config(error)) => Err(error.into()),
    }
}

/// Makes one schedule again.
///
/// # Errors
/// As [`answer`].
pub fn replay(request: &CodeRequest, steps: Steps) -> Result<CodeAnswer, QuestionError> {
    check(request)?;
    let once = CodeRequest {
        schedules: 1,
        seed: steps.seed,
        ..request.clone()
    };
    schedules(&once, Strategy::Replay(steps))
}

fn schedules(request: &CodeRequest, strategy: Strategy) -> Result<CodeAnswer, QuestionError> {
    let scenario = request.scenario()?;
    let budget = Budget {
        strategy,
        schedules: request.schedules,
        seed: request.seed,
    };
    let model = request.conformance.then(|| model(request)).transpose()?;
    let oracle = move |journal: &[Entry]| match &model {
        Some(model) => conformance::check(model, journal).map_err(|found| found.to_string()),
        None => Ok(()),
    };
    let report = run_under_shuttle(&scenario, request.property, &budget, oracle).map_err(usage)?;
    if report.seed_was_overridden {
        return Err(QuestionError::Usage(
            "SHUTTLE_RANDOM_SEED is set and takes the place of --seed: unset it".into(),
        ));
    }
    Ok(CodeAnswer::of_shuttle(&report, request.conformance))
}

/// The packed model of the same protocol, without reductions: a transition is a step.
fn model(request: &CodeRequest) -> Result<System, QuestionError> {
    let scenario = scenario::Scenario {
        vcpus: request.vcpus,
        exit_reason: true,
        ..scenario::Scenario::default()
    };
    let question = request.question(scenario)?;
    let question = Question {
        decisions: request.model_decisions()?,
        ..question
    };
    question.system(Reductions::NONE)
}

fn check(request: &CodeRequest) -> Result<(), QuestionError> {
    if !WATCHED.contains(&request.property) {
        let known: Vec<&str> = WATCHED.iter().map(|property| property.key()).collect();
        return Err(QuestionError::Usage(format!(
            "the code does not watch `{}`; it watches {}",
            request.property.key(),
            known.join(", ")
        )));
    }
    let from_the_start = request.window == Window::Whole && !request.zero_step_armed;
    let is_schedules = request.engine == Engine::Shuttle;
    let can_be_held = from_the_start && request.vcpus <= scenario::MAX_VCPUS;
    if request.conformance && is_schedules && !can_be_held {
        return Err(QuestionError::Usage(format!(
            "only whole removals from the start, by at most {} vCPUs, can be held against the model",
            scenario::MAX_VCPUS
        )));
    }
    Ok(())
}

fn usage(error: impl std::fmt::Display) -> QuestionError {
    QuestionError::Usage(error.to_string())
}
