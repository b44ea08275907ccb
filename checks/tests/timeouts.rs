//! `--timeout` on every engine: what it cuts short is `unknown`, whatever was being searched.

mod common;

use common::{ended, words};
use std::time::{Duration, Instant};

/// Minutes of search, or what does not end by itself.
const LONG: [&[&str]; 8] = [
    &["what-if", "--vcpus", "3"],
    &["what-if", "--vcpus", "3", "--property", "no-starvation"],
    &["prove"],
    &["run", "6.16-3vcpu-full"],
    &["agree", "claim"],
    &["code", "--window", "track", "--laps", "3"],
    &["code", "--engine", "shuttle", "--schedules", "4000000000"],
    &["code", "--engine", "std", "--schedules", "4000000000"],
];

#[test]
fn a_search_that_takes_too_long_is_given_up_and_says_nothing() {
    for args in LONG {
        // The proof is quick: it gets no time at all.
        let seconds = if args[0] == "prove" { "0" } else { "1" };
        let start = Instant::now();
        let ended = ended(&[args, &["--timeout", seconds]].concat());
        let took = start.elapsed();
        assert_eq!(
            ended.status,
            Some(20),
            "{args:?}: {}{}",
            ended.out,
            ended.err
        );
        let said = words(&ended.out);
        assert!(said.contains("unknown"), "{args:?}: {said}");
        assert!(!said.contains("holds no-"), "{args:?}: {said}");
        assert!(took < Duration::from_secs(20), "{args:?}: {took:?}");
    }
}

#[test]
fn the_code_says_that_it_was_the_time() {
    let args = ["code", "--engine", "shuttle", "--schedules", "4000000000"];
    let ended = ended(&[&args[..], &["--timeout", "1"]].concat());
    let said = words(&ended.out);
    assert!(said.contains("because the limit on time was hit"), "{said}");
    assert!(!said.contains("ran 0 schedules"), "{said}");
}

#[test]
fn a_limit_on_states_is_one_on_executions_and_schedules() {
    let args = ["run", "loom-remove", "shuttle-M19", "--max-states", "3"];
    let ended = ended(&args);
    assert_eq!(ended.status, Some(20), "{}", ended.out);
    let said = words(&ended.out);
    assert!(said.contains("a limit on executions was hit"), "{said}");
}

#[test]
fn nothing_to_fix_is_not_said_when_a_limit_was_hit() {
    let ended = ended(&["fix", "claim-init-vcpu", "--timeout", "0"]);
    assert_eq!(ended.status, Some(20), "{}", ended.err);
    let said = words(&ended.err);
    assert!(said.contains("the limit on time was hit"), "{said}");
}
