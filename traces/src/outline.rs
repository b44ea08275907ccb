//! A trace in short: the rows a reader looks at first, out of all its steps.

use crate::schema::{CallEdge, Step, Trace};

/// One row: a step, or a SEAMCALL that ran through undisturbed. Steps are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The step, or the SEAMCALL's first.
    pub first: usize,
    /// The step, or the SEAMCALL's last.
    pub last: usize,
}

impl Row {
    /// True for a SEAMCALL as a whole.
    #[must_use]
    pub const fn is_whole_call(self) -> bool {
        self.first != self.last
    }
}

/// The rows of a trace in short; stem and loop are told apart. The last step is always one.
#[must_use]
pub fn outline(trace: &Trace) -> Vec<Row> {
    let split = trace
        .loop_starts_at
        .map_or(trace.steps.len(), |start| start - 1)
        .min(trace.steps.len());
    let (stem, cycle) = trace.steps.split_at(split);
    let mut rows = in_short(stem, 0);
    rows.extend(in_short(cycle, split));
    let last = trace.steps.len();
    if rows.last().is_none_or(|row| row.last < last) {
        rows.push(Row { first: last, last });
    }
    rows
}

/// One row for each step.
#[must_use]
pub fn every_step(trace: &Trace) -> Vec<Row> {
    (1..=trace.steps.len())
        .map(|step| Row {
            first: step,
            last: step,
        })
        .collect()
}

/// What a row says happened.
#[must_use]
pub fn name(trace: &Trace, row: Row) -> String {
    let name = &trace.steps[row.first - 1].name;
    if row.is_whole_call() {
        format!("{name} -> TDX_SUCCESS")
    } else {
        name.clone()
    }
}

/// Details left out, and a SEAMCALL that ran through undisturbed and succeeded as one row. `before`
/// is how many steps of the trace come before these.
pub(crate) fn in_short(steps: &[Step], before: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        let first = before + index + 1;
        if let Some(distance) = undisturbed(&steps[index..]) {
            index += distance;
            let last = before + index + 1;
            rows.push(Row { first, last });
        } else if !step.detail {
            rows.push(Row { first, last: first });
        }
        index += 1;
    }
    rows
}

/// For a SEAMCALL that begins here, the distance to its successful return, when all steps between
/// are its own thread's.
fn undisturbed(steps: &[Step]) -> Option<usize> {
    let first = steps.first()?;
    if first.seamcall != Some(CallEdge::Called) {
        return None;
    }
    let end = steps
        .iter()
        .position(|step| step.seamcall == Some(CallEdge::Returned) || step.agent != first.agent)?;
    let last = &steps[end];
    let succeeded = last.status_name.as_deref() == Some("TDX_SUCCESS");
    (last.agent == first.agent && succeeded).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Script, generated};

    #[test]
    fn every_step_is_in_at_most_one_row_and_rows_go_forward() {
        for seed in 0..100 {
            let trace = generated(seed);
            let rows = outline(&trace);
            assert!(rows.windows(2).all(|pair| pair[0].last < pair[1].first));
            assert!(
                rows.iter()
                    .all(|row| 1 <= row.first && row.first <= row.last)
            );
            assert_eq!(rows.last().map(|row| row.last), Some(trace.steps.len()));
        }
    }

    #[test]
    fn a_loop_is_not_in_one_row_with_the_stem() {
        let mut script = Script::new(&["zapper"]);
        script.under("zapper", "f");
        script.step("TDH.MEM.TRACK").edge(CallEdge::Called);
        script.step("return").edge(CallEdge::Returned);
        script.fail(("0x0000000000000000", "TDX_SUCCESS"));
        let mut trace = script.finish("");
        assert_eq!(outline(&trace), [Row { first: 1, last: 2 }]);
        assert_eq!(
            name(&trace, outline(&trace)[0]),
            "TDH.MEM.TRACK -> TDX_SUCCESS"
        );
        trace.loop_starts_at = Some(2);
        assert_eq!(outline(&trace), every_step(&trace));
    }
}
