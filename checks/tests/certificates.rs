//! Certificates of proofs as files: written, read back, refused when damaged.

mod common;

use common::{ended_in, scratch, words};
use std::path::{Path, PathBuf};

/// A certificate in a directory of its own, and its text. Without 0-step it is small.
fn certificate(name: &str) -> (PathBuf, String) {
    let directory = scratch(name);
    let prove = [
        "prove",
        "--set",
        "zero_step=false",
        "--certificate",
        "c.json",
    ];
    let ended = ended_in(&directory, &prove);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let text = std::fs::read_to_string(directory.join("c.json")).expect("it was written");
    (directory, text)
}

fn assert_refused(directory: &Path, text: &str, phrase: &str) {
    std::fs::write(directory.join("d.json"), text).expect("it can be written");
    let ended = ended_in(directory, &["recheck", "d.json"]);
    assert_eq!(ended.out, "");
    let said = words(&ended.err);
    assert!(said.contains("d.json: ") && said.contains(phrase), "{said}");
    assert_eq!(ended.status, Some(2));
}

#[test]
fn a_certificate_just_written_is_confirmed() {
    let (directory, _) = certificate("certificate-good");
    let ended = ended_in(&directory, &["recheck", "c.json"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let said = "c.json: no-second-busy holds for every number of vCPUs from one on; 2 604 views";
    assert!(ended.out.starts_with(said), "{}", ended.out);
}

#[test]
fn a_damaged_certificate_is_refused() {
    let (directory, text) = certificate("certificate-bad");
    let half = &text[..text.len() / 2];
    assert_refused(&directory, half, "not a certificate: EOF");
    assert_refused(&directory, "", "not a certificate: EOF");
    let other = text.replace("certificate.v1", "certificate.v9");
    assert_refused(
        &directory,
        &other,
        "the format is \"seamcheck.certificate.v9\"",
    );
    let counted = text.replace("\"views\": 2604", "\"views\": 2603");
    assert_refused(&directory, &counted, "it says 2603 views and has 2604");
    let word = text.replacen("0000000000000000 ", "00000000000000zz ", 1);
    assert_refused(&directory, &word, "is not a word of 16 hexadecimal digits");
    let field = text.replacen("\"beside\"", "\"besides\"", 1);
    assert_refused(&directory, &field, "unknown field `besides`");
}

#[test]
fn a_certificate_proves_nothing_about_another_question() {
    let (directory, text) = certificate("certificate-other");
    let zero_step = text.replace("\"zero_step\": \"false\"", "\"zero_step\": \"true\"");
    assert_ne!(zero_step, text);
    assert_refused(
        &directory,
        &zero_step,
        "it proves nothing: the set is not closed",
    );
    let kernel = text.replacen("\"6.16\"", "\"patch-v1\"", 1);
    assert_refused(
        &directory,
        &kernel,
        "the question is not what today's model says",
    );
    let property = text.replacen("no-second-busy", "no-third-busy", 1);
    assert_refused(&directory, &property, "unknown property `no-third-busy`");
}

#[test]
fn a_flipped_digit_of_a_view_is_noticed() {
    let (directory, text) = certificate("certificate-flipped");
    let start = text.find("\"beside\"").expect("views");
    let places: Vec<usize> = text[start..]
        .match_indices('1')
        .map(|(at, _)| start + at)
        .collect();
    for place in places.iter().step_by(places.len() / 12) {
        let mut damaged = text.clone();
        damaged.replace_range(place..&(place + 1), "2");
        assert_refused(&directory, &damaged, "");
    }
}
