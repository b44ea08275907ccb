//! Searches, timed: the exact engine and stateright on the same systems, in one run.
//!
//! Figures are states per second; the ratio of the two engines is what to quote.

use divan::counter::ItemsCount;
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Watch, stateright};
use seamcheck::question::{Question, Source};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::{Reductions, System};
use std::sync::Arc;

fn main() {
    divan::main();
}

/// The claim on kernel 6.16 and module 1.5.05.
fn claim(vcpus: usize, memory: Memory) -> Arc<System> {
    let scenario = Scenario {
        vcpus,
        memory,
        ..Scenario::default()
    };
    let source = |found: Result<Source, _>| found.expect("a built-in version");
    let question = Question::new(
        source(Source::module("1.5.05")),
        source(Source::kernel("6.16")),
        Vec::new(),
        scenario,
    );
    let question = question.expect("built-in data is sound");
    Arc::new(question.system(Reductions::ALL).expect("the scenario fits"))
}

fn states(system: &System) -> ItemsCount {
    let report = exact::search(
        system,
        Until::Everything,
        Limits::default(),
        &Watch::default(),
    );
    ItemsCount::new(report.states)
}

#[divan::bench(args = [(1, Memory::Sc), (1, Memory::Tso), (2, Memory::Sc), (2, Memory::Tso)], sample_count = 10)]
fn exact_engine(bencher: divan::Bencher, (vcpus, memory): (usize, Memory)) {
    let system = claim(vcpus, memory);
    let search = || {
        exact::search(
            &system,
            Until::Everything,
            Limits::default(),
            &Watch::default(),
        )
    };
    bencher.counter(states(&system)).bench_local(search);
}

#[divan::bench(args = [(1, Memory::Sc), (1, Memory::Tso), (2, Memory::Sc), (2, Memory::Tso)], sample_count = 10)]
fn stateright_engine(bencher: divan::Bencher, (vcpus, memory): (usize, Memory)) {
    let system = claim(vcpus, memory);
    bencher.counter(states(&system)).bench_local(|| {
        let (limits, watch) = (Limits::default(), Watch::default());
        stateright::search(&system, Property::NoSecondBusy, limits, &watch)
    });
}
