//! Which kernel on which module can return a status from a leaf, and what KVM makes of it.
//!
//! A status that KVM takes for busy on a first call is dealt with and never logged; the line in the
//! log is printed where KVM_BUG_ON fires. So two things are looked for: that the leaf returns the
//! status at all, and that KVM_BUG_ON fires for it.

use super::causes::Wanted;
use super::goal::Goal;
use crate::engine::exact;
use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use crate::question::{Question, QuestionError, Source};
use seamcheck_model::kernel::CodePath;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::{Reductions, System};
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
            self.cut = self.cut.or(first.cut);
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
pub(super) const MEMORY: u64 = 1 << 30;

/// Who takes part: one or two vCPUs, or one or two code paths; fewest agents first, what KVM does not
/// have last.
fn scenarios(question: &Question) -> Vec<Scenario> {
    let paths = question.profile.paths.iter();
    // What makes or unmakes the VM meets nobody.
    let meets = |path: &&CodePath| path.alone.is_none();
    let paths: Vec<&CodePath> = paths.filter(meets).collect();
    let mut all = Vec::new();
    let with = |finalized: bool, vcpus: usize, threads: &[&CodePath]| Scenario {
        vcpus,
        finalized,
        threads: threads.iter().map(|path| path.name.clone()).collect(),
        memory: Memory::Tso,
        ..Scenario::default()
    };
    all.extend([with(true, 1, &[]), with(true, 2, &[])]);
    for (at, one) in paths.iter().copied().enumerate() {
        let mut groups = vec![vec![one]];
        // What KVM does not have is asked about by itself only.
        let others = paths[at..].iter().copied();
        let real = others.filter(|other| !one.hypothetical && !other.hypothetical);
        groups.extend(real.map(|other| vec![one, other]));
        for group in groups {
            let finalizes = group.iter().any(|path| path.finalizes());
            if finalizes || group.iter().all(|path| !path.after_finalize) {
                all.push(with(false, 0, &group));
            }
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
    paths.any(|path| path.hypothetical)
}
