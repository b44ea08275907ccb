use super::*;
use crate::fixtures::second_block_is_busy;

#[test]
fn changed_decisions_follow_the_versions() {
    let mut trace = second_block_is_busy();
    trace.question.set.insert("kick".into(), "none".into());
    assert_eq!(
        question(&trace),
        [
            "Module 1.5.05, kernel patch-v1, memory tso",
            "with kick=none, vcpu_flag_test=absent",
        ]
    );
}

#[test]
fn a_kvm_lock_that_is_added_has_no_value() {
    let mut trace = second_block_is_busy();
    let hold = "hold mmu_lock:write@KVM_TDX_FINALIZE_VM";
    trace.question.set.clear();
    trace.question.set.insert(hold.into(), String::new());
    assert_eq!(question(&trace)[1..], [format!("with {hold}")]);
}

#[test]
fn a_lock_without_a_holder_says_so() {
    let mut trace = second_block_is_busy();
    trace.verdict.conflict.as_mut().unwrap().held.clear();
    assert_eq!(
        conflict(&trace),
        [
            "Lock      SEPT_TREE",
            "  wanted  exclusive  zapper  TDH.MEM.RANGE.BLOCK",
            "  held    by no one",
        ]
    );
}

#[test]
fn a_trace_without_a_conflict_has_no_lock_rows() {
    let mut trace = second_block_is_busy();
    trace.verdict.conflict = None;
    assert_eq!(conflict(&trace), [""; 0]);
}

#[test]
fn the_verdict_begins_with_its_result() {
    let mut trace = second_block_is_busy();
    trace.verdict.result = "witness".into();
    trace.verdict.reason = "An IPI reached a running guest.".into();
    assert_eq!(
        verdict(&trace),
        ["Witness: An IPI reached a running guest."]
    );
}
