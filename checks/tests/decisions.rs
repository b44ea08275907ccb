//! Every decision of the protocol, in every combination: it assembles, and it makes a difference.

mod common;

use common::{runs, search};
use seamcheck::engine::Cut;
use seamcheck::question::{Question, Source};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::kvm::Program;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::{Reductions, System};

/// What the zapper's program depends on, and what the vCPU's does.
const ZAPPER: [&str; 6] = [
    "flag_raise",
    "flag_clear",
    "kick",
    "kick_mode_read",
    "on_busy",
    "track_kick",
];
const VCPU: [&str; 8] = [
    "vcpu_flag_test",
    "vcpu_barrier",
    "mode_outside",
    "irq_disable",
    "exit_request",
    "flag_return",
    "vp_enter_busy",
    "exit_reason_on_flag",
];
/// A kick whose lines are 6.16's: it decides what a mode that a line has read means.
const IN_GUEST_ONLY: &str = "request-wait-in-guest-only";
/// What no program depends on: it decides what a status means.
const PREDICATE: &str = "busy_predicate";

fn upstream(scenario: Scenario) -> Question {
    let module = Source::module("1.5.05").expect("built in");
    let kernel = Source::kernel("6.16").expect("built in");
    Question::new(module, kernel, Vec::new(), scenario).expect("well-formed")
}

fn with(question: &Question, changes: &[(&str, &str)]) -> Question {
    let mut question = question.clone();
    for (name, value) in changes {
        let set = question.decisions.set(name, value);
        set.unwrap_or_else(|error| panic!("{name}={value}: {error}"));
    }
    question
}

fn system(question: &Question) -> System {
    let system = question.system(Reductions::ALL);
    system.unwrap_or_else(|error| panic!("{:?}: {error}", question.decisions))
}

fn values(name: &str) -> impl Iterator<Item = &'static str> + use<> {
    Decisions::values(name).into_iter().map(|(value, _)| value)
}

