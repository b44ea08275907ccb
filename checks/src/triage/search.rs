//! Which kernel on which module can return a status from a leaf, and what KVM makes of it.
//!
//! A status that KVM takes for busy on a first call is dealt with and never logged; the line in the
//! log is printed where KVM_BUG_ON fires. So two things are looked for: that the leaf returns the
//! status at all, and that KVM_BUG_ON fires for it.

use super::causes::Wanted;
use crate::collisions::is_hypothetical;
use crate::engine::exact::{self, Until};
use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use crate::question::{Question, QuestionError, Source};
use seamcheck_model::kernel::decisions::OnBusy;
use seamcheck_model::kernel::{CodePath, Decisions, OnFailure};
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::module::LeafId;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::labels::{OUTCOMES, Part, StepId};
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, Event, Reductions, State, System};
use std::time::Duration;

/// What a search of one kernel on one module came to.
#[derive(Debug)]
pub enum Found {
    /// KVM_BUG_ON fires for it, so that it is logged.
    Logged(Box<Sighting>),
    /// The leaf returns it, but in no scenario that was searched does KVM_BUG_ON fire for it.
    Silent(Silence),
    /// It is not returned in any scenario that was searched, each of them completely.
    Never {
        /// Scenarios that could have shown it, by the rows.
        searched: usize,
        /// Distinct states in all of them.
        states: u64,
    },
    /// The lock table has no row for the leaf.
    NoRow,
    /// No code of the kernel's issues the leaf.
    NoCaller,
    /// A limit was hit before anything was found.
    Unknown(Cut),
}

/// A shortest way to a KVM_BUG_ON.
#[derive(Debug)]
pub struct Sighting {
    /// The question whose counterexample it is.
    pub question: Question,
    /// Its system.
    pub system: System,
    /// How it comes about.
    pub violation: Violation,
    /// It needs a code path that KVM does not have.
    pub is_hypothetical: bool,
}

/// A status that KVM deals with.
#[derive(Clone, Debug)]
pub struct Silence {
    /// Who takes part.
    pub scenario: Scenario,
    /// What KVM does about it.
    pub reaction: &'static str,
    /// Some scenario was not searched to its end.
    pub cut: Option<Cut>,
}

/// A kernel and a module, with what was found.
#[derive(Debug)]
pub struct Pair {
    /// The kernel profile, as named.
    pub kernel: String,
    /// The lock table, as named.
    pub module: String,
    /// What was found.
    pub found: Found,
}

/// Looks for a status on every pair, for `time` in all.
///
/// Scenarios with fewer agents are searched first, those that need code KVM does not have last; a
/// pair is done with the first in which KVM_BUG_ON fires.
///
/// # Errors
/// When a profile or a table is not understood.
pub fn search(
    wanted: &Wanted,
    kernels: &[Source],
    modules: &[Source],
    time: Duration,
    watch: &Watch,
) -> Result<Vec<Pair>, QuestionError> {
    let clock = Clock::start();
    let mut open = Vec::new();
    for kernel in kernels {
        for module in modules {
            open.push(Open::new(wanted, kernel, module)?);
        }
    }
    let most = open
        .iter()
        .map(|pair| pair.scenarios.len())
        .max()
        .unwrap_or(0);
    // Round by round, so that time is shared out fairly.
    for round in 0..most {
        for pair in &mut open {
            let left = time.saturating_sub(clock.elapsed());
            pair.look(wanted, round, left, watch)?;
        }
    }
    Ok(open.into_iter().map(Open::close).collect())
}

/// A decision of the protocol that, taken otherwise, has KVM_BUG_ON fire for the status.
#[derive(Debug)]
pub struct Change {
    /// The decision.
    pub decision: &'static str,
    /// What it would have to be.
    pub value: &'static str,
    /// What then happens.
    pub sighting: Sighting,
}

/// What was found out about a kernel's decisions.
#[derive(Debug)]
pub struct Changes {
    /// The kernel profile, as named.
    pub kernel: String,
    /// The lock table, as named.
    pub module: String,
    /// The decisions.
    pub found: Vec<Change>,
    /// Time ran out before all of them were tried.
    pub is_cut: bool,
}

