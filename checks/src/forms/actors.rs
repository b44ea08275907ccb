//! The stateright actor model.

use super::FormReport;
use crate::engine::Clock;
use crate::verdict::Verdict;
use seamcheck_model::actors::{ActorClaim, NO_SECOND_BUSY, WITNESSES, only};
use seamcheck_model::kernel::{Decisions, Unsupported};
use stateright::{Checker, HasDiscoveries, Model};

/// Breadth first, on one thread; a run of its own for the claim, and one for the witnesses.
pub(super) fn search(decisions: Decisions, vcpus: usize) -> Result<FormReport, Unsupported> {
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
        divergence: None,
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
