//! Running a request in this process.

use super::answer::CodeAnswer;
use super::oracle::Oracle;
use super::patience::{Patience, Stop};
use super::request::{CodeRequest, Engine, WATCHED};
use super::schedule::Steps;
use crate::question::QuestionError;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::KvmMode;
use seamcheck_model::scenario;
use seamcheck_model::threads::conformance::{Held, HeldError};
use seamcheck_model::threads::{
    Budget, Entry, Met, Scenario, Strategy, Window, check_for_loom, run_on_threads,
    run_under_loom_until, run_under_shuttle,
};
use std::sync::Arc;

/// Runs a request. loom is told to stop behind an execution; one that has no end is ended by [`super::child`].
///
/// # Errors
/// When the code or the engine can not do what it asks.
pub fn answer(request: &CodeRequest, patience: Patience<'_>) -> Result<CodeAnswer, QuestionError> {
    check(request)?;
    let scenario = request.scenario()?;
    match request.engine {
        Engine::Loom => patience.during(|stop| under_loom(request, &scenario, stop)),
        Engine::Shuttle => {
            let strategy = request
                .pct
                .map_or(Strategy::Random, |depth| Strategy::Pct { depth });
            schedules(request, strategy, patience)
        }
        Engine::Std => rounds(request, &scenario, patience),
    }
}

fn under_loom(
    request: &CodeRequest,
    scenario: &Scenario,
    stop: &Stop,
) -> Result<CodeAnswer, QuestionError> {
    check_for_loom(scenario).map_err(usage)?;
    let (memory, property, bounds) = (request.memory, request.property, request.bounds());
    let held = request.conformance.then(|| held(request, scenario));
    let (held, not_held) = match held.transpose()? {
        Some(Err(why)) => (None, Some(why.to_string())),
        Some(Ok(held)) => (Some(held), None),
        None => (None, None),
    };
    let told = Arc::clone(stop);
    let is_over = move || told.get().is_some();
    let report =
        run_under_loom_until(scenario, memory, property, bounds, held, is_over).map_err(usage)?;
    Ok(CodeAnswer {
        cut: report.stopped.then(|| stop.get().copied()).flatten(),
        not_held,
        ..CodeAnswer::of_loom(&report)
    })
}

/// The models that executions are held against, or why there are none.
fn held(request: &CodeRequest, code: &Scenario) -> Result<Result<Held, HeldError>, QuestionError> {
    let question = request.question(scenario::Scenario::default())?;
    let model = Scenario {
        decisions: request.model_decisions()?,
        ..*code
    };
    match Held::new(&question.table, &question.profile, &model, request.memory) {
        Ok(held) => Ok(Ok(held)),
        Err(HeldError::Config(error)) => Err(error.into()),
        Err(why) => Ok(Err(why)),
    }
}

/// Makes one schedule again.
///
/// # Errors
/// As [`answer`].
pub fn replay(
    request: &CodeRequest,
    steps: Steps,
    patience: Patience<'_>,
) -> Result<CodeAnswer, QuestionError> {
    check(request)?;
    let once = CodeRequest {
        schedules: 1,
        seed: steps.seed,
        ..request.clone()
    };
    schedules(&once, Strategy::Replay(steps), patience)
}

/// Real threads, a few rounds at a time.
fn rounds(
    request: &CodeRequest,
    scenario: &Scenario,
    patience: Patience<'_>,
) -> Result<CodeAnswer, QuestionError> {
    const AT_A_TIME: usize = 64;
    let (mut met, mut made, mut cut) = (Met::default(), 0, None);
    while made < request.schedules && cut.is_none() {
        let more = (request.schedules - made).min(AT_A_TIME);
        met = met.and(run_on_threads(scenario, more).map_err(usage)?);
        made += more;
        cut = patience.is_over();
    }
    Ok(CodeAnswer {
        cut: cut.filter(|_| made < request.schedules),
        ..CodeAnswer::of_std(met, made, request.property)
    })
}

/// What the oracle objects to a schedule after which the run has to end.
const STOPPED: &str = "stopped";

