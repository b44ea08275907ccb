//! Which single decision of the protocol, taken otherwise, would have a status logged.

use super::causes::Wanted;
use super::goal::Goal;
use super::search::{Effort, MEMORY, Sighting};
use crate::engine::{Clock, Cut, Limits, Watch};
use crate::parallel;
use crate::question::{Question, QuestionError, Source};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::Reductions;
use std::time::Duration;

/// A decision of the protocol that, taken otherwise, has KVM_BUG_ON fire for the status.
#[derive(Debug)]
pub struct Change {
    /// The decision.
    pub decision: &'static str,
    /// What it would have to be.
    pub value: &'static str,
    /// What then happens.
    pub sighting: Sighting,
}

/// What was found out about a kernel's decisions.
#[derive(Debug)]
pub struct Changes {
    /// The kernel profile, as named.
    pub kernel: String,
    /// The lock table, as named.
    pub module: String,
    /// The decisions.
    pub found: Vec<Change>,
    /// Time ran out before all of them were tried.
    pub is_cut: bool,
}

/// Every single decision of a kernel that, taken otherwise, has KVM_BUG_ON fire for the status beside
/// one vCPU in a runnable TD; until `effort.time` is over by `clock`.
///
/// # Errors
/// When the profile or the table is not understood.
pub fn changes(
    wanted: &Wanted,
    kernel: &Source,
    module: &Source,
    clock: Clock,
    effort: Effort<'_>,
) -> Result<Changes, QuestionError> {
    let scenario = Scenario {
        memory: Memory::Tso,
        ..Scenario::default()
    };
    let plain = Question::new(module.clone(), kernel.clone(), Vec::new(), scenario)?;
    let names = Decisions::NAMES.iter().copied();
    let each: Vec<(&'static str, &'static str)> = names
        .flat_map(|name| {
            let values = Decisions::values(name).into_iter();
            values.map(move |(value, _)| (name, value))
        })
        .collect();
    let tried = parallel::map(&each, effort.threads, |(decision, value)| {
        let left = effort.time.saturating_sub(clock.elapsed());
        one(wanted, &plain, (*decision, *value), left, effort.watch)
    });
    let mut all = Changes {
        kernel: kernel.name.clone(),
        module: module.name.clone(),
        found: Vec::new(),
        is_cut: false,
    };
    for tried in tried {
        let (change, is_cut) = tried?;
        all.found.extend(change);
        all.is_cut |= is_cut;
    }
    Ok(all)
}

/// One decision taken otherwise, and whether the search for what it does was cut short.
fn one(
    wanted: &Wanted,
    plain: &Question,
    (decision, value): (&'static str, &'static str),
    left: Duration,
    watch: &Watch,
) -> Result<(Option<Change>, bool), QuestionError> {
    let mut question = plain.clone();
    question.decisions.set(decision, value)?;
    let Ok(system) = question.system(Reductions::ALL) else {
        return Ok((None, false));
    };
    if question.decisions == plain.decisions {
        return Ok((None, false));
    }
    question.set.push((decision.to_owned(), value.to_owned()));
    let goal = Goal::new(wanted, &question, &system);
    if goal.returns.is_empty() || !goal.can_fire() {
        return Ok((None, false));
    }
    if left.is_zero() {
        return Ok((None, true));
    }
    let limits = Limits {
        time: left,
        memory: MEMORY,
        ..Limits::default()
    };
    let looked = goal.look(limits, watch);
    // A store buffer that overflows is the change's own doing.
    let is_cut = looked.cut.is_some_and(|cut| cut != Cut::StoreBuffer);
    let change = looked.fires.map(|violation| Change {
        decision,
        value,
        sighting: Sighting {
            question,
            system,
            violation,
            is_hypothetical: true,
        },
    });
    Ok((change, is_cut))
}
