//! The window of TDH.MEM.TRACK as code, under loom.

use super::FormReport;
use crate::engine::{Clock, Cut};
use crate::verdict::Verdict;
use seamcheck_model::kernel::{Decisions, Unsupported};
use seamcheck_model::threads::{FirstCall, Memory, Order, TrackWindow, run_under_loom};

/// More executions than the code needs; beyond, the verdict is `unknown`.
const MAX_EXECUTIONS: usize = 100_000;

/// How often the vCPU goes round under loom.
const LAPS: usize = 2;

/// Every interleaving and every weak-memory outcome of the window of TDH.MEM.TRACK.
pub(super) fn search(decisions: Decisions) -> Result<FormReport, Unsupported> {
    let clock = Clock::start();
    let window = TrackWindow {
        decisions,
        laps: LAPS,
        first_call: FirstCall::WasBusy,
        lock_words: Order::Relaxed,
    };
    let report = run_under_loom(&window, Memory::Weak, MAX_EXECUTIONS)?;
    let executions = report.executions as u64;
    let verdict = if report.violated {
        Verdict::Violated(executions)
    } else if report.capped {
        Verdict::Unknown(Cut::States)
    } else if report.second_calls == 0 || report.turned_back == 0 {
        Verdict::Vacuous
    } else {
        Verdict::Holds
    };
    Ok(FormReport {
        verdict,
        states: executions,
        unit: "executions",
        elapsed: clock.elapsed(),
    })
}
