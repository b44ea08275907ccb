//! What the runner makes of an answer that no run of the suite gives.

use super::*;
use crate::forms::FormReport;
use crate::forms::code::HeldText;
use crate::suite;

const RUN: &str = r#"
[[check]]
name = "loom"
group = "g"
about = "a."
form = "loom"
module = "1.5.05"
kernel = "6.16"
set = { vcpu_barrier = "absent" }
code = { conformance = true }
weak = { in-order = 1, no-second-busy = "violated 1" }
"#;

fn differences(violation_is_on_x86: Option<bool>) -> Vec<Difference> {
    let runs = suite::parse("test.toml", RUN).expect("well-formed");
    let report = FormReport {
        verdicts: vec![(Property::NoSecondBusy, Verdict::Violated(1))],
        states: 1,
        unit: "executions",
        elapsed: std::time::Duration::ZERO,
        reach: None,
        preemptions: None,
        missing: Vec::new(),
        trace: Vec::new(),
        divergence: None,
        schedule: None,
        held: Some(HeldText {
            in_order: 1,
            violation_is_on_x86,
            ..HeldText::default()
        }),
    };
    wrong_held(&runs[0], &report)
}

#[test]
fn a_violation_that_is_held_against_the_model_has_to_be_one_of_x86() {
    assert_eq!(differences(Some(true)), []);
    for not_shown in [Some(false), None] {
        let expected = Difference::Held {
            what: "violations that x86 shows",
            expected: 1,
            found: 0,
        };
        assert_eq!(differences(not_shown), [expected]);
    }
}
