//! Lock tables that are not TOML, lack a key, or hold a value of the wrong type.

mod common;

use common::mistake::{in_module, refused};
use common::table;
use seamcheck_model::builtin;
use seamcheck_model::resource::{Evidence, LockKind, Resource};
use seamcheck_model::table::LockTable;

const TDR: &str = "{ acquire = \"TDR\", mode = \"shared\", busy = \"RDX\" }";
const TRACK: &str = "[[leaf]]\nname = \"TDH.MEM.TRACK\"\n";
const TRACK_SOURCE: &str = "source = \"src/vmm_dispatcher/api_calls/tdh_mem_track.c\"\n";

#[test]
fn an_error_names_file_line_and_column() {
    let text = "name = \"mine\"\ntitle = \"one\"\n\n[locks]\nTDX = 1\n";
    let error = LockTable::parse("t/mine.toml", text).unwrap_err();
    assert_eq!(error.to_string(), "t/mine.toml:5:1: unknown key `TDX`");
    assert_eq!(error.help.as_deref(), Some("did you mean `TDR`?"));
    assert_eq!((error.line, error.column), (5, 1));
    assert_eq!(&text[error.span], "TDX");
}

#[test]
fn columns_are_counted_in_characters_not_in_bytes() {
    let text = "name = \"mine\"\nlocks = { TDR = { source = \"ä\", kin = 1 } }\n";
    let error = LockTable::parse("mine.toml", text).unwrap_err();
    assert_eq!(error.to_string(), "mine.toml:2:33: unknown key `kin`");
    assert_eq!(&text[error.span], "kin");
}

#[test]
fn a_text_that_is_not_toml_is_refused_where_it_stops_being_toml() {
    refused("[locks]", "[locks‸", "unclosed table, expected `]`", None);
    refused(
        "\"1.5.05\"",
        "1.5‸.05",
        "invalid float, expected nothing",
        None,
    );
    refused("title = ", "‸name = ", "duplicate key", None);
    refused(
        "[[leaf]]\nname = \"TDH.VP.WR\"",
        "[‸leaf]",
        "duplicate key",
        None,
    );
}

#[test]
fn a_missing_key_of_the_file_is_missed_at_its_beginning() {
    refused("name = \"1.5.05\"\n", "", "missing key `name`", None);
    refused("title = ", "# ", "missing key `title`", None);
    for table in ["locks", "sept_entry_store"] {
        let message = format!("missing key `{table}`");
        let tables = [
            ("locks", "[locks]\n"),
            (
                "sept_entry_store",
                "[sept_entry_store]\nsource = \"\"\nevidence = \"read\"\n",
            ),
        ];
        let others = tables.iter().filter(|(name, _)| *name != table);
        let rest: String = others.map(|(_, text)| *text).collect();
        let text = format!("name = \"mine\"\ntitle = \"one\"\n{rest}");
        let error = LockTable::parse("mine.toml", &text).unwrap_err();
        assert_eq!(error.to_string(), format!("mine.toml:1:1: {message}"));
        let help = "give it, or take over that of another table: leaves_as = \"2.0.12\"";
        assert_eq!(error.help.as_deref(), Some(help));
    }
}

#[test]
fn rows_of_a_table_that_there_is_not_or_of_the_table_itself_are_refused() {
    let known: Vec<&str> = builtin::MODULES.iter().map(|(name, _)| *name).collect();
    let help = format!("it is one of {}", known.join(", "));
    let (put, own) = (
        "leaves_as = ‸\"1.5.06\"\ntitle = ",
        "leaves_as = ‸\"1.5.05\"\ntitle = ",
    );
    refused("title = ", put, "unknown module `1.5.06`", Some(&help));
    let message = "a table can not take over its own rows";
    refused("title = ", own, message, None);
}

