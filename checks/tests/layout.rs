//! Who may depend on whom, and what the pure crates may not touch.

use std::path::{Path, PathBuf};
use toml::{Table, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifest(directory: &str) -> Table {
    let text = read(&root().join(directory).join("Cargo.toml"));
    text.parse().expect("TOML")
}

/// Everything a crate depends on, tests and build scripts included.
fn dependencies(directory: &str) -> Vec<String> {
    let manifest = manifest(directory);
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables
        .iter()
        .filter_map(|name| manifest.get(*name)?.as_table());
    tables.flat_map(Table::keys).cloned().collect()
}

#[test]
fn the_workspace_has_three_crates_with_the_same_lints() {
    let members = manifest(".")["workspace"]["members"].clone();
    assert_eq!(members, Value::from(vec!["model", "checks", "traces"]));
    for directory in ["model", "checks", "traces"] {
        let lints = &manifest(directory)["lints"]["workspace"];
        assert_eq!(lints.as_bool(), Some(true), "{directory}");
    }
}

#[test]
fn checks_depends_on_model_and_traces_and_they_on_nobody() {
    let ours = |directory: &str| {
        let all = dependencies(directory).into_iter();
        let mut ours: Vec<_> = all.filter(|name| name.starts_with("seamcheck")).collect();
        ours.sort();
        ours
    };
    assert_eq!(ours("checks"), ["seamcheck-model", "seamcheck-traces"]);
    assert_eq!(ours("model"), [""; 0]);
    assert_eq!(ours("traces"), [""; 0]);
}

#[test]
fn nothing_is_taken_from_outside_the_registry() {
    let all = &manifest(".")["workspace"]["dependencies"];
    for (name, wanted) in all.as_table().expect("a table") {
        let path = wanted.get("path").and_then(Value::as_str);
        assert_eq!(path.is_some(), name.starts_with("seamcheck"), "{name}");
        assert!(wanted.get("git").is_none(), "{name}");
    }
}

/// Every Rust file below a directory, by its path from the root, with its lines that are no comment.
fn sources(directory: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(directory)).expect("readable") {
        let entry = entry.expect("readable");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = format!("{directory}/{name}");
        if entry.path().is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            let text = read(&entry.path());
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            found.push((path, code.map(str::to_owned).collect()));
        }
    }
    found
}

/// True when `line` has `word` and not merely a longer name that contains it.
fn mentions(line: &str, word: &str) -> bool {
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        let goes_on = word.ends_with(is_name) && after.starts_with(is_name);
        !before.ends_with(is_name) && !goes_on
    })
}

#[test]
fn a_word_is_told_from_a_longer_one() {
    assert!(mentions("use rand::Rng;", "rand") && mentions("    println!(", "println!"));
    assert!(!mentions("let operand = 1;", "rand") && !mentions("random", "rand"));
    assert!(mentions("use std::fs;", "std::fs") && !mentions("eprintln!(", "println!"));
}

/// The last one would hide the others: `use std::{fs, io}`.
const IMPURE: [&str; 15] = [
    "std::fs",
    "std::io",
    "std::env",
    "std::net",
    "std::time",
    "std::thread",
    "std::process",
    "rand",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
    "unsafe",
    "std::{",
];

#[test]
fn model_and_traces_do_no_io_and_have_no_clock_no_chance_and_no_threads() {
    let all = [sources("model/src"), sources("traces/src")].concat();
    assert!(all.len() > 50, "{} files", all.len());
    // The claim as code runs threads: that is what it is for.
    let pure = all
        .iter()
        .filter(|(path, _)| !path.starts_with("model/src/threads/"));
    for (path, lines) in pure {
        for line in lines {
            for word in IMPURE {
                assert!(!mentions(line, word), "{path}: {line}");
            }
        }
    }
}

#[test]
fn the_claim_as_code_has_no_clock_and_no_io_either() {
    for (path, lines) in sources("model/src/threads") {
        for line in lines {
            // What shuttle's threads choose is part of its schedule, and replayed with it.
            if line.contains("shuttle::rand") {
                continue;
            }
            for word in [
                "std::fs",
                "std::io",
                "std::env",
                "std::time",
                "rand",
                "println!",
            ] {
                assert!(!mentions(&line, word), "{path}: {line}");
            }
        }
    }
}

#[test]
fn each_crates_root_draws_all_its_rooms() {
    for directory in ["model", "checks", "traces"] {
        let text = read(&root().join(directory).join("src/lib.rs"));
        let comments = text.lines().filter(|line| line.starts_with("//!"));
        let comments = comments.collect::<Vec<_>>().join("\n");
        let mut parts = comments.split("```");
        let drawing = parts.nth(1).expect("a drawing");
        let rooms = text
            .lines()
            .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let mut count = 0;
        for room in rooms {
            assert!(
                mentions(drawing, room),
                "{directory}: `{room}` is not drawn"
            );
            let link = comments.contains(&format!("[`{room}`]"));
            assert!(link, "{directory}: `{room}` is not explained");
            count += 1;
        }
        assert!(count > 10, "{directory}: {count} rooms");
    }
}

#[test]
fn no_directory_takes_the_place_of_staterights_explorer() {
    assert!(!root().join("ui").exists());
}
