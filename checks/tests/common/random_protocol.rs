//! Random questions: a built-in profile and table, a few decisions and rows changed, some scenario.

// Each test file uses its own part of this one.
#![allow(dead_code)]

#[path = "random_table.rs"]
mod random_table;
#[path = "rounds.rs"]
mod rounds;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use random_table::{TableChange, changed, changes};
use rounds::rounds;
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Report, Watch};
use seamcheck::question::{Question, QuestionError, Source};
use seamcheck_model::builtin;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::System;
use std::cell::Cell;
use std::fmt::Debug;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    module: &'static str,
    kernel: &'static str,
    set: Vec<(String, String)>,
    table: Vec<TableChange>,
    scenario: Scenario,
}

impl Asked {
    /// A table that is changed at random may be refused; it must be refused with a message.
    pub(crate) fn question(&self) -> Result<Question, QuestionError> {
        let (name, text) = named(builtin::MODULES, self.module);
        let text = changed(text, &self.table);
        let module = Source::own(&format!("{name}.toml"), &text)?;
        let kernel = Source::kernel(self.kernel)?;
        Question::new(module, kernel, self.set.clone(), self.scenario.clone())
    }
}

/// Tries `cases` random values of `of`, the same ones every time, and others after them if that is
/// wanted; `check` says whether a case was of the size it needs.
pub(crate) fn each<S: Strategy>(cases: u32, of: &S, check: impl Fn(S::Value) -> Option<()>)
where
    S::Value: Debug,
{
    for round in rounds() {
        let config = Config {
            cases,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(20250113 + round),
            max_shrink_iters: 64,
            ..Config::default()
        };
        let used = Cell::new(0);
        let run = TestRunner::new(config).run(of, |asked| {
            used.set(used.get() + u32::from(check(asked).is_some()));
            Ok(())
        });
        if let Err(apart) = run {
            panic!("round {round}: {apart}");
        }
        let used = used.get();
        assert!(used * 4 > cases, "only {used} of {cases} said anything");
    }
}

/// Every property that a state or a step decides.
pub(crate) fn safety() -> impl Iterator<Item = Property> {
    let all = Property::ALL.iter().copied();
    all.filter(|property| !property.is_liveness())
}

/// A search of everything, unless there are more states than this.
pub(crate) fn searched(system: &System, states: u64, threads: usize) -> Option<Report> {
    let limits = Limits {
        states,
        threads,
        ..Limits::default()
    };
    let report = exact::search(system, Until::Everything, limits, &Watch::default());
    report.complete.then_some(report)
}

/// The names of the properties that are broken.
pub(crate) fn broken(report: &Report) -> Vec<&'static str> {
    let broken = safety().filter(|property| report.violation(*property).is_some());
    broken.map(Property::key).collect()
}

fn named(all: &[(&'static str, &'static str)], name: &str) -> (&'static str, &'static str) {
    let mut all = all.iter();
    *all.find(|(known, _)| *known == name).expect("built in")
}

fn names(all: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    all.iter().map(|(name, _)| *name).collect()
}

/// Some decisions, changed.
pub(crate) fn decisions() -> impl Strategy<Value = Vec<(String, String)>> {
    let one = select(Decisions::NAMES).prop_flat_map(|name| {
        let values: Vec<&str> = Decisions::values(name)
            .iter()
            .map(|(key, _)| *key)
            .collect();
        (
            Just(name.to_owned()),
            select(values).prop_map(str::to_owned),
        )
    });
    prop::collection::vec(one, 0..4)
}

/// vCPUs, a guest and a memory: what every form of the claim has.
fn plain_scenario() -> impl Strategy<Value = Scenario> {
    let guest = (any::<bool>(), any::<bool>(), any::<bool>());
    let scenario = (
        select(&[1_usize, 1, 1, 2][..]),
        guest,
        any::<bool>(),
        any::<bool>(),
    );
    scenario.prop_map(
        |(vcpus, (accept, attr, zero_step), exit_reason, tso)| Scenario {
            vcpus,
            accept,
            attr,
            zero_step,
            exit_reason,
            memory: if tso { Memory::Tso } else { Memory::Sc },
            ..Scenario::default()
        },
    )
}

/// The same with what the packed model alone has: ioctl threads, a TD that is not finalized, a second
/// page, another way to remove it, vCPUs that move or come late, none at all.
fn scenario() -> impl Strategy<Value = Scenario> {
    let threads = [
        "",
        "",
        "",
        "any-tdr-exclusive",
        "KVM_TDX_INIT_VCPU",
        "host-debug-read",
    ];
    let zaps = [
        "",
        "",
        "",
        Scenario::NOBODY,
        "guest_memfd release",
        "KVM_SET_USER_MEMORY_REGION2",
    ];
    let moved = prop_oneof![
        4 => Just((false, false)),
        1 => Just((true, false)),
        1 => Just((false, true)),
    ];
    let more = (
        select(&[false, false, false, true][..]),
        select(&[(1_usize, 1_usize), (1, 1), (1, 1), (2, 1), (2, 2)][..]),
        select(zaps.to_vec()),
        select(threads.to_vec()),
        select(&[true, true, true, false][..]),
        moved,
    );
    (plain_scenario(), more).prop_map(
        |(plain, (alone, (pages, inodes), zap, thread, finalized, (migrate, late)))| Scenario {
            vcpus: if alone { 0 } else { plain.vcpus },
            pages,
            inodes,
            zap: zap.to_owned(),
            threads: thread.split_whitespace().map(str::to_owned).collect(),
            finalized,
            migrate,
            late,
            ..plain
        },
    )
}

fn asked_in(scenario: impl Strategy<Value = Scenario>) -> impl Strategy<Value = Asked> {
    (
        select(names(builtin::MODULES)),
        select(names(builtin::KERNELS)),
        decisions(),
        changes(),
        scenario,
    )
        .prop_map(|(module, kernel, set, table, scenario)| Asked {
            module,
            kernel,
            set,
            table,
            scenario,
        })
}

/// Any of them.
pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    asked_in(scenario())
}

/// Those whose scenario a second model has too.
pub(crate) fn asked_plainly() -> impl Strategy<Value = Asked> {
    asked_in(plain_scenario())
}
