//! Breadth first once more, every state kept with the one it was found from: for shortest traces.
//!
//! It asks the system itself, not the table of moves, so that a trace does not rest on it.

use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxHasher;
use seamcheck_model::module::LeafId;
use seamcheck_model::property::{Property, properties};
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::labels::StepId;
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, Event, State, System, pack};
use std::hash::{Hash, Hasher};

/// A shortest violation of each property in `wanted`, a set of [`Property::bit`]s; fewer if there
/// are fewer, or when the search is interrupted.
pub(super) fn violations(system: &System, wanted: u16, watch: &Watch) -> Vec<Violation> {
    let words = pack::words(system.scenario.vcpus, system.threads.len());
    match words {
        1 => Search::<1>::new(system).run(wanted, watch),
        2 => Search::<2>::new(system).run(wanted, watch),
        3 => Search::<3>::new(system).run(wanted, watch),
        4 => Search::<4>::new(system).run(wanted, watch),
        _ => Search::<{ pack::MAX_WORDS }>::new(system).run(wanted, watch),
    }
}

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
    broken: u16,
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

    fn run(mut self, wanted: u16, watch: &Watch) -> Vec<Violation> {
        let start = self.key(&self.system.initial());
        self.insert(start, 0);
        let mut next = 0;
        while next < self.keys.len() && self.broken & wanted != wanted {
            self.expand(next as u32, wanted);
            next += 1;
            if next.is_multiple_of(1 << 12) && watch.is_stopped() {
                break;
            }
        }
        let found = std::mem::take(&mut self.found);
        let built = found.into_iter();
        built
            .map(|(property, index, last)| Violation {
                property,
                path: self.path(index),
                last,
            })
            .collect()
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
                () if !next.is_multiple_of(1 << 12) => cut,
                () if watch.is_stopped() => Some(Cut::Interrupted),
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

    fn expand(&mut self, index: u32, wanted: u16) {
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
