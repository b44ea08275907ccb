//! Every execution of loom's, held against the packed model while loom runs.
//!
//! With every access a read-modify-write, loom's order of an execution is one that sequentially consistent
//! memory allows, and the model is taken so. On loom's weak memory three questions are asked of each:
//!
//! 1. Whatever the flag and the modes showed, is the rest of it, in loom's order, a run of the model?
//!    Only loads of these can find an old value there: every other word is touched by
//!    read-modify-writes alone, which loom gives the latest value. If it is none, code and model
//!    diverge.
//! 2. Does the x86-TSO model accept it in loom's order?
//! 3. If not, does it accept another order of the same events of each thread?
//!
//! What is left is weaker than x86: counted, and no fault of the code.

use super::order::{self, Order};
use super::outcomes::{self, Compared, Outcome};
use super::start::{self, NoStart, Start};
use super::subsets::{Subsets, while_alive};
use super::{Divergence, View};
use crate::kernel::KernelProfile;
use crate::kernel::decisions::{ExitRequest, FlagRaise};
use crate::scenario;
use crate::system::{ConfigError, Reductions, State, System};
use crate::table::LockTable;
use crate::threads::event::Entry;
use crate::threads::loom_run::Memory;
use crate::threads::scenario::Scenario;
use rustc_hash::{FxHashMap, FxHashSet};

/// Why nothing can be held against the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// The model can not be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The scenario begins nowhere in the model.
    #[error(transparent)]
    NoStart(#[from] NoStart),
    /// The model may not come to where it begins.
    #[error("no search shows that the model comes to where this begins")]
    Unreached,
}

/// What came of holding executions against the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conformance {
    /// The model comes to where the scenario begins. Else no search has shown that it can: what is held
    /// is each step from there on.
    pub start_is_reached: bool,
    /// Executions that are [`Fit::InOrder`].
    pub in_order: usize,
    /// Executions that are [`Fit::ByProgramOrder`].
    pub by_program_order: usize,
    /// Executions that are [`Fit::WeakerThanX86`].
    pub weaker_than_x86: usize,
    /// Executions that are [`Fit::Undecided`].
    pub undecided: usize,
    /// The first execution that is weaker than x86.
    pub first_weaker: Option<Vec<Entry>>,
    /// The last execution: the violating one, if there is one.
    pub last: Option<Fit>,
    /// Where code and model part, and the execution; the run stops there.
    pub divergence: Option<(Divergence, Vec<Entry>)>,
    /// What all executions came to, where the model's can be told: in `rmw`, when nothing cut the run short.
    pub outcomes: Option<Compared>,
}

/// What the model says of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It accepts it in loom's order.
    InOrder,
    /// It accepts another order, each thread's own kept.
    ByProgramOrder,
    /// x86 can not show it: the model accepts it only if the flag and the modes may have shown what
    /// they did.
    WeakerThanX86,
    /// The search for an order was cut short.
    Undecided,
}

/// The models that executions of a scenario are held against.
pub struct Held {
    scenario: Scenario,
    start: State,
    /// In `rmw` all of it, on the weak memory what does not depend on the flag and the modes.
    sc: Subsets,
    /// x86-TSO; on the weak memory only.
    tso: Option<Subsets>,
    /// Of outcomes that x86-TSO does not accept in order.
    fits: FxHashMap<Outcome, Fit>,
    outcomes: FxHashSet<Outcome>,
    /// A KVM_BUG_ON fired: the code goes on where the model stands still.
    died: bool,
    found: Conformance,
}

impl Held {
    /// The models of a scenario of the code. The lock table is that of its module version; of the
    /// kernel profile only the code paths count.
    ///
    /// # Errors
    /// When the scenario begins nowhere in the model, or there is no such model.
    pub fn new(
        table: &LockTable,
        kernel: &KernelProfile,
        scenario: &Scenario,
        memory: Memory,
    ) -> Result<Self, HeldError> {
        let skips = !scenario.has_exit_request();
        let mut decisions = scenario.decisions;
        if skips {
            // A vCPU without kvm_vcpu_exit_request() is one that does not look at its mode there and for
            // which nothing else is ever pending.
            decisions.exit_request = ExitRequest::WorkOnly;
        }
        let model = |memory: scenario::Memory| {
            let model = scenario::Scenario {
                memory,
                ..start::model(scenario)
            };
            System::new(table, kernel, decisions, model, Reductions::NONE)
        };
        let sc = model(scenario::Memory::Sc)?;
        let Start {
            state: start,
            is_reached,
        } = start::find(table, kernel, scenario, &sc)??;
        let view = |believes: bool| View {
            skips_exit_request: skips,
            believes,
        };
        let tso = match memory {
            Memory::SequentiallyConsistent => None,
            Memory::Weak => {
                let tso = model(scenario::Memory::Tso)?;
                Some(Subsets::new(tso, view(false), start))
            }
        };
        Ok(Self {
            scenario: *scenario,
            start,
            sc: Subsets::new(sc, view(tso.is_some()), start),
            tso,
            fits: FxHashMap::default(),
            outcomes: FxHashSet::default(),
            died: false,
            found: Conformance {
                start_is_reached: is_reached,
                ..Conformance::default()
            },
        })
    }

