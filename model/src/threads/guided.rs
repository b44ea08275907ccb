//! The model is inside the code: a scheduler that drives the code along a path of the model.
//!
//! The path is a list of events. The scheduler lets the thread run whose event is next, as many steps
//! as it needs for it, and answers the code's choices as the path has them. When the journal is the path,
//! the code has followed.

use super::backends::Shuttle;
use super::event::{self, Entry, Event, Leaf};
use super::guest::{CHOICES, Deed};
use super::kvm::Met;
use super::run::execute;
use super::scenario::Scenario;
use super::shuttle_run::config;
use crate::system::Agent;
use crate::system::labels::guest;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{MaxSteps, Runner};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// How many of its events the code made, in its order.
    pub events: usize,
    /// The event at which the code did something else, and what, if it did anything.
    pub instead: Option<(Entry, Option<Entry>)>,
    /// What was met on the way, and after it.
    pub met: Met,
    /// False when the code had to be given up: it waits for what never comes.
    pub ended: bool,
}

/// Drives the code along each path in turn.
///
/// The guest of the scenario has to be free; its decisions are taken as checked.
#[must_use]
pub fn follow(scenario: &Scenario, paths: Vec<Vec<Entry>>) -> Vec<Followed> {
    let (paths, at) = (Arc::new(paths), Arc::new(AtomicUsize::new(0)));
    let given_up = Followed {
        events: 0,
        instead: None,
        met: Met::default(),
        ended: false,
    };
    let results = Arc::new(Mutex::new(vec![given_up; paths.len()]));
    let scheduler = Guide {
        paths: Arc::clone(&paths),
        at: Arc::clone(&at),
        started: false,
    };
    let (scenario, out) = (*scenario, Arc::clone(&results));
    let mut config = config();
    config.max_steps = MaxSteps::ContinueAfter(MAX_STEPS);
    Runner::new(scheduler, config).run(move || {
        let met = execute::<Shuttle>(&scenario);
        let journal = event::take_journal();
        let at = at.load(Ordering::Relaxed);
        let path = &paths[at];
        let same = path
            .iter()
            .zip(&journal)
            .take_while(|(a, b)| a == b)
            .count();
        let mut results = out.lock().unwrap_or_else(PoisonError::into_inner);
        results[at] = Followed {
            events: same,
            instead: path
                .get(same)
                .map(|wanted| (*wanted, journal.get(same).copied())),
            met,
            ended: true,
        };
    });
    std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The most steps of an execution; beyond, the code waits for what the path does not have.
const MAX_STEPS: usize = 10_000;

struct Guide {
    paths: Arc<Vec<Vec<Entry>>>,
    at: Arc<AtomicUsize>,
    started: bool,
}

impl Guide {
    /// The events of the current path that are still to come.
    fn ahead(&self) -> &[Entry] {
        let at = self.at.load(Ordering::Relaxed);
        let path = self.paths.get(at).map_or(&[][..], Vec::as_slice);
        path.get(event::recorded()..).unwrap_or_default()
    }
}

/// The main thread is the zapper's; vCPU threads follow in order.
const fn task_of(agent: Agent) -> usize {
    match agent {
        Agent::Vcpu(index) => index as usize + 1,
        _ => 0,
    }
}

impl Scheduler for Guide {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.started {
            self.at.fetch_add(1, Ordering::Relaxed);
        }
        self.started = true;
        (self.at.load(Ordering::Relaxed) < self.paths.len()).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let ids: Vec<usize> = runnable.iter().map(|task| task.id().into()).collect();
        let current = current.map(usize::from);
        let wanted = self.ahead().first().map(|entry| task_of(entry.agent));
        let wanted = match wanted {
            Some(task) if ids.contains(&task) => Some(task),
            // Not started yet: the main thread starts it.
            Some(_) if ids.contains(&0) => Some(0),
            // The path is over: each goes on until it waits, and then the next.
            _ => match current.filter(|current| ids.contains(current)) {
                Some(current) if !is_yielding => Some(current),
                current => ids.iter().copied().find(|id| Some(*id) > current),
            },
        };
        let chosen = wanted.or_else(|| ids.first().copied())?;
        Some(TaskId::from(chosen))
    }

    /// The choice the path has next for the thread that runs: whose event is next.
    fn next_u64(&mut self) -> u64 {
        let ahead = self.ahead();
        let Some(next) = ahead.first() else {
            return END as u64;
        };
        match next.event {
            // Between entries: to push an event, or not. 0 pushes.
            Event::Call {
                leaf: Leaf::Write, ..
            } => 0,
            // kvm_vcpu_exit_request(): something is pending, or not. 0 is pending.
            Event::ExitRequest(2) => 0,
            Event::Guest {
                outcome,
                tdcall,
                armed,
                ..
            } => choice(outcome, tdcall, armed) as u64,
            _ => END as u64,
        }
    }
}

/// The index of the deed that a free guest ends with; no push and no request either, for it is no
/// multiple of 4.
const END: usize = 5;

/// The deed that makes an event.
fn choice(outcome: u8, tdcall: Option<Leaf>, armed: bool) -> usize {
    let makes = |deed: &Deed| match (*deed, outcome, tdcall) {
        (Deed::Accept, guest::TDCALL, Some(Leaf::Accept))
        | (Deed::AttrRead, guest::TDCALL, Some(Leaf::AttrRead))
        | (Deed::AttrWrite, guest::TDCALL, Some(Leaf::AttrWrite)) => true,
        (Deed::Access { arms }, guest::EPT_VIOLATION, _) => arms == armed,
        (Deed::Vmcall { progress }, guest::VMCALL, _) => progress != armed,
        (Deed::Interrupt { progress }, guest::KICKED | guest::INTERRUPT, _) => progress != armed,
        _ => false,
    };
    CHOICES.iter().position(makes).unwrap_or(END)
}