/// Every single decision of a kernel that, taken otherwise, has KVM_BUG_ON fire for the status beside
/// one vCPU in a runnable TD; for at most `time`.
///
/// # Errors
/// When the profile or the table is not understood.
pub fn changes(
    wanted: &Wanted,
    kernel: &Source,
    module: &Source,
    time: Duration,
    watch: &Watch,
) -> Result<Changes, QuestionError> {
    let clock = Clock::start();
    let mut all = Changes {
        kernel: kernel.name.clone(),
        module: module.name.clone(),
        found: Vec::new(),
        is_cut: false,
    };
    let scenario = Scenario {
        memory: Memory::Tso,
        ..Scenario::default()
    };
    let plain = Question::new(module.clone(), kernel.clone(), Vec::new(), scenario)?;
    for decision in Decisions::NAMES {
        for (value, _) in Decisions::values(decision) {
            let mut question = plain.clone();
            question.decisions.set(decision, value)?;
            let Ok(system) = question.system(Reductions::ALL) else {
                continue;
            };
            if question.decisions == plain.decisions {
                continue;
            }
            question
                .set
                .push(((*decision).to_owned(), value.to_owned()));
            let limits = Limits {
                time: time.saturating_sub(clock.elapsed()),
                memory: MEMORY,
                ..Limits::default()
            };
            let looked = Goal::new(wanted, &question, &system).look(limits, watch);
            // A store buffer that overflows is the change's own doing.
            all.is_cut |= looked.cut.is_some_and(|cut| cut != Cut::StoreBuffer);
            if let Some(violation) = looked.fires {
                let is_hypothetical = true;
                let sighting = Sighting {
                    question,
                    system,
                    violation,
                    is_hypothetical,
                };
                all.found.push(Change {
                    decision,
                    value,
                    sighting,
                });
            }
        }
    }
    Ok(all)
}

/// A pair that is being searched.
struct Open {
    question: Question,
    scenarios: Vec<Scenario>,
    has_row: bool,
    has_caller: bool,
    logged: Option<Sighting>,
    silent: Option<Silence>,
    searched: usize,
    states: u64,
    cut: Option<Cut>,
}

impl Open {
    fn new(wanted: &Wanted, kernel: &Source, module: &Source) -> Result<Self, QuestionError> {
        let question = Question::new(
            module.clone(),
            kernel.clone(),
            Vec::new(),
            Scenario::default(),
        )?;
        let has_row = question.table.leaves.iter().any(|leaf| wanted.is(leaf));
        let scenarios = if has_row {
            scenarios(&question)
        } else {
            Vec::new()
        };
        Ok(Self {
            question,
            scenarios,
            has_row,
            has_caller: false,
            logged: None,
            silent: None,
            searched: 0,
            states: 0,
            cut: None,
        })
    }

