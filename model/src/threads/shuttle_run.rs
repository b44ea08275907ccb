//! Running a scenario under shuttle: many schedules, each of which can be made again.

use super::backends::Shuttle;
use super::event::{self, Entry};
use super::kvm::Met;
use super::loom_run::{message, quietly};
use super::run::execute;
use super::scenario::Scenario;
use super::watch;
use crate::kernel::Unsupported;
use crate::property::Property;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How schedules are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// A thread at random at each step.
    Random,
    /// Probabilistic concurrency testing: random priorities, changed at `depth - 1` random steps.
    Pct {
        /// How many ordering constraints a bug may need.
        depth: usize,
    },
    /// One schedule, as it was found.
    Replay(Steps),
}

/// A schedule: the thread that runs at each step, with the seed of what was chosen at random.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The seed of the choices.
    pub seed: u64,
    /// The thread at each step; `None` where a choice was made.
    pub threads: Vec<Option<usize>>,
}

/// A budget of schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How schedules are chosen.
    pub strategy: Strategy,
    /// How many.
    pub schedules: usize,
    /// Where the choice begins: the same seed makes the same schedules.
    pub seed: u64,
}

/// The most steps of one schedule; beyond, it is given up and counted.
const MAX_STEPS: usize = 100_000;

/// What the schedules found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShuttleReport {
    /// Schedules that ran to their end; the last is the violating one, if there is one.
    pub schedules: usize,
    /// Schedules that were given up because they went on for too long.
    pub given_up: usize,
    /// What was met in all of them together.
    pub met: Met,
    /// Schedules with a second call.
    pub second_calls: usize,
    /// Schedules in which the flag turned a vCPU back.
    pub turned_back: usize,
    /// The first violating schedule, and its events.
    pub violation: Option<(Steps, Vec<Entry>)>,
    /// What an oracle beside the property had to object, with the schedule and its events.
    pub objection: Option<(String, Steps, Vec<Entry>)>,
    /// A schedule panicked, in its words: a bug, or a schedule to replay that does not fit the code.
    pub failed: Option<String>,
    /// SHUTTLE_RANDOM_SEED is set and took the place of the seed.
    pub seed_was_overridden: bool,
}

#[derive(Default)]
struct Shared {
    report: ShuttleReport,
    steps: Steps,
    stop: bool,
}

/// Runs schedules until `property` is violated or `oracle` objects to the events of one, or to the
/// end of the budget.
///
/// # Errors
/// When a decision has a value that the code does not implement.
pub fn run_under_shuttle(
    scenario: &Scenario,
    property: Property,
    budget: &Budget,
    oracle: impl Fn(&[Entry]) -> Result<(), String> + Send + Sync + 'static,
) -> Result<ShuttleReport, Unsupported> {
    scenario.check()?;
    let shared = Arc::new(Mutex::new(Shared::default()));
    let scheduler = Noting {
        inner: ManuallyDrop::new(scheduler(budget)),
        shared: Arc::clone(&shared),
        left: budget.schedules,
        started: 0,
        seed: budget.seed,
    };
    let (scenario, tally) = (*scenario, Arc::clone(&shared));
    let one = move || {
        let met = execute::<Shuttle>(&scenario);
        let journal = event::take_journal();
        let objection = oracle(&journal).err();
        let mut shared = lock(&tally);
        let steps = std::mem::take(&mut shared.steps);
        let report = &mut shared.report;
        report.schedules += 1;
        report.met = report.met.and(met);
        report.second_calls += usize::from(met.second_calls > 0);
        report.turned_back += usize::from(met.turned_back > 0);
        let violated = met.violates(property) && watch::is_in_a_live_vm(&journal, property);
        let stop = violated || objection.is_some();
        if let Some(objection) = objection {
            report.objection = Some((objection, steps.clone(), journal.clone()));
        }
        if violated {
            report.violation = Some((steps, journal));
        }
        shared.stop |= stop;
    };
    let runner = Runner::new(scheduler, config());
    let panic = quietly(|| catch_unwind(AssertUnwindSafe(move || runner.run(one))));
    let mut report = std::mem::take(&mut lock(&shared).report);
    report.failed = panic.err().map(|panic| message(panic.as_ref()));
    Ok(report)
}

fn scheduler(budget: &Budget) -> Box<dyn Scheduler + Send> {
    match &budget.strategy {
        Strategy::Random => Box::new(RandomScheduler::new_from_seed(
            budget.seed,
            budget.schedules,
        )),
        Strategy::Pct { depth } => Box::new(PctScheduler::new_from_seed(
            budget.seed,
            *depth,
            budget.schedules,
        )),
        Strategy::Replay(steps) => {
            let tasks = steps.threads.iter();
            let mut schedule = Schedule::new(steps.seed);
            for task in tasks {
                match task {
                    Some(task) => schedule.push_task(TaskId::from(*task)),
                    None => schedule.push_random(),
                }
            }
            let mut replay = ReplayScheduler::new_from_schedule(schedule);
            // A schedule may end where the violation was found.
            replay.set_allow_incomplete();
            Box::new(replay)
        }
    }
}

pub(super) fn config() -> Config {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::ContinueAfter(MAX_STEPS);
    config.silence_warnings = true;
    config
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes the schedule that another scheduler makes, and stops when told to.
struct Noting {
    /// Never dropped: shuttle's own print a seed if they are dropped before their last schedule.
    inner: ManuallyDrop<Box<dyn Scheduler + Send>>,
    shared: Arc<Mutex<Shared>>,
    left: usize,
    started: usize,
    seed: u64,
}

impl Scheduler for Noting {
    fn new_execution(&mut self) -> Option<Schedule> {
        let mut shared = lock(&self.shared);
        shared.report.given_up = self.started - shared.report.schedules;
        if shared.stop || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let schedule = self.inner.new_execution()?;
        shared.report.seed_was_overridden |= self.started == 0 && schedule.seed != self.seed;
        shared.steps = Steps {
            seed: schedule.seed,
            threads: Vec::new(),
        };
        self.started += 1;
        Some(schedule)
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let next = self.inner.next_task(runnable, current, is_yielding)?;
        lock(&self.shared).steps.threads.push(Some(next.into()));
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        lock(&self.shared).steps.threads.push(None);
        self.inner.next_u64()
    }
}
