//! Breadth first once more, every state kept with the one it was found from: for shortest traces.
//!
//! It asks the system itself, not the table of moves, so that a trace does not rest on it.

use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;
use seamcheck_model::module::LeafId;
use seamcheck_model::property::{Property, PropertySet, properties};
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, Event, State, System, pack};
use std::hash::{Hash, Hasher};

/// What was found.
pub(super) struct Found {
    /// A shortest violation of each property that was wanted; fewer when the search was cut short.
    pub(super) violations: Vec<Violation>,
    pub(super) cut: Option<Cut>,
}

/// A shortest violation of each property in `wanted`, a set of [`Property::bit`]s. `clock` was
/// started with the first search.
pub(super) fn violations(
    system: &System,
    wanted: PropertySet,
    limits: Limits,
    clock: Clock,
    watch: &Watch,
) -> Found {
    let until = Bounds {
        wanted,
        limits,
        clock,
        watch,
    };
    match pack::words(system.scenario.vcpus, system.threads.len()) {
        1 => Search::<1>::new(system).run(&until),
        2 => Search::<2>::new(system).run(&until),
        3 => Search::<3>::new(system).run(&until),
        4 => Search::<4>::new(system).run(&until),
        _ => Search::<{ pack::MAX_WORDS }>::new(system).run(&until),
    }
}

/// What a search for one event came to.
#[derive(Clone, Debug)]
pub struct First {
    /// Keys of the states from the initial one to the one the event starts from, and the event.
    pub found: Option<(Vec<Vec<u64>>, Event)>,
    /// Distinct states found.
    pub states: u64,
    /// Why the search is not complete, if it is not and nothing was found.
    pub cut: Option<Cut>,
}

/// The nearest event that `wanted` says yes to, given the state before it. It is asked of every
/// transition, in order of distance from the initial state.
pub(super) fn first(
    system: &System,
    limits: Limits,
    watch: &Watch,
    mut wanted: impl FnMut(&State, &Event) -> bool,
) -> First {
    let words = pack::words(system.scenario.vcpus, system.threads.len());
    let wanted = &mut wanted;
    match words {
        1 => Search::<1>::new(system).first(limits, watch, wanted),
        2 => Search::<2>::new(system).first(limits, watch, wanted),
        3 => Search::<3>::new(system).first(limits, watch, wanted),
        4 => Search::<4>::new(system).first(limits, watch, wanted),
        _ => Search::<{ pack::MAX_WORDS }>::new(system).first(limits, watch, wanted),
    }
}

/// Where the search ends.
struct Bounds<'a> {
    wanted: PropertySet,
    limits: Limits,
    clock: Clock,
    watch: &'a Watch,
}

/// How many states are expanded between two looks at the limits.
const LOOK_EVERY: usize = 1 << 10;

/// More new states than these have successors.
const MOST_NEW: usize = LOOK_EVERY * 64;

/// A shortest trace for each way in which KVM_BUG_ON can fire: for each line that fires it, each
/// status it fires for and each set of leaves that others are in meanwhile. Says too how many states there are, and why it did not see all of them.
pub(super) fn failures(
    system: &System,
    limits: Limits,
    watch: &Watch,
) -> (Vec<Violation>, u64, Option<Cut>) {
    let words = pack::words(system.scenario.vcpus, system.threads.len());
    match words {
        1 => Search::<1>::new(system).every_failure(limits, watch),
        2 => Search::<2>::new(system).every_failure(limits, watch),
        3 => Search::<3>::new(system).every_failure(limits, watch),
        4 => Search::<4>::new(system).every_failure(limits, watch),
        _ => Search::<{ pack::MAX_WORDS }>::new(system).every_failure(limits, watch),
    }
}

/// The line that fires it, by the step's number, the status, and the leaves that everybody stands in
/// then: who holds the lock has often not moved on.
type Way = (StepId, StatusWord, Vec<Option<LeafId>>);

