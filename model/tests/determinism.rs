//! An event says everything: no two transitions of a state have the same one, and taking it again
//! leads to the same state.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, walk};
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::{Event, Reductions, State};

/// Checks every transition of a search, and gives the number of transitions.
#[track_caller]
fn unambiguous(ask: &Ask) -> usize {
    let system = ask.system().unwrap();
    let mut transitions = 0;
    let visit = |state: &State| {
        let mut all: Vec<(Event, State)> = Vec::new();
        system.successors(state, |event, next| all.push((event, next)));
        for (index, (event, next)) in all.iter().enumerate() {
            let twin = all[..index].iter().find(|(known, _)| known == event);
            assert!(twin.is_none(), "twice {:?} in {state:?}", &event.trail[..]);
            let again = system.step(state, event);
            assert!(again == Some(*next), "{:?} in {state:?}", &event.trail[..]);
        }
        transitions += all.len();
    };
    walk(&system, visit, |_, _, _| {});
    transitions
}

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

fn claim() -> Ask {
    Ask::claim().unwrap()
}

#[test]
fn one_vcpu_has_no_ambiguous_event_on_any_module() {
    for memory in BOTH {
        for module in ["1.5.05", "2.0.12", "patch-table"] {
            let ask = Ask::on(module).unwrap().memory(memory);
            assert!(unambiguous(&ask) > 4000);
        }
    }
}

#[test]
fn single_steps_of_a_guest_with_one_tdcall_are_unambiguous_too() {
    for memory in BOTH {
        let mut ask = claim().memory(memory).reduced_by(Reductions::NONE);
        ask.scenario.attr = false;
        assert!(unambiguous(&ask) > 100_000);
        ask.scenario.pages = 2;
        ask.scenario.zero_step = false;
        assert!(unambiguous(&ask) > 100_000);
    }
}

#[test]
fn single_steps_of_a_guest_with_several_tdcalls_are_unambiguous_too() {
    assert!(unambiguous(&claim().reduced_by(Reductions::NONE)) > 100_000);
}

#[test]
fn two_vcpus_have_no_ambiguous_event() {
    for memory in BOTH {
        let ask = claim().two_trimmed().memory(memory);
        assert!(unambiguous(&ask) > 100_000);
    }
}

#[test]
fn a_choice_tells_two_pages_apart() {
    let mut ask = claim();
    ask.scenario.pages = 2;
    assert!(unambiguous(&ask) > 40_000);
}

#[test]
fn a_tracked_exit_reason_makes_no_event_ambiguous() {
    let mut ask = claim().memory(Memory::Tso);
    ask.scenario.exit_reason = true;
    assert!(unambiguous(&ask) > 4000);
}

#[test]
fn ioctl_threads_have_no_ambiguous_event() {
    let early = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"];
    let twice = ["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU"];
    for threads in [early, twice] {
        let mut ask = claim().before_finalize().threads(&threads);
        ask.scenario.pages = 2;
        assert!(unambiguous(&ask) > 100);
    }
    for thread in ["host-debug-read", "any-tdr-exclusive"] {
        assert!(unambiguous(&claim().threads(&[thread])) > 50_000);
    }
}

#[test]
fn an_event_of_another_state_is_refused_or_leads_where_it_leads_there() {
    // Replay rests on it: an event that does not fit is `None`, never something near it.
    let system = claim().system().unwrap();
    let mut events: Vec<Event> = Vec::new();
    system.successors(&system.initial(), |event, _| events.push(event));
    let (mut fits, mut refused) = (0, 0);
    let visit = |state: &State| {
        let mut possible: Vec<(Event, State)> = Vec::new();
        system.successors(state, |event, next| possible.push((event, next)));
        for event in &events {
            let found = possible.iter().find(|(known, _)| known == event);
            assert_eq!(system.step(state, event), found.map(|(_, next)| *next));
            *(if found.is_some() {
                &mut fits
            } else {
                &mut refused
            }) += 1;
        }
    };
    walk(&system, visit, |_, _, _| {});
    assert!(fits > 0 && refused > 0, "{fits} {refused}");
}
