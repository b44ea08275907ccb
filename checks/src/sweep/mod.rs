//! The sweep: every pair of code paths of a kernel, on a module, and each way in which a SEAMCALL that
//! KVM can not let fail does fail.

pub mod plan;
pub mod report;

use crate::engine::{Cut, Limits, Watch, exact};
use crate::question::{Question, QuestionError, Source};
use crate::trace;
use plan::{Pair, Together};
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::Reductions;
use seamcheck_traces::Trace;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The table of the patch's message: no module, and not swept.
const NO_MODULE: &str = "patch-table";

/// A way in which a no-fail SEAMCALL fails.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The pair of code paths.
    pub pair: (String, String),
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
    /// Every pair, searched or not.
    pub pairs: Vec<Pair>,
    /// What was found.
    pub failures: Vec<Failure>,
    /// States of all searches together.
    pub states: u64,
    /// Searches made.
    pub searches: usize,
    /// Why a search was cut short, with its pair.
    pub cut: Vec<(String, Cut)>,
    /// How long it took.
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

/// Sweeps every kernel on every module, two at a time; results in the order asked for.
///
/// # Errors
/// When a profile or a table is not understood, or lacks a leaf that a code path issues.
pub fn sweep(
    kernels: &[String],
    modules: &[String],
    limits: Limits,
    watch: &Watch,
) -> Result<Vec<Cell>, SweepError> {
    let cells: Vec<(&String, &String)> = kernels
        .iter()
        .flat_map(|kernel| modules.iter().map(move |module| (kernel, module)))
        .collect();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((kernel, module)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            if watch.is_stopped() {
                break;
            }
            let cell = cell(kernel, module, limits, watch);
            if let Ok(mut results) = results.lock() {
                results.push(cell);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..limits.threads.clamp(1, 8) {
            scope.spawn(work);
        }
    });
    let results = results.into_inner().unwrap_or_default();
    let mut found = results.into_iter().collect::<Result<Vec<Cell>, _>>()?;
    let order = |cell: &Cell| {
        let at = |names: &[String], name: &String| names.iter().position(|other| other == name);
        (at(kernels, &cell.kernel), at(modules, &cell.module))
    };
    found.sort_by_key(order);
    Ok(found)
}

fn cell(kernel: &str, module: &str, limits: Limits, watch: &Watch) -> Result<Cell, SweepError> {
    let start = Instant::now();
    let (kernel, module) = (Source::kernel(kernel)?, Source::module(module)?);
    let profile = KernelProfile::parse(&kernel.name, &kernel.text)
        .map_err(|error| crate::question::bad_data(error, &kernel))?;
    let mut cell = Cell {
        kernel: kernel.name.clone(),
        module: module.name.clone(),
        pairs: plan::pairs(&profile),
        failures: Vec::new(),
        states: 0,
        searches: 0,
        cut: Vec::new(),
        elapsed: Duration::ZERO,
    };
    for pair in cell.pairs.clone() {
        let Together::Search(scenarios) = &pair.together else {
            continue;
        };
        for scenario in scenarios {
            let question =
                Question::new(module.clone(), kernel.clone(), Vec::new(), scenario.clone())?;
            search(&mut cell, &pair, &question, limits, watch)?;
        }
    }
    cell.elapsed = start.elapsed();
    Ok(cell)
}

fn search(
    cell: &mut Cell,
    pair: &Pair,
    question: &Question,
    limits: Limits,
    watch: &Watch,
) -> Result<(), SweepError> {
    let system = question.system(Reductions::ALL)?;
    let (violations, states, cut) = exact::failures(&system, limits, watch);
    cell.states += states;
    cell.searches += 1;
    if let Some(cut) = cut {
        cell.cut
            .push((format!("{} and {}", pair.one, pair.other), cut));
    }
    for violation in violations {
        let internal = |text: &str| SweepError::Internal(text.to_owned());
        let trace = trace::build(question, &system, &violation, None)
            .ok_or_else(|| internal("a violation can not be executed again"))?;
        trace::verify(&trace).map_err(|error| SweepError::Internal(error.to_string()))?;
        let failure = failure(pair, violation.length(), trace)
            .ok_or_else(|| internal("a KVM_BUG_ON without a SEAMCALL before it"))?;
        let known = cell.failures.iter().position(|known| {
            known.pair == failure.pair
                && known.leaf == failure.leaf
                && known.status == failure.status
                && known.bug_on == failure.bug_on
                && known.because() == failure.because()
        });
        match known {
            Some(index) if cell.failures[index].length <= failure.length => {}
            Some(index) => cell.failures[index] = failure,
            None => cell.failures.push(failure),
        }
    }
    Ok(())
}

/// What a trace that ends in a KVM_BUG_ON says.
fn failure(pair: &Pair, length: u64, trace: Trace) -> Option<Failure> {
    let last = trace.steps.last()?;
    let returned = trace.steps.iter().rev().find(|step| {
        step.agent == last.agent
            && step.seamcall == Some(seamcheck_traces::schema::CallEdge::Returned)
    })?;
    let digits = returned.status.as_ref()?.trim_start_matches("0x");
    let status = StatusWord(u64::from_str_radix(digits, 16).ok()?);
    Some(Failure {
        pair: (pair.one.clone(), pair.other.clone()),
        leaf: returned.anchor.function.clone(),
        status,
        bug_on: last.anchor.function.clone(),
        length,
        trace,
    })
}
