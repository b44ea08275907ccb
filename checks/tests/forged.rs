//! A trace that is broken, of another format or changed is refused, with the place of the change.

mod common;

use common::{LONG, SHORT, ended, ended_in, recorded, replayed, scratch, words};
use seamcheck_traces::MAX_BYTES;
use serde_json::{Value, json};
use std::path::Path;

fn assert_refused(directory: &Path, text: &str, phrase: &str) {
    let ended = replayed(directory, text);
    assert_eq!(ended.status, Some(2), "{phrase}: {}", ended.out);
    assert_eq!(ended.out, "", "{phrase}");
    let said = words(&ended.err);
    assert!(said.contains("given.json: "), "{said}");
    assert!(said.contains(phrase), "wanted {phrase:?}, said {said}");
    assert!(
        said.contains("`check explain CHECK --out FILE` writes a trace"),
        "{said}"
    );
}

/// The trace with one value replaced.
fn with(text: &str, pointer: &str, value: Value) -> String {
    let mut json: Value = serde_json::from_str(text).expect("JSON");
    *json
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("no {pointer}")) = value;
    json.to_string()
}

#[test]
fn what_is_no_trace_is_refused_with_line_and_column() {
    let (directory, text) = recorded("forged-text", SHORT);
    let half = &text[..text.len() / 2];
    let place = format!("line {}, column ", half.matches('\n').count() + 1);
    assert_refused(&directory, half, &place);
    assert_refused(&directory, half, "not JSON: EOF");
    assert_refused(&directory, "", "line 1, column 0: not JSON");
    assert_refused(
        &directory,
        &format!("{text}x"),
        "not JSON: trailing characters",
    );
    assert_refused(&directory, "{}", "the file does not say its format");
    let other = with(&text, "/format", json!("seamcheck.trace.v9"));
    let wanted = r#"format is "seamcheck.trace.v9"; this program reads "seamcheck.trace.v1""#;
    assert_refused(&directory, &other, wanted);
    let report = ended(&["list", "--json"]).out;
    assert_refused(&directory, &report, r#"format is "seamcheck.report.v1""#);
    let long = text + &" ".repeat(MAX_BYTES);
    assert_refused(&directory, &long, "at most 16777216 are read");
}

#[test]
fn a_field_that_is_unknown_missing_or_of_another_type_is_named() {
    let (directory, text) = recorded("forged-fields", SHORT);
    let mut more: Value = serde_json::from_str(&text).expect("JSON");
    more["steps"][0]["colour"] = json!("red");
    assert_refused(
        &directory,
        &more.to_string(),
        "not a trace: unknown field `colour`",
    );
    let mut less: Value = serde_json::from_str(&text).expect("JSON");
    less["verdict"]
        .as_object_mut()
        .expect("an object")
        .remove("reason");
    assert_refused(&directory, &less.to_string(), "missing field `reason`");
    let number = with(&text, "/steps/0/name", json!(7));
    assert_refused(
        &directory,
        &number,
        "not a trace: invalid type: integer `7`",
    );
    let nobody = with(&text, "/steps/0/agent", json!("vcpu7"));
    assert_refused(
        &directory,
        &nobody,
        r#"step 1 names agent "vcpu7", which is not listed"#,
    );
    let empty = with(&text, "/steps", json!([]));
    assert_refused(&directory, &empty, "it has no steps");
}

#[test]
fn a_question_that_was_changed_is_refused() {
    let (directory, text) = recorded("forged-question", LONG);
    for (pointer, value, phrase) in [
        (
            "/question/property",
            json!("no-third-busy"),
            "unknown property `no-third-busy`",
        ),
        (
            "/question/property",
            json!("no-bug-on"),
            "the question is not what",
        ),
        (
            "/question/property_text",
            json!("harmless"),
            "the question is not what",
        ),
        (
            "/question/decisions/kick",
            json!("none"),
            "the question is not what",
        ),
        (
            "/question/set",
            json!({"kick": "nne"}),
            "unknown value `nne` for decision `kick`",
        ),
        (
            "/question/scenario/vcpus",
            json!("many"),
            "vcpus is a number, not `many`",
        ),
        (
            "/question/scenario/vcpus",
            json!("2"),
            "the list of agents is not what",
        ),
        (
            "/question/kernel/name",
            json!("5.0"),
            "unknown kernel `5.0`",
        ),
        // The same steps are no execution without store buffers, or with the barrier in place.
        ("/question/memory", json!("sc"), "step 5 (vcpu0: "),
        ("/question/set", json!({}), "the question is not what"),
        (
            "/agents/1/name",
            json!("vCPU 7"),
            "the list of agents is not what",
        ),
        (
            "/verdict/reason",
            json!("All is well."),
            "do not show a violation of no-second-busy",
        ),
    ] {
        assert_refused(&directory, &with(&text, pointer, value), phrase);
    }
}

#[test]
fn a_users_lock_table_travels_with_the_trace_and_can_not_be_changed_in_it() {
    let directory = scratch("forged-table");
    let known = seamcheck_model::builtin::MODULES.iter();
    let (_, table) = known.last().expect("there are some");
    let table = format!("# mine\n{table}");
    std::fs::write(directory.join("mine.toml"), &table).expect("it can be written");
    let ask = [
        "what-if",
        "--module",
        "mine.toml",
        "--set",
        "kick=none",
        "--trace",
        "trace.json",
    ];
    assert_eq!(ended_in(&directory, &ask).status, Some(10));
    // The file itself is needed no more.
    std::fs::remove_file(directory.join("mine.toml")).expect("it can be removed");
    let text = std::fs::read_to_string(directory.join("trace.json")).expect("written");
    assert_eq!(replayed(&directory, &text).status, Some(0));
    let track = r#"{ acquire = "TD_EPOCH", mode = "exclusive", busy = "TD_EPOCH" }"#;
    for (altered, phrase) in [
        // The loser no longer conflicts: the step at which it fails does not exist.
        (
            track.replace("exclusive", "shared"),
            "is not a step of today's model",
        ),
        (
            track.replace("busy = \"TD_EPOCH\"", "busy = \"RCX\""),
            "is not a step of today's model",
        ),
        (
            track.replace("exclusive", "exclusiv"),
            "unknown mode `exclusiv`",
        ),
    ] {
        assert_eq!(table.matches(track).count(), 1);
        let toml = json!(table.replace(track, &altered));
        assert_refused(
            &directory,
            &with(&text, "/question/module/toml", toml),
            phrase,
        );
    }
}

#[test]
fn a_users_own_table_can_not_take_the_name_of_a_built_in_one() {
    let (directory, text) = recorded("forged-name", SHORT);
    let (_, table) = seamcheck_model::builtin::MODULES[1];
    let source = json!({ "name": "1.5.05", "toml": format!("# changed\n{table}") });
    let text = with(&text, "/question/module", source);
    assert_refused(&directory, &text, "1.5.05");
}