/// Packed states in order of discovery, found again through a table of their indices.
struct Search<'a, const W: usize> {
    system: &'a System,
    keys: Vec<[u64; W]>,
    parents: Vec<u32>,
    table: HashTable<u32>,
    found: Vec<(Property, u32, Event)>,
    broken: PropertySet,
}

fn way(system: &System, event: &Event, after: &State) -> Option<Way> {
    let fires = |step: &&StepId| {
        system.observations.breaks[usize::from(step.0)] & Property::NoBugOn.bit() != 0
    };
    let step = *event.trail.iter().find(fires)?;
    let control = match event.agent {
        Agent::Zapper => after.shared.zapper,
        Agent::Vcpu(index) => after.vcpus[usize::from(index)].control,
        Agent::Thread(index) => after.shared.threads[usize::from(index)],
    };
    let status = system.code.statuses[usize::from(control.status)];
    let shared = [after.shared.zapper]
        .into_iter()
        .chain(after.shared.threads);
    let vcpus = after.vcpus[..system.scenario.vcpus].iter();
    let everybody = shared.chain(vcpus.map(|vcpu| vcpu.control));
    let leaf =
        |control: Control| (control.op != 0).then(|| system.code.ops[usize::from(control.op)].leaf);
    Some((step, status, everybody.map(leaf).collect()))
}

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
            found: Vec::new(),
            broken: 0,
        }
    }

    fn run(mut self, until: &Bounds<'_>) -> Found {
        let (wanted, mut cut) = (until.wanted, None);
        let start = self.key(&self.system.initial());
        self.insert(start, 0);
        let mut next = 0;
        while next < self.keys.len() && self.broken & wanted != wanted && cut.is_none() {
            if next.is_multiple_of(LOOK_EVERY) {
                cut = self.over(until);
            }
            self.expand(next as u32, wanted);
            next += 1;
        }
        let found = std::mem::take(&mut self.found);
        let built = found.into_iter().map(|(property, index, last)| Violation {
            property,
            path: self.path(index),
            last,
        });
        Found {
            violations: built.collect(),
            cut,
        }
    }

    fn over(&self, until: &Bounds<'_>) -> Option<Cut> {
        if until.watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if self.bytes_ahead() > until.limits.memory
            || until.clock.elapsed() >= until.limits.time
        {
            Some(Cut::NoTrace)
        } else {
            None
        }
    }

    /// What the tables take, and what they take in addition if they grow before the next look.
    fn bytes_ahead(&self) -> u64 {
        let each = size_of::<[u64; W]>() + size_of::<u32>();
        let now = self.keys.capacity() * each + self.table.allocation_size();
        // A table that grows takes twice its room beside the room it has.
        let is_full = self.keys.len() + MOST_NEW > self.keys.capacity().min(self.table.capacity());
        (if is_full { 3 * now } else { now }) as u64
    }

    fn first(
        mut self,
        limits: Limits,
        watch: &Watch,
        wanted: &mut impl FnMut(&State, &Event) -> bool,
    ) -> First {
        let (clock, system) = (Clock::start(), self.system);
        let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
        let start = self.key(&system.initial());
        self.insert(start, 0);
        let (mut next, mut overflowed) = (0, false);
        let (mut event, mut cut) = (None, None);
        while next < self.keys.len() && event.is_none() {
            if next.is_multiple_of(LOOK_EVERY) {
                cut = self.first_over(limits, clock, watch);
                if cut.is_some() {
                    break;
                }
            }
            let before = pack::unpack(&self.keys[next], vcpus, threads);
            let overflow = system.successors(&before, |taken, after| {
                if event.is_none() && wanted(&before, &taken) {
                    event = Some(taken);
                }
                let key = self.key(&after);
                self.insert(key, next as u32);
            });
            overflowed |= overflow.0;
            next += 1;
        }
        if event.is_none() && cut.is_none() && overflowed {
            cut = Some(Cut::StoreBuffer);
        }
        First {
            found: event.map(|event| (self.path(next as u32 - 1), event)),
            states: self.keys.len() as u64,
            cut,
        }
    }

    fn first_over(&self, limits: Limits, clock: Clock, watch: &Watch) -> Option<Cut> {
        if watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if self.keys.len() as u64 > limits.states {
            Some(Cut::States)
        } else if self.bytes_ahead() > limits.memory {
            Some(Cut::Memory)
        } else if clock.elapsed() >= limits.time {
            Some(Cut::Time)
        } else {
            None
        }
    }

    fn every_failure(
        mut self,
        limits: Limits,
        watch: &Watch,
    ) -> (Vec<Violation>, u64, Option<Cut>) {
        let system = self.system;
        let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
        let start = self.key(&system.initial());
        self.insert(start, 0);
        let (mut ways, mut found): (Vec<Way>, Vec<(u32, Event)>) = (Vec::new(), Vec::new());
        let (mut next, mut cut, clock) = (0, None, Clock::start());
        while next < self.keys.len() {
            let before = pack::unpack(&self.keys[next], vcpus, threads);
            let overflow = system.successors(&before, |event, after| {
                if let Some(way) = way(system, &event, &after)
                    && !ways.contains(&way)
                {
                    ways.push(way);
                    found.push((next as u32, event));
                }
                let key = self.key(&after);
                self.insert(key, next as u32);
            });
            next += 1;
            cut = match () {
                () if overflow.0 => Some(Cut::StoreBuffer),
                () if self.keys.len() as u64 > limits.states => Some(Cut::States),
                () if !next.is_multiple_of(LOOK_EVERY) => cut,
                () if watch.is_stopped() => Some(Cut::Interrupted),
                () if self.bytes_ahead() > limits.memory => Some(Cut::Memory),
                () if clock.elapsed() > limits.time => Some(Cut::Time),
                () => cut,
            };
            if cut.is_some_and(|cut| cut != Cut::StoreBuffer) {
                break;
            }
        }
        let built = found.into_iter().map(|(index, last)| Violation {
            property: Property::NoBugOn,
            path: self.path(index),
            last,
        });
        let violations = built.collect();
        (violations, self.keys.len() as u64, cut)
    }

    fn expand(&mut self, index: u32, wanted: PropertySet) {
        let system = self.system;
        let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
        let before = pack::unpack(&self.keys[index as usize], vcpus, threads);
        system.successors(&before, |event, after| {
            let broken = system.broken(&before, &event, &after) & wanted & !self.broken;
            for property in properties(broken) {
                self.found.push((property, index, event.clone()));
            }
            self.broken |= broken;
            let key = self.key(&after);
            self.insert(key, index);
        });
    }

    fn key(&self, state: &State) -> [u64; W] {
        let mut key = [0; W];
        let (vcpus, threads) = (self.system.scenario.vcpus, self.system.threads.len());
        let sort = self.system.reductions.sort_vcpus;
        pack::pack(state, vcpus, threads, sort, &mut key);
        key
    }

    fn insert(&mut self, key: [u64; W], parent: u32) {
        let keys = &self.keys;
        let entry = self.table.entry(
            hash(&key),
            |index| keys[*index as usize] == key,
            |index| hash(&keys[*index as usize]),
        );
        if let Entry::Vacant(vacant) = entry {
            vacant.insert(self.keys.len() as u32);
            self.keys.push(key);
            self.parents.push(parent);
        }
    }

    /// Keys from the start to a state.
    fn path(&self, mut index: u32) -> Vec<Vec<u64>> {
        let mut path = vec![self.keys[index as usize].to_vec()];
        while index != 0 {
            index = self.parents[index as usize];
            path.push(self.keys[index as usize].to_vec());
        }
        path.reverse();
        path
    }
}
