//! Answers: what `check` prints for a question or a run, and the status it ends with.

mod common;

use common::{ended, words};

#[track_caller]
fn answered(args: &[&str], status: i32, phrase: &str) {
    let ended = ended(args);
    assert_eq!(ended.status, Some(status), "{args:?}: {}", ended.err);
    let said = words(&ended.out);
    assert!(said.contains(phrase), "{args:?} says: {said}");
    // Not on a terminal there is no progress either.
    assert_eq!(ended.err, "", "{args:?}");
}

#[test]
fn a_question_that_holds_ends_with_0() {
    answered(&["what-if"], 0, "holds no-second-busy");
    answered(
        &["what-if", "--memory", "sc", "--set", "vcpu_barrier=absent"],
        0,
        "sequential consistency",
    );
}

#[test]
fn a_change_is_told_beside_the_verdict_without_it() {
    answered(
        &["what-if", "--set", "kick=none"],
        10,
        "without these changes: holds",
    );
    answered(
        &["what-if", "--with", "any-tdr-exclusive"],
        10,
        "without these changes: holds",
    );
    let plain = ended(&["what-if", "--set", "attr=false"]);
    assert!(!plain.out.contains("without"), "{}", plain.out);
}

#[test]
fn a_question_that_is_violated_ends_with_10_and_shows_the_race() {
    answered(
        &["what-if", "--set", "vcpu_barrier=absent"],
        10,
        "Violated: TDH.MEM.TRACK returned 0x80000200000000a9",
    );
}

#[test]
fn what_holds_because_the_vm_dies_first_is_said_to() {
    let but = "but only up to a KVM_BUG_ON: the first fires after 15 transitions (no-bug-on)";
    let args = ["what-if", "--set", "kick=none", "--property", "epoch-empty"];
    answered(&args, 0, but);
    let args = ["prove", "--set", "kick=none", "--property", "epoch-empty"];
    answered(
        &args,
        0,
        "but only up to a KVM_BUG_ON, which the views reach",
    );
    // Where none fires nothing is said.
    let upstream = ended(&["what-if", "--property", "epoch-empty"]);
    assert!(!upstream.out.contains("KVM_BUG_ON"), "{}", upstream.out);
}

#[test]
fn a_decision_that_is_set_twice_is_refused() {
    let ended = ended(&[
        "what-if",
        "--set",
        "kick=none",
        "--set",
        "kick=request-wait",
    ]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("kick is set twice"), "{}", ended.err);
}

#[test]
fn a_trace_that_is_asked_for_and_does_not_exist_is_said_not_to() {
    let ended = ended(&["what-if", "--trace", "no-such-trace.json"]);
    assert_eq!(ended.status, Some(0));
    let said = "no-such-trace.json: not written, there is no violation to trace";
    assert!(ended.err.contains(said), "{}", ended.err);
}

#[test]
fn sixteen_digits_are_a_status_in_hexadecimal() {
    answered(
        &["decode", "8000020000000092"],
        0,
        "TDX_OPERAND_BUSY | SEPT_TREE",
    );
}

#[test]
fn a_vacuous_answer_ends_with_11_and_says_what_was_not_seen() {
    answered(
        &["what-if", "--set", "busy_predicate=unmasked"],
        11,
        "not seen TDH.MEM.RANGE.BLOCK issued where KVM can not let it fail",
    );
}

#[test]
fn a_limit_ends_with_20_and_says_which() {
    answered(
        &["what-if", "--max-states", "100"],
        20,
        "because the limit on states was hit",
    );
    // Clock and memory are looked at every few thousand states, which one vCPU does not have.
    answered(
        &["what-if", "--vcpus", "2", "--timeout", "0"],
        20,
        "because the limit on time was hit",
    );
    answered(
        &["what-if", "--vcpus", "2", "--max-memory", "0"],
        20,
        "because the limit on memory was hit",
    );
}

#[test]
fn the_largest_scenario_can_be_asked_about() {
    answered(
        &[
            "what-if",
            "--vcpus=8",
            "--pages=2",
            "--with=host-debug-read",
            "--with=any-tdr-exclusive",
            "--max-states=1000",
            "--property=interrupt-once",
        ],
        20,
        "8 vCPUs, 2 pages",
    );
}

#[test]
fn a_run_that_is_as_the_suite_expects_ends_with_0() {
    // Violated, and expected to be.
    answered(
        &["run", "claim-init-vcpu"],
        0,
        "1 as expected, 0 not; 582 states",
    );
    // Without the word `run` too.
    answered(
        &["init-vcpu-twice/sc"],
        0,
        "1 as expected, 0 not; 44 states",
    );
}

#[test]
fn a_run_that_a_limit_cuts_short_is_marked_and_not_as_expected() {
    let ended = ended(&["run", "6.16-1.5.05-1vcpu/sc", "--max-states", "100"]);
    assert_ne!(ended.status, Some(0));
    let said = words(&ended.out);
    let wanted = "no-second-busy: expected holds, found unknown (the limit on states was hit)";
    assert!(said.contains(wanted), "{said}");
    assert!(said.contains("0 as expected, 1 not"), "{said}");
}

#[test]
fn a_run_that_a_limit_cuts_short_ends_with_20() {
    let ended = ended(&["run", "6.16-1.5.05-1vcpu/sc", "--max-states", "100"]);
    assert_eq!(ended.status, Some(20), "{}", ended.out);
    assert!(!ended.out.contains("expected 2413 states"), "{}", ended.out);
}
