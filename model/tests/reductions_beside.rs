//! The reductions lose nothing beside ioctl threads, and beside a second vCPU: the same as
//! `reductions.rs` where there is more to interleave, so that scenarios are trimmed and, with two
//! vCPUs, one reduction is left out at a time.

#![allow(clippy::unwrap_used)]

mod common;

use common::Ask;
use common::same::{ONE_LEFT_OUT, same};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::Reductions;
use std::collections::BTreeSet;

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];
const ALL: Reductions = Reductions::ALL;

fn claim() -> Ask {
    Ask::claim().unwrap()
}

fn early() -> Ask {
    let threads = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"];
    claim().before_finalize().threads(&threads)
}

/// Beside a thread of a runnable TD: without 0-step and attributes, or it is too large.
fn beside(thread: &str) -> Ask {
    let mut ask = claim().threads(&[thread]);
    (ask.scenario.zero_step, ask.scenario.attr) = (false, false);
    ask
}

#[test]
fn the_creation_of_a_vcpu_is_the_same_without_any_reduction() {
    for (vcpus, memory) in [
        (0, Memory::Sc),
        (1, Memory::Sc),
        (0, Memory::Tso),
        (1, Memory::Tso),
    ] {
        let broken = same(&early().vcpus(vcpus).memory(memory), Reductions::NONE).broken;
        let expected = [Property::NoSecondBusy, Property::NoBugOn];
        assert_eq!(broken, BTreeSet::from(expected));
    }
}

#[test]
fn a_flag_left_up_is_the_same_without_any_reduction() {
    for memory in BOTH {
        let ask = early().kernel("patch-v1").memory(memory);
        let seen = same(&ask.with("flag_clear", "only-on-success"), Reductions::NONE);
        assert!(seen.broken.contains(&Property::FlagUnderMmuLock));
        assert!(seen.broken.contains(&Property::KickOnlyWhenBusy));
    }
}

#[test]
fn two_threads_with_the_same_program_are_the_same_without_any_reduction() {
    let twice = ["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU"];
    for memory in BOTH {
        let ask = early().vcpus(0).threads(&twice).memory(memory);
        let broken = same(&ask, Reductions::NONE).broken;
        assert_eq!(broken, BTreeSet::from([Property::NoBugOn]));
    }
}

#[test]
fn a_debug_read_is_the_same_without_any_reduction() {
    let broken = same(&beside("host-debug-read"), Reductions::NONE).broken;
    assert!(broken.contains(&Property::NoSecondBusy));
    // Two hosts on one entry: a mark may be left by the one that lost.
    assert!(broken.contains(&Property::NoMarkLeft));
}

#[test]
fn a_tdr_exclusive_call_is_the_same_without_any_reduction() {
    let broken = same(&beside("any-tdr-exclusive"), Reductions::NONE).broken;
    let expected = [Property::NoSecondBusy, Property::NoBugOn];
    assert_eq!(broken, BTreeSet::from(expected));
}

/// Two vCPUs, one reduction left out.
#[track_caller]
fn two_vcpus(change: impl Fn(&mut Ask), fewer: Reductions) {
    let mut ask = claim().two_trimmed().memory(Memory::Tso);
    change(&mut ask);
    assert_eq!(same(&ask, fewer).broken, BTreeSet::new());
}

#[test]
fn two_vcpus_are_the_same_without_r1() {
    two_vcpus(
        |_| {},
        Reductions {
            merge_uncontended: false,
            ..ALL
        },
    );
}

#[test]
fn two_vcpus_are_the_same_without_r2() {
    two_vcpus(
        |_| {},
        Reductions {
            fuse_local: false,
            ..ALL
        },
    );
}

#[test]
fn two_vcpus_are_the_same_without_r3() {
    two_vcpus(
        |_| {},
        Reductions {
            forget_dead: false,
            ..ALL
        },
    );
}

#[test]
fn two_vcpus_are_the_same_without_r4() {
    let attributes = |ask: &mut Ask| ask.scenario.attr = true;
    two_vcpus(
        attributes,
        Reductions {
            share_equal: false,
            ..ALL
        },
    );
}

#[test]
fn two_vcpus_are_the_same_without_r5_zero_step_and_attributes_included() {
    let whole = |ask: &mut Ask| (ask.scenario.attr, ask.scenario.zero_step) = (true, true);
    two_vcpus(
        whole,
        Reductions {
            sort_vcpus: false,
            ..ALL
        },
    );
}

#[test]
fn two_vcpus_without_a_flag_test_are_the_same_with_each_reduction_left_out() {
    let ask = claim().two_trimmed().with("vcpu_flag_test", "absent");
    for fewer in ONE_LEFT_OUT {
        let broken = same(&ask, fewer).broken;
        assert!(broken.contains(&Property::NoSecondBusy), "{fewer:?}");
    }
}