fn schedules(
    request: &CodeRequest,
    strategy: Strategy,
    patience: Patience<'_>,
) -> Result<CodeAnswer, QuestionError> {
    let mut answer = patience.during(|stop| under_shuttle(request, strategy, stop))?;
    if answer.divergence.as_deref() == Some(STOPPED) {
        answer.divergence = None;
        if !answer.violated {
            (answer.steps, answer.events) = (None, Vec::new());
        }
    }
    Ok(answer)
}

fn under_shuttle(
    request: &CodeRequest,
    strategy: Strategy,
    stop: &Stop,
) -> Result<CodeAnswer, QuestionError> {
    let scenario = request.scenario()?;
    let budget = Budget {
        strategy,
        schedules: request.schedules,
        seed: request.seed,
    };
    let held = request.conformance.then(|| Oracle::new(request, &scenario));
    let (held, not_held) = match held.transpose()? {
        Some(Err(why)) => (None, Some(why.to_string())),
        Some(Ok(oracle)) => (Some(oracle), None),
        None => (None, None),
    };
    let is_held = held.is_some();
    let told = Arc::clone(stop);
    let oracle = move |journal: &[Entry]| match &held {
        _ if told.get().is_some() => Err(STOPPED.to_owned()),
        Some(oracle) => oracle.check(journal).map_err(|found| found.to_string()),
        None => Ok(()),
    };
    let report = run_under_shuttle(&scenario, request.property, &budget, oracle).map_err(usage)?;
    if report.seed_was_overridden {
        return Err(QuestionError::Usage(
            "SHUTTLE_RANDOM_SEED is set and takes the place of --seed: unset it".into(),
        ));
    }
    Ok(CodeAnswer {
        cut: stop.get().copied(),
        not_held,
        ..CodeAnswer::of_shuttle(&report, is_held)
    })
}

/// The most vCPUs and laps that a run may have: each vCPU is a thread.
const MOST: (usize, usize) = (64, 1000);

/// Refuses what the code or its engine can not do.
///
/// # Errors
/// Names the first such thing.
pub fn check(request: &CodeRequest) -> Result<(), QuestionError> {
    let scenario = request.scenario()?;
    scenario.check().map_err(usage)?;
    let apart = scenario.zappers.mmu_lock() == Some(KvmMode::Write);
    if request.zappers > 1 && apart && request.window != Window::Whole {
        return Err(QuestionError::Usage(format!(
            "mmu_lock for write keeps two zappers apart: ask for --window {}",
            Window::Whole.key()
        )));
    }
    if !request.beside.with.is_empty() {
        beside_an_ioctl(request)?;
    } else if request.vcpus == 0 {
        return Err(QuestionError::Usage(
            "without a vCPU and without an ioctl (--with) there is nothing to interleave".into(),
        ));
    }
    if request.vcpus > MOST.0 || request.laps > MOST.1 {
        return Err(QuestionError::Usage(format!(
            "{} vCPUs and {} laps are asked for; at most {} and {} can be had",
            request.vcpus, request.laps, MOST.0, MOST.1
        )));
    }
    let begins = request.engine == Engine::Loom && request.window == Window::Whole && !request.late;
    if request.in_guest && !begins {
        return Err(QuestionError::Usage(
            "vCPUs are in their guests only when a whole removal begins, under loom, and none is created late"
                .into(),
        ));
    }
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
    if let Some(why) = request.why_not_held().filter(|_| request.conformance) {
        return Err(QuestionError::Usage(format!(
            "this can not be held against the model: {why}"
        )));
    }
    Ok(())
}

/// What there is beside an ioctl.
fn beside_an_ioctl(request: &CodeRequest) -> Result<(), QuestionError> {
    let text = if request.window != Window::Whole {
        "beside an ioctl the code removes whole pages: ask for the window `whole`"
    } else if request.zappers > 1 {
        "beside an ioctl the code has one zapper"
    } else {
        return Ok(());
    };
    Err(QuestionError::Usage(text.into()))
}

fn usage(error: impl std::fmt::Display) -> QuestionError {
    QuestionError::Usage(error.to_string())
}
