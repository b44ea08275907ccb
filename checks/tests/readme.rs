//! The verdicts in the README. (Its counterexample is held against the program in `traces.rs`.)

mod common;

use common::ended;
use regex::Regex;

/// In one line, and with no time in it: how long a run takes is not what is claimed.
fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let times = Regex::new(r"\b[0-9]+\.[0-9]+ s\b").expect("well-formed");
    times.replace_all(&words.join(" "), "… s").into_owned()
}

/// The indented block that begins with a verdict: its fields, each with the lines it goes on in.
fn fields(readme: &str) -> Vec<String> {
    let lines = readme.lines();
    let block = lines.skip_while(|line| !line.starts_with("    holds "));
    let mut fields: Vec<String> = Vec::new();
    for line in block.take_while(|line| line.starts_with("    ")) {
        // A label stands at the left of its column; what goes on is indented further.
        let goes_on = line.starts_with(&" ".repeat(30));
        match fields.last_mut().filter(|_| goes_on) {
            Some(field) => field.push_str(line),
            None => fields.push(line.to_owned()),
        }
    }
    fields.iter().map(|field| plain(field)).collect()
}

#[test]
fn the_verdicts_in_the_readme_are_what_the_program_says() {
    let fields = fields(include_str!("../../README.md"));
    assert!(fields.len() > 6, "{fields:?}");
    let rows = fields.iter().filter(|field| field.contains("claim"));
    assert_eq!(rows.count(), 2, "{fields:?}");
    let ended = ended(&["run", "claim", "claim-init-vcpu"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let said = plain(&ended.out);
    for field in fields {
        assert!(
            said.contains(&field),
            "the program does not say: {field}\n{said}"
        );
    }
}
