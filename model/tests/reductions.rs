//! The reductions lose nothing: with all of them, with none, and with each one left out, a search
//! breaks the same properties, shows the same witnesses and takes the same steps.
//!
//! The length of a shortest violation is not compared: fused steps shorten it.

#![allow(clippy::unwrap_used)]

mod common;

use common::Ask;
use common::same::same;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::Reductions;
use std::collections::BTreeSet;

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

fn claim() -> Ask {
    Ask::claim().unwrap()
}

#[test]
fn the_claim_is_the_same_without_any_reduction() {
    for memory in BOTH {
        let seen = same(&claim().memory(memory), Reductions::NONE);
        assert_eq!(seen.broken, BTreeSet::new());
    }
}

#[test]
fn module_2_0_12_is_the_same_without_any_reduction() {
    for memory in BOTH {
        let ask = Ask::on("2.0.12").unwrap().memory(memory);
        assert_eq!(same(&ask, Reductions::NONE).broken, BTreeSet::new());
    }
}

#[test]
fn the_patchs_own_kernel_and_table_are_the_same_without_any_reduction() {
    let ask = Ask::on("patch-table").unwrap().kernel("patch-v1");
    assert_eq!(
        same(&ask.memory(Memory::Tso), Reductions::NONE).broken,
        BTreeSet::new()
    );
}

#[test]
fn a_zapper_alone_is_the_same_without_any_reduction() {
    for memory in BOTH {
        let alone = claim().vcpus(0).memory(memory);
        assert_eq!(same(&alone, Reductions::NONE).broken, BTreeSet::new());
        let idle = same(&alone.before_finalize(), Reductions::NONE);
        // Nothing is mapped before the TD is finalized, so there is nothing to remove.
        assert_eq!(idle.steps, BTreeSet::new());
    }
}

/// One decision of 6.16 each, changed as the suite's mutants change it; and whether the claim
/// breaks under sequential consistency, and under TSO.
const MUTANTS: &[(&str, &str, [bool; 2])] = &[
    ("vcpu_flag_test", "absent", [true, true]),
    ("vcpu_flag_test", "before-mode-store", [true, true]),
    ("vcpu_flag_test", "before-irq-disable", [true, true]),
    ("flag_raise", "after-kick", [true, true]),
    ("flag_raise", "around-all-three", [false, false]),
    ("flag_raise", "never", [true, true]),
    ("kick", "none", [true, true]),
    ("kick", "request-wait-in-guest-only", [false, false]),
    ("kick", "request-no-wait", [true, true]),
    ("kick", "vcpu-kick", [true, true]),
    ("vcpu_barrier", "absent", [false, true]),
    (
        "vcpu_barrier",
        "srcu-unlock-before-mode-store",
        [false, true],
    ),
    ("vcpu_barrier", "light-srcu", [false, true]),
    ("kick_mode_read", "plain-load", [false, true]),
    ("flag_clear", "before-retry", [true, true]),
    ("vp_enter_busy", "reenter-guest", [false, false]),
    ("mode_outside", "before-vp-enter", [true, true]),
    ("irq_disable", "after-flag-test", [true, true]),
    ("busy_predicate", "sept-busy", [false, false]),
    ("track_kick", "absent", [false, false]),
    ("on_busy", "give-up", [false, false]),
];

fn mutants_in(memory: Memory, index: usize) {
    for (decision, value, breaks) in MUTANTS {
        let ask = claim().with(decision, value).memory(memory);
        let seen = same(&ask, Reductions::NONE);
        let broken = seen.broken.contains(&Property::NoSecondBusy);
        assert_eq!(broken, breaks[index], "{decision} = {value}");
    }
}

#[test]
fn mutants_under_sequential_consistency_are_the_same_without_any_reduction() {
    mutants_in(Memory::Sc, 0);
}

#[test]
fn mutants_under_tso_are_the_same_without_any_reduction() {
    mutants_in(Memory::Tso, 1);
}

#[test]
fn the_tracked_exit_reason_is_the_same_without_any_reduction() {
    for memory in BOTH {
        let mut ask = claim().memory(memory);
        ask.scenario.exit_reason = true;
        let broken = same(&ask, Reductions::NONE).broken;
        assert_eq!(broken, BTreeSet::from([Property::InterruptOnce]));
    }
}

#[test]
fn a_second_page_is_the_same_without_any_reduction() {
    let mut ask = claim();
    ask.scenario.pages = 2;
    assert_eq!(same(&ask, Reductions::NONE).broken, BTreeSet::new());
}
