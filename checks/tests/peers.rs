//! The packed model against its twin in Promela, written by hand: as many states, exactly.

#[path = "../peers/spin.rs"]
mod spin;

mod common;

use common::{scratch, search};
use seamcheck::question::{Question, Source};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::{Reductions, System};

/// The twin's scenario, without any reduction.
fn unreduced(vcpus: usize, zero_step: bool, changes: &[(&str, &str)]) -> System {
    let scenario = Scenario {
        vcpus,
        memory: Memory::Sc,
        zero_step,
        attr: false,
        ..Scenario::default()
    };
    let source = |found: Result<Source, _>| found.expect("a built-in version");
    let changes = changes
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let question = Question::new(
        source(Source::module("1.5.05")),
        source(Source::kernel("6.16")),
        changes.collect(),
        scenario,
    );
    let question = question.expect("well-formed");
    question.system(Reductions::NONE).expect("it fits")
}

/// The twin's search, unless what it takes is not here.
fn twin(name: &str, vcpus: usize, defines: &[&str]) -> Option<spin::Found> {
    if let Some(missing) = spin::missing() {
        eprintln!("{name} is skipped: {missing}");
        return None;
    }
    let mode = spin::Mode::SameStates;
    let found = spin::search(&scratch(name), vcpus, defines, mode, 4096, 300);
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    assert!(found.complete || found.errors > 0, "{found:?}");
    Some(found)
}

#[test]
fn one_vcpu_has_as_many_states_in_promela() {
    for (zero_step, defines, states) in [(false, &[][..], 39_837), (true, &["ZERO_STEP"], 54_833)] {
        let ours = search(&unreduced(1, zero_step, &[]));
        assert_eq!((ours.states, ours.complete), (states, true));
        if let Some(theirs) = twin("twin-of-one", 1, defines) {
            assert_eq!((theirs.states, theirs.errors), (states, 0));
        }
    }
}

#[test]
fn without_the_flag_test_both_find_the_second_busy() {
    let ours = search(&unreduced(1, false, &[("vcpu_flag_test", "absent")]));
    assert!(ours.violation(Property::NoSecondBusy).is_some());
    if let Some(theirs) = twin("twin-without-flag", 1, &["NO_FLAG"]) {
        assert_eq!(theirs.errors, 1);
    }
}

/// 19 352 399 states: half a minute for each of the two. `just peers` runs it.
#[test]
#[ignore = "takes a minute; `just peers` and the nightly profile run it"]
fn two_vcpus_have_as_many_states_in_promela() {
    let ours = search(&unreduced(2, false, &[]));
    assert_eq!((ours.states, ours.complete), (19_352_399, true));
    if let Some(theirs) = twin("twin-of-two", 2, &[]) {
        assert_eq!((theirs.states, theirs.errors), (19_352_399, 0));
    }
}
