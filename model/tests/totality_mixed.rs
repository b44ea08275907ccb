//! States put together out of reachable ones: with vCPUs from elsewhere, or without one of theirs.
//! A state stays meaningful when a vCPU is dropped from it; nothing counts vCPUs.

#![allow(clippy::unwrap_used)]

mod common;

use common::random::runner;
use common::total::is_total;
use common::{Ask, reachable};
use proptest::prelude::*;
use proptest::sample::select;
use seamcheck_model::scenario::{MAX_VCPUS, Memory};
use seamcheck_model::system::state::{KickPhase, Vcpu};
use seamcheck_model::system::{Agent, Reductions, State, System};

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

fn system(vcpus: usize, memory: Memory) -> System {
    let ask = Ask::claim().unwrap().two_trimmed();
    ask.vcpus(vcpus).memory(memory).system().unwrap()
}

#[test]
fn vcpus_of_different_reachable_states_have_successors_together() {
    for memory in BOTH {
        let (one, three) = (reachable(&system(1, memory)), system(3, memory));
        let any = || select(one.clone());
        let mixed = (any(), any(), any(), any()).prop_map(|(state, first, second, third)| {
            let mut mixed = state;
            let taken = [first, second, third].map(|from: State| from.vcpus[0]);
            mixed.vcpus[..3].copy_from_slice(&taken);
            mixed
        });
        let total = runner(20_000).run(&mixed, |state| is_total(&three, &state));
        total.unwrap();
    }
}

#[test]
fn vcpus_of_reachable_pairs_have_successors_together() {
    for memory in BOTH {
        let pairs = reachable(&system(2, memory));
        let all = system(4, memory);
        let any = || select(pairs.clone());
        let mixed = (any(), any(), any()).prop_map(|(state, one, other)| {
            let mut mixed = state;
            mixed.vcpus[1] = one.vcpus[1];
            mixed.vcpus[2..4].copy_from_slice(&other.vcpus[..2]);
            mixed
        });
        let total = runner(20_000).run(&mixed, |state| is_total(&all, &state));
        total.unwrap();
    }
}

#[test]
fn a_reachable_pair_has_successors_when_either_vcpu_is_dropped() {
    for memory in BOTH {
        let (pair, single) = (system(2, memory), system(1, memory));
        // An address means the same however many vCPUs there are.
        assert_eq!(pair.code.ops.len(), single.code.ops.len());
        for state in reachable(&pair) {
            for kept in 0..2 {
                let mut view = state;
                view.vcpus[0] = state.vcpus[kept];
                view.vcpus[1] = Vcpu::default();
                is_total(&single, &view).unwrap();
            }
        }
    }
}

#[test]
fn a_reachable_pair_has_successors_when_both_vcpus_are_dropped() {
    for memory in BOTH {
        let nobody = system(0, memory);
        for state in reachable(&system(2, memory)) {
            let vcpus = [Vcpu::default(); MAX_VCPUS];
            is_total(&nobody, &State { vcpus, ..state }).unwrap();
        }
    }
}

#[test]
fn a_vcpu_that_does_nothing_changes_nothing_for_the_other() {
    // Unreduced, so that each transition is one step. Beside a vCPU that stands in vcpu_run() and is
    // done with the kick, the other has exactly the steps that it has alone.
    let build = |vcpus| {
        let ask = Ask::claim().unwrap().two_trimmed().vcpus(vcpus);
        ask.reduced_by(Reductions::NONE).system().unwrap()
    };
    let (one, two) = (build(1), build(2));
    let bystander = Vcpu {
        kick: KickPhase::Visited,
        ..Vcpu::default()
    };
    let steps = |system: &System, state: &State| {
        let mut steps = Vec::new();
        system.successors(state, |event, next| {
            if event.agent != Agent::Vcpu(1) {
                let trail = event.trail.iter().map(|id| system.describe(*id));
                let trail: Vec<String> = trail.collect();
                steps.push((trail, next.shared, next.vcpus[0]));
            }
        });
        steps
    };
    let states = reachable(&one);
    assert!(states.len() > 10_000);
    for state in states {
        let mut pair = state;
        pair.vcpus[1] = bystander;
        assert_eq!(steps(&one, &state), steps(&two, &pair), "{state:?}");
    }
}
