//! A suite that is not understood is refused at its place; expectations stay out of the model.

use seamcheck::suite::{Run, parse};
use std::path::{Path, PathBuf};

const GOOD: &str = r#"[[check]]
name = "small"
group = "test"
about = "test"
module = "1.5.05"
kernel = "6.16"
set = { kick = "none" }
scenario = { vcpus = 1 }
sc = { states = 1, no-second-busy = "violated 14" }
"#;

#[test]
fn a_suite_is_read() {
    let runs = parse("suite.toml", GOOD).expect("well-formed");
    let [
        Run {
            name,
            states: Some(1),
            set,
            ..
        },
    ] = runs.as_slice()
    else {
        panic!("{runs:?}");
    };
    assert_eq!(name, "small/sc");
    assert_eq!(set, &[("kick".to_owned(), "none".to_owned())]);
}

#[test]
fn a_mistake_is_named_with_line_column_and_remedy() {
    for (right, wrong, message, help) in [
        (
            "[[check]]",
            "[[chek]]",
            "1:3: unknown key `chek`",
            "did you mean `check`?",
        ),
        (
            "group",
            "grup",
            "3:1: unknown key `grup`",
            "did you mean `group`?",
        ),
        (
            "kick =",
            "kik =",
            "7:9: unknown key `kik`",
            "did you mean `kick`?",
        ),
        (
            "vcpus = 1",
            "vcpu = 1",
            "8:14: unknown key `vcpu`",
            "did you mean `vcpus`?",
        ),
        (
            "vcpus = 1",
            "vcpus = \"x\"",
            "8:22: vcpus is a number, not `x`",
            "",
        ),
        ("sc = {", "sx = {", "9:1: unknown key `sx`", "weak"),
        (
            "no-second-busy",
            "no-second-bus",
            "unknown key `no-second-bus`",
            "did you mean",
        ),
        (
            "violated 14",
            "violated",
            "9:37: not a verdict",
            "holds, vacuous, unknown or violated N",
        ),
        (
            ", no-second-busy = \"violated 14\"",
            "",
            "9:6: nothing is expected",
            "name at least",
        ),
        ("about = \"test\"\n", "", "1:1: missing key `about`", ""),
        (
            "set =",
            "form = \"x\"\nset =",
            "7:8: unknown form `x`",
            "packed, actors, loom or shuttle",
        ),
    ] {
        assert_eq!(GOOD.matches(right).count(), 1, "{right}");
        let error = parse("suite.toml", &GOOD.replace(right, wrong)).expect_err(wrong);
        let said = error.to_string();
        assert!(said.starts_with("suite.toml:"), "{said}");
        assert!(said.contains(message), "{wrong}: {said}");
        let remedy = error.help.unwrap_or_default();
        assert!(remedy.contains(help), "{wrong}: {remedy}");
    }
}

#[test]
fn a_check_needs_expectations_and_a_name_of_its_own() {
    let nothing = GOOD.lines().take(8).collect::<Vec<_>>().join("\n");
    let error = parse("suite.toml", &nothing).expect_err("it expects nothing");
    assert!(
        error.to_string().contains("needs `sc`, `tso` or `weak`"),
        "{error}"
    );
    let error = parse("suite.toml", &format!("{GOOD}{GOOD}")).expect_err("twice");
    assert_eq!(error.to_string(), "suite.toml:11:8: duplicate check");
}

/// Every Rust file below `directory`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// True for a string that is a mutant's name, not a sentence that mentions one.
fn is_mutant(literal: &str) -> bool {
    let digits = literal.strip_prefix('M').unwrap_or_default();
    let (number, rest) = digits.split_at_checked(2).unwrap_or_default();
    number.len() == 2 && number.chars().all(|digit| digit.is_ascii_digit()) && !rest.contains(' ')
}

#[test]
fn a_mutants_name_is_told_from_a_sentence_about_it() {
    assert!(is_mutant("M06") && is_mutant("M08-light") && is_mutant("M06/tso"));
    assert!(!is_mutant("M06 of docs/mutants.md") && !is_mutant("MAX") && !is_mutant("M"));
}

#[test]
fn the_model_knows_nothing_of_what_is_expected_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/src");
    let all = sources(&root);
    assert!(all.len() > 30, "{} files", all.len());
    for path in all {
        let text = std::fs::read_to_string(&path).expect("readable");
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let shown = format!("{}: {line}", path.display());
            for word in ["Expected", "default.toml", "suite", "seamcheck::"] {
                assert!(!line.contains(word), "{shown}");
            }
            // Every second piece between quotation marks is a string.
            let literals = line.split('"').skip(1).step_by(2);
            assert!(
                literals.into_iter().all(|literal| !is_mutant(literal)),
                "{shown}"
            );
        }
    }
}
