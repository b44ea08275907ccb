//! Runs that a limit or the user cuts short are no more than that, and say how far they came.

#![cfg(target_os = "linux")] // kill

mod common;

use common::{PLAIN, ended, ended_in, scratch, words};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A sample is expected to be `unknown`; so is one that was never made.
#[test]
fn a_sample_that_a_limit_cut_short_is_not_what_was_expected() {
    for limit in [["--timeout", "0"], ["--max-states", "1"]] {
        let ended = ended(&[&["run", "shuttle-4", "shuttle-M06"], &limit[..]].concat());
        assert_eq!(ended.status, Some(20), "{limit:?} {}", ended.out);
        assert!(ended.out.contains("0 as expected, 2 not"), "{}", ended.out);
    }
    let whole = ended(&["run", "shuttle-M01", "loom-M32"]);
    assert_eq!(whole.status, Some(0), "{}", whole.out);
}

#[test]
fn loom_that_is_out_of_time_says_what_it_had_covered() {
    let ended = ended(&["code", "--vcpus=2", "--timeout=1", "--json"]);
    assert_eq!(ended.status, Some(20), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    let executions = report["answer"]["executions"].as_u64();
    assert!(executions > Some(0), "{report}");
    assert_eq!(report["answer"]["conforming"].as_u64(), executions);
}

/// Whatever the program is called, loom gets a process of its own; and it hears of Ctrl-C.
#[test]
fn loom_under_another_name_of_the_program_is_interrupted_and_says_what_it_had_covered() {
    let renamed = scratch("cut-short-renamed").join("seamcheck");
    std::fs::copy(env!("CARGO_BIN_EXE_check"), &renamed).expect("it can be copied");
    let child = Command::new(&renamed)
        .args(["code", "--vcpus=2", "--json", "--timeout=60"])
        .envs(PLAIN)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(2));
    let pid = child.id().to_string();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    assert_ne!(children.expect("Linux").trim(), "", "no process of its own");
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.expect("kill starts").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let executions = report["answer"]["executions"].as_u64();
    assert!(executions > Some(0), "{report}");
}

#[test]
fn a_report_that_was_interrupted_says_what_is_missing() {
    let child = Command::new(env!("CARGO_BIN_EXE_check"))
        .args(["run", "6.16-3vcpu-full", "M01", "M02", "--json"])
        .envs(PLAIN)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_secs(1));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill starts").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["partial"], true);
    let whole = ended(&["run", "M01/sc", "--json"]);
    let whole: Value = serde_json::from_str(&whole.out).expect("JSON");
    assert_eq!(
        (&whole["partial"], &whole["not_run"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_file_of_somebody_elses_beside_an_output_is_left_alone() {
    let directory = scratch("cut-short-part");
    std::fs::write(directory.join("j.xml.part"), "theirs").expect("it can be written");
    let ended = ended_in(&directory, &["run", "M02/sc", "--junit", "j.xml"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let theirs = std::fs::read_to_string(directory.join("j.xml.part"));
    assert_eq!(theirs.expect("still there"), "theirs");
    let left = std::fs::read_dir(&directory).expect("readable").count();
    assert_eq!(left, 2);
}

#[test]
fn what_an_engine_has_no_use_for_is_refused() {
    for (args, said) in [
        (
            "--engine=shuttle --preemptions=2",
            "`--preemptions` is loom's",
        ),
        ("--engine=std --fewest", "`--fewest` is loom's"),
        ("--pct=3", "`--pct` is shuttle's"),
        ("--save=here.json", "`--save` is shuttle's"),
        ("--preemptions=300", "300 is not in 0..=255"),
        ("--engine=shuttle --schedules=0", "0 is not in 1.."),
        ("--replay=here.json --seed=3", "cannot be used with '--seed"),
    ] {
        let args: Vec<&str> = std::iter::once("code").chain(args.split(' ')).collect();
        let ended = ended(&args);
        assert_eq!(ended.status, Some(2), "{args:?} {}", ended.out);
        assert!(words(&ended.err).contains(said), "{}", ended.err);
    }
}

#[test]
fn the_suite_writes_shuttles_counterexamples_as_schedules_that_replay() {
    let directory = scratch("cut-short-traces");
    let ran = ended_in(&directory, &["run", "shuttle-M02", "--traces", "all"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let file = "all/shuttle-M02.sc.no-second-busy.schedule.json";
    let again = ended_in(&directory, &["code", "--replay", file]);
    assert_eq!(again.status, Some(10), "{}{}", again.out, again.err);
    let text = std::fs::read_to_string(directory.join(file)).expect("it was written");
    let loom = text.replace("\"shuttle\"", "\"loom\"");
    std::fs::write(directory.join("loom.json"), loom).expect("it can be written");
    let refused = ended_in(&directory, &["code", "--replay", "loom.json"]);
    assert_eq!(refused.status, Some(2), "{}", refused.out);
    assert!(
        refused.err.contains("no schedule of shuttle's"),
        "{}",
        refused.err
    );
}
