//! `check agree`.

use super::{Failure, limits, output, suite};
use crate::agree::{Agreement, asks_the_same, is_compared};
use crate::cli::AgreeArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::report;
use crate::runner::{Difference, run_all};
use crate::suite::{Form, Run, select};
use std::collections::BTreeSet;

pub(super) fn agree(args: &AgreeArgs, watch: &Watch) -> Result<Exit, Failure> {
    let (all, named) = (suite()?, select(suite()?, &args.names)?);
    let asked = all.iter().filter(|run| {
        run.form == Form::Packed && named.iter().any(|named| asks_the_same(named, run))
    });
    let asked: Vec<Run> = asked.cloned().collect();
    let wanted = |run: &Run| asked.iter().any(|asked| is_compared(run, asked));
    let runs: Vec<Run> = all
        .into_iter()
        .filter(wanted)
        .filter_map(compared)
        .collect();
    let planned = runs.len();
    let mut limits = limits(args.limits);
    if args.limits.threads.is_none() {
        // Two runs at a time leave nothing to a second thread.
        limits.threads = 1;
    }
    let outcomes = run_all(runs, limits, watch, |_| {});
    let agreement = Agreement::of(&outcomes);
    let found = outcomes.iter().flat_map(|outcome| &outcome.differences);
    let interrupted = (outcomes.len() < planned).then_some(Exit::Interrupted);
    let disagreement = (!agreement.apart.is_empty()).then_some(Exit::Disagreement);
    let exit = Exit::worst(
        found
            .map(Difference::exit)
            .chain(interrupted)
            .chain(disagreement),
    );
    let rests_on = outcomes.iter().flat_map(report::rests_on);
    let rests_on: Vec<u64> = BTreeSet::from_iter(rests_on).into_iter().collect();
    if args.json {
        output::print_json(&report::agreement::json(&agreement, exit, rests_on))?;
    } else {
        let together = report::rests_on_text(&rests_on);
        let text = report::agreement::human(&agreement);
        output::print(&format!("{text}all of it rests on {together}\n"))?;
    }
    Ok(exit)
}

/// The run with what a second form can be asked too. Second searches compare nothing here; a proof does,
/// with what the code says of more vCPUs.
fn compared(mut run: Run) -> Option<Run> {
    run.expect.retain(|(property, _)| !property.is_liveness());
    run.stateright = false;
    (!run.expect.is_empty()).then_some(run)
}
