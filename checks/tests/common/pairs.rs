//! Pairs of leaves that can meet on a lock, and lock tables in which they can not.

use seamcheck::question::Question;
use seamcheck::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::module::LeafId;
use seamcheck_model::property::Witness;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::system::{Reductions, System};
use seamcheck_model::table::{FlowAction, FlowStep, LockTable};
use std::collections::{BTreeMap, BTreeSet};

/// A leaf that gets BUSY, the lock, the leaf that holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) loser: String,
    pub(crate) lock: Resource,
    pub(crate) holder: String,
}

impl Pair {
    /// As `check list --pairs` prints it, its blanks aside.
    pub(crate) fn text(&self) -> String {
        let lock = self.lock.key();
        format!("{} BUSY on {lock} held by {}", self.loser, self.holder)
    }
}

/// A question's system, every leaf with steps of its own.
pub(crate) fn system(question: &Question) -> System {
    let reductions = Reductions {
        share_equal: false,
        ..Reductions::ALL
    };
    question.system(reductions).expect("the scenario fits")
}

/// The BUSYs among some witnesses.
pub(crate) fn pairs(system: &System, witnesses: &[Witness]) -> BTreeSet<Pair> {
    let key = |leaf: LeafId| system.code.leaves[usize::from(leaf.0)].key.clone();
    let busy = witnesses.iter().filter_map(|witness| match witness {
        Witness::Busy(pair) => Some(Pair {
            loser: key(pair.loser),
            lock: pair.resource,
            holder: key(pair.holder),
        }),
        _ => None,
    });
    busy.collect()
}

/// For each pair of a lock table, the runs in which the two can meet, in the suite's order.
pub(crate) fn told_apart(runs: &[Run]) -> BTreeMap<(String, Pair), Vec<&Run>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.form == Form::Packed) {
        let system = system(&run.question().expect("the suite asks only what exists"));
        for pair in pairs(&system, &system.observations.required) {
            all.entry((run.module.clone(), pair)).or_default().push(run);
        }
    }
    all
}

/// Lock tables in which the pair does not conflict, each as little changed as can be.
pub(crate) fn harmless(table: &LockTable, pair: &Pair) -> Vec<LockTable> {
    if pair.lock == Resource::SeptEntry {
        // Host and guest exclude each other: only a leaf that takes no lock is harmless.
        return vec![without(table, &pair.loser), without(table, &pair.holder)];
    }
    let loser = shared(table, &pair.loser, pair.lock);
    let holder = shared(table, &pair.holder, pair.lock);
    let both = shared(&loser, &pair.holder, pair.lock);
    let harmless = |table: &LockTable| {
        !mode(table, &pair.loser, pair.lock).conflicts(mode(table, &pair.holder, pair.lock))
    };
    let mut all: Vec<_> = [loser, holder].into_iter().filter(harmless).collect();
    if all.is_empty() {
        all.push(both);
    }
    all
}

fn mode(table: &LockTable, leaf: &str, lock: Resource) -> Mode {
    let leaf = table.leaves.iter().find(|row| row.key() == leaf);
    let mut taken = leaf.expect("a row").acquisitions();
    let taken = taken.find(|(other, ..)| *other == lock);
    taken.expect("it is taken").1
}

fn changed(table: &LockTable, leaf: &str, change: impl Fn(&mut Vec<FlowStep>)) -> LockTable {
    let mut table = table.clone();
    let row = table.leaves.iter_mut().find(|row| row.key() == leaf);
    change(&mut row.expect("a row").flow);
    table
}

fn shared(table: &LockTable, leaf: &str, lock: Resource) -> LockTable {
    changed(table, leaf, |flow| {
        for step in flow {
            if let FlowAction::Acquire { resource, mode, .. } = &mut step.action
                && *resource == lock
            {
                *mode = Mode::Shared;
            }
        }
    })
}

/// The leaf takes no lock on the entry.
fn without(table: &LockTable, leaf: &str) -> LockTable {
    let entry = Resource::SeptEntry;
    changed(table, leaf, |flow| {
        flow.retain(|step| match step.action {
            FlowAction::Acquire { resource, .. } | FlowAction::Release { resource } => {
                resource != entry
            }
            FlowAction::Effect { .. } => true,
        });
        for step in flow {
            if let FlowAction::Effect { releases, .. } = &mut step.action {
                *releases = releases.filter(|resource| *resource != entry);
            }
        }
    })
}
