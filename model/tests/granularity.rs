//! Every contended acquisition is a step that counts: without it, or taken together with the one
//! before it, a search finds another number of states.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, search};
use seamcheck_model::resource::Resource;
use seamcheck_model::system::System;
use seamcheck_model::system::labels::Part;
use seamcheck_model::table::{FlowAction, LockTable};

/// A leaf's key, and a lock that it tries against somebody.
type Acquisition = (String, Resource);

fn leaf_of(system: &System, address: usize) -> &str {
    let leaf = system.code.ops[address].leaf;
    &system.code.leaves[usize::from(leaf.0)].key
}

/// The acquisitions that a configured agent reaches and that can fail, in the order of the code.
fn contended(system: &System) -> Vec<Acquisition> {
    let mut all = Vec::new();
    for step in system.possible_steps() {
        let (part, address, _) = system.labels.parts(step);
        let op = &system.code.ops[usize::from(address)];
        if part != Part::Module || op.uncontended {
            continue;
        }
        let leaf = leaf_of(system, usize::from(address)).to_owned();
        let acquisition = op.kind.acquires().map(|lock| (leaf, lock));
        all.extend(acquisition.filter(|found| !all.contains(found)));
    }
    all
}

/// The table without an acquisition and its release. A leaf that shares another's steps (R4) loses
/// its own too; else it would keep the steps, and the states, for both.
fn without(system: &System, table: &LockTable, (leaf, lock): &Acquisition) -> LockTable {
    let mut table = table.clone();
    let twins = system.shared_shapes.iter();
    let twins: Vec<&String> = twins
        .filter(|(_, stands_for_it)| stands_for_it == leaf)
        .map(|(left_out, _)| left_out)
        .collect();
    for row in &mut table.leaves {
        let key = row.key();
        if key != *leaf && !twins.contains(&&key) {
            continue;
        }
        row.flow.retain(|step| match step.action {
            FlowAction::Acquire { resource, .. } | FlowAction::Release { resource } => {
                resource != *lock
            }
            FlowAction::Effect { .. } => true,
        });
        for step in &mut row.flow {
            if let FlowAction::Effect { releases, .. } = &mut step.action {
                *releases = releases.filter(|released| released != lock);
            }
        }
    }
    table
}

/// The number of states, and what it becomes without the acquisition.
fn dropped(ask: &Ask, acquisition: &Acquisition) -> (usize, usize) {
    let system = ask.system().unwrap();
    let mut fewer = ask.clone();
    fewer.module = without(&system, &ask.module, acquisition);
    (search(&system).states, fewer.search().unwrap().states)
}

/// The number of states, and what it becomes when the acquisition is taken with the step before it.
fn merged(ask: &Ask, (leaf, lock): &Acquisition) -> (usize, usize) {
    let system = ask.system().unwrap();
    let mut merged = system.clone();
    for address in 1..merged.code.ops.len() {
        let op = &mut merged.code.ops[address];
        if op.kind.acquires() == Some(*lock) && leaf_of(&system, address) == leaf {
            op.uncontended = true;
        }
    }
    (search(&system).states, search(&merged).states)
}

fn claim() -> Ask {
    Ask::claim().unwrap()
}

fn named(pairs: &[(&str, Resource)]) -> Vec<Acquisition> {
    let owned = pairs.iter().map(|(leaf, lock)| ((*leaf).to_owned(), *lock));
    owned.collect()
}

/// What can fail with one vCPU.
const BETWEEN_ZAPPER_AND_VCPU: [(&str, Resource); 9] = [
    ("TDH.MEM.RANGE.BLOCK", Resource::SeptTree),
    ("TDH.MEM.RANGE.BLOCK", Resource::SeptEntry),
    ("TDH.MEM.TRACK", Resource::TdEpoch),
    ("TDH.MEM.PAGE.REMOVE", Resource::SeptTree),
    ("TDH.MEM.PAGE.REMOVE", Resource::SeptEntry),
    ("TDH.VP.ENTER", Resource::TdEpoch),
    ("TDH.VP.ENTER", Resource::SeptTree),
    ("TDG.MEM.PAGE.ACCEPT", Resource::SeptEntry),
    ("TDG.MEM.PAGE.ATTR.RD", Resource::SeptEntry),
];

/// What can fail only against another vCPU.
const BETWEEN_VCPUS: [(&str, Resource); 2] = [
    ("TDH.MEM.PAGE.AUG", Resource::SeptTree),
    ("TDH.MEM.PAGE.AUG", Resource::SeptEntry),
];

#[test]
fn these_acquisitions_are_contended_and_no_others() {
    let sorted = |mut pairs: Vec<Acquisition>| {
        pairs.sort();
        pairs
    };
    let one = contended(&claim().system().unwrap());
    assert_eq!(sorted(one), sorted(named(&BETWEEN_ZAPPER_AND_VCPU)));
    let two = contended(&claim().vcpus(2).system().unwrap());
    let all = [named(&BETWEEN_ZAPPER_AND_VCPU), named(&BETWEEN_VCPUS)].concat();
    assert_eq!(sorted(two), sorted(all));
}

