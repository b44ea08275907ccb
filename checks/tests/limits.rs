//! Limits on memory: kept before a table grows, and said when they are hit.

#![cfg(target_os = "linux")] // ulimit -d

mod common;

use common::{PLAIN, words};
use std::process::{Command, Output};

/// What the program takes beside its states, in MiB, with a wide margin.
const PROGRAM: u64 = 32;

/// Asks with at most this many MiB for states, and lets the system refuse more than that.
fn within(mebibytes: u64, args: &[&str]) -> Output {
    let kibibytes = (mebibytes + PROGRAM) << 10;
    let script = format!("ulimit -d {kibibytes}; exec \"$0\" \"$@\" --max-memory {mebibytes}");
    let output = Command::new("bash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_check")])
        .args(args)
        .envs(PLAIN)
        .output();
    output.expect("bash starts")
}

#[track_caller]
fn gives_up(mebibytes: u64, args: &[&str], because: &str) {
    let output = within(mebibytes, args);
    let said = words(&String::from_utf8_lossy(&output.stdout));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(20), "{complaint}{said}");
    assert!(said.contains(because), "{said}");
}

const MEMORY: &str = "because the limit on memory was hit";

#[test]
fn a_search_gives_up_before_it_takes_more_memory_than_it_may() {
    for mebibytes in [1, 8, 24] {
        gives_up(mebibytes, &["what-if", "--vcpus", "3"], MEMORY);
    }
    gives_up(8, &["what-if", "--vcpus", "3", "--threads", "3"], MEMORY);
}

#[test]
fn a_search_for_what_can_hang_gives_up_too() {
    let args = ["what-if", "--vcpus", "2", "--property", "no-starvation"];
    gives_up(16, &args, MEMORY);
}

#[test]
fn a_proof_gives_up_too() {
    gives_up(
        1,
        &["prove", "--property", "no-bug-on"],
        "the limit on memory was hit",
    );
}

#[test]
fn a_violation_without_room_for_its_trace_is_no_verdict_but_is_said() {
    let args = ["what-if", "--vcpus", "3", "--set", "vcpu_barrier=absent"];
    let said = "because it is violated, but a limit was hit before a shortest trace was found";
    gives_up(12, &args, said);
    let enough = within(64, &args);
    assert_eq!(enough.status.code(), Some(10));
}

#[test]
fn a_second_engine_that_would_take_too_much_is_not_asked_and_that_is_no_success() {
    let output = within(10, &["run", "6.16-1.5.05-2vcpu"]);
    assert_eq!(output.status.code(), Some(20));
    let said = words(&String::from_utf8_lossy(&output.stdout));
    assert!(
        said.contains("stateright was not asked: it would take about 35 MiB"),
        "{said}"
    );
}
