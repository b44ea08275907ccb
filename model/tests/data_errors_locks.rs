//! Lock-table rows that make no sense: modes, kinds, what is held where, rows given twice.

#![allow(clippy::unwrap_used)]

mod common;

use common::mistake::{in_module, refused};
use seamcheck_model::table::LockTable;

/// Module 1.5.05 with an edit is refused, whatever is said about it.
fn is_refused(find: &str, put: &str) -> bool {
    let text = in_module(find, put).unwrap().text;
    LockTable::parse("mine.toml", &text).is_err()
}

#[test]
fn a_mode_that_the_lock_kind_does_not_have_is_refused() {
    let help = Some("use shared or exclusive");
    let message = "a sharex-host-priority lock is not taken in mode `host`";
    refused("mode = \"shared\"", "mode = ‸\"host\"", message, help);
    let message = "a sharex lock is not taken in mode `guest`";
    let (find, put) = (
        "TD_EPOCH\", mode = \"exclusive\"",
        "TD_EPOCH\", mode = ‸\"guest\"",
    );
    refused(find, put, message, help);
    for mode in ["shared", "exclusive"] {
        let message = format!("a sept-entry lock is not taken in mode `{mode}`");
        let put = format!("mode = ‸\"{mode}\"");
        refused("mode = \"host\"", &put, &message, Some("use host or guest"));
    }
}

#[test]
fn a_lock_without_a_kind_is_refused_where_it_is_first_taken() {
    let kind = "TD_EPOCH = { kind = \"sharex\", source = \"src/common/helpers/tdx_locks.h: epoch lock\", evidence = \"read\" }\n";
    let text = in_module(kind, "").unwrap().text;
    let error = LockTable::parse("mine.toml", &text).unwrap_err();
    assert_eq!(error.to_string(), "mine.toml:43:15: TD_EPOCH has no kind");
    let help = error.help.as_deref();
    assert_eq!(help, Some("add TD_EPOCH to the [locks] table"));
    assert_eq!(&text[error.span], "\"TD_EPOCH\"");
}

#[test]
fn a_lock_taken_twice_is_refused() {
    let help = Some("no lock of the TDX module is recursive");
    let (find, put) = ("= \"OP_STATE\", mode", "= ‸\"TDR\", mode");
    refused(find, put, "TDR is held already", help);
}

#[test]
fn a_release_of_what_is_not_held_is_refused_and_told_what_is() {
    let release = "{ release = \"SEPT_TREE\" }";
    let message = "SEPT_TREE is released but not held here";
    let twice = "{ release = \"SEPT_TREE\" }, { release = ‸\"SEPT_TREE\" }";
    refused(
        release,
        twice,
        message,
        Some("held at this point: TDR, OP_STATE"),
    );
    let release = "{ release = \"TDR\" }";
    let twice = "{ release = \"TDR\" }, { release = ‸\"TDR\" }";
    let help = Some("held at this point: nothing");
    refused(release, twice, "TDR is released but not held here", help);
}

#[test]
fn a_store_that_unlocks_what_is_not_held_is_refused_and_told_what_is() {
    let (find, put) = (
        "effect = \"block-entry\"",
        "effect = \"block-entry\", releases = ‸\"TD_EPOCH\"",
    );
    let message = "TD_EPOCH is released but not held here";
    let help = "held at this point: TDR, OP_STATE, SEPT_TREE, SEPT_ENTRY";
    refused(find, put, message, Some(help));
}

#[test]
fn locks_that_are_never_released_are_named_with_all_their_releases_most_recent_first() {
    let put = "[[leaf]]\nname = \"TDH.MEM.RD\"\nsource = \"\"\nevidence = \"read\"\nflow = ‸[\
        { acquire = \"TDR\", mode = \"shared\", busy = \"RDX\" }, \
        { acquire = \"SEPT_TREE\", mode = \"shared\", busy = \"SEPT_TREE\" }]\n[[leaf]]";
    let message = "SEPT_TREE is still held at the end";
    let help = r#"add { release = "SEPT_TREE" }, { release = "TDR" }"#;
    refused("[[leaf]]", put, message, Some(help));
}

