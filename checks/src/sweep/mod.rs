//! The sweep: every pair of code paths of a kernel, on a module, and each way in which a SEAMCALL that
//! KVM can not let fail does fail; on request every three of them, and more than one vCPU.

pub mod plan;
pub mod report;

use crate::assumptions;
use crate::engine::{Cut, Limits, Watch, exact};
use crate::parallel;
use crate::question::{Question, QuestionError, Source};
use crate::trace;
use plan::{Party, Size, Together};
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::Reductions;
use seamcheck_traces::Trace;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The table of the patch's message: no module, and not swept.
const NO_MODULE: &str = "patch-table";

/// A way in which a no-fail SEAMCALL fails.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The code paths.
    pub names: Vec<String>,
    /// The SEAMCALL.
    pub leaf: String,
    /// What it returned.
    pub status: StatusWord,
    /// The function whose KVM_BUG_ON fires.
    pub bug_on: String,
    /// Number of transitions of the shortest trace.
    pub length: u64,
    /// The trace, executed again.
    pub trace: Trace,
}

impl Failure {
    /// What stood in the way: `TDR, which TDH.MR.FINALIZE holds exclusive`, or the state.
    #[must_use]
    pub fn because(&self) -> String {
        let conflict = self.trace.verdict.conflict.as_ref();
        let busy = conflict.filter(|_| self.status.is_operand_busy());
        match busy.and_then(|conflict| Some((conflict, conflict.held.first()?))) {
            Some((conflict, held)) => {
                format!("{}, which {} holds {}", conflict.lock, held.by, held.mode)
            }
            None => "no lock: the state of the TD or of the page".to_owned(),
        }
    }
}

/// One kernel on one module.
#[derive(Debug)]
pub struct Cell {
    /// The kernel profile.
    pub kernel: String,
    /// The lock table.
    pub module: String,
    /// Every pair, and every three if asked for, searched or not.
    pub parties: Vec<Party>,
    /// What was found; of three code paths what no two of them come to.
    pub failures: Vec<Failure>,
    /// States of all searches together.
    pub states: u64,
    /// Searches made.
    pub searches: usize,
    /// Why a search was cut short, with its code paths.
    pub cut: Vec<(String, Cut)>,
    /// The numbers of the assumptions that its searches rest on.
    pub rests_on: BTreeSet<u64>,
    /// How long its searches took together.
    pub elapsed: Duration,
}

/// Why a sweep came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A question is not understood.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// A violation can not be executed again: a bug of ours.
    #[error("{0}")]
    Internal(String),
}

/// The built-in versions that are swept when none is named.
#[must_use]
pub fn everything() -> (Vec<String>, Vec<String>) {
    let names = |known: &[(&str, &str)]| known.iter().map(|(name, _)| (*name).to_owned()).collect();
    let modules: Vec<String> = names(seamcheck_model::builtin::MODULES);
    let kernels = names(seamcheck_model::builtin::KERNELS);
    let swept = modules.into_iter().filter(|name| name != NO_MODULE);
    (kernels, swept.collect())
}

/// A kernel on a module, before it is swept.
struct Plan {
    kernel: Source,
    module: Source,
    parties: Vec<Party>,
}

/// Sweeps every kernel on every module, several searches at a time; results in the order asked for.
/// A cell is missing when the sweep was stopped before it was done.
///
/// # Errors
/// When a profile or a table is not understood, or lacks a leaf that a code path issues.
pub fn sweep(
    kernels: &[String],
    modules: &[String],
    size: Size,
    limits: Limits,
    watch: &Watch,
) -> Result<Vec<Cell>, SweepError> {
    let mut plans = Vec::new();
    for kernel in kernels {
        for module in modules {
            plans.push(plan(kernel, module, size)?);
        }
    }
    let tasks: Vec<(usize, &Party)> = plans
        .iter()
        .enumerate()
        .flat_map(|(index, plan)| plan.parties.iter().map(move |party| (index, party)))
        .collect();
    let done = parallel::map(&tasks, limits.threads, |(index, party)| {
        searched(&plans[*index], party, limits, watch)
    });
    let mut cells: Vec<Cell> = plans.iter().map(Cell::new).collect();
    for ((index, _), done) in tasks.iter().zip(done) {
        cells[*index].take(done?);
    }
    Ok(cells)
}

fn plan(kernel: &str, module: &str, size: Size) -> Result<Plan, SweepError> {
    let (kernel, module) = (Source::kernel(kernel)?, Source::module(module)?);
    let profile = KernelProfile::parse(&kernel.name, &kernel.text)
        .map_err(|error| crate::question::bad_data(error, &kernel))?;
    Ok(Plan {
        parties: plan::parties(&profile, size),
        kernel,
        module,
    })
}