    fn look(
        &mut self,
        wanted: &Wanted,
        round: usize,
        left: Duration,
        watch: &Watch,
    ) -> Result<(), QuestionError> {
        let Some(scenario) = self.scenarios.get(round).filter(|_| self.logged.is_none()) else {
            return Ok(());
        };
        let mut question = self.question.clone();
        question.scenario = scenario.clone();
        let system = match question.system(Reductions::ALL) {
            Ok(system) => system,
            // A table need not have the leaves of every path.
            Err(QuestionError::Config(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let issued = |key: &str| {
            let leaf = question.table.leaf(key);
            leaf.is_some_and(|leaf| wanted.is(leaf))
        };
        let users = system
            .users()
            .iter()
            .filter(|user| system.is_active(user.part));
        let mut keys = users.map(|user| system.code.leaves[usize::from(user.leaf.0)].key.as_str());
        if !keys.any(issued) {
            return Ok(());
        }
        self.has_caller = true;
        let goal = Goal::new(wanted, &question, &system);
        if goal.returns.is_empty() {
            return Ok(());
        }
        if left.is_zero() {
            self.cut.get_or_insert(Cut::Time);
            return Ok(());
        }
        let clock = Clock::start();
        let limits = Limits {
            time: left,
            memory: MEMORY,
            ..Limits::default()
        };
        let looked = goal.look(limits, watch);
        self.searched += 1;
        self.states += looked.states;
        self.cut = self.cut.or(looked.cut);
        if let Some(violation) = looked.fires {
            let is_hypothetical = needs_hypothetical(&question, scenario);
            self.logged = Some(Sighting {
                question,
                system,
                violation,
                is_hypothetical,
            });
        } else if looked.is_returned && self.silent.is_none() {
            let limits = Limits {
                time: left.saturating_sub(clock.elapsed()),
                ..limits
            };
            let first = exact::first(&system, limits, watch, |_, event| {
                goal.returned(event).is_some()
            });
            let part = first.found.and_then(|(_, event)| goal.returned(&event));
            self.silent = part.map(|part| Silence {
                scenario: question.scenario.clone(),
                reaction: goal.reaction(part),
                cut: None,
            });
        }
        Ok(())
    }

    fn close(self) -> Pair {
        let found = match (self.logged, self.silent, self.cut) {
            (Some(sighting), ..) => Found::Logged(Box::new(sighting)),
            (None, Some(silence), cut) => Found::Silent(Silence { cut, ..silence }),
            _ if !self.has_row => Found::NoRow,
            (None, None, Some(cut)) => Found::Unknown(cut),
            _ if !self.has_caller => Found::NoCaller,
            _ => Found::Never {
                searched: self.searched,
                states: self.states,
            },
        };
        Pair {
            kernel: self.question.kernel.name,
            module: self.question.module.name,
            found,
        }
    }
}

/// The most that one search may take.
const MEMORY: u64 = 1 << 30;

/// Who takes part: one or two vCPUs, or one or two code paths; fewest agents first, what KVM does not
/// have last.
fn scenarios(question: &Question) -> Vec<Scenario> {
    let (paths, mut all) = (&question.profile.paths, Vec::new());
    let with = |finalized: bool, vcpus: usize, threads: &[&CodePath]| Scenario {
        vcpus,
        finalized,
        threads: threads.iter().map(|path| path.name.clone()).collect(),
        memory: Memory::Tso,
        ..Scenario::default()
    };
    all.extend([with(true, 1, &[]), with(true, 2, &[])]);
    for (at, one) in paths.iter().enumerate() {
        let mut groups = vec![vec![one]];
        // What KVM does not have is asked about by itself only.
        let real = paths[at..]
            .iter()
            .filter(|other| !is_hypothetical(one) && !is_hypothetical(other));
        groups.extend(real.map(|other| vec![one, other]));
        for group in groups {
            all.push(with(false, 0, &group));
            if group.iter().all(|path| !path.before_finalize) {
                all.push(with(true, 1, &group));
            }
        }
    }
    all.sort_by_key(|scenario| {
        let agents = scenario.vcpus + scenario.threads.len();
        (needs_hypothetical(question, scenario), agents)
    });
    all
}

fn needs_hypothetical(question: &Question, scenario: &Scenario) -> bool {
    let mut paths = scenario
        .threads
        .iter()
        .filter_map(|name| question.profile.path(name));
    paths.any(is_hypothetical)
}

/// What a search saw.
struct Looked {
    /// The leaf comes to return the status.
    is_returned: bool,
    /// KVM_BUG_ON fires for it.
    fires: Option<Violation>,
    states: u64,
    cut: Option<Cut>,
}

/// What a search looks for.
struct Goal<'a> {
    system: &'a System,
    question: &'a Question,
    wanted: &'a Wanted,
    /// Steps at which the leaf comes to return the status, by step number.
    returns: Vec<StepId>,
    /// Steps at which KVM_BUG_ON fires for the leaf, whatever it returned.
    bugs: Vec<StepId>,
}

impl<'a> Goal<'a> {
    fn new(wanted: &'a Wanted, question: &'a Question, system: &'a System) -> Self {
        let is_wanted = |leaf: LeafId| {
            let key = &system.code.leaves[usize::from(leaf.0)].key;
            let leaf = question.table.leaf(key);
            leaf.is_some_and(|leaf| wanted.is(leaf))
        };
        let mut goal = Self {
            system,
            question,
            wanted,
            returns: Vec::new(),
            bugs: Vec::new(),
        };
        for (address, op) in system.code.ops.iter().enumerate().skip(1) {
            if is_wanted(op.leaf) {
                let outcomes = wanted.outcomes(&system.code, op);
                let steps =
                    outcomes.map(|outcome| system.labels.id(Part::Module, address as u8, outcome));
                goal.returns.extend(steps);
            }
        }
        for part in parts(system) {
            let mut called = None;
            for (line, text) in system.program_of(part).iter().enumerate() {
                if let Instr::Call { leaf, .. } = text.instr {
                    called = Some(leaf);
                }
                let of_leaf = called.is_some_and(is_wanted);
                for outcome in (0..OUTCOMES as u8).filter(|_| of_leaf) {
                    let step = system.labels.id(part, line as u8, outcome);
                    let broken = system.observations.breaks[usize::from(step.0)];
                    // A call line breaks other properties; what the caller makes of it comes after.
                    if broken & Property::NoBugOn.bit() != 0 {
                        goal.bugs.push(step);
                    }
                }
            }
        }
        goal
    }

    /// Searches to the end, or until a limit is hit.
    fn look(&self, limits: Limits, watch: &Watch) -> Looked {
        let clock = Clock::start();
        let report = exact::search(self.system, Until::Everything, limits, watch);
        let fired = |step: &StepId| report.fired[usize::from(step.0)] > 0;
        let is_returned = self.returns.iter().any(fired);
        let mut looked = Looked {
            is_returned,
            fires: None,
            states: report.states,
            cut: report.cut,
        };
        // KVM_BUG_ON may have fired for another status; only a look at each event tells.
        if is_returned && self.bugs.iter().any(fired) {
            let time = limits.time.saturating_sub(clock.elapsed());
            let limits = Limits { time, ..limits };
            let fires = |before: &State, event: &Event| self.fires(before, event);
            let first = exact::first(self.system, limits, watch, fires);
            looked.cut = looked.cut.or(first.cut);
            looked.fires = first.found.map(|(path, last)| {
                let property = Property::NoBugOn;
                Violation {
                    property,
                    path,
                    last,
                }
            });
        }
        looked
    }

    /// Whose call comes to return the status in this event, if one does.
    fn returned(&self, event: &Event) -> Option<Part> {
        let returns = event.trail.iter().any(|step| self.returns.contains(step));
        returns.then_some(match event.agent {
            Agent::Zapper => Part::Zapper,
            Agent::Vcpu(_) => Part::Vcpu,
            Agent::Thread(index) => Part::thread(usize::from(index)),
        })
    }

    /// Whether KVM_BUG_ON fires for the leaf and the status. That step is never taken together with
    /// one before it, so the status is the one before the event.
    fn fires(&self, before: &State, event: &Event) -> bool {
        let status = control(before, event.agent).status;
        event
            .trail
            .first()
            .is_some_and(|step| self.bugs.contains(step))
            && self.system.code.statuses[usize::from(status)] == self.wanted.status
    }

    /// What KVM makes of the status, where it does not fire.
    fn reaction(&self, part: Part) -> &'static str {
        let decisions = self.system.decisions;
        let calls = self
            .system
            .program_of(part)
            .iter()
            .filter_map(|line| match line.instr {
                Instr::Call { leaf, site } => Some((leaf, site)),
                _ => None,
            });
        let mut own = calls.filter(|(leaf, _)| {
            let key = &self.system.code.leaves[usize::from(leaf.0)].key;
            let leaf = self.question.table.leaf(key);
            leaf.is_some_and(|leaf| self.wanted.is(leaf))
        });
        match part {
            Part::Zapper => {
                let attempt = own.find(|(_, site)| *site == CallSite::Attempt);
                let busy = attempt
                    .is_some_and(|(leaf, _)| self.system.is_called_busy(leaf, self.wanted.status));
                match decisions.on_busy {
                    _ if !busy => "KVM tolerates it, because the page was only premapped",
                    OnBusy::KickAndRetry => "the first call: KVM kicks every vCPU and calls again",
                    OnBusy::GiveUp => "the first call: KVM gives up and its caller ignores that",
                    OnBusy::RetryWithoutKick => "KVM calls again until it is not busy",
                }
            }
            Part::Vcpu if own.any(|(leaf, _)| leaf == self.system.enter_leaf()) => {
                "the vCPU goes round its run loop and tries again"
            }
            Part::Vcpu if own.next().is_none() => "the guest sees it, not KVM",
            Part::Vcpu if self.wanted.leaf == "TDH.MEM.PAGE.AUG" => "the page fault is retried",
            Part::Vcpu => "what KVM makes of it is not modelled",
            _ => {
                let index = usize::from(part == Part::Thread1);
                let name = self.system.scenario.threads.get(index);
                let path = name.and_then(|name| self.question.profile.path(name));
                match path.map(|path| path.on_failure) {
                    Some(OnFailure::BugOnUnlessBusy) => "the ioctl returns -EBUSY to userspace",
                    Some(OnFailure::Return) => "the ioctl returns an error to userspace",
                    _ => "KVM_BUG_ON would fire, and was not reached",
                }
            }
        }
    }
}

fn parts(system: &System) -> Vec<Part> {
    let threads = (0..system.threads.len()).map(Part::thread);
    [Part::Zapper, Part::Vcpu]
        .into_iter()
        .chain(threads)
        .collect()
}

fn control(state: &State, agent: Agent) -> Control {
    match agent {
        Agent::Zapper => state.shared.zapper,
        Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
        Agent::Thread(index) => state.shared.threads[usize::from(index)],
    }
}