#[test]
fn a_table_takes_over_what_it_does_not_give() {
    let parse = |rest: &str| {
        let head = "name = \"mine\"\ntitle = \"one\"\nleaves_as = \"2.0.12\"\n";
        LockTable::parse("mine.toml", &format!("{head}{rest}")).unwrap()
    };
    let (same, theirs) = (parse(""), table("2.0.12").unwrap());
    assert_eq!(same.kinds, theirs.kinds);
    assert!(same.entry_store_keeps_host_priority);
    assert_eq!(same.leaves.len(), theirs.leaves.len());
    let mut evidence = same.leaves.iter().map(|leaf| leaf.evidence);
    assert!(evidence.all(|evidence| evidence == Evidence::Assumed));
    // What it does give stands in the place of theirs, lock kinds included.
    let track = "leaves_evidence = \"read\"\n\
        [sept_entry_store]\nsource = \"\"\nevidence = \"read\"\n\
        [locks]\nSEPT_TREE = { kind = \"sharex\", source = \"\", evidence = \"read\" }\n\
        [[leaf]]\nname = \"TDH.MEM.TRACK\"\nsource = \"\"\nevidence = \"stated\"\nflow = []\n";
    let mine = parse(track);
    assert_eq!(mine.leaves.len(), theirs.leaves.len());
    assert!(!mine.entry_store_keeps_host_priority);
    assert_eq!(mine.leaf("TDH.MEM.TRACK").unwrap().flow, []);
    for leaf in &mine.leaves {
        let stated = leaf.name == "TDH.MEM.TRACK";
        let evidence = if stated {
            Evidence::Stated
        } else {
            Evidence::Read
        };
        assert_eq!(leaf.evidence, evidence, "{}", leaf.key());
    }
    let kind = |table: &LockTable, lock| {
        let row = table.kinds.iter().find(|(other, _)| *other == lock);
        row.map(|(_, kind)| *kind)
    };
    assert_eq!(kind(&mine, Resource::SeptTree), Some(LockKind::Sharex));
    assert_ne!(kind(&theirs, Resource::SeptTree), Some(LockKind::Sharex));
    assert_eq!(kind(&mine, Resource::Tdr), kind(&theirs, Resource::Tdr));
}

#[test]
fn a_missing_key_of_a_row_is_missed_at_the_row() {
    refused(TRACK, "‸[[leaf]]\n", "missing key `name`", None);
    let row = format!("{TRACK}{TRACK_SOURCE}evidence = \"read\"\n");
    let lacks_source = format!("‸{TRACK}evidence = \"read\"\n");
    refused(&row, &lacks_source, "missing key `source`", None);
    let lacks_evidence = format!("‸{TRACK}{TRACK_SOURCE}");
    refused(&row, &lacks_evidence, "missing key `evidence`", None);
}

#[test]
fn a_missing_key_of_a_lock_or_a_step_is_missed_there() {
    refused("{ kind = \"sharex\", ", "‸{ ", "missing key `kind`", None);
    let kind = "{ kind = \"sharex\", source = \"src/common/helpers/tdx_locks.h: epoch lock\", ";
    refused(kind, "‸{ kind = \"sharex\", ", "missing key `source`", None);
    refused(
        TDR,
        "‸{ acquire = \"TDR\", busy = \"RDX\" }",
        "missing key `mode`",
        None,
    );
    refused(
        TDR,
        "‸{ acquire = \"TDR\", mode = \"shared\" }",
        "missing key `busy`",
        None,
    );
    let nothing = "a step needs `acquire`, `release` or `effect`";
    refused(TDR, "‸{ }", nothing, None);
    refused(TDR, "‸{ when = \"zero-step-armed\" }", nothing, None);
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    refused(
        "name = \"1.5.05\"",
        "name = ‸15",
        "`name` must be a string",
        None,
    );
    refused(
        "= \"TDR\", mode",
        "= ‸3, mode",
        "`acquire` must be a string",
        None,
    );
    refused(TDR, "‸\"TDR\"", "`flow` must hold tables", None);
    let boolean = "`keeps_host_priority` must be true or false";
    refused("priority = false", "priority = ‸\"no\"", boolean, None);
    let track = format!("{TRACK}flow = ‸\"acquire\"\n[[leaf]]\n");
    refused(TRACK, &track, "`flow` must be an array", None);
    let row = "TDR = { kind = \"sharex-host-priority\", source = \"src/common/helpers/tdx_locks.h: PAMT entry locks\", evidence = \"read\" }";
    refused(row, "TDR = ‸\"sharex\"", "`TDR` must be a table", None);
    let text = "name = \"mine\"\nlocks = []\n";
    let error = LockTable::parse("mine.toml", text).unwrap_err();
    assert_eq!(error.to_string(), "mine.toml:2:9: `locks` must be a table");
}

#[test]
fn a_leaf_version_is_a_whole_number() {
    for version in ["\"one\"", "-1", "1.0", "99999999999999999999", "true"] {
        let put = format!("version = ‸{version}");
        refused(
            "version = 0",
            &put,
            "`version` must be a whole number",
            None,
        );
    }
    let text = in_module("version = 0", "version = 0x1_0").unwrap().text;
    let table = LockTable::parse("mine.toml", &text).unwrap();
    assert!(table.leaf("TDH.VP.INIT@16").is_some());
}
