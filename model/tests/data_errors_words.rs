//! Misspelt and misplaced words in a lock table, each met with a remedy.

mod common;

use common::mistake::refused;

const RESOURCES: &str =
    "it is one of TDR, OP_STATE, TD_EPOCH, SEPT_TREE, SEPT_ENTRY, TDVPR, PAGE_PAMT";

/// An edit, what is said about it, and the remedy.
type Row = (&'static str, &'static str, &'static str, &'static str);

#[track_caller]
fn all_refused(rows: &[Row]) {
    for (find, put, message, help) in rows {
        refused(find, put, message, Some(help));
    }
}

#[test]
fn an_unknown_key_is_met_with_the_closest_one_or_with_all() {
    all_refused(&[
        (
            "title",
            "‸titel",
            "unknown key `titel`",
            "did you mean `title`?",
        ),
        (
            "title",
            "‸xyz",
            "unknown key `xyz`",
            "it is one of name, title, leaves_as, leaves_evidence, locks, sept_entry_store, leaf",
        ),
        (
            "keeps_host",
            "‸keep_host",
            "unknown key `keep_host_priority`",
            "did you mean `keeps_host_priority`?",
        ),
        (
            "[sept_entry_store]",
            "[‸sept_store]",
            "unknown key `sept_store`",
            "did you mean `sept_entry_store`?",
        ),
        (
            "TDR = {",
            "‸TDRR = {",
            "unknown key `TDRR`",
            "did you mean `TDR`?",
        ),
        ("TDR = {", "‸KOT = {", "unknown key `KOT`", RESOURCES),
        (
            "note = ",
            "‸notes = ",
            "unknown key `notes`",
            "did you mean `note`?",
        ),
        (
            "{ acquire",
            "{ ‸aquire",
            "unknown key `aquire`",
            "did you mean `acquire`?",
        ),
    ]);
}

#[test]
fn a_step_has_only_the_keys_of_its_own_kind() {
    all_refused(&[
        (
            "{ effect = \"block-entry\"",
            "{ effect = \"block-entry\", ‸mode = \"host\"",
            "unknown key `mode`",
            "it is one of effect, releases, when",
        ),
        (
            "{ release = \"SEPT_TREE\"",
            "{ release = \"SEPT_TREE\", ‸busy = \"RCX\"",
            "unknown key `busy`",
            "it is one of release, when",
        ),
        (
            "{ acquire = \"TDR\"",
            "{ acquire = \"TDR\", ‸effect = \"block-entry\"",
            "unknown key `effect`",
            "it is one of acquire, mode, busy, when",
        ),
    ]);
}

#[test]
fn an_unknown_lock_is_met_with_the_closest_one_or_with_all() {
    let find = "= \"OP_STATE\", mode";
    all_refused(&[
        (
            find,
            "= ‸\"OPSTATE\", mode",
            "unknown resource `OPSTATE`",
            "did you mean `OP_STATE`?",
        ),
        (
            find,
            "= ‸\"FOO\", mode",
            "unknown resource `FOO`",
            RESOURCES,
        ),
        (
            "release = \"SEPT_TREE\"",
            "release = ‸\"TREE\"",
            "unknown resource `TREE`",
            RESOURCES,
        ),
        (
            "releases = \"SEPT_ENTRY\"",
            "releases = ‸\"SEPT_ENTY\"",
            "unknown resource `SEPT_ENTY`",
            "did you mean `SEPT_ENTRY`?",
        ),
    ]);
}

#[test]
fn an_unknown_mode_operand_or_condition_is_met_with_the_closest_one_or_with_all() {
    all_refused(&[
        (
            "mode = \"shared\"",
            "mode = ‸\"share\"",
            "unknown mode `share`",
            "did you mean `shared`?",
        ),
        (
            "mode = \"shared\"",
            "mode = ‸\"rw\"",
            "unknown mode `rw`",
            "it is one of shared, exclusive, host, guest",
        ),
        (
            "busy = \"TD_EPOCH\"",
            "busy = ‸\"EPOCH\"",
            "unknown operand `EPOCH`",
            "did you mean `TD_EPOCH`?",
        ),
        (
            "busy = \"TD_EPOCH\"",
            "busy = ‸\"R10\"",
            "unknown operand `R10`",
            "it is one of RAX, RCX, RDX, R8, R9, TDR, TDVPR, TDCS, TDVPS, SEPT_TREE, SEPT_ENTRY, RTMR, TD_EPOCH, OP_STATE, KOT",
        ),
        (
            "when = \"zero-step-armed\"",
            "when = ‸\"zero_step\"",
            "unknown condition `zero_step`",
            "did you mean `zero-step-armed`?",
        ),
        (
            "when = \"zero-step-armed\"",
            "when = ‸\"foo\"",
            "unknown condition `foo`",
            "it is one of zero-step-armed",
        ),
    ]);
}

#[test]
fn an_unknown_effect_is_met_with_the_closest_one_or_with_all() {
    all_refused(&[
        (
            "\"block-entry\"",
            "‸\"block-entri\"",
            "unknown effect `block-entri`",
            "did you mean `block-entry`?",
        ),
        (
            "\"block-entry\"",
            "‸\"foo\"",
            "unknown effect `foo`",
            "it is one of block-entry, record-bepoch, advance-epoch, check-leaf, check-tracked, free-entry, sample-epoch, would-fault, run-guest, leave-epoch, accept-check, accept-store, attr-check, aug-entry, add-entry, finalize, require-initialized, require-runnable",
        ),
    ]);
}

#[test]
fn an_unknown_kind_or_evidence_is_met_with_the_closest_one_or_with_all() {
    all_refused(&[
        (
            "kind = \"sharex\"",
            "kind = ‸\"share\"",
            "unknown lock kind `share`",
            "did you mean `sharex`?",
        ),
        (
            "kind = \"sharex\"",
            "kind = ‸\"mutex\"",
            "unknown lock kind `mutex`",
            "it is one of sharex, sharex-host-priority, sept-entry",
        ),
        (
            "evidence = \"read\"\nflow",
            "evidence = ‸\"rad\"\nflow",
            "unknown evidence `rad`",
            "did you mean `read`?",
        ),
        (
            "epoch lock\", evidence = \"read\"",
            "epoch lock\", evidence = ‸\"guessed\"",
            "unknown evidence `guessed`",
            "it is one of read, stated, assumed",
        ),
    ]);
}
