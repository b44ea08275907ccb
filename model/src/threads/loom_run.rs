//! Running a scenario under loom, to the end or to a violation.

use super::backends::{Loom, LoomRmw};
use super::conformance::{Conformance, Held};
use super::event::{self, Entry};
use super::guest::Guest;
use super::kvm::Met;
use super::run::execute;
use super::scenario::{Scenario, Window};
use crate::closed_enum::closed_enum;
use crate::kernel::Unsupported;
use crate::property::Property;
use crate::resource::KvmMode;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

closed_enum! { "memory under loom",
    /// The memory a scenario runs on.
    pub enum Memory {
        Weak = "weak": "C11's, weaker than x86's",
        SequentiallyConsistent = "rmw": "every access a read-modify-write: sequentially consistent; no barrier is missed here",
    }
}

/// loom's limit: the zapper's thread and four vCPUs, or two zappers' and three.
pub const MAX_VCPUS: usize = 4;

/// The most steps of an execution; loom keeps them all, and takes a longer one for a wait without end.
const MAX_BRANCHES: usize = 10_000;

/// How far loom may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Executions; beyond, the run is capped.
    pub executions: usize,
    /// Switches away from a thread that could go on, per execution; `None` for all.
    pub preemptions: Option<usize>,
}

/// What a run under loom found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoomReport {
    /// Executions made; the last is the violating one, if there is one.
    pub executions: usize,
    /// What was met in all of them together.
    pub met: Met,
    /// Executions with a second call. None: the run says nothing.
    pub second_calls: usize,
    /// Executions in which the flag turned a vCPU back.
    pub turned_back: usize,
    /// The violating execution; the run stops there.
    pub violation: Option<Vec<Entry>>,
    /// The cap was hit: executions are missing, and "not violated" means nothing.
    pub capped: bool,
    /// The caller stopped it between two executions: the same.
    pub stopped: bool,
    /// loom gave up an execution: it went on for too long, or nobody could move; with a remedy, if there
    /// is one.
    pub gave_up: Option<String>,
    /// What came of holding the executions against the model, where that was asked for.
    pub conformance: Option<Conformance>,
}

/// A scenario that loom can not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoomError {
    /// A decision has a value that the code does not implement.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// More threads than loom has.
    #[error(
        "{given} vCPUs asked for; loom runs at most {most} beside the zapper{}, shuttle runs more",
        if *.most == MAX_VCPUS { "" } else { "s" }
    )]
    TooManyThreads {
        /// What was asked for.
        given: usize,
        /// What there can be.
        most: usize,
    },
    /// Two zappers in one window.
    #[error("mmu_lock for write keeps two zappers apart: they are not in one window")]
    Window,
    /// A guest that chooses.
    #[error("loom has no choices to explore: give the guest a script")]
    Choices,
}

/// Thrown out of loom where a run is to stop; not a panic anyone is told of.
struct Stop;

/// Runs a scenario under loom until `property` is violated, or to the end, or to a bound.
///
/// loom is slow when two runs share a process: give each a child process of its own.
///
/// # Errors
/// When loom or the code can not do what the scenario asks.
pub fn run_under_loom(
    scenario: &Scenario,
    memory: Memory,
    property: Property,
    bounds: Bounds,
) -> Result<LoomReport, LoomError> {
    run_until(scenario, memory, property, bounds, None, || false)
}

/// The same, and every execution is held against the packed model; a run stops where they part too.
///
/// # Errors
/// As [`run_under_loom`].
pub fn run_under_loom_held(
    scenario: &Scenario,
    memory: Memory,
    property: Property,
    bounds: Bounds,
    held: Held,
) -> Result<LoomReport, LoomError> {
    run_until(scenario, memory, property, bounds, Some(held), || false)
}

/// Refuses what loom or the code can not do.
///
/// # Errors
/// Names it.
pub fn check(scenario: &Scenario) -> Result<(), LoomError> {
    scenario.check()?;
    // Who else kicks is a thread, too.
    let others = scenario.zappers.count() + usize::from(scenario.foreign_kick);
    let (given, most) = (scenario.vcpus, MAX_VCPUS + 1 - others);
    if given > most {
        return Err(LoomError::TooManyThreads { given, most });
    }
    let apart = scenario.zappers.mmu_lock() == Some(KvmMode::Write);
    if scenario.zappers.count() > 1 && apart && scenario.window != Window::Whole {
        return Err(LoomError::Window);
    }
    if scenario.guest == Guest::Any {
        return Err(LoomError::Choices);
    }
    Ok(())
}

