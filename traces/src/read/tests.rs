use super::*;
use crate::fixtures;

fn error(text: &str) -> String {
    Trace::from_json(text).unwrap_err().to_string()
}

/// The inconsistency that `change` brings into a good trace.
fn spoilt(change: impl FnOnce(&mut Trace)) -> String {
    let mut trace = fixtures::second_block_is_busy();
    change(&mut trace);
    error(&trace.to_json())
}

#[test]
fn a_trace_survives_being_written_and_read() {
    for trace in fixtures::all() {
        let json = trace.to_json();
        assert!(json.ends_with("}\n"));
        assert_eq!(Trace::from_json(&json), Ok(trace));
    }
}

#[test]
fn another_format_version_is_refused_by_name() {
    let newer = r#"{ "format": "seamcheck.trace.v2", "a_new_field": [1, 2] }"#;
    insta::assert_snapshot!(error(newer), @r#"the file's format is "seamcheck.trace.v2"; this program reads "seamcheck.trace.v1""#);
}

#[test]
fn a_file_that_does_not_say_its_format_is_refused() {
    insta::assert_snapshot!(error("{}"), @r#"the file does not say its format; this program reads "seamcheck.trace.v1""#);
}

#[test]
fn a_truncated_file_gives_line_and_column() {
    let json = fixtures::second_block_is_busy().to_json();
    let start: String = json.lines().take(7).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(error(&start), @"line 7, column 6: not JSON: EOF while parsing an object");
}

#[test]
fn text_that_is_not_json_gives_line_and_column() {
    insta::assert_snapshot!(error("{\n  \"format\": no\n}"), @"line 2, column 14: not JSON: expected ident");
}

#[test]
fn json_that_is_no_object_is_not_a_trace() {
    insta::assert_snapshot!(error("17"), @"line 1, column 2: not a trace: invalid type: integer `17`, expected a JSON object");
}

#[test]
fn an_unknown_field_is_named_with_its_place() {
    let json = fixtures::second_block_is_busy().to_json();
    insta::assert_snapshot!(error(&json.replacen("\"tool\"", "\"tools\"", 1)), @"line 3, column 9: not a trace: unknown field `tools`, expected one of `format`, `tool`, `check`, `question`, `agents`, `initial`, `steps`, `loop_starts_at`, `verdict`");
}

#[test]
fn a_trace_without_steps_is_inconsistent() {
    insta::assert_snapshot!(spoilt(|trace| trace.steps.clear()), @"the trace contradicts itself: it has no steps");
}

#[test]
fn a_step_of_an_agent_that_is_not_listed_is_inconsistent() {
    insta::assert_snapshot!(spoilt(|trace| trace.steps[2].agent = "vcpu9".into()), @r#"the trace contradicts itself: step 3 names agent "vcpu9", which is not listed"#);
}

#[test]
fn a_lock_of_an_agent_that_is_not_listed_is_inconsistent() {
    let change = |trace: &mut Trace| {
        let step = trace
            .steps
            .iter_mut()
            .find(|step| !step.locks.is_empty())
            .unwrap();
        step.locks[0].agent = "vcpu9".into();
    };
    insta::assert_snapshot!(spoilt(change), @r#"the trace contradicts itself: a lock held after step 3 names agent "vcpu9", which is not listed"#);
}

#[test]
fn a_conflict_with_an_agent_that_is_not_listed_is_inconsistent() {
    let change = |trace: &mut Trace| {
        trace.verdict.conflict.as_mut().unwrap().held[0].agent = "vcpu9".into();
    };
    insta::assert_snapshot!(spoilt(change), @r#"the trace contradicts itself: the conflict names agent "vcpu9", which is not listed"#);
}

#[test]
fn an_agent_listed_twice_is_inconsistent() {
    let change = |trace: &mut Trace| trace.agents.push(trace.agents[0].clone());
    insta::assert_snapshot!(spoilt(change), @r#"the trace contradicts itself: agent "zapper" is listed twice"#);
}

#[test]
fn a_text_beyond_the_limit_is_not_parsed() {
    insta::assert_snapshot!(error(&" ".repeat(MAX_BYTES + 1)), @"the trace is 16777217 bytes long; at most 16777216 are read");
}

#[test]
fn a_trace_on_few_lines_is_the_same_trace() {
    for trace in fixtures::all() {
        let lines = trace.to_json_lines();
        assert_eq!(lines.lines().count(), trace.steps.len() + 2);
        assert_eq!(Trace::from_json(&lines), Ok(trace));
    }
}

#[test]
fn a_change_of_a_field_that_has_another_value_is_inconsistent() {
    insta::assert_snapshot!(spoilt(|trace| trace.steps[0].changed[0].from = "x".into()));
    insta::assert_snapshot!(spoilt(|trace| trace.initial.clear()));
}
