use super::*;
use crate::fixtures::{self, generated};
use crate::schema::Step;

/// How many generated traces a property is tried on.
const SEEDS: u64 = 300;

fn every_drawing() -> impl Iterator<Item = String> {
    fixtures::all()
        .into_iter()
        .chain((0..SEEDS).map(generated))
        .map(|trace| race(&trace))
}

#[test]
fn two_columns_show_the_vcpu_that_holds_the_tree() {
    insta::assert_snapshot!(race(&fixtures::second_block_is_busy()));
}

#[test]
fn three_columns_show_the_ioctl_that_holds_tdr() {
    insta::assert_snapshot!(race(&fixtures::vp_init_takes_tdr()));
}

#[test]
fn a_line_is_never_wider_than_72_columns() {
    for drawing in every_drawing() {
        for line in drawing.lines() {
            assert!(line.len() <= WIDTH, "{} columns: {line}", line.len());
        }
    }
}

#[test]
fn every_character_is_printable_ascii() {
    for drawing in every_drawing() {
        let foreign = drawing.chars().find(|c| !matches!(c, ' '..='~' | '\n'));
        assert_eq!(foreign, None, "{drawing}");
    }
}

#[test]
fn no_line_ends_in_a_blank_and_the_text_ends_in_one_newline() {
    for drawing in every_drawing() {
        assert!(
            drawing.lines().all(|line| !line.ends_with(' ')),
            "{drawing}"
        );
        assert!(
            drawing.ends_with('\n') && !drawing.ends_with("\n\n"),
            "{drawing}"
        );
    }
}

#[test]
fn a_trace_is_drawn_the_same_every_time() {
    for seed in 0..20 {
        assert_eq!(race(&generated(seed)), race(&generated(seed)));
    }
}

#[test]
fn no_line_would_end_a_commit_message_early() {
    // `git am` takes "---" alone, and "--- " before a word, for the end of the message.
    for drawing in every_drawing() {
        let cut = drawing
            .lines()
            .find(|line| line.trim_end() == "---" || line.starts_with("--- "));
        assert_eq!(cut, None, "{drawing}");
    }
}

#[test]
fn every_step_of_a_long_trace_is_drawn() {
    let mut trace = fixtures::second_block_is_busy();
    let template = trace.steps[0].clone();
    let numbered = |n: usize| Step {
        name: format!("lap {n}"),
        ..template.clone()
    };
    trace.steps.splice(0..0, (1..=200).map(numbered));
    let drawing = race(&trace);
    for n in 1..=200 {
        assert!(
            drawing
                .lines()
                .any(|line| line.trim() == format!("lap {n}")),
            "lap {n}"
        );
    }
}

#[test]
fn a_trace_without_steps_is_drawn_without_columns() {
    let mut trace = fixtures::second_block_is_busy();
    trace.steps.clear();
    let drawing = race(&trace);
    assert!(
        drawing.contains("(zapper: no steps)\n(vCPU 0: no steps)\n"),
        "{drawing}"
    );
}