/// What the searches for some code paths came to.
#[derive(Default)]
struct Searched {
    failures: Vec<Failure>,
    states: u64,
    searches: usize,
    cut: Vec<(String, Cut)>,
    rests_on: BTreeSet<u64>,
    elapsed: Duration,
}

impl Cell {
    fn new(plan: &Plan) -> Self {
        Self {
            kernel: plan.kernel.name.clone(),
            module: plan.module.name.clone(),
            parties: plan.parties.clone(),
            failures: Vec::new(),
            states: 0,
            searches: 0,
            cut: Vec::new(),
            rests_on: BTreeSet::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// Pairs come before threes, so that a three's failures are only those that are new.
    fn take(&mut self, done: Searched) {
        self.states += done.states;
        self.searches += done.searches;
        self.cut.extend(done.cut);
        self.rests_on.extend(done.rests_on);
        self.elapsed += done.elapsed;
        for failure in done.failures {
            if !self.failures.iter().any(|known| failure.is_of(known)) {
                self.failures.push(failure);
            }
        }
    }
}

impl Failure {
    /// The same failure, whoever takes part.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        self.leaf == other.leaf
            && self.status == other.status
            && self.bug_on == other.bug_on
            && self.because() == other.because()
    }

    /// The same failure, with nobody missing that the other takes: it is the other's.
    fn is_of(&self, fewer: &Self) -> bool {
        let mut names = self.names.clone();
        let is_part = fewer.names.iter().all(|name| {
            let found = names.iter().position(|other| other == name);
            found.map(|index| names.swap_remove(index)).is_some()
        });
        is_part && self.is_alike(fewer)
    }
}

fn searched(
    plan: &Plan,
    party: &Party,
    limits: Limits,
    watch: &Watch,
) -> Result<Searched, SweepError> {
    let (start, mut done) = (Instant::now(), Searched::default());
    let Together::Search(scenarios) = &party.together else {
        return Ok(done);
    };
    for scenario in scenarios {
        if watch.is_stopped() {
            let names = party.names.join(" and ");
            done.cut.push((names, Cut::Interrupted));
            break;
        }
        let (module, kernel) = (plan.module.clone(), plan.kernel.clone());
        let question = Question::new(module, kernel, Vec::new(), scenario.clone())?;
        search(&mut done, party, &question, limits, watch)?;
    }
    done.elapsed = start.elapsed();
    Ok(done)
}

fn search(
    done: &mut Searched,
    party: &Party,
    question: &Question,
    limits: Limits,
    watch: &Watch,
) -> Result<(), SweepError> {
    let system = question.system(Reductions::ALL)?;
    let (violations, states, cut) = exact::failures(&system, limits, watch);
    done.states += states;
    done.searches += 1;
    done.rests_on
        .extend(assumptions::of_search(question, &system));
    if let Some(cut) = cut {
        done.cut.push((party.names.join(" and "), cut));
    }
    for violation in violations {
        let internal = |text: &str| SweepError::Internal(text.to_owned());
        let trace = trace::build(question, &system, &violation, None)
            .ok_or_else(|| internal("a violation can not be executed again"))?;
        trace::verify(&trace).map_err(|error| SweepError::Internal(error.to_string()))?;
        let failure = failure(party, violation.length(), trace)
            .ok_or_else(|| internal("a KVM_BUG_ON without a SEAMCALL before it"))?;
        let known = done
            .failures
            .iter()
            .position(|known| known.is_alike(&failure));
        match known {
            Some(index) if done.failures[index].length <= failure.length => {}
            Some(index) => done.failures[index] = failure,
            None => done.failures.push(failure),
        }
    }
    Ok(())
}

/// What a trace that ends in a KVM_BUG_ON says.
fn failure(party: &Party, length: u64, trace: Trace) -> Option<Failure> {
    let last = trace.steps.last()?;
    let returned = trace.steps.iter().rev().find(|step| {
        step.agent == last.agent
            && step.seamcall == Some(seamcheck_traces::schema::CallEdge::Returned)
    })?;
    let digits = returned.status.as_ref()?.trim_start_matches("0x");
    let status = StatusWord(u64::from_str_radix(digits, 16).ok()?);
    Some(Failure {
        names: party.names.clone(),
        leaf: returned.anchor.function.clone(),
        status,
        bug_on: last.anchor.function.clone(),
        length,
        trace,
    })
}