#[test]
fn a_lock_that_is_never_released_is_refused_with_the_release_to_add() {
    let text = "name = \"mine\"\ntitle = \"one\"\n[sept_entry_store]\nsource = \"\"\nevidence = \"read\"\n[locks]\n\
        TDR = { kind = \"sharex\", source = \"\", evidence = \"read\" }\n\
        [[leaf]]\nname = \"TDH.MNG.RD\"\nsource = \"\"\nevidence = \"read\"\n\
        flow = [{ acquire = \"TDR\", mode = \"shared\", busy = \"RCX\" }]\n";
    let error = LockTable::parse("mine.toml", text).unwrap_err();
    let message = "mine.toml:12:8: TDR is still held at the end";
    assert_eq!(error.to_string(), message);
    assert_eq!(error.help.as_deref(), Some("add { release = \"TDR\" }"));
}

/// A row with this flow and no lock.
fn refusal(name: &str, flow: &str) -> (String, Option<String>) {
    let text = format!(
        "name = \"mine\"\ntitle = \"one\"\n[sept_entry_store]\nsource = \"\"\nevidence = \"read\"\n[locks]\n\
         [[leaf]]\nname = \"{name}\"\nsource = \"\"\nevidence = \"read\"\nflow = [{flow}]\n"
    );
    let error = LockTable::parse("mine.toml", &text).unwrap_err();
    (error.to_string(), error.help)
}

#[test]
fn an_effect_that_only_another_leaf_has_is_refused() {
    for (name, effect, whose) in [
        ("TDH.MEM.RANGE.BLOCK", "run-guest", "TDH.VP.ENTER"),
        ("TDH.VP.ENTER", "accept-store", "a TDCALL"),
        ("TDG.MEM.PAGE.ACCEPT", "advance-epoch", "a SEAMCALL"),
    ] {
        let (message, help) = refusal(name, &format!("{{ effect = \"{effect}\" }}"));
        let said = format!("mine.toml:11:8: `{effect}` is what {whose} does, not {name}");
        assert_eq!(message, said);
        assert_eq!(help.as_deref(), Some("leave it out"));
    }
}

#[test]
fn a_guest_that_runs_without_being_counted_is_refused() {
    let [sample, run, leave] = ["sample-epoch", "run-guest", "leave-epoch"]
        .map(|effect| format!("{{ effect = \"{effect}\" }}"));
    for flow in [
        &run,
        &format!("{sample}, {run}"),
        &format!("{run}, {sample}, {leave}"),
    ] {
        let (message, _) = refusal("TDH.VP.ENTER", flow);
        let said = "mine.toml:11:8: the guest runs without being counted in a REFCOUNT";
        assert_eq!(message, said, "{flow}");
    }
}

#[test]
fn a_row_given_twice_is_refused() {
    let help = Some("merge the two rows, or give them different leaf versions");
    let (find, put) = (
        "name = \"TDH.MEM.TRACK\"",
        "name = ‸\"TDH.MEM.RANGE.BLOCK\"",
    );
    refused(find, put, "duplicate row for TDH.MEM.RANGE.BLOCK", help);
    let (find, put) = (
        "name = \"TDH.VP.INIT\"\nversion = 0",
        "name = ‸\"TDH.VP.INIT\"\nversion = 1",
    );
    refused(find, put, "duplicate row for TDH.VP.INIT@1", help);
}

#[test]
fn a_lock_released_only_when_armed_must_be_taken_only_when_armed() {
    assert!(is_refused(
        "busy = \"SEPT_TREE\", when = \"zero-step-armed\" },",
        "busy = \"SEPT_TREE\" },"
    ));
}

#[test]
fn a_row_without_a_flow_is_refused() {
    let text = "name = \"mine\"\ntitle = \"one\"\n[locks]\n[sept_entry_store]\nsource = \"\"\nevidence = \"read\"\n[[leaf]]\n\
                name = \"TDH.MNG.RD\"\nsource = \"\"\nevidence = \"read\"\n";
    assert!(LockTable::parse("mine.toml", text).is_err());
}

#[test]
fn the_evidence_for_what_entry_stores_do_is_checked() {
    assert!(is_refused(
        "evidence = \"read\"\n\n[locks]",
        "evidence = \"rumour\"\n\n[locks]"
    ));
    assert!(is_refused("evidence = \"read\"\n\n[locks]", "[locks]"));
}
