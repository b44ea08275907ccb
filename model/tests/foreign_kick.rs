//! Somebody else kicks vCPUs, too (`foreign_kick`): what it adds to the model, what it leaves alone, and
//! that no reduction loses any of it.

#![allow(clippy::unwrap_used)]

mod common;

use common::same::{ONE_LEFT_OUT, same};
use common::{Ask, Found};
use seamcheck_model::kvm::instr::{Instr, KickStep};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::labels::{Environment, Part, StepId};
use seamcheck_model::system::state::{KickPhase, VcpuMode};
use seamcheck_model::system::{Event, Reductions, State, System};
use std::collections::BTreeSet;

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];
const IN_GUEST_ONLY: &str = "request-wait-in-guest-only";

fn alone() -> Ask {
    Ask::claim().unwrap()
}

fn kicked() -> Ask {
    let mut ask = alone();
    ask.scenario.foreign_kick = true;
    ask
}

/// The outcomes of every Visit: what kicks found, and what they did.
fn visits(ask: &Ask) -> BTreeSet<u8> {
    let (system, found) = (ask.system().unwrap(), ask.search().unwrap());
    let outcome = |step: &StepId| {
        let (part, line, outcome) = system.labels.parts(*step);
        let visit = Instr::Kick {
            step: KickStep::Visit,
        };
        let visits = part == Part::Zapper && system.zap[usize::from(line)].instr == visit;
        // 4 is the end of the walk.
        (visits && outcome != 4).then_some(outcome)
    };
    found.fired.iter().filter_map(outcome).collect()
}

fn breaks_the_claim(found: &Found) -> bool {
    found.broken.contains(&Property::NoSecondBusy)
}

#[test]
fn a_vcpu_in_exiting_guest_mode_is_found_only_where_somebody_else_kicks() {
    for memory in BOTH {
        let found = |ask: Ask| visits(&ask.memory(memory));
        assert_eq!(found(alone()), BTreeSet::from([0, 1]));
        assert_eq!(found(kicked()), BTreeSet::from([0, 1, 2]));
        let skips = kicked().with("kick", IN_GUEST_ONLY);
        assert_eq!(found(skips), BTreeSet::from([0, 1, 3]));
    }
}

#[test]
fn a_vcpu_that_is_found_exiting_is_waited_for_with_the_request_and_not_without() {
    let phases = |ask: Ask| -> BTreeSet<String> {
        let system = ask.system().unwrap();
        let mut after_visit = BTreeSet::new();
        let cross = |before: &State, event: &Event, after: &State| {
            let target = event.target.map(usize::from);
            let Some(index) = target.filter(|index| {
                let phase = before.vcpus[*index].kick;
                phase == KickPhase::Unvisited && before.vcpus[*index].mode == VcpuMode::Exiting
            }) else {
                return;
            };
            after_visit.insert(format!("{:?}", after.vcpus[index].kick));
        };
        common::walk(&system, |_| {}, cross);
        after_visit
    };
    let one = |phase: &str| BTreeSet::from([phase.to_owned()]);
    assert_eq!(phases(kicked().two_trimmed()), one("Queued"));
    // With one vCPU the walk, and with it the kick, may be over in the same transition.
    let skips = phases(kicked().two_trimmed().with("kick", IN_GUEST_ONLY));
    assert!(!skips.contains("Queued") && !skips.is_empty(), "{skips:?}");
}

#[test]
fn an_ipi_only_in_guest_mode_breaks_the_claim_only_where_somebody_else_kicks() {
    for memory in BOTH {
        let mutant = |ask: Ask| ask.with("kick", IN_GUEST_ONLY).memory(memory).search();
        assert!(!breaks_the_claim(&mutant(alone()).unwrap()));
        assert!(breaks_the_claim(&mutant(kicked()).unwrap()));
    }
}

#[test]
fn where_only_the_zapper_kicks_an_ipi_only_in_guest_mode_changes_no_state() {
    for memory in BOTH {
        let states = |ask: Ask| ask.memory(memory).search().unwrap().states;
        let mutant = alone().with("kick", IN_GUEST_ONLY);
        assert_eq!(states(alone()), states(mutant));
    }
}

#[test]
fn somebody_elses_kick_changes_one_mode_and_nothing_else() {
    for memory in BOTH {
        let plain = kicked().two_trimmed().memory(memory);
        let system = plain
            .reduced_by(Reductions::NONE)
            .vcpus(1)
            .system()
            .unwrap();
        let mut kicks = 0;
        let cross = |before: &State, event: &Event, after: &State| {
            if !is_foreign(&system, event) {
                return;
            }
            kicks += 1;
            assert_eq!(before.vcpus[0].mode, VcpuMode::InGuest);
            let mut wanted = *before;
            wanted.vcpus[0].mode = VcpuMode::Exiting;
            assert_eq!(*after, wanted);
        };
        common::walk(&system, |_| {}, cross);
        assert!(kicks > 100, "{kicks}");
    }
}

fn is_foreign(system: &System, event: &Event) -> bool {
    let (part, line, _) = system.labels.parts(event.trail[0]);
    part == Part::Environment && line == Environment::ForeignKick as u8
}

#[test]
fn nobody_else_kicks_unless_asked_to() {
    for memory in BOTH {
        let system = alone().memory(memory).system().unwrap();
        let cross = |_: &State, event: &Event, _: &State| assert!(!is_foreign(&system, event));
        common::walk(&system, |_| {}, cross);
    }
}

#[test]
fn kicks_by_others_are_the_same_without_any_reduction() {
    for memory in BOTH {
        let seen = same(&kicked().memory(memory), Reductions::NONE);
        assert_eq!(seen.broken, BTreeSet::new());
        let text = "a kick found a vCPU in EXITING_GUEST_MODE already";
        assert!(seen.witnesses.contains(text), "{:?}", seen.witnesses);
    }
}

#[test]
fn the_patchs_own_kernel_beside_kicks_by_others_is_the_same_without_any_reduction() {
    let ask = kicked().kernel("patch-v1").memory(Memory::Tso);
    assert_eq!(same(&ask, Reductions::NONE).broken, BTreeSet::new());
}

#[test]
fn mutants_beside_kicks_by_others_are_the_same_without_any_reduction() {
    let mutants = [
        ("kick", IN_GUEST_ONLY, [true, true]),
        ("kick", "request-no-wait", [true, true]),
        ("kick", "vcpu-kick", [true, true]),
        ("kick_mode_read", "plain-load", [false, true]),
        ("vcpu_barrier", "absent", [false, true]),
        ("vp_enter_busy", "reenter-guest", [false, false]),
        ("mode_outside", "before-vp-enter", [true, true]),
        ("irq_disable", "after-flag-test", [true, true]),
    ];
    for (decision, value, breaks) in mutants {
        for (memory, wanted) in BOTH.into_iter().zip(breaks) {
            let ask = kicked().with(decision, value).memory(memory);
            let seen = same(&ask, Reductions::NONE);
            let broken = seen.broken.contains(&Property::NoSecondBusy);
            assert_eq!(broken, wanted, "{decision} = {value} {memory:?}");
        }
    }
}

#[test]
fn two_vcpus_beside_kicks_by_others_are_the_same_with_each_reduction_left_out() {
    let ask = kicked().two_trimmed().memory(Memory::Tso);
    for fewer in ONE_LEFT_OUT {
        assert_eq!(same(&ask, fewer).broken, BTreeSet::new(), "{fewer:?}");
    }
}
