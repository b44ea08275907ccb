//! Which kernel on which module can return a status from a leaf, and what KVM makes of it.
//!
//! A status that KVM takes for busy on a first call is dealt with and never logged; the line in the
//! log is printed where KVM_BUG_ON fires. So two things are looked for: that the leaf returns the
//! status at all, and that KVM_BUG_ON fires for it.

use super::causes::{self, Cause, Wanted};
use super::goal::Goal;
use super::scenarios::{has_idler, needs_hypothetical, scenarios};
use crate::assumptions;
use crate::engine::exact::{self, First};
use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use crate::parallel;
use crate::question::{Question, QuestionError, Source};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::{Event, Reductions, System};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a search of one kernel on one module came to.
#[derive(Debug)]
pub enum Found {
    /// KVM_BUG_ON fires for it, so that it is logged.
    Logged(Box<Sighting>),
    /// The leaf returns it, but in no scenario that was searched does KVM_BUG_ON fire for it.
    Silent(Box<Silence>),
    /// Only a lock of one vCPU can make it fail so, and each code path here acts on a vCPU of its own.
    PerVcpu,
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

/// A status that KVM deals with, and a shortest way to it.
#[derive(Debug)]
pub struct Silence {
    /// The question that was asked.
    pub question: Question,
    /// Its system.
    pub system: System,
    /// Keys of the states up to the event in which the leaf comes to return the status.
    pub path: Vec<Vec<u64>>,
    /// The event.
    pub last: Event,
    /// The steps that return the status.
    pub returns: Vec<StepId>,
    /// What KVM does about it.
    pub reaction: &'static str,
    /// It needs a code path that KVM does not have.
    pub is_hypothetical: bool,
    /// Some scenario was not searched to its end.
    pub cut: Option<Cut>,
}

impl Silence {
    /// Number of transitions up to where the leaf comes to return it.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.path.len() as u64
    }
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
    /// The numbers of the assumptions that its searches rest on; none when nothing was searched.
    pub rests_on: BTreeSet<u64>,
}

/// How long, on how many threads, and who can stop it.
#[derive(Clone, Copy)]
pub struct Effort<'a> {
    /// For one failure.
    pub time: Duration,
    /// Searches at a time.
    pub threads: usize,
    /// Asked from time to time.
    pub watch: &'a Watch,
}

/// The most that one search may take.
pub(super) const MEMORY: u64 = 1 << 30;

/// Looks for a status on every pair, until `effort.time` is over by `clock`.
///
/// Scenarios with fewer agents are searched first, those that need code KVM does not have last; a
/// pair is done with the first in which KVM_BUG_ON fires. Where two pairs come to the same system,
/// it is searched once.
///
/// # Errors
/// When a profile or a table is not understood.
pub fn search(
    wanted: &Wanted,
    kernels: &[Source],
    modules: &[Source],
    clock: Clock,
    effort: Effort<'_>,
) -> Result<Vec<Pair>, QuestionError> {
    let mut open = Vec::new();
    for kernel in kernels {
        for module in modules {
            open.push(Open::new(wanted, kernel, module)?);
        }
    }
    let most = open.iter().map(|pair| pair.scenarios.len()).max();
    // Round by round, so that time is shared out fairly.
    for round in 0..most.unwrap_or(0) {
        let mut groups: Vec<Shared> = Vec::new();
        for (index, pair) in open.iter_mut().enumerate() {
            let Some((question, system)) = pair.next(wanted, round)? else {
                continue;
            };
            let shape = shape(&system);
            match groups.iter_mut().find(|group| group.shape == shape) {
                Some(group) => group.pairs.push((index, question, system)),
                None => groups.push(Shared {
                    shape,
                    pairs: vec![(index, question, system)],
                }),
            }
        }
        let silent: Vec<bool> = open.iter().map(|pair| pair.silent.is_some()).collect();
        let seen = parallel::map(&groups, effort.threads, |group| {
            let (_, question, system) = &group.pairs[0];
            let left = effort.time.saturating_sub(clock.elapsed());
            let is_new = group.pairs.iter().any(|(index, ..)| !silent[*index]);
            let goal = Goal::new(wanted, question, system);
            look(&goal, is_new, left, effort.watch)
        });
        for (group, seen) in groups.into_iter().zip(seen) {
            for (index, question, system) in group.pairs {
                open[index].note(wanted, question, system, &seen);
            }
        }
    }
    Ok(open.into_iter().map(Open::close).collect())
}

/// Pairs whose systems differ in nothing that a search can notice.
struct Shared {
    shape: String,
    pairs: Vec<(usize, Question, System)>,
}

/// All that a system's transitions and the names of its leaves follow from. What it leaves out (where
/// a step stands in the source) no search can notice.
fn shape(system: &System) -> String {
    let lines = |program: &seamcheck_model::kvm::Program| {
        let lines = program.iter().map(|line| {
            format!(
                "{:?}",
                (
                    line.instr,
                    line.irqs_off,
                    line.held,
                    line.flag_window,
                    line.frozen
                )
            )
        });
        lines.collect::<Vec<_>>()
    };
    let threads: Vec<_> = system.threads.iter().map(lines).collect();
    let keys: Vec<&str> = system.code.leaves.iter().map(|leaf| &*leaf.key).collect();
    let programs = (lines(&system.zap), lines(&system.vcpu), threads);
    let module = (keys, &system.code.ops, &system.code.statuses);
    let asked = (&system.decisions, &system.scenario, &system.tdcalls);
    let module = (module, system.keeps_host_priority);
    format!("{asked:?} {module:?} {programs:?}")
}

