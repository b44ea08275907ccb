//! What comes with the crate: every table and profile is read, and differs from its neighbours in
//! what its own comments say and in nothing else.

mod common;

use common::{Ask, profile, table};
use seamcheck_model::builtin::{KERNELS, MODULES};
use seamcheck_model::kernel::{Decisions, KvmHeld};
use seamcheck_model::property::Property;
use seamcheck_model::resource::{Evidence, KvmLock, KvmMode, LockKind, Mode, Resource};
use seamcheck_model::table::{FlowAction, FlowStep, Leaf, LockTable};

/// The mode in which a leaf takes a lock, if it takes it.
fn mode(table: &LockTable, leaf: &str, lock: Resource) -> Option<Mode> {
    let mut taken = table.leaf(leaf)?.acquisitions();
    taken
        .find(|(resource, ..)| *resource == lock)
        .map(|(_, mode, _)| mode)
}

fn kind(table: &LockTable, lock: Resource) -> Option<LockKind> {
    let row = table.kinds.iter().find(|(resource, _)| *resource == lock);
    row.map(|(_, kind)| *kind)
}

#[test]
fn every_built_in_file_is_read_and_bears_the_name_it_is_asked_for_by() {
    for (name, _) in MODULES {
        assert_eq!(table(name).unwrap().name, *name);
    }
    for (name, _) in KERNELS {
        assert_eq!(profile(name).unwrap().name, *name);
    }
}

#[test]
fn every_built_in_kernel_runs_on_every_built_in_module() {
    for (module, _) in MODULES {
        for (kernel, _) in KERNELS {
            let found = Ask::on(module).unwrap().kernel(kernel).search().unwrap();
            // Before the patch KVM had nothing against a guest that holds an entry.
            let is_sound = !kernel.starts_with("pre-patch");
            // The RFC has no flag to test.
            let broken = found.broken.iter().filter(|property| {
                *kernel != "rfc-request-bit" || **property != Property::FlagTested
            });
            let none = broken.count() == 0;
            assert_eq!(none, is_sound, "{kernel} on {module}: {found:?}");
            assert!(found.states > if is_sound { 1000 } else { 100 });
        }
    }
}

#[test]
fn vp_enter_takes_the_tree_exclusively_in_1_5_05_and_shared_in_2_0_12() {
    let taken = |name| mode(&table(name).unwrap(), "TDH.VP.ENTER", Resource::SeptTree);
    assert_eq!(taken("1.5.05"), Some(Mode::Exclusive));
    assert_eq!(taken("2.0.12"), Some(Mode::Shared));
    assert_eq!(taken("patch-table"), Some(Mode::Exclusive));
}

#[test]
fn only_2_0_12_keeps_a_host_priority_mark_when_it_stores_an_entry() {
    let keeps = |name| table(name).unwrap().entry_store_keeps_host_priority;
    assert!(!keeps("1.5.05"));
    assert!(keeps("2.0.12"));
    assert!(!keeps("patch-table"));
}

#[test]
fn the_tree_lock_knows_host_priority_from_2_0_12_on() {
    let tree = |name| kind(&table(name).unwrap(), Resource::SeptTree);
    assert_eq!(tree("1.5.05"), Some(LockKind::Sharex));
    assert_eq!(tree("2.0.12"), Some(LockKind::SharexHostPriority));
}

#[test]
fn the_two_modules_differ_in_nothing_else() {
    let (old, new) = (table("1.5.05").unwrap(), table("2.0.12").unwrap());
    let names = |table: &LockTable| table.leaves.iter().map(Leaf::key).collect::<Vec<_>>();
    assert_eq!(names(&old), names(&new));
    for (old, new) in old.leaves.iter().zip(&new.leaves) {
        assert_eq!(
            old.flow == new.flow,
            old.name != "TDH.VP.ENTER",
            "{}",
            old.name
        );
    }
    for (old, new) in old.kinds.iter().zip(&new.kinds) {
        assert_eq!(old == new, old.0 != Resource::SeptTree, "{old:?}");
    }
}

#[test]
fn vp_init_takes_the_tdr_exclusively_from_leaf_version_1_on() {
    for name in ["1.5.05", "2.0.08", "2.0.12"] {
        let table = table(name).unwrap();
        let tdr = |key| mode(&table, key, Resource::Tdr);
        assert_eq!(tdr("TDH.VP.INIT@0"), Some(Mode::Shared));
        assert_eq!(tdr("TDH.VP.INIT@1"), Some(Mode::Exclusive));
        // Where versions differ there is no row for the bare name, and none for other versions.
        assert_eq!(table.leaf("TDH.VP.INIT"), None);
        assert_eq!(table.leaf("TDH.VP.INIT@2"), None);
    }
}

#[test]
fn before_1_5_05_vp_init_takes_the_tdr_shared_and_nothing_else_differs() {
    let (old, new) = (table("1.5.01").unwrap(), table("1.5.05").unwrap());
    for key in ["TDH.VP.INIT@0", "TDH.VP.INIT@1"] {
        assert_eq!(mode(&old, key, Resource::Tdr), Some(Mode::Shared));
    }
    let others = |table: &LockTable| {
        let leaves = table.leaves.clone().into_iter();
        let others = leaves.filter(|leaf| leaf.name != "TDH.VP.INIT");
        others
            .map(|leaf| (leaf.name, leaf.flow))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&old), others(&new));
    assert_eq!(others(&table("2.0.08").unwrap()), others(&new));
}

