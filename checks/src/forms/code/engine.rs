//! Running a request in this process.

use super::answer::CodeAnswer;
use super::request::{CodeRequest, Engine, WATCHED};
use super::schedule::Steps;
use crate::question::QuestionError;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario;
use seamcheck_model::system::{Reductions, System};
use seamcheck_model::threads::{
    Budget, Entry, Strategy, conformance, run_on_threads, run_under_loom, run_under_shuttle,
};

/// Runs a request.
///
/// # Errors
/// When the code or the engine can not do what it asks.
pub fn answer(request: &CodeRequest) -> Result<CodeAnswer, QuestionError> {
    check(request)?;
    let scenario = request.scenario()?;
    match request.engine {
        Engine::Loom => {
            let report = run_under_loom(
                &scenario,
                request.memory,
                request.property,
                request.bounds(),
            );
            Ok(CodeAnswer::of_loom(&report.map_err(usage)?))
        }
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
        migrate: request.migrate,
        ..scenario::Scenario::default()
    };
    request.question(scenario)?.system(Reductions::NONE)
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
    if request.engine == Engine::Std && WATCHED[..2].contains(&request.property) {
        return Err(QuestionError::Usage(format!(
            "`{}` is about two threads at once: loom and shuttle see it, real threads record nothing",
            request.property.key()
        )));
    }
    if request.conformance && !request.can_conform() {
        return Err(QuestionError::Usage(format!(
            "only whole removals from the start, by at most {} vCPUs that are there from the start, \
             and without a request bit, can be held against the model",
            scenario::MAX_VCPUS
        )));
    }
    Ok(())
}

fn usage(error: impl std::fmt::Display) -> QuestionError {
    QuestionError::Usage(error.to_string())
}
