//! The proof for every number of vCPUs: held against concrete states, and seen to fail.

mod common;

use common::{run, runs};
use seamcheck::engine::{Limits, Watch};
use seamcheck::prove::answer::{self, Answer, Unproved};
use seamcheck::prove::recheck::{Flaw, recheck};
use seamcheck::prove::views::{View, Views};
use seamcheck::suite::{Form, Run};
use seamcheck::verdict::Expected;
use seamcheck_model::kernel::decisions::Kick;
use seamcheck_model::property::{Property, PropertySet};
use seamcheck_model::system::{Reductions, State, System, pack};
use std::collections::HashSet;

const CLAIM: PropertySet = Property::NoSecondBusy.bit();

fn views(name: &str) -> (System, Views) {
    let question = run(name).question().expect("a question");
    let system = answer::system(&question).expect("a system");
    let proof = answer::prove(&system, CLAIM, Limits::default(), &Watch::default());
    (system, proof.expect("a proof").views)
}

fn of_size(run: &Run, vcpus: usize) -> System {
    let mut question = run.question().expect("a question");
    question.scenario.vcpus = vcpus;
    question.system(Reductions::ALL).expect("a system")
}

fn all_seen(system: &System, state: &State, views: &Views) -> bool {
    let vcpus = &state.vcpus[..system.scenario.vcpus];
    vcpus
        .iter()
        .all(|vcpu| views.contains(View::of(&state.shared, vcpu)))
}

/// Every view but those at the given places, counted over all.
fn without(views: &Views, drop: impl Fn(usize) -> bool) -> Views {
    let (mut left, mut at) = (Views::default(), 0);
    for shared in views.shareds() {
        for vcpu in views.words(shared) {
            if !drop(at) {
                left.insert(View { shared, vcpu });
            }
            at += 1;
        }
    }
    left
}

#[test]
fn every_reachable_state_of_one_and_two_vcpus_is_seen_in_the_views() {
    for name in ["6.16-1.5.05-1vcpu/tso", "6.16-1.5.05-1vcpu/sc"] {
        for (vcpus, states) in [(1, 2_000), (2, 175_000)] {
            assert!(reachable_and_seen(name, vcpus) > states);
        }
    }
}

#[test]
fn every_reachable_state_of_three_vcpus_is_seen_in_the_views() {
    assert_eq!(reachable_and_seen("6.16-3vcpu/tso", 3), 1_219_077);
}

#[test]
#[ignore = "ten million states, a minute and a gigabyte: `just nightly`"]
fn every_reachable_state_of_three_vcpus_with_0_step_is_seen_in_the_views() {
    assert_eq!(reachable_and_seen("6.16-1.5.05-1vcpu/tso", 3), 10_544_278);
}

/// Walks through every state of so many vCPUs; how many there are.
fn reachable_and_seen(name: &str, vcpus: usize) -> usize {
    let (_, views) = views(name);
    let system = of_size(&run(name), vcpus);
    let key = |state: &State| {
        let mut key = [0_u64; 4];
        pack::pack(state, vcpus, 0, true, &mut key[..=vcpus]);
        key
    };
    let start = system.initial();
    let (mut seen, mut queue) = (HashSet::from([key(&start)]), vec![start]);
    while let Some(state) = queue.pop() {
        assert!(all_seen(&system, &state, &views), "{state:?}");
        system.successors(&state, |_, next| {
            if seen.insert(key(&next)) {
                queue.push(next);
            }
        });
    }
    seen.len()
}

#[test]
fn random_walks_of_four_to_eight_vcpus_stay_inside_the_views() {
    let name = "6.16-1.5.05-1vcpu/tso";
    let (_, views) = views(name);
    // xorshift64: the same walks on every machine.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for vcpus in 4..=8 {
        let system = of_size(&run(name), vcpus);
        let mut state = system.initial();
        for _ in 0..200_000 {
            let mut next = Vec::new();
            system.successors(&state, |_, after| next.push(after));
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            state = match next.len() {
                0 => system.initial(),
                choices => next[(random % choices as u64) as usize],
            };
            assert!(all_seen(&system, &state, &views), "{state:?}");
        }
    }
}

