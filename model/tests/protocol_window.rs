//! Who enters while `wait_for_sept_zap` is up: a vCPU that was on its way in when it went up may,
//! once; a vCPU that has left stays out, and that is the flag's doing.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, Key, key};
use rustc_hash::FxHashSet;
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::labels::{Part, StepId, returned};
use seamcheck_model::system::{Agent, Reductions, System};

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

/// One vCPU in single steps: the test and the call that follows it are joined otherwise, and the
/// flag could not go up between them.
fn single_steps(module: &str) -> Ask {
    Ask::on(module).unwrap().reduced_by(Reductions::NONE)
}

/// Two vCPUs of a guest that accepts, 0-step included.
fn two_vcpus() -> Ask {
    let mut ask = Ask::claim().unwrap().vcpus(2);
    ask.scenario.attr = false;
    ask
}

/// Entries of vCPU 0 while the flag is up in memory.
#[derive(Debug, PartialEq, Eq)]
struct Entries {
    /// It has not returned from TDH.VP.ENTER since the flag went up.
    first: bool,
    /// It has.
    again: bool,
}

const NONE_AGAIN: Entries = Entries {
    first: true,
    again: false,
};

/// A search over states with one more bit: has vCPU 0 returned since the flag went up?
fn entries(ask: &Ask) -> Entries {
    let mut system = ask.system().unwrap();
    // vCPU 0 must stay the same one.
    system.reductions.sort_vcpus = false;
    let mut entries = Entries {
        first: false,
        again: false,
    };
    let start = (system.initial(), false);
    let mut seen: FxHashSet<(Key, bool)> = FxHashSet::default();
    seen.insert((key(&system, &start.0), start.1));
    let mut queue = vec![start];
    while let Some((before, has_left)) = queue.pop() {
        system.successors(&before, |event, after| {
            let mut left = has_left && after.shared.flag;
            let by_vcpu = event.agent == Agent::Vcpu(0) && after.shared.flag;
            for step in event.trail.iter().filter(|_| by_vcpu) {
                match of_enter(&system, *step) {
                    Some(returned::CALLED | returned::CALLED_UNTESTED) => {
                        *(if left {
                            &mut entries.again
                        } else {
                            &mut entries.first
                        }) = true;
                    }
                    Some(_) => left = true,
                    None => {}
                }
            }
            if seen.insert((key(&system, &after), left)) {
                queue.push((after, left));
            }
        });
    }
    entries
}

/// The outcome, if the step is the call of TDH.VP.ENTER or its return.
fn of_enter(system: &System, step: StepId) -> Option<u8> {
    let (part, line, outcome) = system.labels.parts(step);
    if part != Part::Vcpu {
        return None;
    }
    let instr = system.vcpu[usize::from(line)].instr;
    let enters = matches!(instr, Instr::Call { leaf, .. } if leaf == system.enter_leaf());
    enters.then_some(outcome)
}

#[test]
fn without_the_flag_test_a_vcpu_that_has_left_enters_again_during_the_retry() {
    for memory in BOTH {
        let ask = single_steps("1.5.05").memory(memory);
        let absent = entries(&ask.with("vcpu_flag_test", "absent"));
        assert!(absent.first && absent.again, "{memory:?}");
    }
}

#[test]
fn with_the_flag_test_a_vcpu_that_has_left_stays_out_during_the_retry() {
    for memory in BOTH {
        for module in ["1.5.05", "2.0.12", "patch-table"] {
            for kernel in ["6.16", "patch-v1"] {
                let ask = single_steps(module).memory(memory).kernel(kernel);
                assert_eq!(entries(&ask), NONE_AGAIN, "{module} {kernel} {memory:?}");
            }
        }
    }
}

#[test]
fn a_second_vcpu_does_not_let_the_first_in_again() {
    for kernel in ["6.16", "patch-v1"] {
        let ask = two_vcpus().memory(Memory::Tso).kernel(kernel);
        assert!(!entries(&ask).again, "{kernel}");
    }
}

#[test]
fn a_mutant_that_tests_the_flag_too_early_lets_a_vcpu_in_late_but_not_again() {
    // They break the claim all the same: by a first entry that the kick has passed already.
    for (decision, value) in [
        ("vcpu_flag_test", "before-mode-store"),
        ("vcpu_flag_test", "before-irq-disable"),
        ("vcpu_barrier", "absent"),
    ] {
        let ask = single_steps("1.5.05").memory(Memory::Tso);
        assert_eq!(entries(&ask.with(decision, value)), NONE_AGAIN, "{value}");
    }
}

#[test]
fn tested_on_the_first_lap_only_a_vcpu_turned_back_by_busy_enters_again() {
    // M11 needs a BUSY whose holder is BUSY in turn: vCPU 0 meets BLOCK on the tree, and BLOCK the
    // other vCPU's guest on the entry. With one vCPU there is no such pair.
    let first_lap = |ask: Ask| {
        ask.kernel("patch-v1")
            .with("vcpu_flag_test", "first-lap-only")
    };
    assert_eq!(entries(&first_lap(single_steps("1.5.05"))), NONE_AGAIN);
    let two = first_lap(two_vcpus());
    assert!(entries(&two).again);
    // The claim holds nevertheless, as the suite says: such a vCPU has not been kicked yet.
    assert!(
        !two.search()
            .unwrap()
            .broken
            .contains(&Property::NoSecondBusy)
    );
}
