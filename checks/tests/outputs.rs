//! Outputs that can not be written, readers that go away, and Ctrl-C.

#![cfg(target_os = "linux")] // /dev/full, /proc and signals

mod common;

use common::{PLAIN, ended_in, scratch, words};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    command.envs(PLAIN).args(args).stdin(Stdio::null());
    command
}

#[test]
fn a_trace_that_can_not_be_written_ends_with_74_and_leaves_nothing_behind() {
    let directory = scratch("outputs-out");
    // A directory stands where the file should go: the text is written, its renaming fails.
    std::fs::create_dir(directory.join("taken")).expect("it can be made");
    let ended = ended_in(
        &directory,
        &["explain", "init-vcpu-twice/sc", "--out", "taken"],
    );
    assert_eq!(ended.status, Some(74), "{}", ended.err);
    assert!(ended.out.contains("Violated: "), "{}", ended.out);
    assert!(ended.err.contains("taken: Is a directory"), "{}", ended.err);
    let left: Vec<_> = std::fs::read_dir(&directory).expect("readable").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_answer_is_printed_even_if_its_trace_can_not_be_written() {
    let directory = scratch("outputs-trace");
    let args = ["what-if", "--set", "kick=none", "--trace", "no/such.json"];
    let ended = ended_in(&directory, &args);
    assert_eq!(ended.status, Some(74), "{}", ended.err);
    assert!(ended.out.contains("violated 14"), "{}", ended.out);
    assert!(
        ended.err.contains("no/such.json: No such file"),
        "{}",
        ended.err
    );
}

#[test]
fn a_directory_for_traces_that_can_not_be_made_ends_with_74() {
    let directory = scratch("outputs-traces");
    std::fs::write(directory.join("file"), "in the way").expect("it can be written");
    let ended = ended_in(
        &directory,
        &["run", "init-vcpu-twice/sc", "--traces", "file"],
    );
    assert_eq!(ended.status, Some(74), "{}", ended.err);
    assert!(ended.out.contains("1 as expected"), "{}", ended.out);
    assert!(ended.err.contains("file: "), "{}", ended.err);
}

#[test]
fn a_verdict_that_differs_outranks_a_trace_that_can_not_be_written() {
    let directory = scratch("outputs-rank");
    std::fs::write(directory.join("file"), "in the way").expect("it can be written");
    let run = ["run", "6.16-1.5.05-1vcpu/sc", "--max-states", "100"];
    let alone = ended_in(&directory, &run).status;
    let both = ended_in(&directory, &[&run[..], &["--traces", "file"]].concat()).status;
    assert_eq!(both, alone);
}

#[test]
fn a_pipe_is_written_to_and_stays_a_pipe() {
    use std::os::unix::fs::FileTypeExt;
    let directory = scratch("outputs-pipe");
    let made = Command::new("mkfifo").arg(directory.join("pipe")).status();
    assert!(made.expect("mkfifo starts").success());
    let reader = std::thread::spawn({
        let pipe = directory.join("pipe");
        move || std::fs::read_to_string(pipe).expect("readable")
    });
    let args = ["explain", "init-vcpu-twice/sc", "--out", "pipe"];
    assert_eq!(ended_in(&directory, &args).status, Some(0));
    assert!(
        reader
            .join()
            .expect("it ends")
            .contains("seamcheck.trace.v1")
    );
    let kind = std::fs::metadata(directory.join("pipe")).expect("there");
    assert!(kind.file_type().is_fifo());
}

#[test]
fn a_link_stays_a_link_and_what_it_points_to_is_written() {
    let directory = scratch("outputs-link");
    std::fs::write(directory.join("file"), "old").expect("it can be written");
    let linked = std::os::unix::fs::symlink("file", directory.join("link"));
    linked.expect("it can be made");
    let args = ["explain", "init-vcpu-twice/sc", "--out", "link"];
    assert_eq!(ended_in(&directory, &args).status, Some(0));
    let link = std::fs::symlink_metadata(directory.join("link")).expect("there");
    assert!(link.is_symlink());
    let text = std::fs::read_to_string(directory.join("file")).expect("readable");
    assert!(text.contains("seamcheck.trace.v1"));
}

#[test]
fn a_file_for_which_there_is_no_room_ends_with_74_and_leaves_nothing_behind() {
    let directory = scratch("outputs-room");
    // No file may grow beyond one block; the signal for it is ignored, so that writing fails.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" run M01/sc --traces .";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_check")])
        .envs(PLAIN)
        .current_dir(&directory)
        .output()
        .expect("bash starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("File too large"), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 as expected, 0 not"), "{printed}");
    let left: Vec<_> = std::fs::read_dir(&directory).expect("readable").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_full_standard_output_ends_with_74() {
    for args in [&["list"][..], &["--help"], &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full");
        let output = program(args).stdout(full.expect("Linux has it")).output();
        let output = output.expect("the program starts");
        assert_eq!(output.status.code(), Some(74), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("standard output: No space left"), "{said}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    // `check list | head -1`, with a head that is sure to be gone.
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--decisions"],
        &["list", "--pairs"],
        &["decode", "0"],
        &["run", "init-vcpu-twice/sc"],
        &["what-if", "--json"],
        &["explain", "init-vcpu-twice/sc"],
        &["--help"],
        &["agree", "M22"],
        &["completions", "bash"],
        &["matrix"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let output = program(args).stdout(writer).output().expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

/// Sends SIGINT as soon as the program handles it, and says how long it then takes to end.
fn interrupted(args: &[&str]) -> (Output, Duration) {
    let spawned = program(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.expect("the program starts");
    while !handles_sigint(&mut child) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Some way into the search.
    std::thread::sleep(Duration::from_millis(100));
    let (pid, start) = (child.id().to_string(), Instant::now());
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.expect("kill starts").success());
    let output = child.wait_with_output().expect("it ends");
    (output, start.elapsed())
}

/// From the mask of caught signals in /proc, where SIGINT is the second bit.
fn handles_sigint(child: &mut Child) -> bool {
    assert_eq!(
        child.try_wait().expect("waitable"),
        None,
        "it ended by itself"
    );
    let mut text = String::new();
    let status = File::open(format!("/proc/{}/status", child.id()));
    status
        .expect("Linux")
        .read_to_string(&mut text)
        .expect("readable");
    let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(caught.expect("there").trim(), 16);
    mask.expect("hexadecimal") & 2 != 0
}

#[test]
fn ctrl_c_ends_the_code_under_every_engine_with_130() {
    let many = ["--schedules", "4000000000"];
    for args in [
        &["code", "--window", "track", "--laps", "3"][..],
        &[&["code", "--engine", "shuttle"], &many[..]].concat(),
        &[&["code", "--engine", "std"], &many[..]].concat(),
    ] {
        let (output, took) = interrupted(&[args, &["--timeout", "60"]].concat());
        assert_eq!(output.status.code(), Some(130), "{args:?}");
        let said = words(&String::from_utf8_lossy(&output.stdout));
        assert!(said.contains("because interrupted"), "{said}");
        assert!(took < Duration::from_secs(5), "{args:?} {took:?}");
    }
}

#[test]
fn ctrl_c_ends_every_search_with_130() {
    for args in [
        &["sweep", "--timeout", "60"][..],
        &["agree", "--timeout", "60"],
        &["run", "actors-6.16-1.5.05-2vcpu", "--timeout", "60"],
        &["run", "6.16-3vcpu-full", "--timeout", "60"],
    ] {
        let (output, took) = interrupted(args);
        assert_eq!(output.status.code(), Some(130), "{args:?}");
        assert!(took < Duration::from_secs(10), "{args:?} {took:?}");
    }
}

#[test]
fn ctrl_c_ends_a_question_with_130_and_says_so() {
    // Minutes of search; the limit is for the day on which the signal is lost.
    let (output, took) = interrupted(&["what-if", "--vcpus", "3", "--timeout", "60"]);
    assert_eq!(output.status.code(), Some(130));
    let said = words(&String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("unknown no-second-busy"), "{said}");
    assert!(said.contains("because interrupted"), "{said}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn ctrl_c_ends_the_suite_with_130_and_counts_what_was_not_run() {
    let (output, took) = interrupted(&["run", "--timeout", "60"]);
    assert_eq!(output.status.code(), Some(130));
    let said = words(&String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("not run (partial: interrupted)"), "{said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn ctrl_c_ends_an_explanation_with_130_and_claims_nothing() {
    let (output, _) = interrupted(&["explain", "6.16-3vcpu"]);
    let said = words(&String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("nothing to explain"), "{said}");
    assert_eq!(output.status.code(), Some(130));
}
