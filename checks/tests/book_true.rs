//! What the book says and a program can check: its links, the paths and the commands that it names.

mod common;

use common::{ended, ended_in};
use regex::Regex;
use seamcheck::scenario_text;
use seamcheck::suite;
use seamcheck_model::kernel::Decisions;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Markdown file: its path from the root, and its text.
fn texts() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned()];
    for directory in ["docs", "docs/adr"] {
        for entry in std::fs::read_dir(root().join(directory)).expect("there") {
            let name = entry.expect("readable").file_name();
            names.push(format!("{directory}/{}", name.to_string_lossy()));
        }
    }
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    let read = |name: String| {
        let text = std::fs::read_to_string(root().join(&name)).expect("readable");
        (name, text)
    };
    names.into_iter().map(read).collect()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("well-formed")
}

/// A heading as a link names it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let link = pattern(r"\]\(([^)\s]+)\)");
    let mut count = 0;
    for (name, text) in texts() {
        let target = |found: regex::Captures<'_>| found[1].to_owned();
        for target in link.captures_iter(&text).map(target) {
            if target.starts_with("http") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => root().join(&name),
                _ => root().join(&name).with_file_name("").join(file),
            };
            assert!(path.exists(), "{name}: {target}");
            if !place.is_empty() {
                let text = std::fs::read_to_string(&path).expect("readable");
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| slug(line.trim_start_matches('#')) == place);
                assert!(found, "{name}: {target}");
            }
            count += 1;
        }
    }
    assert!(count > 80, "{count} links");
}

#[test]
fn every_path_of_this_repository_that_is_named_is_there() {
    let path = pattern(r"`((?:model|checks|traces|docs|\.github|\.ci)/[A-Za-z0-9_./-]*)`");
    let mut count = 0;
    for (name, text) in texts() {
        for found in path.captures_iter(&text) {
            assert!(root().join(&found[1]).exists(), "{name}: {}", &found[1]);
            count += 1;
        }
    }
    assert!(count > 80, "{count} paths");
}

/// The command lines of a text: in blocks, and in the running text.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let block =
        pattern(r"(?m)^ {4}(?:.*\| )?(?:cargo run (?:--locked )?--bin )?(check|trace) (.*)$");
    let mut found: Vec<String> = block
        .captures_iter(&joined)
        .map(|line| format!("{} {}", &line[1], &line[2]))
        .collect();
    let inline = pattern(r"`(check|trace)\s([^`]{1,160})`");
    found.extend(
        inline
            .captures_iter(text)
            .map(|span| format!("{} {}", &span[1], &span[2])),
    );
    found
}

/// A command line as its words, without what the shell and the reader get of it.
fn words(command: &str) -> Vec<String> {
    let command = command.split("  #").next().unwrap_or(command);
    let command = command.split([';', '>', '|']).next().unwrap_or(command);
    let words = command.split_whitespace().filter(|word| *word != "--");
    words.map(str::to_owned).collect()
}

#[test]
fn command_lines_are_found_in_blocks_and_in_the_text() {
    let text = "See `check\nlist --pairs`.\n\n    check what-if --set \\\n        kick=none    # why\n    \
                dmesg | check triage\n";
    let found: Vec<_> = commands(text).iter().map(|line| words(line)).collect();
    assert_eq!(found[0], ["check", "what-if", "--set", "kick=none"]);
    assert_eq!(found[1], ["check", "triage"]);
    assert_eq!(found[2], ["check", "list", "--pairs"]);
}

/// What stands for something of the reader's: `NAME`, `FILE.toml`.
fn is_placeholder(word: &str) -> bool {
    let name = word.split(['.', '/']).next().unwrap_or(word);
    name.len() > 2 && !name.chars().any(|c| c.is_lowercase() || c.is_ascii_digit())
}

/// Short questions to which everything is at hand: these are asked.
fn is_asked(arguments: &[&str]) -> bool {
    let is_question = ["what-if", "decode", "explain", "matrix"]
        .iter()
        .any(|command| arguments.first() == Some(command));
    let is_there = |word: &&str| !word.ends_with(".toml") || root().join(word).exists();
    let is_large = ["2", "3", "4"].iter().any(|number| {
        let mut pairs = arguments.windows(2);
        pairs.any(|pair| ["--vcpus", "--pages"].contains(&pair[0]) && pair[1] == *number)
    });
    let writes = |word: &&str| ["--out", "--trace", "--save"].contains(word);
    let is_whole = !arguments.iter().any(|word| {
        writes(word) || is_placeholder(word) || word.contains('=') && word.ends_with("VALUE")
    });
    is_question && is_whole && !is_large && arguments.iter().all(is_there)
}

#[test]
fn every_command_in_the_book_is_understood() {
    let runs = suite::built_in().expect("well-formed");
    let checks: Vec<&str> = runs.iter().map(|run| run.check.as_str()).collect();
    let (mut count, mut asked) = (0, 0);
    for (name, text) in texts() {
        for line in commands(&text) {
            let words = words(&line);
            let wrong = |what: &str| panic!("{name}: `{line}`: {what}");
            if words[0] == "check" {
                let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                // With --help at its end a command says whether it knows what stands before.
                let said = ended(&[&arguments[..], &["--help"]].concat());
                if said.status != Some(0) {
                    wrong(&said.err);
                }
                if arguments.len() > 1 && is_asked(&arguments) {
                    let said = ended_in(&root(), &arguments);
                    if !matches!(said.status, Some(0 | 10 | 11)) {
                        wrong(&said.err);
                    }
                    asked += 1;
                }
            }
            for pair in words.windows(2).filter(|pair| pair[0] == "--set") {
                let (key, value) = pair[1].split_once('=').unwrap_or((&pair[1], ""));
                let known = Decisions::values(key);
                let is_value = known.iter().any(|(known, _)| *known == value);
                let is_setting = known.is_empty() && scenario_text::NAMES.contains(&key);
                if !(is_value || is_setting || is_placeholder(key)) {
                    wrong(&pair[1]);
                }
            }
            let asks = ["explain", "run", "fix"].contains(&words.get(1).map_or("", String::as_str));
            if let Some(run) = words.get(2).filter(|_| asks) {
                let check = run.split('/').next().unwrap_or(run);
                let is_file = run.contains(".json");
                if !(run.starts_with('-')
                    || is_placeholder(run)
                    || is_file
                    || checks.contains(&check))
                {
                    wrong("no such check");
                }
            }
            count += 1;
        }
    }
    assert!(count > 100 && asked > 15, "{count} commands, {asked} asked");
}
