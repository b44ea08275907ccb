//! A trace that was just written is confirmed, step by step, and no step of it can be moved or changed.

mod common;

use common::{LONG, SHORT, ended, ended_in, recorded, replayed, scratch};
use seamcheck::trace::{VerifyError, verify};
use seamcheck_traces::{CallEdge, Step, Trace, schema};

#[test]
fn a_trace_just_written_is_confirmed_step_by_step() {
    for run in [SHORT, LONG] {
        let (directory, text) = recorded("replay-confirmed", run);
        let ended = replayed(&directory, &text);
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        let trace = Trace::from_json(&text).expect("a trace");
        let wanted = format!(
            "given.json: {} steps executed again; {}\n",
            trace.steps.len(),
            trace.verdict.reason
        );
        assert_eq!(ended.out, wanted);
        assert_eq!(trace.check.as_deref(), Some(run));
    }
}

#[test]
fn a_trace_is_the_same_on_standard_output_in_a_file_and_drawn_from_it() {
    let (directory, text) = recorded("replay-same", SHORT);
    assert_eq!(ended(&["explain", SHORT, "--json"]).out, text);
    assert_eq!(
        ended_in(&directory, &["explain", "trace.json", "--json"]).out,
        text
    );
    let drawn = ended(&["explain", SHORT]).out;
    assert_eq!(ended_in(&directory, &["explain", "trace.json"]).out, drawn);
    assert!(drawn.contains("CPU 1: KVM_TDX_INIT_VCPU"), "{drawn}");
}

#[test]
fn run_and_what_if_write_traces_that_are_confirmed() {
    let directory = scratch("replay-written");
    let run = ended_in(
        &directory,
        &["run", "claim-init-vcpu", "--traces", "traces"],
    );
    assert_eq!(run.status, Some(0), "{}", run.err);
    let question = [
        "what-if",
        "--set",
        "kick=none",
        "--trace",
        "traces/asked.json",
    ];
    assert_eq!(ended_in(&directory, &question).status, Some(10));
    let files = std::fs::read_dir(directory.join("traces")).expect("readable");
    let names = files.map(|file| file.expect("readable").file_name().into_string());
    let mut names: Vec<String> = names.map(|name| name.expect("UTF-8")).collect();
    names.sort();
    let wanted = [
        "asked.json",
        "claim-init-vcpu.tso.no-bug-on.html",
        "claim-init-vcpu.tso.no-bug-on.json",
        "claim-init-vcpu.tso.no-second-busy.html",
        "claim-init-vcpu.tso.no-second-busy.json",
        "index.html",
    ];
    assert_eq!(names, wanted);
    for name in names.iter().filter(|name| name.ends_with(".json")) {
        let ended = ended_in(&directory, &["replay", &format!("traces/{name}")]);
        assert_eq!(ended.status, Some(0), "{name}: {}", ended.err);
    }
}

#[test]
fn every_step_that_is_missing_doubled_or_out_of_turn_is_noticed() {
    let trace = Trace::from_json(&recorded("replay-order", LONG).1).expect("a trace");
    verify(&trace).expect("as written");
    for index in 0..trace.steps.len() {
        let mut missing = trace.clone();
        missing.steps.remove(index);
        assert!(verify(&missing).is_err(), "without step {}", index + 1);
        let mut doubled = trace.clone();
        doubled.steps.insert(index, trace.steps[index].clone());
        assert!(verify(&doubled).is_err(), "with step {} twice", index + 1);
        if index > 0 {
            let mut swapped = trace.clone();
            swapped.steps.swap(index - 1, index);
            assert!(verify(&swapped).is_err(), "step {} too early", index + 1);
        }
    }
}

#[test]
fn whatever_is_changed_in_a_step_is_noticed_there() {
    let trace = Trace::from_json(&recorded("replay-steps", LONG).1).expect("a trace");
    for index in 0..trace.steps.len() {
        for (what, change) in CHANGES {
            let mut changed = trace.clone();
            change(&mut changed.steps[index]);
            let step = &changed.steps[index];
            if *step == trace.steps[index] {
                continue;
            }
            // Only the steps before it are executed.
            let Err(VerifyError::Step { number, name, .. }) = verify(&changed) else {
                panic!("{what} of step {} is taken as written", index + 1);
            };
            assert_eq!((number, &name), (index + 1, &step.name), "{what}");
        }
    }
}

type Change = (&'static str, fn(&mut Step));

const CHANGES: [Change; 11] = [
    ("agent", |step| step.agent = "zapper".into()),
    ("name", |step| step.name.push('x')),
    ("function", |step| step.anchor.function.push('x')),
    ("file", |step| step.anchor.file.push('x')),
    ("detail", |step| step.detail = !step.detail),
    ("seamcall", |step| step.seamcall = Some(CallEdge::Called)),
    ("status", |step| {
        step.status = Some("0x0000000000000000".into())
    }),
    ("locks", |step| step.locks.clear()),
    ("guards", |step| step.guards.clear()),
    ("enabled", |step| step.enabled.clear()),
    ("changed", |step| {
        step.changed.push(schema::Change {
            field: "vcpu0.mode".into(),
            from: "x".into(),
            to: "y".into(),
        });
    }),
];

#[test]
fn which_steps_are_fused_can_not_be_changed() {
    let trace = Trace::from_json(&recorded("replay-fused", LONG).1).expect("a trace");
    for index in 0..trace.steps.len() {
        let mut changed = trace.clone();
        changed.steps[index].fused = !changed.steps[index].fused;
        assert!(verify(&changed).is_err(), "step {}", index + 1);
    }
}
