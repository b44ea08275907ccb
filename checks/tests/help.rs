//! What a user reads before asking: help, lists, status words. Changed on purpose only.

mod common;

use clap::CommandFactory;
use common::{check, ended};
use insta::assert_snapshot;
use seamcheck::cli::Cli;

fn printed(args: &[&str]) -> String {
    let ended = ended(args);
    assert_eq!(ended.status, Some(0), "{args:?}: {}", ended.err);
    assert_eq!(ended.err, "", "{args:?}");
    ended.out
}

#[test]
fn the_program_says_what_it_does_and_how_it_ends() {
    assert_snapshot!("help", printed(&["--help"]));
}

#[test]
fn every_command_says_what_it_does() {
    let program = Cli::command();
    let names = program.get_subcommands().map(|command| command.get_name());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(!names.is_empty());
    for name in names {
        assert_snapshot!(format!("help_{name}"), printed(&[name, "--help"]));
    }
}

#[test]
fn help_fits_the_width_asked_for_and_says_the_same_in_short() {
    for name in ["run", "what-if"] {
        let long = printed(&[name, "--help"]);
        let wide = long.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{name}");
        assert_eq!(printed(&["help", name]), long);
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = concat!("check ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(&["--version"]), version);
}

#[test]
fn the_list_names_every_run_under_its_heading() {
    // Lengths of counterexamples are the suite's business.
    let name_of = |line: &str| match line.strip_prefix("  ") {
        Some(run) => format!("  {}", run.split(' ').next().unwrap_or_default()),
        None => line.to_owned(),
    };
    let names: Vec<String> = printed(&["list"]).lines().map(name_of).collect();
    assert_snapshot!("list", names.join("\n"));
}

#[test]
fn every_decision_is_listed_with_its_values() {
    assert_snapshot!("list_decisions", printed(&["list", "--decisions"]));
}

#[test]
fn status_words_are_taken_apart() {
    let words = [
        "0x8000020000000092",
        "0x8000020000000001",
        "0",
        "0x8000_0201_0000_0000",
        "0XC0000B0800000001",
        "0xdeadbeefdeadbeef",
    ];
    assert_snapshot!("decode", printed(&[&["decode"], &words[..]].concat()));
}

#[test]
fn a_status_word_is_the_same_in_decimal() {
    let decimal = 0x8000_0200_0000_0092_u64.to_string();
    assert_eq!(
        printed(&["decode", &decimal]),
        printed(&["decode", "0x8000020000000092"])
    );
}

#[test]
fn one_word_that_is_none_refuses_them_all() {
    for bad in ["TDX_OPERAND_BUSY", "0x", "", "0x18000020000000092", "92h"] {
        let ended = ended(&["decode", "0x8000020000000092", bad]);
        assert_eq!(ended.status, Some(2), "{bad}");
        assert_eq!(ended.out, "", "{bad}");
        let said = common::words(&ended.err);
        assert!(
            said.contains(&format!("`{bad}` is no 64-bit status word")),
            "{said}"
        );
    }
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let has_colour = |name: &str, value: &str| {
        let mut command = check(&["run", "init-vcpu-twice/sc"]);
        command.env_remove("NO_COLOR").env(name, value);
        let output = command.output().expect("the program starts");
        output.stdout.contains(&0x1b)
    };
    assert!(!has_colour("SOME_OTHER_NAME", "1"));
    assert!(!has_colour("NO_COLOR", "1"));
    assert!(has_colour("CLICOLOR_FORCE", "1"));
}