#[test]
fn a_contended_acquire_that_is_dropped_changes_the_count() {
    for acquisition in named(&BETWEEN_ZAPPER_AND_VCPU) {
        let (with, without) = dropped(&claim(), &acquisition);
        assert_ne!(with, without, "{acquisition:?}");
    }
}

#[test]
fn an_acquire_contended_between_two_vcpus_that_is_dropped_changes_the_count() {
    for acquisition in named(&BETWEEN_VCPUS) {
        let mut ask = claim().two_trimmed();
        // AUG meets TDH.VP.ENTER on the tree where 0-step can be armed, and a guest on the entry.
        let tree = acquisition.1 == Resource::SeptTree;
        (ask.scenario.zero_step, ask.scenario.accept) = (tree, !tree);
        let (with, without) = dropped(&ask, &acquisition);
        assert_ne!(with, without, "{acquisition:?}");
    }
}

#[test]
fn an_acquire_contended_by_an_ioctl_that_is_dropped_changes_the_count() {
    let threads = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"];
    let ask = claim().before_finalize().threads(&threads);
    for acquisition in contended(&ask.system().unwrap()) {
        let (with, without) = dropped(&ask, &acquisition);
        // A named exception: tdx_track() returns early while the TD is not runnable, so TRACK's
        // TDR is contended by its row only. The test below has it.
        let is_issued = acquisition.0 != "TDH.MEM.TRACK";
        assert_eq!(with != without, is_issued, "{acquisition:?}");
    }
}

#[test]
fn an_acquire_contended_in_a_runnable_td_that_is_dropped_changes_the_count() {
    let mut ask = claim().threads(&["any-tdr-exclusive"]);
    (ask.scenario.zero_step, ask.scenario.accept) = (false, false);
    ask.scenario.attr = false;
    let all = contended(&ask.system().unwrap());
    let tdr = |leaf: &str| (leaf.to_owned(), Resource::Tdr);
    for leaf in [
        "TDH.MEM.TRACK",
        "TDH.VP.ENTER",
        "TDH.MEM.PAGE.AUG",
        "TDH.VP.WR",
    ] {
        assert!(all.contains(&tdr(leaf)), "{leaf}");
    }
    for acquisition in all {
        let (with, without) = dropped(&ask, &acquisition);
        assert_ne!(with, without, "{acquisition:?}");
    }
}

#[test]
fn two_contended_acquires_of_a_leaf_taken_in_one_step_change_the_count() {
    // What is lost is the state in which the first is held and the second not yet tried. Another
    // agent's try-lock can fail on the first there, also when this leaf is going to fail itself.
    let second = [
        ("TDH.MEM.RANGE.BLOCK", Resource::SeptEntry),
        ("TDH.MEM.PAGE.REMOVE", Resource::SeptEntry),
        ("TDH.VP.ENTER", Resource::SeptTree),
    ];
    for acquisition in named(&second) {
        let (apart, together) = merged(&claim(), &acquisition);
        assert!(
            together < apart,
            "{acquisition:?}: {apart}, then {together}"
        );
    }
    let mut two = claim().vcpus(2);
    two.scenario.attr = false;
    for acquisition in named(&[("TDH.MEM.PAGE.AUG", Resource::SeptEntry)]) {
        let (apart, together) = merged(&two, &acquisition);
        assert!(
            together < apart,
            "{acquisition:?}: {apart}, then {together}"
        );
    }
}

#[test]
fn a_first_contended_acquire_taken_with_the_call_changes_the_count() {
    let first = [
        ("TDH.MEM.RANGE.BLOCK", Resource::SeptTree),
        ("TDH.MEM.TRACK", Resource::TdEpoch),
        ("TDH.MEM.PAGE.REMOVE", Resource::SeptTree),
        ("TDH.VP.ENTER", Resource::TdEpoch),
    ];
    for acquisition in named(&first) {
        let (apart, together) = merged(&claim(), &acquisition);
        assert!(
            together < apart,
            "{acquisition:?}: {apart}, then {together}"
        );
    }
}

#[test]
fn a_tdcalls_first_acquire_is_taken_with_the_guests_choice_already() {
    // The named exceptions: R2 takes what the guest decides together with what the module does
    // first about it, and a TDCALL's first step is its one acquisition. Marking it changes nothing.
    for leaf in ["TDG.MEM.PAGE.ACCEPT", "TDG.MEM.PAGE.ATTR.RD"] {
        let acquisition = (leaf.to_owned(), Resource::SeptEntry);
        let (apart, together) = merged(&claim(), &acquisition);
        assert_eq!(apart, together, "{leaf}");
        // Without R2 the choice is a step of its own, and the merge is one more.
        let mut unfused = claim();
        unfused.reductions.fuse_local = false;
        let (apart, together) = merged(&unfused, &acquisition);
        assert!(together < apart, "{leaf}: {apart}, then {together}");
    }
}
