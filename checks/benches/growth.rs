//! `just growth`: what one more vCPU costs each engine, as the table of docs/growth.md.

use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Watch, stateright};
use seamcheck::prove::answer;
use seamcheck::question::{Question, Source};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::{Reductions, System};
use std::sync::Arc;
use std::time::Duration;

/// Where a search is given up.
const SECONDS: u64 = 120;
const MEGABYTES: u64 = 8192;

fn main() {
    println!(
        "Kernel 6.16, module 1.5.05, x86-TSO, one page. At most {SECONDS} s and {MEGABYTES} MiB.\n"
    );
    for (name, zero_step) in [("no 0-step mitigation", false), ("0-step mitigation", true)] {
        println!("### {name}\n");
        println!("| vCPUs | engine | states or views | seconds | MiB |");
        println!("| --- | --- | --- | --- | --- |");
        for vcpus in 0..=8 {
            if !searched(vcpus, zero_step) {
                break;
            }
        }
        proved(zero_step);
        println!();
    }
}

fn question(vcpus: usize, zero_step: bool) -> Question {
    let scenario = Scenario {
        vcpus,
        memory: Memory::Tso,
        zero_step,
        ..Scenario::default()
    };
    let source = |found: Result<Source, _>| found.expect("a built-in version");
    let (module, kernel) = (Source::module("1.5.05"), Source::kernel("6.16"));
    let question = Question::new(source(module), source(kernel), Vec::new(), scenario);
    question.expect("well-formed")
}

fn limits(threads: usize) -> Limits {
    Limits {
        memory: MEGABYTES << 20,
        time: Duration::from_secs(SECONDS),
        threads,
        ..Limits::default()
    }
}

/// False when the limit was hit.
fn searched(vcpus: usize, zero_step: bool) -> bool {
    let system = question(vcpus, zero_step).system(Reductions::ALL);
    let system: Arc<System> = Arc::new(system.expect("the scenario fits"));
    let mut complete = true;
    for threads in [1, 2] {
        let report = exact::search(
            &system,
            Until::Everything,
            limits(threads),
            &Watch::default(),
        );
        let states = if report.complete {
            report.states.to_string()
        } else {
            format!("more than {}", report.states)
        };
        row(
            vcpus,
            &format!("exact, {threads} thread(s)"),
            &states,
            report.elapsed,
            Some(report.bytes),
        );
        complete &= report.complete;
    }
    if complete && vcpus <= 3 {
        let claim = Property::NoSecondBusy;
        let watch = Watch::default();
        let opinion = stateright::search(&system, claim, Limits::default(), &watch);
        let opinion = opinion.expect("no limit is hit");
        row(
            vcpus,
            "stateright",
            &opinion.states.to_string(),
            opinion.elapsed,
            None,
        );
    }
    complete
}

fn proved(zero_step: bool) {
    let system = answer::system(&question(1, zero_step)).expect("the scenario fits");
    let property = Property::NoSecondBusy.bit();
    match answer::prove(&system, property, limits(1), &Watch::default()) {
        Ok(proof) => {
            let views = format!("{} views", proof.views.len());
            println!(
                "| any | every-N, with its second check | {views} | {:.2} | |",
                (proof.collected_in + proof.rechecked_in).as_secs_f64()
            );
        }
        Err(_) => println!("| any | every-N | no proof | | |"),
    }
}

fn row(vcpus: usize, engine: &str, states: &str, elapsed: Duration, bytes: Option<u64>) {
    let memory = bytes.map_or(String::new(), |bytes| {
        format!("{:.1}", bytes as f64 / 1_048_576.0)
    });
    let seconds = elapsed.as_secs_f64();
    println!("| {vcpus} | {engine} | {states} | {seconds:.2} | {memory} |");
}
