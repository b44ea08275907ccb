//! HP_LOCK_TIMEOUT: when it may run out, and that nothing else changes.

#![allow(clippy::unwrap_used)]

mod common;

use common::same::same;
use common::{Ask, walk};
use seamcheck_model::module::OpKind;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::status::OPERAND_BUSY_HOST_PRIORITY;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{Agent, Event, Reductions, State, System};

fn timed(memory: Memory) -> Ask {
    let mut ask = Ask::claim().unwrap().memory(memory);
    ask.scenario.host_priority_timeout = true;
    ask
}

/// Where a TDCALL's refusal ends the guest in this event: what the vCPU was before.
fn ends_guest(system: &System, before: &State, event: &Event) -> Option<(bool, bool)> {
    let ends = event.trail.iter().any(|step| {
        let (part, line, outcome) = system.labels.parts(*step);
        let returns = || system.code.ops[usize::from(line)].kind == OpKind::Return;
        part == Part::Module && outcome == 1 && returns()
    });
    let Agent::Vcpu(index) = event.agent else {
        return None;
    };
    let vcpu = before.vcpus[usize::from(index)];
    let status = system.code.statuses[usize::from(vcpu.control.status)];
    let refused = status.code() == OPERAND_BUSY_HOST_PRIORITY;
    ends.then_some((vcpu.hp_lock_busy, refused))
}

#[test]
fn only_a_second_refusal_ends_the_guest() {
    for memory in [Memory::Sc, Memory::Tso] {
        let system = timed(memory).system().unwrap();
        let mut ends = 0;
        let found = walk(
            &system,
            |_| {},
            |before, event, after| {
                if let Some(why) = ends_guest(&system, before, event) {
                    assert_eq!(why, (true, true));
                    assert!(!after.vcpus[0].hp_lock_busy);
                    ends += 1;
                }
            },
        );
        assert!(ends > 0);
        assert!(found.broken.contains(&Property::NoInternalError));
    }
}

#[test]
fn a_result_that_is_no_refusal_starts_over() {
    let system = timed(Memory::Sc).system().unwrap();
    let (mut set, mut reset) = (false, false);
    walk(
        &system,
        |_| {},
        |before, _, after| {
            let (before, after) = (&before.vcpus[0], &after.vcpus[0]);
            set |= !before.hp_lock_busy && after.hp_lock_busy;
            let is_tdcall = before.control.op != 0
                && system.code.leaves
                    [usize::from(system.code.ops[usize::from(before.control.op)].leaf.0)]
                .is_tdcall;
            // Nothing but a TDCALL that returns touches it.
            assert!(before.hp_lock_busy == after.hp_lock_busy || is_tdcall);
            reset |= before.hp_lock_busy && !after.hp_lock_busy;
        },
    );
    assert!(set && reset);
}

#[test]
fn the_timer_is_the_same_without_any_reduction() {
    for memory in [Memory::Sc, Memory::Tso] {
        let mut ask = timed(memory);
        (ask.scenario.attr, ask.scenario.zero_step) = (false, false);
        assert!(
            same(&ask, Reductions::NONE)
                .broken
                .contains(&Property::NoInternalError)
        );
        let broken = same(&ask.with("on_busy", "give-up"), Reductions::NONE).broken;
        assert!(broken.contains(&Property::NoMarkLeft));
    }
}
