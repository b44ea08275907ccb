//! The subset construction, with a memory: executions of loom's share most of what they do, so each
//! step from one set of states to the next is computed once.

use super::{Divergence, View, follow, is_a_zapper};
use crate::system::{State, System, pack};
use crate::threads::event::{Entry, Event};
use rustc_hash::{FxHashMap, FxHashSet};

/// A model, and the sets of its states that journals have led to.
pub(super) struct Subsets {
    pub(super) system: System,
    pub(super) view: View,
    sets: Vec<FxHashSet<State>>,
    numbers: FxHashMap<Vec<u64>, usize>,
    /// Where an event leads from a set; `None` when the model does not allow it.
    edges: FxHashMap<(usize, Entry), Option<usize>>,
    /// How many states there are in all sets, and how many there may be before all are forgotten.
    kept: usize,
    pub(super) most: usize,
}

/// Some 100 MiB; on the weak memory there are two models.
const MOST: usize = 250_000;

impl Subsets {
    /// From one state, the set number 0.
    pub(super) fn new(system: System, view: View, start: State) -> Self {
        let mut subsets = Self {
            system,
            view,
            sets: Vec::new(),
            numbers: FxHashMap::default(),
            edges: FxHashMap::default(),
            kept: 0,
            most: MOST,
        };
        subsets.number(FxHashSet::from_iter([start]));
        subsets
    }

    /// Whether the model allows a journal, or the number of events that it does; `None` when
    /// something is still to be computed. Takes little stack: loom's threads have 32 KiB.
    pub(super) fn recall(&self, journal: &[Entry]) -> Option<Result<(), usize>> {
        let mut set = 0;
        for (at, entry) in journal.iter().enumerate() {
            match self.edges.get(&(set, *entry))? {
                Some(next) => set = *next,
                None => return Some(Err(at)),
            }
        }
        Some(Ok(()))
    }

    /// The same, computing what is missing.
    pub(super) fn check(&mut self, journal: &[Entry]) -> Result<(), usize> {
        if self.kept > self.most {
            self.forget();
        }
        let mut set = 0;
        for (at, entry) in journal.iter().enumerate() {
            set = self.next(set, *entry).ok_or(at)?;
        }
        Ok(())
    }

    /// What the model could have done where it does not allow a journal.
    pub(super) fn divergence(&mut self, journal: &[Entry]) -> Option<Divergence> {
        let mut set = 0;
        for (at, entry) in journal.iter().enumerate() {
            let Some(next) = self.next(set, *entry) else {
                let (_, model) = follow(&self.system, self.view, &self.sets[set], *entry);
                let code = *entry;
                return Some(Divergence {
                    at,
                    code,
                    model,
                    by_a_zapper: is_a_zapper(&self.system, code.agent),
                });
            };
            set = next;
        }
        None
    }

    /// Everything but the start: what is forgotten is computed again.
    fn forget(&mut self) {
        let start = self.sets.swap_remove(0);
        (self.sets, self.kept) = (Vec::new(), 0);
        (self.numbers, self.edges) = (FxHashMap::default(), FxHashMap::default());
        self.number(start);
    }

    fn next(&mut self, set: usize, entry: Entry) -> Option<usize> {
        if let Some(known) = self.edges.get(&(set, entry)) {
            return *known;
        }
        let (states, _) = follow(&self.system, self.view, &self.sets[set], entry);
        let next = (!states.is_empty()).then(|| self.number(states));
        self.edges.insert((set, entry), next);
        next
    }

    fn number(&mut self, states: FxHashSet<State>) -> usize {
        let key = self.key(&states);
        if let Some(known) = self.numbers.get(&key) {
            return *known;
        }
        let number = self.sets.len();
        self.numbers.insert(key, number);
        self.kept += states.len();
        self.sets.push(states);
        number
    }

    fn key(&self, states: &FxHashSet<State>) -> Vec<u64> {
        let system = &self.system;
        let mut keys: Vec<Vec<u64>> = states.iter().map(|state| key(system, state)).collect();
        keys.sort_unstable();
        keys.concat()
    }
}

/// A state as words.
pub(super) fn key(system: &System, state: &State) -> Vec<u64> {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut key = vec![0; pack::words(vcpus, threads)];
    pack::pack(state, vcpus, threads, false, &mut key);
    key
}

/// The part of a journal that the model has something to say of: once a KVM_BUG_ON has fired the VM is
/// dead, and nobody moves in the model any more.
pub(super) fn while_alive(journal: &[Entry]) -> &[Entry] {
    let dies = |entry: &Entry| matches!(entry.event, Event::BugOn | Event::AugStatus(2));
    let alive = journal.iter().position(dies);
    &journal[..alive.map_or(journal.len(), |at| at + 1)]
}