#[test]
fn a_set_that_lacks_any_one_view_is_refused() {
    let (system, views) = views("6.16-3vcpu/tso");
    let every = 37;
    for missing in (0..views.len() as usize).step_by(every) {
        let damaged = without(&views, |at| at == missing);
        let refused = recheck(&system, &damaged, CLAIM);
        let is_refused = matches!(refused, Err(Flaw::Open { .. } | Flaw::NoStart));
        assert!(is_refused, "without view {missing}: {refused:?}");
    }
    assert!(recheck(&system, &views, CLAIM).is_ok());
}

#[test]
fn views_of_a_kernel_that_keeps_the_claim_prove_nothing_about_one_that_breaks_it() {
    let (system, views) = views("6.16-1.5.05-1vcpu/tso");
    let mut question = run("6.16-1.5.05-1vcpu/tso").question().expect("a question");
    question.decisions.kick = Kick::None;
    let broken = answer::system(&question).expect("a system");
    assert!(matches!(
        recheck(&broken, &views, CLAIM),
        Err(Flaw::Open { .. } | Flaw::Stranger { .. })
    ));
    assert!(recheck(&system, &views, CLAIM).is_ok());
}

#[test]
fn a_closed_set_that_contains_the_bad_is_refused_for_what_it_breaks() {
    // The views of M02 are closed; they do not break I3, and do break the claim.
    let question = run("M02/tso").question().expect("a question");
    let system = answer::system(&question).expect("a system");
    let flag = Property::FlagUnderMmuLock;
    let proof = answer::prove(&system, flag.bit(), Limits::default(), &Watch::default());
    let views = proof.expect("a proof").views;
    assert!(recheck(&system, &views, flag.bit()).is_ok());
    assert!(matches!(
        recheck(&system, &views, CLAIM),
        Err(Flaw::Bad {
            property: Property::NoSecondBusy,
            ..
        })
    ));
}

#[test]
fn what_the_suite_expects_to_break_has_no_proof() {
    let mut met = 0;
    for run in runs() {
        let small = run.states.is_some_and(|states| states < 4000) && run.scenario.pages == 1;
        let safety = run
            .expect
            .iter()
            .find(|(property, _)| !property.is_liveness());
        let Some((property, expected)) = safety else {
            continue;
        };
        if run.form != Form::Packed || !small || !matches!(expected, Expected::Violated(_)) {
            continue;
        }
        let question = run.question().expect("a question");
        let system = answer::system(&question).expect("a system");
        let proof = answer::prove(
            &system,
            property.bit(),
            Limits::default(),
            &Watch::default(),
        );
        // A store buffer that overflows cuts the proof short, which is none either.
        let refused = matches!(proof, Err(Unproved::Bad(_) | Unproved::Cut(_)));
        assert!(refused, "{}", run.name);
        met += 1;
    }
    assert!(met > 30, "{met}");
}

#[test]
fn whatever_the_suite_expects_to_hold_is_proved_in_some_row_of_it() {
    // The same question with more vCPUs, or too large for a suite that people wait for.
    let elsewhere = |run: &Run| {
        run.scenario.vcpus != 1
            || [
                "6.16-2pages",
                "epoch-empty-broken",
                "two-zappers-two-inodes",
                // True of one vCPU only: hp-timeout-M37-2vcpu.
                "hp-timeout-M37",
            ]
            .contains(&&*run.check)
    };
    for run in runs() {
        let holds = run
            .expect
            .iter()
            .any(|(property, expected)| !property.is_liveness() && *expected == Expected::Holds);
        if run.form == Form::Packed && holds && run.views.is_none() {
            assert!(elsewhere(&run), "{} holds and is not proved", run.name);
        }
    }
}

#[test]
fn a_question_for_every_number_is_answered_with_the_smallest_that_breaks_it() {
    let ask = |name: &str| {
        let run = run(name);
        let question = run.question().expect("a question");
        let limits = Limits::default();
        answer::answer(&question, run.expect[0].0, limits, &Watch::default()).expect("an answer")
    };
    let smallest = |answer: Answer| match answer {
        Answer::Violated(found) => found.question.scenario.vcpus,
        other => panic!("{other:?}"),
    };
    assert_eq!(smallest(ask("M06/tso")), 1);
    assert_eq!(smallest(ask("claim-init-vcpu/tso")), 0);
    assert!(matches!(ask("claim/tso"), Answer::Holds(_)));
    assert!(matches!(ask("M23/tso"), Answer::Vacuous));
}