/// The same, held or not, until `stop` says so: it is asked behind each execution.
///
/// # Errors
/// As [`run_under_loom`].
pub fn run_until(
    scenario: &Scenario,
    memory: Memory,
    property: Property,
    bounds: Bounds,
    held: Option<Held>,
    stop: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<LoomReport, LoomError> {
    check(scenario)?;
    let scenario = *scenario;
    let held = Arc::new(Mutex::new(held));
    let holding = Arc::clone(&held);
    let mut report = explore(bounds, scenario.threads(), move |tally| {
        let met = match memory {
            Memory::Weak => execute::<Loom>(&scenario),
            Memory::SequentiallyConsistent => execute::<LoomRmw>(&scenario),
        };
        tally.met = tally.met.and(met);
        tally.second_calls += usize::from(met.second_calls > 0);
        tally.turned_back += usize::from(met.turned_back > 0);
        let journal = event::take_journal();
        let mut held = holding.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = held.as_mut().is_some_and(|held| held.hold(&journal));
        if met.violates(property) {
            tally.violation = Some(journal);
        }
        let ended = tally.violation.is_some() || parts;
        tally.stopped = !ended && stop();
        ended || tally.stopped
    });
    if report.capped && report.violation.is_some() {
        report.capped = false;
    }
    let is_whole = bounds.preemptions.is_none()
        && report.violation.is_none()
        && !report.capped
        && !report.stopped
        && report.gave_up.is_none();
    let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
    report.conformance = held.map(|held| held.finish(is_whole));
    Ok(report)
}

/// Explores `execution` until it says that the run is to stop.
pub(super) fn explore(
    bounds: Bounds,
    threads: usize,
    execution: impl Fn(&mut LoomReport) -> bool + Send + Sync + 'static,
) -> LoomReport {
    let report = Arc::new(Mutex::new(LoomReport::default()));
    let tally = Arc::clone(&report);
    let one = move || {
        // The lock is not held while the execution runs: threads of loom's are not the system's.
        let mut so_far = std::mem::take(&mut *lock(&tally));
        so_far.executions += 1;
        *lock(&tally) = so_far.clone();
        let stop = execution(&mut so_far);
        *lock(&tally) = so_far;
        if stop {
            resume_unwind(Box::new(Stop));
        }
    };
    let builder = builder(bounds, threads);
    let panic = quietly(|| catch_unwind(AssertUnwindSafe(move || builder.check(one))));
    let mut report = std::mem::take(&mut *lock(&report));
    if let Err(panic) = panic
        && !panic.is::<Stop>()
    {
        report.gave_up = Some(gave_up(&message(panic.as_ref())));
    }
    report.capped = report.executions > bounds.executions;
    report
}

/// loom's own words, or where they are about its source code, ours.
fn gave_up(message: &str) -> String {
    if message.contains("maximum number of branches") {
        return format!(
            "an execution goes on for more than {MAX_BRANCHES} steps, which is as far as loom is let: ask for \
             fewer laps or vCPUs, or let shuttle run it"
        );
    }
    message.to_owned()
}

/// What a panic says.
pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// loom's own panics (a deadlock, too many branches) are reported as a result, not on standard error.
pub(super) fn quietly<T>(run: impl FnOnce() -> T) -> T {
    std::thread_local! {
        static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let result = run();
    QUIET.set(false);
    result
}

/// The tally is whole even when an execution ended early.
fn lock(report: &Mutex<LoomReport>) -> MutexGuard<'_, LoomReport> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every field is set: what a run finds must not depend on LOOM_ variables in the environment.
fn builder(bounds: Bounds, threads: usize) -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.max_threads = threads;
    builder.max_branches = MAX_BRANCHES;
    // One more than the cap are run when there are more, which tells a cap from an end. loom looks
    // at the limit before each execution, counting from 1, and only at checkpoints.
    builder.max_permutations = Some(bounds.executions.saturating_add(2));
    builder.checkpoint_interval = 1;
    builder.checkpoint_file = None;
    builder.max_duration = None;
    builder.preemption_bound = bounds.preemptions;
    builder.expect_explicit_explore = false;
    builder.location = false;
    builder.log = false;
    builder
}
