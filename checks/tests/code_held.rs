//! `check code`: loom's executions held against the model, as the command shows it.

use seamcheck::engine::{Limits, Watch};
use seamcheck::runner::run_one;
use seamcheck::suite::parse;
use serde_json::Value;
use std::process::{Command, Output};

fn code(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_check"))
        .arg("code")
        .args(arguments.split_whitespace())
        .output()
        .expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    said.split_whitespace()
        .filter(|word| *word != "│")
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn executions_are_counted_by_what_the_model_says_of_them() {
    let output = code("--window remove --json");
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let held = &report["answer"]["held"];
    assert_eq!(held["in_order"], 772);
    assert_eq!(held["by_program_order"], 16);
    assert_eq!(held["weaker_than_x86"], 0);
    assert_eq!(held["start_is_reached"], true);
    assert_eq!(report["answer"]["executions"], 788);
    assert_eq!(report["answer"]["conforming"], 788);
    let rmw = text(&code("--window remove --memory rmw"));
    assert!(rmw.contains("621 in loom's order"), "{rmw}");
    assert!(rmw.contains("6, held against the model's"), "{rmw}");
}

#[test]
fn a_divergence_is_status_14_and_shows_both_sides_on_both_memories() {
    for memory in ["weak", "rmw"] {
        let output = code(&format!("--memory {memory} --against kick=none"));
        assert_eq!(output.status.code(), Some(14), "{memory}");
        insta::allow_duplicates! {
            let text = text(&output);
            let shown: Vec<&str> = text
                .lines()
                .skip_while(|line| !line.contains("conformance"))
                // What a verdict rests on is another thing on the other memory.
                .filter(|line| !line.contains("rests on"))
                .take(8)
                .collect();
            insta::assert_snapshot!(shown.join("\n"));
        }
    }
}

#[test]
fn a_window_under_shuttle_is_held_and_can_part() {
    let asked = "--engine shuttle --window block --vcpus 4 --schedules 300";
    let held = code(asked);
    assert_eq!(held.status.code(), Some(20));
    let text = text(&held);
    let inside = "300 schedules are inside the model";
    assert!(text.contains(inside), "{text}");

    let parts = code(&format!("{asked} --against kick=none"));
    assert_eq!(parts.status.code(), Some(14));
    let text = self::text(&parts);
    assert!(text.contains("diverges"), "{text}");
    let because = "because      code and model part";
    assert!(text.contains(because), "{text}");
}

#[test]
fn a_value_that_no_barrier_allows_is_counted_and_no_divergence() {
    let output = code("--set vcpu_barrier=absent --against vcpu_barrier=srcu-unlock");
    assert_eq!(output.status.code(), Some(10));
    let text = text(&output);
    assert!(text.contains("weaker than x86"), "{text}");
    assert!(text.contains("try --barriers-in-locks"), "{text}");
    assert!(!text.contains("diverges"), "{text}");
}

#[test]
fn a_start_that_the_model_does_not_come_to_is_named() {
    let text = text(&code("--window track --marked --laps 1"));
    let named = "no search shows that the model comes to where this begins";
    assert!(text.contains(named), "{text}");
}

#[test]
fn a_window_that_the_model_does_not_have_is_run_and_not_held() {
    // By these decisions the code makes no second call either, so there is nothing to say of it.
    let output = code("--set on_busy=give-up");
    assert_eq!(output.status.code(), Some(11));
    let text = text(&output);
    assert!(text.contains("not held: by these decisions"), "{text}");
}

#[test]
fn more_than_loom_can_run_is_refused_with_a_remedy() {
    let many = code("--vcpus 5");
    assert_eq!(many.status.code(), Some(2));
    let words = said(&many);
    assert!(words.contains("at most 4 beside the zapper"), "{words}");
    assert!(words.contains("shuttle runs more"), "{words}");

    let long = code("--laps 1000");
    assert_eq!(long.status.code(), Some(20));
    let words = text(&long);
    assert!(
        words.contains("goes on for more than 10000 steps"),
        "{words}"
    );
    assert!(words.contains("fewer laps or vCPUs"), "{words}");
    assert_eq!(said(&long), "", "no panic is shown");
}

/// The manifest's counts are held: each is changed once.
#[test]
fn a_count_that_is_not_the_manifests_is_named() {
    let differences = |counts: &str| {
        let text = format!(
            "[[check]]\nname = \"small\"\ngroup = \"test\"\nabout = \"test\"\nform = \"loom\"\n\
             module = \"1.5.05\"\nkernel = \"6.16\"\n\
             code = {{ window = \"block\", laps = 1, conformance = true }}\n\
             weak = {{ states = 142, {counts}, no-second-busy = \"holds\" }}\n"
        );
        let mut runs = parse("suite.toml", &text).expect("well-formed");
        let outcome = run_one(runs.remove(0), Limits::default(), &Watch::default());
        let differences = outcome.differences.iter();
        differences.map(ToString::to_string).collect::<Vec<_>>()
    };
    let right = "in-order = 126, by-program-order = 16";
    assert_eq!(differences(right), Vec::<String>::new());
    assert_eq!(
        differences("in-order = 127, by-program-order = 16"),
        ["expected 127 executions in order, found 126"]
    );
    assert_eq!(
        differences("in-order = 126"),
        ["expected 0 executions by program order, found 16"]
    );
    assert_eq!(
        differences(&format!("{right}, weaker-than-x86 = 1, outcomes = 5")),
        [
            "expected 1 executions weaker than x86, found 0",
            "expected 5 outcomes compared, found 0"
        ]
    );
}

#[test]
fn two_zappers_are_asked_with_the_locks_of_their_removals() {
    let found = code("--zappers 2 --drop mmu_lock@zap --window whole --laps 1 --preemptions 1");
    assert_eq!(found.status.code(), Some(10));
    let words = text(&found);
    assert!(words.contains("2 zappers under no mmu_lock"), "{words}");
    assert!(words.contains("zapper 2 begins a removal"), "{words}");

    let parts = code("--zappers 2 --window whole --preemptions 1 --memory rmw --against kick=none");
    assert_eq!(parts.status.code(), Some(14));

    let window = code("--zappers 2");
    assert_eq!(window.status.code(), Some(2));
    assert!(said(&window).contains("ask for --window whole"));
    let path = code("--hold mmu_lock:write@KVM_TDX_INIT_VCPU");
    assert_eq!(path.status.code(), Some(2));
    assert!(said(&path).contains("as in mmu_lock:read@zap"));
}
