//! JSON for programs: what docs/json.md says, no field more, no field less.

mod common;
#[path = "common/documented.rs"]
mod documented;

use common::{ended, recorded, runs};
use documented::Format;
use seamcheck::suite::{self, Form};
use seamcheck_model::closed_enum::ClosedEnum;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the program prints, whatever it ends with.
fn printed(args: &[&str]) -> Value {
    let ended = ended(args);
    assert_eq!(ended.err, "", "{args:?}");
    let report: Value = serde_json::from_str(&ended.out).expect("JSON");
    // Of several statuses the gravest; 0 for a list.
    assert_eq!(
        report["exit"].as_i64(),
        ended.status.map(i64::from),
        "{args:?}"
    );
    report
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[test]
fn agreements_have_the_documented_fields() {
    let format = Format::read("seamcheck.agreement.v1");
    let mut met = BTreeSet::new();
    // Violated, holding; what the actors can not see; what nobody asked of them.
    let matrix = printed(&["agree", "--json", "M03", "M10"]);
    format.assert_fits(&matrix, &mut met);
    let mut cells = BTreeSet::new();
    for row in matrix["rows"].as_array().expect("rows") {
        for cell in row["cells"].as_object().expect("cells").values() {
            let fields = cell.as_object().expect("a cell").keys();
            cells.extend(fields.map(|field| format!("cell.{field}")));
        }
    }
    let all = format.all();
    assert!(cells.is_subset(&all), "{cells:?}");
    met.extend(cells);
    // No two verdicts differ.
    let unmet = all.difference(&met);
    let unmet: Vec<&String> = unmet
        .filter(|field| !field.starts_with("disagreement."))
        .collect();
    assert!(unmet.is_empty(), "{unmet:?}");
}

#[test]
fn reports_have_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.report.v1");
    let mut met = BTreeSet::new();
    for args in [
        &["list", "--json"][..],
        // Violated, vacuous, holding; executions instead of states.
        &[
            "run",
            "--json",
            "claim-init-vcpu",
            "M22",
            "loom-remove",
            "loom-M03",
            "actors-M03",
            "M03",
        ],
        // Unknown.
        &["run", "--json", "6.16-1.5.05-1vcpu/sc", "--max-states=100"],
        &["what-if", "--json"],
        // With a proof.
        &["run", "--json", "6.16-1.5.05-1vcpu/sc"],
        &["what-if", "--json", "--set=kick=none"],
        &[
            "what-if",
            "--json",
            "--set=kick=none",
            "--property=epoch-empty",
        ],
    ] {
        format.assert_fits(&printed(args), &mut met);
    }
    // A disagreement is met in tests/agree.rs, an interrupted report in tests/cut_short.rs.
    let elsewhere = |field: &String| {
        field.starts_with("disagreement.") || [".partial", ".not_run"].contains(&field.as_str())
    };
    let all = format.all().into_iter();
    let all: BTreeSet<String> = all.filter(|field| !elsewhere(field)).collect();
    assert_eq!(met, all, "left: met, right: documented");
}

#[test]
fn a_report_has_the_matrix_of_what_ran_in_it() {
    let report = printed(&["run", "--json", "M03/sc", "actors-M03/sc", "shuttle-M03"]);
    let alone = printed(&["agree", "--json", "M03/sc"]);
    let rows = report["agreement"]["rows"].as_array().expect("rows");
    let of_both = |rows: &[Value]| -> Vec<Value> {
        let both = rows.iter();
        let both = both.filter(|row| row["cells"]["actors"].get("verdict").is_some());
        both.cloned().collect()
    };
    let both = of_both(rows);
    assert!(!both.is_empty());
    assert_eq!(both, of_both(alone["rows"].as_array().expect("rows")));
    assert!(printed(&["what-if", "--json"]).get("agreement").is_none());
}

