//! What the matrix says of scopes: how they are written, and what answers in them count for.

use crate::agree::{Cell, Column, Counts, Row};
use std::fmt::Write;

/// How a scope is written.
pub(super) const LEGEND: &str = "\
In brackets: the scope, where it is not the row's. With what holds stands what it leaves out, with
what is violated what it has beyond.

    B T R         windows in place of the whole removal: TDH.MEM.RANGE.BLOCK, TDH.MEM.TRACK with
                  its kick, TDH.MEM.PAGE.REMOVE; h entered with TDHP set, a with 0-step armed
    2 laps        each vCPU goes round twice. The model's have no end
    ≤2            preemptions in one execution
    1+1 vCPUs     the code has one; the model needs another that makes the first call busy
    weak memory   nobody has shown that x86 does the same
    larger guest  the row's does less than the code's

A guest of loom's does one thing each time it is entered: TDG.MEM.PAGE.ATTR.RD, in T none.
";

/// What an answer counts for.
pub(super) const RULE: &str = "\
What is violated in a scope is violated in every larger one, and what holds in a scope holds in every
smaller one. So an answer *decides* its row's question if the scope is the row's, if it is violated in
a smaller one, or if it holds in a larger one. What holds in a smaller scope is not against the row, and
no agreement with it either; nor is what is violated in a larger scope, unless the row is proved for
every number of vCPUs and vCPUs are all that is larger. Two that decide and differ are a
disagreement.
";

/// A line for each form but the first: what its answers count for.
pub(super) fn by_form(rows: &[Row]) -> String {
    let mut out = String::new();
    for (at, column) in Column::ALL.iter().enumerate().skip(1) {
        let counted = |counts: Counts| {
            let of = |row: &&Row| match &row.cells[at] {
                // A proof may let an answer decide that does not by itself.
                Cell::Answer(answer) if row.decides(answer) => counts == Counts::Decides,
                Cell::Answer(answer) => answer.counts() == counts,
                Cell::CannotSee(_) | Cell::NotRun => false,
            };
            rows.iter().filter(of).count()
        };
        let parts = [
            (Counts::Decides, "decided"),
            (Counts::Within, "nothing against it in a smaller scope"),
            (Counts::Beyond, "violated in a larger scope"),
            (Counts::Silent, "no verdict"),
        ];
        let parts = parts.map(|(counts, what)| (counted(counts), what));
        let told: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !told.is_empty() {
            let _ = writeln!(out, "{:<8} {}", column.name(), told.join(", "));
        }
    }
    out
}