    /// Holds one execution against the models. Returns whether they part.
    ///
    /// Called on a thread of loom's, which has 32 KiB of stack: what is not known yet is computed on a
    /// thread of the system's.
    pub(in crate::threads) fn hold(&mut self, journal: &[Entry]) -> bool {
        let alive = while_alive(journal);
        self.died |= alive.len() < journal.len();
        self.found.last = None;
        match self.recall(alive) {
            Some(fit) => self.count(fit, journal),
            None => std::thread::scope(|scope| {
                let computed = scope.spawn(|| match self.fit(alive) {
                    Some(fit) => self.count(fit, journal),
                    None => {
                        let divergence = self.sc.divergence(alive);
                        self.found.divergence = divergence.map(|found| (found, journal.to_vec()));
                    }
                });
                if let Err(panic) = computed.join() {
                    std::panic::resume_unwind(panic);
                }
            }),
        }
        self.found.divergence.is_some()
    }

    /// What is known of an execution.
    fn recall(&self, journal: &[Entry]) -> Option<Fit> {
        self.sc.recall(journal)?.ok()?;
        let Some(tso) = &self.tso else {
            return Some(Fit::InOrder);
        };
        match tso.recall(journal)? {
            Ok(()) => Some(Fit::InOrder),
            Err(_) => {
                let outcome = outcomes::of(journal, &self.sc.system);
                self.fits.get(&outcome).copied()
            }
        }
    }

    /// The same, computed; `None` when code and model part.
    fn fit(&mut self, journal: &[Entry]) -> Option<Fit> {
        self.sc.check(journal).ok()?;
        let Some(tso) = &mut self.tso else {
            return Some(Fit::InOrder);
        };
        if tso.check(journal).is_ok() {
            return Some(Fit::InOrder);
        }
        let outcome = outcomes::of(journal, &self.sc.system);
        let fit = self.fits.entry(outcome).or_insert_with(|| {
            match order::search(&tso.system, tso.view, &self.start, journal) {
                Order::Found => Fit::ByProgramOrder,
                Order::None => Fit::WeakerThanX86,
                Order::Unknown => Fit::Undecided,
            }
        });
        Some(*fit)
    }

    fn count(&mut self, fit: Fit, journal: &[Entry]) {
        let found = &mut self.found;
        found.last = Some(fit);
        match fit {
            Fit::InOrder => found.in_order += 1,
            Fit::ByProgramOrder => found.by_program_order += 1,
            Fit::WeakerThanX86 => {
                found.weaker_than_x86 += 1;
                found.first_weaker.get_or_insert_with(|| journal.to_vec());
            }
            Fit::Undecided => found.undecided += 1,
        }
        if self.tso.is_none() {
            self.outcomes.insert(outcomes::of(journal, &self.sc.system));
        }
    }

    /// What came of it. `is_whole` when loom made every execution there is.
    pub(in crate::threads) fn finish(mut self, is_whole: bool) -> Conformance {
        // A script moves a vCPU on each lap, and kicks it once from outside; a request is seen before the
        // mode is changed. The model chooses when, or has it in one step.
        let has_requests = self.scenario.decisions.flag_raise == FlagRaise::RequestBit;
        let chooses = self.scenario.migrate || self.scenario.foreign_kick || has_requests;
        if self.tso.is_none()
            && is_whole
            && !chooses
            && !self.died
            && self.found.divergence.is_none()
        {
            let (system, view) = (&self.sc.system, self.sc.view);
            let model = outcomes::of_model(system, view, &self.start, &self.scenario);
            self.found.outcomes = model.map(|model| Compared::new(&self.outcomes, &model));
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;
    use crate::closed_enum::ClosedEnum;
    use crate::property::Property;
    use crate::threads::{Bounds, Window, run_under_loom_held};

    fn held(code: &Scenario, kernel: &KernelProfile, most: usize) -> Conformance {
        let of = |all: &[(&'static str, &'static str)], name: &str| {
            let mut all = all.iter();
            *all.find(|(known, _)| *known == name).expect("built in")
        };
        let (name, text) = of(builtin::MODULES, code.module.key());
        let table = LockTable::parse(name, text).expect("a table");
        let mut held = Held::new(&table, kernel, code, Memory::Weak).expect("a start");
        held.sc.most = most;
        held.tso.as_mut().expect("a weak memory").most = most;
        let bounds = Bounds {
            executions: 10_000,
            preemptions: None,
        };
        let property = Property::NoSecondBusy;
        let report = run_under_loom_held(code, Memory::Weak, property, bounds, held);
        let found = report.expect("a scenario for loom").conformance;
        found.expect("it was held")
    }

    #[test]
    fn what_is_forgotten_is_computed_again() {
        let (name, text) = builtin::KERNELS[4];
        let kernel = KernelProfile::parse(name, text).expect("a profile");
        let code = Scenario::of_window(kernel.decisions, Window::Block);
        let kept = held(&code, &kernel, usize::MAX);
        assert_eq!((kept.in_order, kept.by_program_order), (1_194, 174));
        assert_eq!(held(&code, &kernel, 100), kept);
    }
}
