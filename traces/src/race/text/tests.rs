use super::*;

fn rows(indent: usize, text: &str, width: usize) -> Vec<String> {
    Line::new(indent, text).wrap(width).rows
}

#[test]
fn a_continuation_stands_two_deeper() {
    let got = rows(2, "smp_store_release(&mode, IN_GUEST_MODE)", 30);
    assert_eq!(got, ["  smp_store_release(&mode,", "    IN_GUEST_MODE)"]);
}

#[test]
fn a_word_that_fits_nowhere_is_torn_after_an_underscore() {
    let got = rows(0, "tdx_sept_zap_private_spte()", 20);
    assert_eq!(got, ["tdx_sept_zap_", "  private_spte()"]);
    let got = rows(0, "kvm_make_all_cpus_request()", 26);
    assert_eq!(got, ["kvm_make_all_cpus_", "  request()"]);
}

#[test]
fn a_long_call_is_broken_after_its_bracket() {
    let wrapped = Line::new(2, "WRITE_ONCE(wait_for_sept_zap, true)").wrap(26);
    assert_eq!(
        wrapped.rows,
        ["  WRITE_ONCE(", "    wait_for_sept_zap,", "    true)"]
    );
    assert_eq!(wrapped.torn, 0);
}

#[test]
fn a_word_without_seams_is_torn_where_the_room_ends() {
    assert_eq!(rows(0, "abcdefghij", 6), ["abcdef", "  ghij"]);
}

#[test]
fn an_empty_line_takes_no_row() {
    assert_eq!(rows(4, " \t ", 20), [""; 0]);
}

#[test]
fn prose_is_flush_left() {
    assert_eq!(paragraph("one two three", 8), ["one two", "three"]);
}

#[test]
fn signs_are_spelt_out_in_ascii() {
    assert_eq!(
        ascii("mode \u{2192} IN\t\u{2026} \u{201c}b\u{00e9}\u{201d}"),
        "mode -> IN ... \"b?\""
    );
}

#[test]
fn a_status_word_that_fits_nowhere_stands_further_left_in_one_piece() {
    let line = Line::new(6, "-> 0x8000020000000002 (BUSY)");
    assert_eq!(
        line.wrap(20).rows,
        ["      ->", "  0x8000020000000002", "        (BUSY)"]
    );
}
