use super::*;
use crate::fixtures::{self, generated};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn viewer(trace: &Trace) -> Viewer<'_> {
    Viewer::new(trace, Evidence::Executed, Signs::Unicode)
}

fn typed(viewer: &mut Viewer<'_>, keys: &str) {
    for key in keys.chars() {
        viewer.press(match key {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            key => Key::Char(key),
        });
    }
}

fn screen(viewer: &mut Viewer<'_>, columns: u16, rows: u16) -> String {
    viewer.resize(columns, rows);
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| viewer.draw(frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_screen_of_80_by_24_is_this_one() {
    let trace = fixtures::second_block_is_busy();
    insta::assert_snapshot!("screen", screen(&mut viewer(&trace), 80, 24));
}

#[test]
fn a_wide_screen_and_one_in_ascii_are_these() {
    let trace = fixtures::vp_init_takes_tdr();
    let mut viewer = Viewer::new(&trace, Evidence::NotExecuted, Signs::Ascii);
    let drawn = screen(&mut viewer, 140, 24);
    assert!(drawn.contains("NOT EXECUTED AGAIN"));
    insta::assert_snapshot!("screen_wide", drawn);
}

#[test]
fn the_help_names_every_key() {
    let trace = fixtures::second_block_is_busy();
    let mut viewer = viewer(&trace);
    typed(&mut viewer, "?");
    let drawn = screen(&mut viewer, 80, 24);
    for (key, _) in key::HELP {
        assert!(drawn.contains(key), "{key}");
    }
    typed(&mut viewer, "x");
    assert!(!screen(&mut viewer, 80, 24).contains("any key closes"));
}

#[test]
fn it_begins_at_the_last_busy_and_goes_where_it_is_told() {
    let trace = fixtures::second_block_is_busy();
    let mut viewer = viewer(&trace);
    let last = trace.steps.len();
    assert_eq!(viewer.selected(), last);
    for (keys, step) in [
        ("F", 6),
        ("o", 4),
        ("j", 5),
        ("3k", 2),
        ("g", 1),
        ("b", 6),
        ("b", last),
        ("b", 6),
        ("B", last),
        ("7G", 7),
        ("v", last),
        ("10j", last),
        ("99999999999999999999G", last),
    ] {
        typed(&mut viewer, keys);
        assert_eq!(viewer.selected(), step, "{keys}");
    }
    assert_eq!(viewer.press(Key::Char('q')), Flow::Quit);
}

#[test]
fn a_search_finds_fields_and_functions_and_goes_round() {
    let trace = fixtures::second_block_is_busy();
    let mut viewer = viewer(&trace);
    typed(&mut viewer, "g/WAIT_for_sept\n");
    assert_eq!(viewer.selected(), 7);
    typed(&mut viewer, "n");
    assert_eq!(viewer.selected(), 7);
    typed(&mut viewer, "/no such thing\n");
    assert!(screen(&mut viewer, 80, 24).contains("Not found"));
    viewer.press(Key::Esc);
    assert!(viewer.matches().is_empty());
}

#[test]
fn one_agents_steps_can_be_looked_at_alone() {
    let trace = fixtures::second_block_is_busy();
    let mut viewer = viewer(&trace);
    typed(&mut viewer, "2a");
    let vcpu = |row: &Row| trace.steps[row.first - 1].agent == "vcpu0";
    assert!(!viewer.rows().is_empty() && viewer.rows().iter().all(vcpu));
    typed(&mut viewer, "b");
    assert_eq!(
        trace.steps[viewer.selected() - 1].agent,
        "zapper",
        "BUSY is shown again"
    );
    typed(&mut viewer, "9a");
    assert_eq!(viewer.message.as_deref(), Some("There are 2 agents"));
}

#[test]
fn everything_can_be_scrolled_to_its_end_and_no_further() {
    let trace = fixtures::second_block_is_busy();
    let mut viewer = viewer(&trace);
    viewer.resize(60, 12);
    typed(&mut viewer, "\tG");
    let end = screen(&mut viewer, 60, 12);
    assert!(end.contains("wait_for_sept_zap"), "{end}");
    typed(&mut viewer, "j");
    assert_eq!(screen(&mut viewer, 60, 12), end);
}

#[test]
fn no_key_and_no_size_is_too_much() {
    let keys: Vec<char> = "jkgGbBFvlodanN?/x\n\t0123456789 ".chars().collect();
    for seed in 0..40_usize {
        let trace = generated(seed as u64);
        let mut viewer = viewer(&trace);
        for turn in 0..60 {
            typed(
                &mut viewer,
                &keys[(seed * 31 + turn * 17) % keys.len()].to_string(),
            );
            assert!((1..=trace.steps.len()).contains(&viewer.selected()));
        }
        for (columns, rows) in [(80, 24), (1, 1), (40, 10), (200, 60), (73, 11)] {
            screen(&mut viewer, columns, rows);
        }
    }
}

#[test]
fn no_control_character_reaches_the_screen() {
    let mut trace = fixtures::second_block_is_busy();
    for step in &mut trace.steps {
        step.name = "\u{1b}[2J\u{202e}".into();
        step.anchor.function = "\u{9b}2J".into();
    }
    trace.verdict.reason = "\u{1b}]0;title\u{7}".into();
    let drawn = screen(&mut viewer(&trace), 80, 24);
    assert!(!drawn.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'));
}
