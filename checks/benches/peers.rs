//! `just peers`: the exact engine beside SPIN, in one run, on one core each.

#[path = "../peers/spin.rs"]
mod spin;

use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Report, Watch};
use seamcheck::question::{Question, Source};
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::Reductions;
use spin::{Found, Mode};
use std::path::PathBuf;
use std::time::Duration;

/// What either may take.
const MEGABYTES: u32 = 8192;
const SECONDS: u32 = 120;

fn main() {
    if let Some(missing) = spin::missing() {
        println!("no comparison: {missing}");
        return;
    }
    println!("The scenario of checks/peers/removal.pml: kernel 6.16, module 1.5.05, one page,");
    println!(
        "sequential consistency, no ATTR, no 0-step. One core each; at most {MEGABYTES} MiB, {SECONDS} s."
    );
    println!("\nsame states, no reduction");
    head();
    for vcpus in [1, 2] {
        let ours = search(vcpus, Reductions::NONE);
        row(vcpus, "seamcheck", Some(ours), None);
        for (name, mode) in [
            ("SPIN", Mode::SameStates),
            ("SPIN, collapsed", Mode::Collapsed),
        ] {
            let theirs = twin(vcpus, mode);
            row(vcpus, name, theirs, Some(ours));
        }
    }
    println!("\nbest against best: our named reductions, SPIN's partial-order reduction");
    head();
    for vcpus in [1, 2, 3] {
        let ours = search(vcpus, Reductions::ALL);
        row(vcpus, "seamcheck", Some(ours), None);
        row(vcpus, "SPIN", twin(vcpus, Mode::Reduced), Some(ours));
    }
    println!(
        "\nfactor: how many times longer than seamcheck, and how many times the bytes a state"
    );
}

/// One search, whoever made it.
#[derive(Clone, Copy)]
struct Run {
    states: u64,
    seconds: f64,
    bytes: u64,
}

fn search(vcpus: usize, reductions: Reductions) -> Run {
    let scenario = Scenario {
        vcpus,
        memory: Memory::Sc,
        zero_step: false,
        attr: false,
        ..Scenario::default()
    };
    let source = |found: Result<Source, _>| found.expect("a built-in version");
    let (module, kernel) = (Source::module("1.5.05"), Source::kernel("6.16"));
    let question = Question::new(source(module), source(kernel), Vec::new(), scenario);
    let system = question.expect("well-formed").system(reductions);
    let system = system.expect("the scenario fits");
    let limits = Limits {
        memory: u64::from(MEGABYTES) << 20,
        time: Duration::from_secs(SECONDS.into()),
        ..Limits::default()
    };
    let report: Report = exact::search(&system, Until::Everything, limits, &Watch::default());
    assert!(report.complete, "{:?}", report.cut);
    Run {
        states: report.states,
        seconds: report.elapsed.as_secs_f64(),
        bytes: report.bytes,
    }
}

fn twin(vcpus: usize, mode: Mode) -> Option<Run> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers");
    std::fs::create_dir_all(&directory).expect("a scratch directory can be made");
    let found: Found = spin::search(&directory, vcpus, &[], mode, MEGABYTES, SECONDS)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.errors, 0, "{found:?}");
    found.complete.then_some(Run {
        states: found.states,
        seconds: found.seconds,
        bytes: found.bytes,
    })
}

fn head() {
    println!("  vCPUs  engine                 states    seconds     states/s  bytes/state  factor");
}

fn row(vcpus: usize, name: &str, run: Option<Run>, ours: Option<Run>) {
    let Some(run) = run else {
        println!("  {vcpus:>5}  {name:<16} more than {MEGABYTES} MiB or {SECONDS} s");
        return;
    };
    let each = |run: Run| run.bytes as f64 / run.states as f64;
    let factor = ours.map_or(String::new(), |ours| {
        let (time, bytes) = (run.seconds / ours.seconds, each(run) / each(ours));
        format!("{time:.1} x time, {bytes:.1} x bytes")
    });
    println!(
        "  {vcpus:>5}  {name:<16} {:>12} {:>10.2} {:>12.0} {:>12.1}  {factor}",
        run.states,
        run.seconds,
        run.states as f64 / run.seconds,
        each(run),
    );
}
