//! The claim's other forms: the stateright actor model and the code under loom.

use crate::engine::{Clock, Cut};
use crate::question::QuestionError;
use crate::suite::{Form, Run};
use crate::verdict::Verdict;
use seamcheck_model::actors::{ActorClaim, NO_SECOND_BUSY, WITNESSES, only};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::kernel::Unsupported;
use seamcheck_model::threads::{FirstCall, Memory, Order, TrackWindow, run_under_loom};
use stateright::{Checker, HasDiscoveries, Model};
use std::time::Duration;

/// What the search of another form found.
#[derive(Clone, Debug)]
pub struct FormReport {
    /// On the claim.
    pub verdict: Verdict,
    /// States, or executions.
    pub states: u64,
    /// `states` or `executions`.
    pub unit: &'static str,
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// More executions than the code needs; beyond, the verdict is `unknown`.
const MAX_EXECUTIONS: usize = 100_000;

/// How often the vCPU goes round under loom.
const LAPS: usize = 2;

/// Searches the run's form.
///
/// # Errors
/// When the form does not know a decision.
pub fn search(run: &Run) -> Result<FormReport, QuestionError> {
    let decisions = run.question()?.decisions;
    let report = match run.form {
        Form::Loom => loom(decisions),
        Form::Actors | Form::Packed => actors(decisions, run.scenario.vcpus),
    };
    report.map_err(|error| QuestionError::Usage(format!("{}: {error}", run.name)))
}

/// Breadth first, on one thread; a run of its own for the claim, and one for the witnesses.
fn actors(decisions: Decisions, vcpus: usize) -> Result<FormReport, Unsupported> {
    let clock = Clock::start();
    let claim = ActorClaim { vcpus, decisions };
    let searched = only(claim.model()?, NO_SECOND_BUSY)
        .checker()
        .spawn_bfs()
        .join();
    let states = searched.unique_state_count() as u64;
    let verdict = match searched.discovery(NO_SECOND_BUSY) {
        Some(path) => Verdict::Violated(path.into_actions().len() as u64),
        None if sees_every_witness(&claim)? => Verdict::Holds,
        None => Verdict::Vacuous,
    };
    Ok(FormReport {
        verdict,
        states,
        unit: "states",
        elapsed: clock.elapsed(),
    })
}

fn sees_every_witness(claim: &ActorClaim) -> Result<bool, Unsupported> {
    let wanted = HasDiscoveries::AllOf(WITNESSES.iter().copied().collect());
    let searched = claim
        .model()?
        .checker()
        .finish_when(wanted)
        .spawn_bfs()
        .join();
    Ok(WITNESSES
        .iter()
        .all(|witness| searched.discovery(witness).is_some()))
}

/// Every interleaving and every weak-memory outcome of the window of TDH.MEM.TRACK.
fn loom(decisions: Decisions) -> Result<FormReport, Unsupported> {
    let clock = Clock::start();
    let window = TrackWindow {
        decisions,
        laps: LAPS,
        first_call: FirstCall::WasBusy,
        lock_words: Order::Relaxed,
    };
    let report = run_under_loom(&window, Memory::Weak, MAX_EXECUTIONS)?;
    let executions = report.executions as u64;
    let verdict = if report.violated {
        Verdict::Violated(executions)
    } else if report.capped {
        Verdict::Unknown(Cut::States)
    } else if report.second_calls == 0 || report.turned_back == 0 {
        Verdict::Vacuous
    } else {
        Verdict::Holds
    };
    Ok(FormReport {
        verdict,
        states: executions,
        unit: "executions",
        elapsed: clock.elapsed(),
    })
}
