//! What the tests share: systems by name, and a search that knows nothing of the engines' own.

#![allow(dead_code)]

pub(crate) mod beside;
pub(crate) mod code;
pub(crate) mod mistake;
pub(crate) mod random;
pub(crate) mod same;
pub(crate) mod total;

use rustc_hash::FxHashSet;
use seamcheck_model::builtin;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::property::{Property, Witness, properties};
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::{Event, Reductions, State, System, pack};
use seamcheck_model::table::LockTable;
use std::collections::{BTreeSet, VecDeque};
use std::error::Error;

/// What goes wrong in here says so in the test that asked for it.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// The text of a built-in data file.
pub(crate) fn text(known: &[(&str, &'static str)], name: &str) -> Outcome<&'static str> {
    let found = known.iter().find(|(version, _)| *version == name);
    Ok(found.ok_or_else(|| format!("no built-in {name}"))?.1)
}

/// A built-in lock table.
pub(crate) fn table(name: &str) -> Outcome<LockTable> {
    Ok(LockTable::parse(name, text(builtin::MODULES, name)?)?)
}

/// A built-in kernel profile.
pub(crate) fn profile(name: &str) -> Outcome<KernelProfile> {
    Ok(KernelProfile::parse(name, text(builtin::KERNELS, name)?)?)
}

/// A question: what a suite's check gives, in the same words.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) module: LockTable,
    pub(crate) kernel: &'static str,
    pub(crate) set: Vec<(&'static str, &'static str)>,
    pub(crate) scenario: Scenario,
    pub(crate) reductions: Reductions,
}

impl Ask {
    /// Kernel 6.16 on module 1.5.05, one vCPU, sequential consistency, all reductions.
    pub(crate) fn claim() -> Outcome<Self> {
        Self::on("1.5.05")
    }

    /// The same on another module.
    pub(crate) fn on(module: &str) -> Outcome<Self> {
        Ok(Self {
            module: table(module)?,
            kernel: "6.16",
            set: Vec::new(),
            scenario: Scenario::default(),
            reductions: Reductions::ALL,
        })
    }

    pub(crate) fn memory(mut self, memory: Memory) -> Self {
        self.scenario.memory = memory;
        self
    }

    pub(crate) fn vcpus(mut self, vcpus: usize) -> Self {
        self.scenario.vcpus = vcpus;
        self
    }

    /// Two vCPUs with a guest that accepts pages and does nothing else: small enough to be walked
    /// whole more than once.
    pub(crate) fn two_trimmed(mut self) -> Self {
        (self.scenario.vcpus, self.scenario.zero_step) = (2, false);
        self.scenario.attr = false;
        self
    }

    pub(crate) fn threads(mut self, names: &[&str]) -> Self {
        self.scenario.threads = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    pub(crate) fn before_finalize(mut self) -> Self {
        self.scenario.finalized = false;
        self
    }

    pub(crate) fn kernel(mut self, name: &'static str) -> Self {
        self.kernel = name;
        self
    }

    pub(crate) fn with(mut self, decision: &'static str, value: &'static str) -> Self {
        self.set.push((decision, value));
        self
    }

    pub(crate) fn reduced_by(mut self, reductions: Reductions) -> Self {
        self.reductions = reductions;
        self
    }

    pub(crate) fn system(&self) -> Outcome<System> {
        let kernel = profile(self.kernel)?;
        let mut decisions = kernel.decisions;
        for (decision, value) in &self.set {
            decisions.set(decision, value)?;
        }
        let scenario = self.scenario.clone();
        let system = System::new(&self.module, &kernel, decisions, scenario, self.reductions)?;
        Ok(system)
    }

    pub(crate) fn search(&self) -> Outcome<Found> {
        Ok(search(&self.system()?))
    }
}

/// A key of up to three vCPUs and ioctl threads, padded with zeros.
pub(crate) type Key = [u64; pack::words(3, 1)];

/// The key of a state, as the engines make it.
pub(crate) fn key(system: &System, state: &State) -> Key {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut key = Key::default();
    let words = &mut key[..pack::words(vcpus, threads)];
    pack::pack(state, vcpus, threads, system.reductions.sort_vcpus, words);
    key
}

/// What a whole search found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) broken: BTreeSet<Property>,
    pub(crate) witnesses: BTreeSet<String>,
    pub(crate) fired: BTreeSet<StepId>,
    pub(crate) overflowed: bool,
}

/// Every state, breadth first; `visit` sees each state once, `cross` each transition.
pub(crate) fn walk(
    system: &System,
    mut visit: impl FnMut(&State),
    mut cross: impl FnMut(&State, &Event, &State),
) -> Found {
    let (mut found, mut broken) = (Found::default(), 0);
    let mut fired = vec![false; system.labels.len()];
    let mut witnesses: FxHashSet<Witness> = FxHashSet::default();
    let mut seen: FxHashSet<Key> = FxHashSet::default();
    let mut queue = VecDeque::from([system.initial()]);
    seen.insert(key(system, &system.initial()));
    while let Some(before) = queue.pop_front() {
        visit(&before);
        let overflow = system.successors(&before, |event, after| {
            cross(&before, &event, &after);
            broken |= system.broken(&before, &event, &after);
            system.witnesses(&before, &event, |witness| {
                witnesses.insert(witness);
            });
            for step in event.trail.iter() {
                fired[usize::from(step.0)] = true;
            }
            if seen.insert(key(system, &after)) {
                queue.push_back(after);
            }
        });
        found.overflowed |= overflow.0;
    }
    found.states = seen.len();
    found.broken = properties(broken).collect();
    let texts = witnesses.iter().map(|witness| witness.text(system));
    found.witnesses = texts.collect();
    let ids = (0..).map(StepId).zip(fired);
    found.fired = ids.filter(|(_, fired)| *fired).map(|(id, _)| id).collect();
    found
}

/// The same, for its result alone.
pub(crate) fn search(system: &System) -> Found {
    walk(system, |_| {}, |_, _, _| {})
}

/// Every reachable state.
pub(crate) fn reachable(system: &System) -> Vec<State> {
    let mut states = Vec::new();
    walk(system, |state| states.push(*state), |_, _, _| {});
    states
}
