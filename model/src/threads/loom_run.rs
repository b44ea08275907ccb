//! Running a scenario under loom, to the end or to a violation.

use super::loom_rt::{Loom, LoomSc};
use super::{Outcome, TrackWindow, claim_in_track_window};
use crate::kernel::Unsupported;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The memory a scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Memory {
    /// C11's, weaker than x86's.
    Weak,
    /// Sequentially consistent: no barrier is missed here.
    SequentiallyConsistent,
}

/// What a run under loom found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoomReport {
    /// Executions made; the last is the violating one, if there is one.
    pub executions: usize,
    /// Executions in which a second call was made. None: the run says nothing.
    pub second_calls: usize,
    /// Executions in which the flag turned the vCPU back.
    pub turned_back: usize,
    /// The second call was busy. The run stops there.
    pub violated: bool,
    /// The cap was hit: executions are missing, and "not violated" means nothing.
    pub capped: bool,
}

impl LoomReport {
    fn add(&mut self, outcome: Outcome) {
        self.executions += 1;
        self.second_calls += usize::from(outcome.second_call.is_some());
        self.turned_back += usize::from(outcome.turned_back);
        self.violated |= outcome.second_call_was_busy();
    }
}

/// Thrown out of loom at the first violation; not a panic anyone is told of.
struct Violated;

/// Runs a scenario under loom until a violation, or to the end, or to `cap` executions.
///
/// loom is slow when two runs share a process: give each a child process of its own.
///
/// # Errors
/// When a decision has a value that the code does not implement.
///
/// # Panics
/// When an execution panics: a deadlock, a leak, or a bug in the code.
pub fn run_under_loom(
    scenario: &TrackWindow,
    memory: Memory,
    cap: usize,
) -> Result<LoomReport, Unsupported> {
    scenario.check()?;
    let scenario = *scenario;
    let report = Arc::new(Mutex::new(LoomReport::default()));
    let tally = Arc::clone(&report);
    let execution = move || {
        let outcome = match memory {
            Memory::Weak => claim_in_track_window::<Loom>(&scenario),
            Memory::SequentiallyConsistent => claim_in_track_window::<LoomSc>(&scenario),
        };
        lock(&tally).add(outcome);
        if outcome.second_call_was_busy() {
            resume_unwind(Box::new(Violated));
        }
    };
    let builder = builder(cap);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || builder.check(execution)))
        && !panic.is::<Violated>()
    {
        resume_unwind(panic);
    }
    let mut report = *lock(&report);
    report.capped = report.executions > cap;
    Ok(report)
}

/// The tally is whole even when an execution ended early.
fn lock(report: &Mutex<LoomReport>) -> MutexGuard<'_, LoomReport> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every field is set: what a run finds must not depend on LOOM_ variables in the environment.
fn builder(cap: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.max_threads = 2;
    builder.max_branches = 1_000;
    // One more than `cap` are run when there are more, which tells a cap from an end. loom looks
    // at the limit before each execution, counting from 1, and only at checkpoints.
    builder.max_permutations = Some(cap.saturating_add(2));
    builder.checkpoint_interval = 1;
    builder.checkpoint_file = None;
    builder.max_duration = None;
    builder.preemption_bound = None;
    builder.expect_explicit_explore = false;
    builder.location = false;
    builder.log = false;
    builder
}
