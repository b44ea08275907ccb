//! `check import`: a made-up patch mail, as the program is used on it. The forms that mailers and
//! archives give it are tested beside the code.

mod common;
#[path = "common/documented.rs"]
mod documented;

use common::{Ended, ended_in, scratch, words};
use documented::Format;
use insta::assert_snapshot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const MAIL: &str = include_str!("mails/removal.patch");

fn import(directory: &Path, mail: &[u8], more: &[&str]) -> Ended {
    std::fs::write(directory.join("mail"), mail).expect("it can be written");
    ended_in(directory, &[&["import", "mail"], more].concat())
}

/// What an archive makes of the mail's text: every run of blanks is one.
fn collapsed() -> String {
    let lines = MAIL.lines().map(|line| {
        let is_code = line.starts_with(['+', '-', '@']) || line.starts_with(" \t");
        if is_code {
            line.to_owned()
        } else {
            words(line)
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_mail_is_held_against_the_model_row_by_row() {
    let ended = import(&scratch("import-row"), MAIL.as_bytes(), &[]);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    assert_snapshot!("import", ended.out);
}

#[test]
fn another_module_or_kernel_decides_what_differs() {
    let directory = scratch("import-other");
    for more in [["--module", "2.0.12"], ["--kernel", "6.16"]] {
        assert_eq!(
            import(&directory, MAIL.as_bytes(), &more).status,
            Some(10),
            "{more:?}"
        );
    }
}

#[test]
fn where_columns_are_lost_both_readings_are_named_and_none_is_taken() {
    let ended = import(&scratch("import-lost"), collapsed().as_bytes(), &[]);
    assert_eq!(ended.status, Some(20), "{}", ended.err);
    let text = words(&ended.out);
    assert!(text.contains("blanks were collapsed on the way"), "{text}");
    let block = "TDH.MEM.RANGE.BLOCK, SEPT tree: if SHARED, no table here agrees; if EXCLUSIVE, patch-table";
    assert!(text.contains(block), "{text}");
}

#[test]
fn what_is_no_patch_is_refused_with_what_one_needs() {
    let directory = scratch("import-none");
    for bytes in [
        &b""[..],
        b"hello\n",
        b"\0\x01\xff\xfe",
        b"From: a@b.c\nSubject: lunch\n\nnoon?\n",
    ] {
        let ended = import(&directory, bytes, &[]);
        assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""));
        assert!(
            words(&ended.err).contains("not recognised: neither a lock table nor a retry site")
        );
    }
    let ended = ended_in(&directory, &["import", "no-such-mail"]);
    assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""));
}

#[test]
fn what_never_ends_is_not_read_to_its_end() {
    let ended = import(&scratch("import-large"), &vec![b'x'; (16 << 20) + 1], &[]);
    assert_eq!(ended.status, Some(2));
    assert!(
        words(&ended.err).contains("larger than 16 MiB"),
        "{}",
        ended.err
    );
}

#[test]
fn the_import_has_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.import.v1");
    let (directory, mut met) = (scratch("import-json"), BTreeSet::new());
    let more = MAIL.replace("SEPT entry    ", "(4) KOT       ");
    for mail in [MAIL, &collapsed(), &more] {
        let ended = import(&directory, mail.as_bytes(), &["--json"]);
        let value: Value = serde_json::from_str(&ended.out).expect("JSON");
        format.assert_fits(&value, &mut met);
    }
    assert_eq!(met, format.all(), "left: met, right: documented");
}