#[test]
fn every_leaf_that_a_code_path_issues_has_a_row_in_every_module() {
    for (module, _) in MODULES.iter().filter(|(name, _)| *name != "patch-table") {
        let table = table(module).unwrap();
        for (kernel, _) in KERNELS {
            for path in profile(kernel).unwrap().paths {
                for (leaf, _) in path.seamcalls() {
                    assert!(table.leaf(leaf).is_some(), "{kernel}: {leaf} on {module}");
                }
            }
        }
    }
}

#[test]
fn what_is_taken_over_from_another_profile_is_assumed_unless_it_was_read() {
    let evidence = |kernel: &str, path: &str| profile(kernel).unwrap().path(path).unwrap().evidence;
    assert_eq!(evidence("6.16", "vcpu_load"), Evidence::Read);
    assert_eq!(evidence("6.19", "vcpu_load"), Evidence::Assumed);
    assert_eq!(evidence("6.19", "KVM_TDX_FINALIZE_VM"), Evidence::Stated);
    assert_eq!(evidence("next", "KVM_TDX_FINALIZE_VM"), Evidence::Read);
    assert_eq!(
        evidence("pre-patch", "KVM_TDX_FINALIZE_VM"),
        Evidence::Assumed
    );
}

#[test]
fn from_6_19_on_td_state_changes_under_all_of_the_vms_locks() {
    let locks = |kernel: &str| {
        let profile = profile(kernel).unwrap();
        profile.path("KVM_TDX_FINALIZE_VM").unwrap().locks
    };
    for kernel in ["6.19", "next"] {
        let held = locks(kernel);
        for lock in [KvmLock::VmLock, KvmLock::EveryVcpuMutex, KvmLock::SlotsLock] {
            assert!(held.has(lock), "{kernel}: {lock:?}");
        }
        assert!(!held.has(KvmLock::MmuLock), "{kernel}");
    }
    assert!(!locks("6.16").has(KvmLock::EveryVcpuMutex));
}

#[test]
fn a_version_that_has_no_row_is_given_the_row_without_a_version() {
    let table = table("1.5.05").unwrap();
    assert_eq!(table.leaf("TDH.VP.WR@7"), table.leaf("TDH.VP.WR"));
    assert!(table.leaf("TDH.VP.WR").is_some());
}

#[test]
fn the_patchs_table_is_that_of_1_5_05_with_three_locks() {
    let (patch, module) = (table("patch-table").unwrap(), table("1.5.05").unwrap());
    let locks = [Resource::TdEpoch, Resource::SeptTree, Resource::SeptEntry];
    let known: Vec<Resource> = patch.kinds.iter().map(|(lock, _)| *lock).collect();
    assert_eq!(known, locks);
    let is_kept = |step: &FlowStep| match step.action {
        FlowAction::Acquire { resource, .. } | FlowAction::Release { resource } => {
            locks.contains(&resource)
        }
        FlowAction::Effect { .. } => !step.asks_op_state(),
    };
    for leaf in patch
        .leaves
        .iter()
        .filter(|leaf| leaf.name != "TDH.MEM.PAGE.AUG")
    {
        let full = module.leaf(&leaf.name).unwrap();
        let kept: Vec<FlowStep> = full.flow.iter().copied().filter(is_kept).collect();
        assert_eq!(leaf.flow, kept, "{}", leaf.name);
    }
    // The patch does not list AUG; it is there so that a removed page can come back.
    let aug = patch.leaf("TDH.MEM.PAGE.AUG").unwrap();
    assert_eq!(aug.acquisitions().count(), 0);
    assert_eq!(aug.evidence, Evidence::Assumed);
    assert_eq!(patch.leaf("TDH.VP.WR"), None);
}

#[test]
fn a_row_whose_source_was_not_read_is_assumed() {
    for (name, _) in MODULES {
        for leaf in table(name).unwrap().leaves {
            let unread = leaf.source.contains("not read") || leaf.source.starts_with("not in");
            assert!(
                !unread || leaf.evidence == Evidence::Assumed,
                "{name} {}",
                leaf.key()
            );
        }
    }
}

#[test]
fn patch_v1_decides_two_things_otherwise_than_6_16() {
    let (merged, posted) = (profile("6.16").unwrap(), profile("patch-v1").unwrap());
    let differ: Vec<_> = Decisions::NAMES
        .iter()
        .filter_map(|name| {
            let (merged, posted) = (merged.decisions.get(name)?, posted.decisions.get(name)?);
            (merged != posted).then_some((*name, merged, posted))
        })
        .collect();
    assert_eq!(
        differ,
        [
            ("busy_predicate", "masked", "bit-test"),
            ("vp_enter_busy", "exit-handled", "reenter-guest"),
        ]
    );
    assert!(
        merged
            .evidence
            .iter()
            .all(|evidence| *evidence == Evidence::Read)
    );
    assert!(
        posted
            .evidence
            .iter()
            .all(|evidence| *evidence != Evidence::Read)
    );
}

#[test]
fn a_hole_punch_excludes_populating_and_faulting_but_not_the_creation_of_a_vcpu() {
    for (name, _) in KERNELS {
        let kernel = profile(name).unwrap();
        let zap = kernel.zap.locks;
        let fault = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        assert!(zap.excludes(fault));
        let excluded = |path| zap.excludes(kernel.path(path).unwrap().locks);
        assert!(excluded("KVM_TDX_INIT_MEM_REGION"));
        assert!(!excluded("KVM_TDX_INIT_VCPU"));
        assert!(!excluded("host-debug-read"));
        assert!(!excluded("any-tdr-exclusive"));
        let early = |path| kernel.path(path).unwrap().before_finalize;
        assert!(early("KVM_TDX_INIT_VCPU") && early("KVM_TDX_INIT_MEM_REGION"));
        assert!(!early("host-debug-read") && !early("any-tdr-exclusive"));
    }
}