/// Every combination of the values of `names`.
fn combinations(names: &[&'static str]) -> Vec<Vec<(&'static str, &'static str)>> {
    names.iter().fold(vec![Vec::new()], |all, name| {
        let longer = |set: &Vec<_>| {
            let set = set.clone();
            values(name).map(move |value| [&set[..], &[(*name, value)]].concat())
        };
        all.iter().flat_map(longer).collect()
    })
}

/// Every two values of two different decisions.
fn pairs() -> Vec<Vec<(&'static str, &'static str)>> {
    let names = Decisions::NAMES;
    let two = |index: usize| {
        names[index + 1..]
            .iter()
            .map(move |two| [names[index], two])
    };
    let all = (0..names.len()).flat_map(two);
    all.flat_map(|two| combinations(&two)).collect()
}

fn text(program: &Program) -> String {
    format!("{program:#?}")
}

#[test]
fn every_value_shapes_one_program_and_only_that() {
    let mut all = [&ZAPPER[..], &VCPU, &[PREDICATE]].concat();
    let mut names = Decisions::NAMES.to_vec();
    all.sort_unstable();
    names.sort_unstable();
    assert_eq!(all, names);
    let upstream = upstream(Scenario::default());
    for name in names {
        let others = values(name).filter(|value| upstream.decisions.get(name) != Some(*value));
        for value in others.filter(|value| *value != IN_GUEST_ONLY) {
            // On the first lap only: the same where there is no second one, as in 6.16 (M11).
            let laps: &[_] = match value {
                "first-lap-only" => &[("vp_enter_busy", "reenter-guest")],
                _ => &[],
            };
            let before = system(&with(&upstream, laps));
            let after = system(&with(&upstream, &[laps, &[(name, value)]].concat()));
            let zapper = text(&after.zap) != text(&before.zap);
            let vcpu = text(&after.vcpu) != text(&before.vcpu);
            let wanted = (ZAPPER.contains(&name), VCPU.contains(&name));
            assert_eq!((zapper, vcpu), wanted, "{name}={value}");
        }
    }
    let first = system(&with(&upstream, &[("vcpu_flag_test", "first-lap-only")]));
    assert_eq!(text(&first.vcpu), text(&system(&upstream).vcpu));
}

#[test]
fn an_ipi_only_in_guest_mode_has_the_lines_of_upstream_and_other_states() {
    let kicked = upstream(Scenario {
        foreign_kick: true,
        ..Scenario::default()
    });
    let before = system(&kicked);
    let after = system(&with(&kicked, &[("kick", IN_GUEST_ONLY)]));
    assert_eq!(text(&after.zap), text(&before.zap));
    assert_eq!(text(&after.vcpu), text(&before.vcpu));
    let breaks = |system: &System| search(system).violations.len();
    assert!(breaks(&before) == 0 && breaks(&after) > 0);
}

#[test]
fn every_combination_assembles() {
    // The two programs are independent (see above), so that each needs its own only.
    let upstream = upstream(Scenario::default());
    let all = [combinations(&ZAPPER), combinations(&VCPU), pairs()];
    assert_eq!(all.each_ref().map(Vec::len), [2250, 2560, 1247]);
    for changes in all.iter().flatten() {
        let system = system(&with(&upstream, changes));
        let lines = system.zap.len().max(system.vcpu.len());
        assert!(lines > 10, "{changes:?}");
    }
}

fn every_pair_is_searched(memory: Memory, cut: fn(&[(&str, &str)]) -> Option<Cut>) {
    let upstream = upstream(Scenario {
        memory,
        ..Scenario::default()
    });
    for changes in pairs() {
        let report = search(&system(&with(&upstream, &changes)));
        assert_eq!(report.cut, cut(&changes), "{changes:?}");
        assert_eq!(report.complete, report.cut.is_none(), "{changes:?}");
        assert!(report.states > 500, "{changes:?}: {} states", report.states);
    }
}

#[test]
fn every_two_values_are_searched_to_their_end_under_sc() {
    every_pair_is_searched(Memory::Sc, |_| None);
}

#[test]
fn every_two_values_are_searched_to_their_end_under_tso_unless_stores_pile_up() {
    every_pair_is_searched(Memory::Tso, |changes| {
        // Without any barrier in its loop a vCPU that is turned back again and again never drains.
        let piles_up = changes.contains(&("vcpu_barrier", "light-srcu"));
        piles_up.then_some(Cut::StoreBuffer)
    });
}

#[test]
fn every_value_is_asked_about_in_the_suite() {
    for name in Decisions::NAMES {
        for value in values(name) {
            let asks = |run: seamcheck::suite::Run| {
                let question = run.question().expect("the suite asks only what exists");
                question.decisions.get(name) == Some(value)
            };
            assert!(runs().into_iter().any(asks), "{name}={value}");
        }
    }
}

/// What a search says, as far as a predicate can change it.
fn found(question: &Question) -> (u64, Vec<(Property, u64)>) {
    let report = search(&system(question));
    let violations = report.violations.iter();
    let broken = violations.map(|violation| (violation.property, violation.length()));
    (report.states, broken.collect())
}

#[test]
fn every_predicate_makes_a_difference_somewhere() {
    let plain = upstream(Scenario::default());
    let premap = upstream(Scenario {
        finalized: false,
        threads: vec!["KVM_TDX_INIT_MEM_REGION".into(), "KVM_TDX_INIT_VCPU".into()],
        ..Scenario::default()
    });
    let late = with(
        &upstream(Scenario {
            pages: 2,
            ..Scenario::default()
        }),
        &[("track_kick", "absent"), ("on_busy", "give-up")],
    );
    for (value, question) in [
        // Every error of TDX's has the bits of BUSY: a premap error too.
        ("bit-test", &premap),
        ("sept-busy", &plain),
        ("unmasked", &plain),
        // It takes a vCPU that is left in the previous epoch.
        ("masked-or-epoch-busy", &late),
    ] {
        assert_eq!(question.decisions.get(PREDICATE), Some("masked"));
        let other = with(question, &[(PREDICATE, value)]);
        assert_ne!(found(question), found(&other), "{value}");
    }
}
