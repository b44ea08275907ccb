use super::*;
use crate::fixtures::{self, Script, generated};

fn told(trace: &Trace) -> Vec<String> {
    let text = |link: &Link| {
        format!(
            "{} -> {} {:?}: {}",
            link.from, link.to, link.kind, link.what
        )
    };
    links(trace).iter().map(text).collect()
}

#[test]
fn a_busy_step_follows_from_the_one_that_acquired_the_lock() {
    let all = told(&fixtures::second_block_is_busy());
    assert_eq!(
        all,
        [
            "4 -> 6 Busy: SEPT_TREE exclusive",
            "18 -> 20 Busy: SEPT_TREE exclusive"
        ]
    );
}

#[test]
fn stores_leave_their_buffer_in_order() {
    let mut script = Script::new(&["vcpu0"]);
    script.under("vcpu0", "vcpu_enter_guest");
    let values = [
        ("empty", "OUT"),
        ("OUT", "OUT, IN"),
        ("OUT, IN", "IN"),
        ("IN", "empty"),
    ];
    for (from, to) in values {
        script.step("a step");
        script.change("vcpu0.store_buffer", from, to);
    }
    assert_eq!(
        told(&script.finish("")),
        ["1 -> 3 Store: OUT", "2 -> 4 Store: IN"]
    );
}

#[test]
fn a_fence_drains_all_at_once() {
    let mut script = Script::new(&["vcpu0"]);
    for (from, to) in [("empty", "A"), ("A", "A, B"), ("A, B", "empty")] {
        script.under("vcpu0", "f").step("a step");
        script.change("vcpu0.store_buffer", from, to);
    }
    assert_eq!(
        told(&script.finish("")),
        ["1 -> 3 Store: A", "2 -> 3 Store: B"]
    );
}

#[test]
fn an_interrupt_is_followed_to_its_acknowledgement() {
    let mut script = Script::new(&["zapper", "vcpu0"]);
    for (from, to) in [("none", "sent"), ("sent", "pending"), ("pending", "none")] {
        script.under("zapper", "f").step("a step");
        script.change("vcpu0.ipi", from, to);
    }
    assert_eq!(told(&script.finish("")), ["1 -> 3 Kick: IPI to vcpu0"]);
}

#[test]
fn which_of_two_entries_was_wanted_is_not_guessed() {
    let mut script = Script::new(&["zapper", "vcpu0", "vcpu1"]);
    script.under("vcpu0", "f").step("take");
    script.hold("SEPT_ENTRY of page 0", "guest");
    script.under("vcpu1", "f").step("take");
    script.hold("SEPT_ENTRY of page 1", "guest");
    script.under("zapper", "f").step("acquire SEPT_ENTRY host");
    script.fail(("0x8000020000000001", "TDX_OPERAND_BUSY | RCX"));
    assert!(links(&script.finish("")).is_empty());
}

#[test]
fn two_who_share_are_not_in_each_others_way() {
    let mut script = Script::new(&["zapper", "vcpu0"]);
    script
        .under("vcpu0", "f")
        .step("take")
        .hold("TDR", "shared");
    script.under("zapper", "f").step("acquire TDR shared");
    script.fail(("0x8000020000000002", "TDX_OPERAND_BUSY | RDX"));
    assert!(links(&script.finish("")).is_empty());
}

#[test]
fn links_go_forward_in_every_trace() {
    for seed in 0..300 {
        let trace = generated(seed);
        for link in links(&trace) {
            assert!(1 <= link.from && link.from < link.to && link.to <= trace.steps.len());
        }
    }
}
