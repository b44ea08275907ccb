use super::*;
use crate::fixtures::Script;

/// The rows in words: column, then text.
fn told(script: Script) -> Vec<String> {
    told_of(&script.finish(""))
}

fn told_of(trace: &Trace) -> Vec<String> {
    let rows = rows(trace, &Cast::of(trace));
    let text = |row: &Row| match row {
        Row::In(column, line) => format!("{column}|{}", line.wrap(200).rows.join(" / ")),
        Row::Across(text) => (*text).to_owned(),
    };
    rows.iter().map(text).collect()
}

#[test]
fn stem_and_loop_are_told_apart_and_the_loop_names_its_functions_again() {
    let mut script = Script::new(&["zapper"]);
    script.under("zapper", "tdx_track").step("one").step("two");
    let mut trace = script.finish("");
    trace.loop_starts_at = Some(2);
    assert_eq!(
        told_of(&trace),
        [
            "0|tdx_track()",
            "0|  one",
            LOOP,
            "0|tdx_track()",
            "0|  two",
            BACK
        ]
    );
    trace.loop_starts_at = Some(3);
    assert_eq!(
        told_of(&trace),
        ["0|tdx_track()", "0|  one", "0|  two", REST]
    );
}

/// The zapper leaves a function, the other agent takes some steps, the zapper comes back.
fn interrupted_by(steps: usize) -> Vec<String> {
    let mut script = Script::new(&["zapper", "ioctl0"]);
    script.under("zapper", "tdx_track").step("one");
    script.under("ioctl0", "other");
    for _ in 0..steps {
        script.step("more");
    }
    script.under("zapper", "tdx_track").step("two");
    told(script)
}

#[test]
fn steps_in_one_function_stand_under_its_name() {
    let mut script = Script::new(&["zapper"]);
    script.under("zapper", "tdx_track").step("one").fused("two");
    assert_eq!(told(script), ["0|tdx_track()", "0|  one", "0|  two"]);
}

#[test]
fn a_function_is_not_named_again_after_seven_steps_of_another() {
    let rows = interrupted_by(7);
    assert_eq!(rows[rows.len() - 2..], ["1|  more", "0|  two"]);
}

#[test]
fn a_function_is_named_again_after_eight_steps_of_another() {
    let rows = interrupted_by(8);
    assert_eq!(rows[rows.len() - 2..], ["0|tdx_track()", "0|  two"]);
}

#[test]
fn a_status_word_stands_under_its_step_and_its_name_under_the_word() {
    let mut script = Script::new(&["zapper"]);
    let step = script
        .under("zapper", "TDH.MEM.TRACK")
        .step("TD_EPOCH: try exclusive");
    step.fail(("0x80000200000000a9", "TDX_OPERAND_BUSY | TD_EPOCH"));
    assert_eq!(
        told(script),
        [
            "0|TDH.MEM.TRACK",
            "0|  TD_EPOCH: try exclusive",
            "0|    -> 0x80000200000000a9",
            "0|       (TDX_OPERAND_BUSY | TD_EPOCH)",
        ]
    );
}

#[test]
fn a_step_named_like_its_function_is_its_own_title() {
    let mut script = Script::new(&["zapper"]);
    script
        .under("zapper", "TDH.MEM.TRACK")
        .step("TDH.MEM.TRACK");
    assert_eq!(told(script), ["0|TDH.MEM.TRACK"]);
}
