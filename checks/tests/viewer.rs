//! `trace` where there is no terminal: forms, refusals, and what is not executed.

mod common;

use common::{LONG, SHORT, recorded, trace, words};
use seamcheck_traces::{Format, MAX_BYTES, Trace};
use std::path::Path;

#[test]
fn the_program_says_what_it_does_and_how_it_ends() {
    let ended = trace(Path::new("."), &["--help"]);
    assert_eq!(ended.status, Some(0));
    insta::assert_snapshot!("help_of_trace", ended.out);
}

#[test]
fn without_a_terminal_a_trace_is_printed_as_text() {
    let (directory, _) = recorded("viewer-text", SHORT);
    let ended = trace(&directory, &["trace.json"]);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    insta::assert_snapshot!("trace_as_text", ended.out);
}

#[test]
fn every_form_is_printed_alike_by_trace_and_by_explain() {
    let (directory, text) = recorded("viewer-forms", SHORT);
    for format in Format::ALL {
        let mine = trace(&directory, &["trace.json", "--format", format.key()]);
        assert_eq!(mine.status, Some(0), "{}", mine.err);
        let theirs = common::ended_in(
            &directory,
            &["explain", "trace.json", "--format", format.key()],
        );
        assert_eq!(mine.out, theirs.out, "{format:?}");
        match format {
            Format::Json => assert_eq!(mine.out, text),
            Format::Race | Format::Text => {}
            _ => insta::assert_snapshot!(format!("trace_as_{}", format.key()), mine.out),
        }
    }
}

#[test]
fn a_form_that_does_not_exist_is_refused_with_the_ones_that_do() {
    let ended = trace(Path::new("."), &["x.json", "--format", "pdf"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        words(&ended.err).contains("[possible values: race, text, markdown"),
        "{}",
        ended.err
    );
    let nothing = trace(Path::new("."), &[]);
    assert_eq!(nothing.status, Some(2));
}

#[test]
fn the_schema_is_printed() {
    let ended = trace(Path::new("."), &["--schema"]);
    assert_eq!(ended.out, seamcheck_traces::schema::json_schema());
}

fn refused(directory: &Path, bytes: &[u8], phrase: &str) {
    std::fs::write(directory.join("given.json"), bytes).expect("it can be written");
    let flags: [&[&str]; 3] = [&[], &["--html", "out.html"], &["--format", "json"]];
    for more in flags {
        let ended = trace(directory, &[&["given.json"][..], more].concat());
        assert_eq!(ended.status, Some(2), "{phrase}: {}", ended.err);
        assert_eq!(ended.out, "");
        let said = words(&ended.err);
        assert!(said.contains(phrase), "wanted {phrase:?}: {said}");
        assert!(!directory.join("out.html").exists());
    }
}

#[test]
fn what_is_damaged_is_refused_with_its_place() {
    let (directory, text) = recorded("viewer-damaged", SHORT);
    refused(
        &directory,
        &text.as_bytes()[..text.len() / 2],
        "not JSON: EOF",
    );
    let mut flipped = text.clone().into_bytes();
    let place = text.find("\"steps\"").expect("it has steps") + 2;
    flipped[place] ^= 0x80;
    let line = text[..place].matches('\n').count() + 1;
    refused(
        &directory,
        &flipped,
        &format!("line {line}, column 5: not UTF-8"),
    );
    refused(
        &directory,
        &vec![b' '; MAX_BYTES + 1],
        "at most 16777216 are read",
    );
    refused(
        &directory,
        "[".repeat(100_000).as_bytes(),
        "line 1, column ",
    );
    let other = text.replacen("trace.v1", "trace.v2", 1);
    refused(
        &directory,
        other.as_bytes(),
        "this program reads \"seamcheck.trace.v1\"",
    );
}

#[test]
fn every_flipped_bit_is_refused_or_changes_nothing_that_is_shown() {
    let (directory, text) = recorded("viewer-bits", SHORT);
    let shown = trace(&directory, &["trace.json"]).out;
    // A bit here and there: each is one run of the program.
    let stride = text.len() / 40;
    for (index, place) in (0..text.len()).step_by(stride).enumerate() {
        let mut flipped = text.clone().into_bytes();
        flipped[place] ^= 1 << (index % 7);
        std::fs::write(directory.join("given.json"), &flipped).expect("it can be written");
        let ended = trace(&directory, &["given.json"]);
        let is_same = ended.status == Some(0) && ended.out == shown;
        // The program's version and the check's name are nobody's to confirm.
        let in_head = place < text.find("\"question\"").expect("a question");
        assert!(
            ended.status == Some(2) || is_same || in_head,
            "byte {place}: {}",
            ended.out
        );
    }
}

#[test]
fn a_trace_that_is_not_confirmed_is_shown_only_to_those_who_insist() {
    let (directory, text) = recorded("viewer-forged", SHORT);
    let mut forged = Trace::from_json(&text).expect("a trace");
    forged.verdict.reason = "The moon is full.".into();
    refused(
        &directory,
        forged.to_json().as_bytes(),
        "`--unverified` shows this one as it is",
    );
    let insisted = trace(&directory, &["given.json", "--unverified"]);
    assert_eq!(insisted.status, Some(0));
    assert!(
        insisted.out.starts_with("Not executed again: "),
        "{}",
        insisted.out
    );
    assert!(insisted.out.contains("The moon is full."));
    assert!(
        insisted.err.contains("Not executed again"),
        "{}",
        insisted.err
    );
    let page = trace(
        &directory,
        &["given.json", "--unverified", "--html", "out.html"],
    );
    assert_eq!(page.status, Some(0));
    let page = std::fs::read_to_string(directory.join("out.html")).expect("it was written");
    assert!(page.contains("Not executed again"));
    std::fs::remove_file(directory.join("out.html")).expect("it is there");
    // Other versions and damaged files are not shown to anybody.
    let other = text.replacen("trace.v1", "trace.v2", 1);
    std::fs::write(directory.join("given.json"), other).expect("it can be written");
    let refused = trace(&directory, &["given.json", "--unverified"]);
    assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""));
}

#[test]
fn a_trace_of_many_thousand_steps_is_refused_where_it_goes_wrong() {
    let (directory, text) = recorded("viewer-long", LONG);
    let mut long = Trace::from_json(&text).expect("a trace");
    let step = long.steps[0].clone();
    long.steps.splice(0..0, vec![step; 20_000]);
    refused(
        &directory,
        long.to_json_lines().as_bytes(),
        "step 2 (vcpu0: ",
    );
}

#[test]
fn a_page_that_can_not_be_written_ends_with_74() {
    let (directory, _) = recorded("viewer-unwritable", SHORT);
    let ended = trace(&directory, &["trace.json", "--html", "no/such/page.html"]);
    assert_eq!(ended.status, Some(74), "{}", ended.err);
    let absent = trace(&directory, &["absent.json"]);
    assert_eq!(absent.status, Some(2));
    assert!(absent.err.contains("No such file"), "{}", absent.err);
    assert_eq!(trace(&directory, &["."]).status, Some(2));
}
