//! Keys: they forget nothing, are small, and do not depend on the order of the vCPUs.

#![allow(clippy::unwrap_used)]

mod common;

use common::random::{any_control, runner, shared, state};
use common::{Ask, Key, key, reachable, walk};
use proptest::prelude::*;
use seamcheck_model::scenario::{MAX_THREADS, MAX_VCPUS, Memory};
use seamcheck_model::system::pack::{self, pack, unpack};
use seamcheck_model::system::{Reductions, State, System};

/// Packed without sorting, and unpacked again.
fn there_and_back(state: &State, vcpus: usize, threads: usize) -> State {
    let mut key = vec![0; pack::words(vcpus, threads)];
    pack(state, vcpus, threads, false, &mut key);
    unpack(&key, vcpus, threads)
}

/// Two vCPUs of the whole scenario, or of the trimmed one.
fn two(trimmed: bool, memory: Memory, reductions: Reductions) -> System {
    let ask = Ask::claim().unwrap().vcpus(2).memory(memory);
    let ask = if trimmed { ask.two_trimmed() } else { ask };
    ask.reduced_by(reductions).system().unwrap()
}

#[test]
fn every_reachable_state_of_two_vcpus_is_unpacked_as_it_was_packed() {
    let unsorted = Reductions {
        sort_vcpus: false,
        ..Reductions::ALL
    };
    let system = two(false, Memory::Tso, unsorted);
    let mut states = 0;
    let check = |state: &State| {
        states += 1;
        assert_eq!(there_and_back(state, 2, 0), *state);
    };
    let found = walk(&system, check, |_, _, _| {});
    assert_eq!(states, found.states);
    // Nearly twice as many as with sorting: it is the order of two different vCPUs.
    assert!(states > 300_000, "{states}");
}

#[test]
fn every_reachable_state_beside_two_ioctls_is_unpacked_as_it_was_packed() {
    let threads = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"];
    let ask = Ask::claim().unwrap().before_finalize().threads(&threads);
    let states = reachable(&ask.reduced_by(Reductions::NONE).system().unwrap());
    assert!(states.len() > 5000);
    for state in states {
        assert_eq!(there_and_back(&state, 1, 2), state);
    }
}

#[test]
fn any_state_is_unpacked_as_it_was_packed() {
    for vcpus in [0, 1, 3, MAX_VCPUS] {
        let everywhere = std::array::from_fn(|_| any_control());
        let any = state(vcpus, shared(any_control(), everywhere), any_control());
        let kept = runner(2000).run(&any, |mut state| {
            prop_assert_eq!(there_and_back(&state, vcpus, MAX_THREADS), state);
            // Without ioctl threads there is no word for them.
            state.shared.threads = Default::default();
            state.shared.thread_stores = Default::default();
            prop_assert_eq!(there_and_back(&state, vcpus, 0), state);
            Ok(())
        });
        kept.unwrap();
    }
}

#[test]
fn two_states_that_differ_have_keys_that_differ() {
    let everywhere = || std::array::from_fn(|_| any_control());
    let any = || state(2, shared(any_control(), everywhere()), any_control());
    let key = |state: &State| {
        let mut key = [0; pack::words(2, 2)];
        pack(state, 2, 2, false, &mut key);
        key
    };
    // One from each half: two random states would differ in everything.
    let mixed = (any(), any()).prop_map(|(one, other)| {
        let vcpus = one.vcpus;
        let shared = State { vcpus, ..other };
        (one, other, shared)
    });
    let told_apart = runner(2000).run(&mixed, |(one, other, mixed)| {
        for pair in [(one, mixed), (other, mixed), (one, other)] {
            prop_assert_eq!(pair.0 == pair.1, key(&pair.0) == key(&pair.1));
        }
        Ok(())
    });
    told_apart.unwrap();
}

#[test]
fn a_key_of_three_vcpus_takes_32_bytes() {
    assert_eq!(pack::words(3, 0) * size_of::<u64>(), 32);
    assert_eq!(pack::words(3, 1), pack::words(3, 0) + 1);
    assert_eq!(pack::words(3, 2), pack::words(3, 1));
    assert_eq!(pack::words(MAX_VCPUS, 2), pack::MAX_WORDS);
}

#[test]
fn a_sorted_key_does_not_depend_on_the_order_of_vcpus() {
    let orders = Just([0, 1, 2]).prop_shuffle();
    let nobody = std::array::from_fn(|_| any_control());
    let any = state(3, shared(any_control(), nobody), any_control());
    let invariant = runner(4000).run(&(any, orders), |(state, order)| {
        let mut moved = state;
        for (to, from) in order.into_iter().enumerate() {
            moved.vcpus[to] = state.vcpus[from];
        }
        let sorted = |state: &State| {
            let mut key = [0; pack::words(3, 2)];
            pack(state, 3, 2, true, &mut key);
            key
        };
        prop_assert_eq!(sorted(&state), sorted(&moved));
        // And it stands for a state that has the same key again.
        prop_assert_eq!(sorted(&unpack(&sorted(&state), 3, 2)), sorted(&state));
        Ok(())
    });
    invariant.unwrap();
}

/// The keys of all successors, with their multiplicity.
fn successors(system: &System, state: &State) -> Vec<Key> {
    let mut keys = Vec::new();
    system.successors(state, |_, next| keys.push(key(system, &next)));
    keys.sort_unstable();
    keys
}

#[test]
fn successors_of_two_vcpus_do_not_depend_on_their_order() {
    for memory in [Memory::Sc, Memory::Tso] {
        let system = two(true, memory, Reductions::ALL);
        for state in reachable(&system) {
            let mut swapped = state;
            swapped.vcpus.swap(0, 1);
            assert_eq!(
                successors(&system, &state),
                successors(&system, &swapped),
                "{state:?}"
            );
        }
    }
}

#[test]
fn successors_of_three_vcpus_do_not_depend_on_their_order() {
    // A third vCPU is taken from another reachable state of two; that the three can not always be
    // together does not matter here.
    let pairs = reachable(&two(true, Memory::Tso, Reductions::ALL));
    let three = Ask::claim().unwrap().two_trimmed().vcpus(3);
    let system = three.memory(Memory::Tso).system().unwrap();
    for (index, state) in pairs.iter().enumerate().step_by(7) {
        let mut state = *state;
        state.vcpus[2] = pairs[(index * 31 + 17) % pairs.len()].vcpus[0];
        let keys = successors(&system, &state);
        for order in [[1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let mut moved = state;
            for (to, from) in order.into_iter().enumerate() {
                moved.vcpus[to] = state.vcpus[from];
            }
            assert_eq!(successors(&system, &moved), keys, "{order:?} of {state:?}");
        }
    }
}