#[test]
fn proofs_have_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.proof.v1");
    let mut met = BTreeSet::new();
    for args in [
        &["prove", "--json"][..],
        &["prove", "--json", "--set=kick=none"],
        &["prove", "--json", "--set=busy_predicate=unmasked"],
        &[
            "prove",
            "--json",
            "--set=kick=none",
            "--property=epoch-empty",
        ],
    ] {
        format.assert_fits(&printed(args), &mut met);
    }
    assert_eq!(met, format.all(), "left: met, right: documented");
}

/// All but the one that only a mistake in this program can bring about.
#[test]
fn answers_of_the_code_have_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.code.v1");
    let mut met = BTreeSet::new();
    for args in [
        &[
            "code",
            "--json",
            "--fewest",
            "--preemptions=3",
            "--set=kick=none",
        ][..],
        &["code", "--json", "--set=flag_return=reenter-guest"],
        &["code", "--json", "--set=on_busy=give-up"],
        &["code", "--json", "--memory=rmw", "--window=remove"],
        &["code", "--json", "--against=flag_raise=after-kick"],
        &[
            "code",
            "--json",
            "--with=KVM_TDX_INIT_VCPU",
            "--set=finalized=false",
            "--set=populated=true",
            "--hold=mmu_lock:write@KVM_TDX_INIT_VCPU",
        ],
        &[
            "code",
            "--json",
            "--engine=shuttle",
            "--pct=3",
            "--set=kick=none",
            "--schedules=2000",
        ],
    ] {
        format.assert_fits(&printed(args), &mut met);
    }
    met.insert("answer.failed".to_owned());
    assert_eq!(met, format.all(), "left: met, right: documented");
}

#[test]
fn traces_have_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.trace.v1");
    let mut met = BTreeSet::new();
    for run in ["M06/tso", "claim-init-vcpu/tso", "M20/sc", "M33/sc"] {
        let (_, text) = recorded("json-trace", run);
        format.assert_fits(&serde_json::from_str(&text).expect("JSON"), &mut met);
    }
    assert_eq!(met, format.all(), "left: met, right: documented");
}

#[test]
fn a_list_says_what_is_expected_and_nothing_of_a_search() {
    let report = printed(&["list", "--json"]);
    let listed = report["runs"].as_array().expect("an array");
    let runs = suite::built_in().expect("well-formed");
    assert_eq!(listed.len(), runs.len());
    for (listed, run) in listed.iter().zip(runs) {
        assert_eq!(listed["name"], run.name.as_str());
        assert_eq!(listed.get("search"), None, "{}", run.name);
        let verdicts = listed["verdicts"].as_array().expect("an array");
        assert_eq!(verdicts.len(), run.expect.len(), "{}", run.name);
        for (listed, (property, expected)) in verdicts.iter().zip(&run.expect) {
            assert_eq!(listed["property"], property.key());
            assert_eq!(listed["expected"], expected.to_string());
            assert_eq!(keys(listed), BTreeSet::from(["expected", "property"]));
        }
    }
}

#[test]
fn an_answer_expects_nothing_and_asks_no_second_engine() {
    for (args, exit, verdict) in [
        (&["what-if", "--json"][..], 0, "holds"),
        (&["what-if", "--json", "--set=kick=none"], 10, "violated"),
        (
            &["what-if", "--json", "--set=busy_predicate=unmasked"],
            11,
            "vacuous",
        ),
        (&["what-if", "--json", "--max-states=100"], 20, "unknown"),
    ] {
        let report = printed(args);
        assert_eq!(report["exit"], exit);
        let [answer] = report["runs"].as_array().expect("an array").as_slice() else {
            panic!("one question, one answer");
        };
        assert_eq!(
            (&answer["group"], &answer["check"]),
            (&"question".into(), &"what-if".into())
        );
        assert_eq!(answer.get("stateright"), None);
        assert_eq!(answer["verdicts"][0]["verdict"], verdict);
        assert_eq!(answer["verdicts"][0].get("expected"), None);
        assert_eq!(
            answer["verdicts"][0].get("length").is_some(),
            verdict == "violated"
        );
        let complete = answer["search"]["complete"].as_bool();
        assert_eq!(complete, Some(matches!(verdict, "holds" | "vacuous")));
    }
}

