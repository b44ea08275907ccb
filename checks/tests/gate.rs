//! What a CI gate uses: profiles, JUnit, GitHub's annotations and step summary.

mod common;

use common::{PLAIN, ended, ended_in, scratch};
use quick_junit::{Report, TestCaseStatus};
use std::process::Command;

const DIFFERS: [&str; 4] = ["run", "M01", "--max-states", "10"];

fn junit(name: &str, args: &[&str]) -> Report {
    let directory = scratch(name);
    let ended = ended_in(&directory, &[args, &["--junit", "junit.xml"]].concat());
    assert_eq!(ended.err, "");
    let text = std::fs::read_to_string(directory.join("junit.xml")).expect("it was written");
    Report::deserialize_from_str(&text).expect("JUnit")
}

/// What goes to standard output and what to the step summary.
fn github(name: &str, args: &[&str]) -> (String, String) {
    let summary = scratch(name).join("summary.md");
    std::fs::write(&summary, "an earlier step\n").expect("it can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_check"))
        .envs(PLAIN)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .args(args)
        .args(["--message-format", "github"])
        .output()
        .expect("it starts");
    let said = String::from_utf8(output.stdout).expect("text");
    (said, std::fs::read_to_string(summary).expect("readable"))
}

#[test]
fn junit_has_a_case_for_each_run() {
    let report = junit("gate-junit", &["run", "claim-init-vcpu", "M01"]);
    let suites = report.test_suites.iter();
    let names: Vec<&str> = suites
        .flat_map(|suite| &suite.test_cases)
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!(names, ["claim-init-vcpu/tso", "M01/sc", "M01/tso"]);
    let cases = report
        .test_suites
        .iter()
        .flat_map(|suite| &suite.test_cases);
    for case in cases {
        assert!(matches!(case.status, TestCaseStatus::Success { .. }));
        let said = case.system_out.as_ref().expect("there");
        for wanted in ["no-second-busy: violated", "rests on A1"] {
            assert!(said.as_str().contains(wanted), "{said:?}");
        }
    }
}

#[test]
fn junit_says_what_differs() {
    let report = junit("gate-junit-differs", &DIFFERS);
    let case = &report.test_suites[0].test_cases[0];
    let TestCaseStatus::NonSuccess { message, .. } = &case.status else {
        panic!("{case:?}");
    };
    assert_eq!(
        message.as_ref().expect("there").as_str(),
        "no-second-busy: expected violated 23, found unknown (the limit on states was hit)"
    );
}

#[test]
fn github_gets_annotations_for_what_differs_and_a_summary_of_everything() {
    let (said, summary) = github("gate-github", &DIFFERS);
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("::error"))
        .collect();
    assert_eq!(errors.len(), 2, "{said}");
    assert!(
        errors[0].starts_with("::error title=seamcheck%3A M01/sc::no-second-busy: expected"),
        "{said}"
    );
    assert!(
        errors[0].contains("%0A1 vCPU, sequential consistency"),
        "{said}"
    );
    assert!(
        summary.starts_with("an earlier step\n## seamcheck\n"),
        "{summary}"
    );
    assert!(
        summary.contains(
            "\n| M01/tso | unknown | no-second-busy | A1-A3 A5 A9-A18 A22-A23 A31 | **no**: "
        ),
        "{summary}"
    );
}

#[test]
fn what_is_as_expected_gets_no_annotation() {
    let (said, summary) = github("gate-github-clean", &["run", "M01"]);
    assert!(!said.contains("::error"), "{said}");
    assert!(
        summary.contains(
            "\n| M01/sc | violated 23 | no-second-busy | A1-A2 A4-A5 A9-A18 A22-A23 A31 | yes |"
        ),
        "{summary}"
    );
}

#[test]
fn github_gets_ten_annotations_at_most_and_the_number_of_the_others() {
    let names = ["M01", "M02", "M03", "M04", "M05", "M06", "M07"];
    let args = [&["run"], &names[..], &["--max-states", "10"]].concat();
    let (said, _) = github("gate-github-many", &args);
    let errors = said.lines().filter(|line| line.starts_with("::error"));
    assert_eq!(errors.count(), 10, "{said}");
    assert!(
        said.ends_with("::error title=seamcheck::5 more runs differ: see the step summary\n"),
        "{said}"
    );
}

#[test]
fn a_report_that_can_not_be_written_ends_with_74_after_the_verdicts() {
    let directory = scratch("gate-junit-unwritable");
    std::fs::create_dir(directory.join("taken")).expect("it can be made");
    let ended = ended_in(&directory, &["run", "M01", "--junit", "taken"]);
    assert_eq!(ended.status, Some(74), "{}", ended.err);
    assert!(ended.out.contains("2 as expected, 0 not"), "{}", ended.out);
    assert!(ended.err.contains("taken: "), "{}", ended.err);
}

#[test]
fn an_unknown_profile_is_wrong_usage() {
    let ended = ended(&["run", "--profile", "fast"]);
    assert_eq!(ended.status, Some(2));
    let said = "no profile is called `fast`: it is one of default, ci, nightly";
    assert!(ended.err.contains(said), "{}", ended.err);
}

#[test]
fn limits_of_a_profile_give_way_to_flags() {
    let ended = ended(&["run", "M01/sc", "--profile", "ci", "--max-states", "10"]);
    assert_eq!(ended.status, Some(20), "{}", ended.out);
}

#[test]
fn shells_get_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = ended(&["completions", shell]);
        assert_eq!(ended.status, Some(0), "{shell}: {}", ended.err);
        for word in ["what-if", "--junit"] {
            assert!(ended.out.contains(word.trim_start_matches('-')), "{shell}");
        }
    }
}

/// The report in JSON, without what a clock says and without the memory of tables.
fn report_on(threads: &str) -> serde_json::Value {
    let names = [
        "M06",
        "M22",
        "6.16-1.5.05-1vcpu",
        "actors-M03",
        "shuttle-M19",
    ];
    let args = [&["run", "--json", "--threads", threads], &names[..]].concat();
    let mut report: serde_json::Value = serde_json::from_str(&ended(&args).out).expect("JSON");
    for run in report["runs"].as_array_mut().expect("runs") {
        for part in ["search", "stateright", "proof"] {
            let fields = run.get_mut(part).and_then(serde_json::Value::as_object_mut);
            let timed = |name: &str| name.contains("seconds") || name == "states_per_second";
            if let Some(fields) = fields {
                fields.retain(|name, _| !timed(name) && name != "bytes_per_state");
            }
        }
    }
    report
}

#[test]
fn a_report_is_the_same_on_any_number_of_threads_and_twice_in_a_row() {
    let report = report_on("1");
    assert_eq!(report["exit"], 0);
    for threads in ["1", "2", "5"] {
        assert_eq!(report_on(threads), report, "{threads}");
    }
}
