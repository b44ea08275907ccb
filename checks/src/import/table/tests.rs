use super::*;

fn lines(text: &str) -> Vec<TextLine> {
    let line = |text: &str| TextLine {
        quoted: 0,
        text: text.trim_end().to_owned(),
    };
    text.lines().map(line).collect()
}

fn one(text: &str) -> Table {
    let mut tables = TableReader::new().read(&lines(text));
    assert_eq!(tables.len(), 1, "{tables:?}");
    tables.remove(0)
}

/// `TDH.MEM.TRACK exclusive`, in order; `?` where it can not be told.
fn told(table: &Table) -> Vec<String> {
    let entries = table.rows.iter().flat_map(|row| &row.entries);
    let each = entries.map(|entry| {
        let column = entry.column.map_or("?", Column::key);
        format!("{} {column}", entry.leaf)
    });
    each.collect()
}

const ALIGNED: &str = "\
Some words about locks that are shared.

Resources      SHARED users          EXCLUSIVE users
-------------------------------------------------------------
SEPT tree      tdh_mem_page_remove   tdh_vp_enter (0-step mitigation)
                                     tdh_mem_range_block
-------------------------------------------------------------
TDCS epoch     tdh_vp_enter          tdh_mem_track

So tdh_mem_track() can meet tdh_vp_enter().
";

#[test]
fn a_table_that_kept_its_blanks_tells_every_column() {
    let table = one(ALIGNED);
    assert_eq!(
        told(&table),
        [
            "TDH.MEM.PAGE.REMOVE shared",
            "TDH.VP.ENTER exclusive",
            "TDH.MEM.RANGE.BLOCK exclusive",
            "TDH.VP.ENTER shared",
            "TDH.MEM.TRACK exclusive",
        ]
    );
    let locks: Vec<_> = table.rows.iter().map(|row| row.resource).collect();
    assert_eq!(locks, [Some(Resource::SeptTree), Some(Resource::TdEpoch)]);
    assert_eq!(
        table.rows[0].entries[1].note.as_deref(),
        Some("0-step mitigation")
    );
    assert_eq!((table.line, table.rows[0].entries[2].line), (3, 6));
}

#[test]
fn where_blanks_were_collapsed_nothing_is_guessed() {
    let collapsed: String = ALIGNED
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect();
    let table = one(&collapsed);
    assert!(table.is_collapsed);
    assert_eq!(told(&table).len(), 5);
    assert!(
        told(&table).iter().all(|entry| entry.ends_with('?')),
        "{table:?}"
    );
}

#[test]
fn a_line_that_lost_its_indentation_is_not_told_by_a_header_that_kept_its_own() {
    let text = ALIGNED.replace(
        "                                     tdh_mem_range_block",
        "tdh_mem_range_block",
    );
    let table = one(&text);
    assert_eq!(told(&table)[2], "TDH.MEM.RANGE.BLOCK ?");
    assert_eq!(told(&table)[1], "TDH.VP.ENTER exclusive");
}

#[test]
fn bars_tell_a_column_as_well_as_blanks() {
    let table = one(
        "| Resource | SHARED | EXCLUSIVE |\n|---|---|---|\n| TDR | tdh_mem_track, tdh_mem_range_block | tdh_vp_init |\n| SEPT entry | | tdg_mem_page_accept |\n",
    );
    assert_eq!(
        told(&table),
        [
            "TDH.MEM.TRACK shared",
            "TDH.MEM.RANGE.BLOCK shared",
            "TDH.VP.INIT exclusive",
            "TDG.MEM.PAGE.ACCEPT exclusive",
        ]
    );
}

#[test]
fn a_list_goes_on_in_its_column() {
    let table = one(
        "Resources   SHARED users                               EXCLUSIVE users\nTDR         tdh_mem_track, tdh_mem_range_block         tdh_vp_init tdh_mr_finalize\n",
    );
    let columns: Vec<_> = table.rows[0]
        .entries
        .iter()
        .map(|entry| entry.column)
        .collect();
    let (shared, exclusive) = (Some(Column::Shared), Some(Column::Exclusive));
    assert_eq!(columns, [shared, shared, exclusive, exclusive]);
}

#[test]
fn a_lock_that_the_model_does_not_have_is_kept_by_its_name() {
    let table = one(
        "Resources    SHARED users     EXCLUSIVE users\n(1) KOT                       tdh_mng_key_freeid\n",
    );
    assert_eq!(
        (table.rows[0].label.as_str(), table.rows[0].resource),
        ("KOT", None)
    );
}

#[test]
fn a_broken_off_note_is_closed_by_the_next_line() {
    let table = one(
        "Resources    SHARED users     EXCLUSIVE users\nSEPT tree                     tdh_vp_enter (0-step\n                              mitigation)\n                              tdh_mem_range_block\n",
    );
    assert_eq!(
        table.rows[0].entries[0].note.as_deref(),
        Some("0-step mitigation")
    );
    assert_eq!(table.rows[0].entries.len(), 2);
}

#[test]
fn prose_is_no_table() {
    for text in [
        "The lock is SHARED by tdh_mem_track and EXCLUSIVE for tdh_vp_init.\n",
        "shared and exclusive\n\n\nnothing here\n",
        "",
    ] {
        assert_eq!(TableReader::new().read(&lines(text)), [], "{text}");
    }
}

#[test]
fn tabs_and_letters_of_several_bytes_do_not_move_a_column() {
    let table = one(
        "Lock\tSHARED\t\tEXCLUSIVE\nTDR\ttdh_vp_rd\ttdh_vp_init\nTD\u{e9}\ttdh_vp_rd\ttdh_vp_init\n",
    );
    assert_eq!(
        told(&table),
        [
            "TDH.VP.RD shared",
            "TDH.VP.INIT exclusive",
            "TDH.VP.RD shared",
            "TDH.VP.INIT exclusive"
        ]
    );
}