#[test]
fn a_question_is_given_back_as_it_was_asked() {
    let report = printed(&[
        "what-if",
        "--json",
        "--kernel=patch-v1",
        "--module=2.0.12",
        "--set=kick=vcpu-kick",
        "--set=finalized=false",
        "--with=KVM_TDX_INIT_MEM_REGION",
        "--with=KVM_TDX_INIT_VCPU",
        "--memory=sc",
        "--pages=2",
    ]);
    let question = &report["runs"][0]["question"];
    assert_eq!(question["kernel"], "patch-v1");
    assert_eq!(question["module"], "2.0.12");
    assert_eq!(question["set"], serde_json::json!({ "kick": "vcpu-kick" }));
    assert_eq!(question["memory"], "sc");
    let scenario = &question["scenario"];
    assert_eq!(
        scenario["threads"],
        "KVM_TDX_INIT_MEM_REGION KVM_TDX_INIT_VCPU"
    );
    assert_eq!(
        (&scenario["pages"], &scenario["finalized"]),
        (&"2".into(), &"false".into())
    );
}

#[test]
fn the_numbers_are_those_of_the_suite() {
    let small = |states: Option<u64>| states.is_some_and(|states| states < 5000);
    let runs = runs().into_iter().filter(|run| small(run.states));
    let runs: Vec<_> = runs.filter(|run| run.form == Form::Packed).collect();
    let names = runs.iter().map(|run| run.name.as_str());
    let report = printed(
        &["run", "--json"]
            .into_iter()
            .chain(names)
            .collect::<Vec<_>>(),
    );
    assert_eq!(report["exit"], 0);
    let found = report["runs"].as_array().expect("an array");
    assert_eq!(found.len(), runs.len());
    assert!(found.len() > 50);
    for (found, run) in found.iter().zip(&runs) {
        assert_eq!(found["name"], run.name.as_str());
        assert_eq!(
            found["search"]["states"].as_u64(),
            run.states,
            "{}",
            run.name
        );
        assert_eq!(found["differences"], Value::Array(Vec::new()));
        let verdicts = found["verdicts"].as_array().expect("an array");
        for (found, (property, expected)) in verdicts.iter().zip(&run.expect) {
            let length = found
                .get("length")
                .map_or(String::new(), |length| format!(" {length}"));
            let word = found["verdict"].as_str().expect("a string");
            let what = format!("{}: {}", run.name, property.key());
            assert_eq!(format!("{word}{length}"), expected.to_string(), "{what}");
        }
    }
}

/// What differs from machine to machine.
fn without_times(mut value: Value) -> Value {
    for part in ["search", "stateright", "proof"] {
        let part = value[part].as_object_mut().expect("an object");
        part.retain(|key, _| {
            // Times, and what depends on the number of threads.
            let machine = [
                "seconds",
                "states_per_second",
                "recheck_seconds",
                "bytes_per_state",
            ];
            !machine.contains(&key.as_str())
        });
    }
    value
}

#[test]
fn the_documented_example_is_what_the_program_prints() {
    let text = include_str!("../../docs/json.md");
    let (_, from) = text
        .split_once("\nExample: `check run claim --json`")
        .expect("there");
    let block = from.lines().skip_while(|line| !line.starts_with("    "));
    let block = block.take_while(|line| line.starts_with("    "));
    let example: Value = serde_json::from_str(&block.collect::<String>()).expect("JSON");
    let mut shown = without_times(example["runs"][0].clone());
    let mut printed = without_times(printed(&["run", "claim", "--json"])["runs"][0].clone());
    let (shown_verdicts, verdicts) = (shown["verdicts"].take(), printed["verdicts"].take());
    assert_eq!(shown, printed);
    // Some are left out.
    for verdict in shown_verdicts.as_array().expect("an array") {
        let all = verdicts.as_array().expect("an array");
        assert!(all.contains(verdict), "{verdict}");
    }
}
