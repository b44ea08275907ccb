use super::*;

fn rows(texts: &[(usize, &str)]) -> Vec<Row> {
    let row = |&(column, text): &(usize, &str)| Row::In(column, Line::new(0, text));
    texts.iter().map(row).collect()
}

fn headers(titles: &[&str]) -> Vec<Line> {
    titles.iter().map(|title| Line::new(0, title)).collect()
}

#[test]
fn short_texts_get_columns_of_one_width() {
    let widths = choose_widths(&headers(&["A", "B"]), &rows(&[(0, "a"), (1, "b")]));
    assert_eq!(widths, [35, 35]);
}

#[test]
fn a_long_call_gets_the_room_it_needs() {
    let call = "smp_store_release(&mode, IN_GUEST_MODE)";
    let widths = choose_widths(&headers(&["A", "B"]), &rows(&[(0, "a"), (1, call)]));
    assert_eq!(widths, [31, 39]);
}

#[test]
fn columns_and_gaps_fill_the_page() {
    for count in 1..=3 {
        let widths = choose_widths(&headers(&["A", "B", "C"][..count]), &[]);
        assert_eq!(start(&widths, count) - GAP, WIDTH);
    }
}

#[test]
fn a_title_that_wraps_stands_on_its_line() {
    let title = "CPU 1: KVM_TDX_INIT_VCPU_AND_MORE";
    let drawn = titles(&headers(&["CPU 0: zapper", title]), &[20, 30]);
    assert_eq!(
        drawn,
        [
            "                      CPU 1:",
            "CPU 0: zapper           KVM_TDX_INIT_VCPU_AND_MORE",
            "-------------         ----------------------------",
        ]
    );
}