/// What a search of one scenario saw.
struct Seen {
    states: u64,
    cut: Option<Cut>,
    fires: Option<Violation>,
    /// The shortest way to the status, where KVM_BUG_ON does not fire.
    returned: Option<(Vec<Vec<u64>>, Event)>,
    is_searched: bool,
}

/// The way to the status is looked for only if `is_new` that the leaf returns it.
fn look(goal: &Goal<'_>, is_new: bool, time: Duration, watch: &Watch) -> Seen {
    let mut seen = Seen {
        states: 0,
        cut: None,
        fires: None,
        returned: None,
        is_searched: false,
    };
    if time.is_zero() {
        seen.cut = Some(Cut::Time);
        return seen;
    }
    let clock = Clock::start();
    let limits = Limits {
        time,
        memory: MEMORY,
        ..Limits::default()
    };
    let looked = goal.look(limits, watch);
    (seen.states, seen.cut, seen.fires) = (looked.states, looked.cut, looked.fires);
    seen.is_searched = true;
    if is_new && looked.is_returned && seen.fires.is_none() {
        let time = time.saturating_sub(clock.elapsed());
        let limits = Limits { time, ..limits };
        let First { found, cut, .. } = exact::first(goal.system, limits, watch, |_, event| {
            goal.returned(event).is_some()
        });
        seen.returned = found;
        seen.cut = seen.cut.or(cut);
    }
    seen
}

/// A pair that is being searched.
struct Open {
    question: Question,
    scenarios: Vec<Scenario>,
    has_row: bool,
    has_caller: bool,
    is_per_vcpu: bool,
    logged: Option<Sighting>,
    silent: Option<Silence>,
    searched: usize,
    states: u64,
    cut: Option<Cut>,
    rests_on: BTreeSet<u64>,
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
        let causes = causes::causes(&question.table, wanted).ok().flatten();
        let causes = causes.unwrap_or_default();
        let per_vcpu =
            |cause: &Cause| matches!(cause, Cause::Lock { lock, .. } if lock.is_per_vcpu());
        Ok(Self {
            question,
            scenarios,
            has_row,
            has_caller: false,
            is_per_vcpu: !causes.is_empty() && causes.iter().all(per_vcpu),
            logged: None,
            silent: None,
            searched: 0,
            states: 0,
            cut: None,
            rests_on: BTreeSet::new(),
        })
    }

    /// The scenario of a round, if it can show anything that none before has.
    fn next(
        &mut self,
        wanted: &Wanted,
        round: usize,
    ) -> Result<Option<(Question, System)>, QuestionError> {
        let Some(scenario) = self.scenarios.get(round).filter(|_| self.logged.is_none()) else {
            return Ok(None);
        };
        let mut question = self.question.clone();
        question.scenario = scenario.clone();
        let system = match question.system(Reductions::ALL) {
            Ok(system) => system,
            // A table need not have the leaves of every path.
            Err(QuestionError::Config(_)) => return Ok(None),
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
            return Ok(None);
        }
        self.has_caller = true;
        let goal = Goal::new(wanted, &question, &system);
        // What is returned and never logged is known after the first time.
        let can_show = !goal.returns.is_empty() && (goal.can_fire() || self.silent.is_none());
        Ok((can_show && !has_idler(&question, &system)).then_some((question, system)))
    }

    fn note(&mut self, wanted: &Wanted, question: Question, system: System, seen: &Seen) {
        if seen.is_searched {
            self.searched += 1;
            self.rests_on
                .extend(assumptions::of_search(&question, &system));
        }
        self.states += seen.states;
        self.cut = self.cut.or(seen.cut);
        let is_hypothetical = needs_hypothetical(&question, &question.scenario);
        if let Some(violation) = seen.fires.clone() {
            self.logged = Some(Sighting {
                question,
                system,
                violation,
                is_hypothetical,
            });
        } else if let (None, Some((path, last))) = (&self.silent, seen.returned.clone()) {
            let goal = Goal::new(wanted, &question, &system);
            let Some(part) = goal.returned(&last) else {
                return;
            };
            let (reaction, returns) = (goal.reaction(part), goal.returns.clone());
            self.silent = Some(Silence {
                question,
                system,
                path,
                last,
                returns,
                reaction,
                is_hypothetical,
                cut: None,
            });
        }
    }

    fn close(self) -> Pair {
        let found = match (self.logged, self.silent, self.cut) {
            (Some(sighting), ..) => Found::Logged(Box::new(sighting)),
            (None, Some(silence), cut) => Found::Silent(Box::new(Silence { cut, ..silence })),
            _ if !self.has_row => Found::NoRow,
            (None, None, Some(cut)) => Found::Unknown(cut),
            _ if !self.has_caller => Found::NoCaller,
            _ if self.is_per_vcpu => Found::PerVcpu,
            _ => Found::Never {
                searched: self.searched,
                states: self.states,
            },
        };
        Pair {
            kernel: self.question.kernel.name,
            module: self.question.module.name,
            found,
            rests_on: self.rests_on,
        }
    }
}
