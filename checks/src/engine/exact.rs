//! The exact engine: breadth first, whole states as keys, one thread, the same counts every time.

use super::{Clock, Cut, Limits, Report, Violation, Watch};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;
use seamcheck_model::property::{Property, Witness, properties};
use seamcheck_model::system::{Event, State, System, pack};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering;

/// What to stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Explore everything; remember the first violation of each property.
    Everything,
    /// Stop at the first violation of this one.
    Violates(Property),
    /// Stop as soon as this step number has fired.
    Fires(u16),
}

/// Searches `system`.
#[must_use]
pub fn search(system: &System, until: Until, limits: Limits, watch: &Watch) -> Report {
    let words = pack::words(system.scenario.vcpus, system.threads.len());
    match words {
        1 => Search::<1>::new(system).run(until, limits, watch),
        2 => Search::<2>::new(system).run(until, limits, watch),
        3 => Search::<3>::new(system).run(until, limits, watch),
        4 => Search::<4>::new(system).run(until, limits, watch),
        5 => Search::<5>::new(system).run(until, limits, watch),
        6 => Search::<6>::new(system).run(until, limits, watch),
        _ => Search::<{ pack::MAX_WORDS }>::new(system).run(until, limits, watch),
    }
}

/// Keys in order of discovery, found again through a table of their indices.
struct Search<'a, const W: usize> {
    system: &'a System,
    keys: Vec<[u64; W]>,
    parents: Vec<u32>,
    table: HashTable<u32>,
    transitions: u64,
    fired: Vec<u64>,
    witnesses: BTreeSet<Witness>,
    violations: Vec<(Property, u32, Event)>,
    broken: u16,
    overflowed: bool,
}

const PROGRESS_EVERY: usize = 1 << 12;

fn hash<const W: usize>(key: &[u64; W]) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

impl<'a, const W: usize> Search<'a, W> {
    fn new(system: &'a System) -> Self {
        Self {
            system,
            keys: Vec::new(),
            parents: Vec::new(),
            table: HashTable::new(),
            transitions: 0,
            fired: vec![0; system.labels.len()],
            witnesses: BTreeSet::new(),
            violations: Vec::new(),
            broken: 0,
            overflowed: false,
        }
    }

    fn key(&self, state: &State) -> [u64; W] {
        let mut key = [0; W];
        let scenario = &self.system.scenario;
        let sort = self.system.reductions.sort_vcpus;
        pack::pack(
            state,
            scenario.vcpus,
            self.system.threads.len(),
            sort,
            &mut key,
        );
        key
    }

    fn unpack(&self, key: &[u64; W]) -> State {
        pack::unpack(key, self.system.scenario.vcpus, self.system.threads.len())
    }

    /// Adds a state; true when it is new.
    fn insert(&mut self, key: [u64; W], parent: u32) -> bool {
        let keys = &self.keys;
        let entry = self.table.entry(
            hash(&key),
            |index| keys[*index as usize] == key,
            |index| hash(&keys[*index as usize]),
        );
        let Entry::Vacant(vacant) = entry else {
            return false;
        };
        vacant.insert(self.keys.len() as u32);
        self.keys.push(key);
        self.parents.push(parent);
        true
    }

    fn run(mut self, until: Until, limits: Limits, watch: &Watch) -> Report {
        let clock = Clock::start();
        let start = self.key(&self.system.initial());
        self.insert(start, 0);
        let (mut next, mut layer_end, mut depth, mut cut) = (0, 1, 0, None);
        while next < self.keys.len() {
            if next == layer_end {
                (depth, layer_end) = (depth + 1, self.keys.len());
            }
            self.expand(next as u32);
            next += 1;
            if self.is_done(until) {
                break;
            }
            if self.keys.len() as u64 > limits.states.min(u64::from(u32::MAX - 1)) {
                cut = Some(Cut::States);
            } else if next.is_multiple_of(PROGRESS_EVERY) {
                watch
                    .states
                    .store(self.keys.len() as u64, Ordering::Relaxed);
                cut = self.over(limits, clock, watch);
            }
            if cut.is_some() {
                break;
            }
        }
        watch
            .states
            .store(self.keys.len() as u64, Ordering::Relaxed);
        let expanded_all = next == self.keys.len() && cut.is_none();
        if cut.is_none() && self.overflowed {
            cut = Some(Cut::StoreBuffer);
        }
        Report {
            states: self.keys.len() as u64,
            transitions: self.transitions,
            depth,
            complete: expanded_all && cut.is_none(),
            cut,
            violations: self
                .violations
                .iter()
                .map(|found| self.violation(found))
                .collect(),
            elapsed: clock.elapsed(),
            bytes: self.bytes(),
            key_bytes: size_of::<[u64; W]>(),
            fired: self.fired,
            witnesses: self.witnesses.into_iter().collect(),
        }
    }

    fn expand(&mut self, index: u32) {
        let system = self.system;
        let before = self.unpack(&self.keys[index as usize]);
        let overflow = system.successors(&before, |event, after| {
            self.transitions += 1;
            self.observe(index, &before, &event, &after);
            let key = self.key(&after);
            self.insert(key, index);
        });
        self.overflowed |= overflow.0;
    }

    fn observe(&mut self, index: u32, before: &State, event: &Event, after: &State) {
        let observations = &self.system.observations;
        let mut witnessed = false;
        for step in event.trail.iter() {
            let step = usize::from(step.0);
            self.fired[step] += 1;
            witnessed |= observations.shows[step].is_some() || observations.busy[step].is_some();
        }
        if witnessed {
            self.system.witnesses(before, event, |witness| {
                self.witnesses.insert(witness);
            });
        }
        let broken = self.system.broken(before, event, after) & !self.broken;
        for property in properties(broken) {
            self.violations.push((property, index, event.clone()));
        }
        self.broken |= broken;
    }

    fn is_done(&self, until: Until) -> bool {
        match until {
            Until::Everything => false,
            Until::Violates(property) => self.broken & property.bit() != 0,
            Until::Fires(step) => self.fired[usize::from(step)] > 0,
        }
    }

    fn over(&self, limits: Limits, clock: Clock, watch: &Watch) -> Option<Cut> {
        if watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if self.bytes() >= limits.memory {
            Some(Cut::Memory)
        } else if clock.elapsed() >= limits.time {
            Some(Cut::Time)
        } else {
            None
        }
    }

    /// What the tables take, including room they have grown for.
    fn bytes(&self) -> u64 {
        let keys = self.keys.capacity() * size_of::<[u64; W]>()
            + self.parents.capacity() * size_of::<u32>();
        (keys + self.table.allocation_size()) as u64
    }

    fn violation(&self, (property, index, event): &(Property, u32, Event)) -> Violation {
        let mut path = vec![self.keys[*index as usize].to_vec()];
        let mut index = *index;
        while index != 0 {
            index = self.parents[index as usize];
            path.push(self.keys[index as usize].to_vec());
        }
        path.reverse();
        Violation {
            property: *property,
            path,
            last: event.clone(),
        }
    }
}
