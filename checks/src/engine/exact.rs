//! The exact engine: breadth first, whole states as keys, one thread, the same counts every time.
//!
//! [`moves`] works out what an agent can do once for each situation it can be in, so that the
//! search itself mostly looks up and compares; [`interned`] numbers singletons and vCPUs.

mod interned;
mod moves;

use super::{Clock, Cut, Limits, Report, Violation, Watch};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use interned::{SharedId, VcpuId};
use moves::{By, MoveTable};
use rustc_hash::FxHasher;
use seamcheck_model::property::{Property, Witness, properties};
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::state::Vcpu;
use seamcheck_model::system::{Agent, Event, State, System, pack};
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
    match system.scenario.vcpus {
        0 => Search::<1>::new(system).run(until, limits, watch),
        1 => Search::<2>::new(system).run(until, limits, watch),
        2 => Search::<3>::new(system).run(until, limits, watch),
        3 => Search::<4>::new(system).run(until, limits, watch),
        4 => Search::<5>::new(system).run(until, limits, watch),
        _ => Search::<{ 1 + MAX_VCPUS }>::new(system).run(until, limits, watch),
    }
}

/// A state: the number of its singletons, then those of its vCPUs.
type Key<const W: usize> = [u32; W];

/// Keys in order of discovery, found again through a table of their indices.
struct Search<'a, const W: usize> {
    system: &'a System,
    moves: MoveTable<'a>,
    keys: Vec<Key<W>>,
    parents: Vec<u32>,
    table: HashTable<u32>,
    witnesses: BTreeSet<Witness>,
    violations: Vec<(Property, u32, Event)>,
    broken: u16,
    overflowed: bool,
    /// The step that the search is to stop at has been taken.
    fired: bool,
}

const PROGRESS_EVERY: usize = 1 << 12;

fn hash<const W: usize>(key: &Key<W>) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

impl<'a, const W: usize> Search<'a, W> {
    fn new(system: &'a System) -> Self {
        Self {
            system,
            moves: MoveTable::new(system),
            keys: Vec::new(),
            parents: Vec::new(),
            table: HashTable::new(),
            witnesses: BTreeSet::new(),
            violations: Vec::new(),
            broken: 0,
            overflowed: false,
            fired: false,
        }
    }

    fn vcpus(&self) -> usize {
        self.system.scenario.vcpus
    }

    fn first(&mut self) -> Key<W> {
        let initial = self.system.initial();
        let mut key = [0; W];
        key[0] = self.moves.singletons.number(self.system, &initial.shared);
        for (id, vcpu) in key[1..]
            .iter_mut()
            .zip(&initial.vcpus[..self.system.scenario.vcpus])
        {
            *id = self.moves.number(vcpu);
        }
        self.sort(&mut key);
        key
    }

    /// R5: vCPUs by their packed words.
    fn sort(&self, key: &mut Key<W>) {
        if self.system.reductions.sort_vcpus {
            let vcpus = &mut key[1..=self.system.scenario.vcpus];
            vcpus.sort_unstable_by_key(|id| self.moves.vcpus.word(*id));
        }
    }

    fn state(&self, key: &Key<W>) -> State {
        State {
            shared: self.moves.singletons.get(key[0]),
            vcpus: self.vcpus_of(key),
        }
    }

    fn vcpus_of(&self, key: &Key<W>) -> [Vcpu; MAX_VCPUS] {
        let mut vcpus = [Vcpu::default(); MAX_VCPUS];
        for (vcpu, id) in vcpus.iter_mut().zip(&key[1..=self.vcpus()]) {
            *vcpu = self.moves.vcpus.get(*id);
        }
        vcpus
    }

    /// The packed state, as violations name it.
    fn words(&self, key: &Key<W>) -> Vec<u64> {
        let (vcpus, threads) = (self.vcpus(), self.system.threads.len());
        let mut words = vec![0; pack::words(vcpus, threads)];
        let sort = self.system.reductions.sort_vcpus;
        pack::pack(&self.state(key), vcpus, threads, sort, &mut words);
        words
    }

    /// Adds a state; true when it is new.
    fn insert(&mut self, key: Key<W>, parent: u32) -> bool {
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
        let start = self.first();
        self.insert(start, 0);
        let (mut next, mut layer_end, mut depth, mut cut) = (0, 1, 0, None);
        while next < self.keys.len() {
            if next == layer_end {
                (depth, layer_end) = (depth + 1, self.keys.len());
            }
            self.expand(next as u32, until);
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
            transitions: self.moves.transitions(),
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
            key_bytes: size_of::<Key<W>>(),
            fired: self.moves.fired(),
            witnesses: self.witnesses.into_iter().collect(),
        }
    }

    /// Every agent's moves, in the order of [`System::successors`].
    fn expand(&mut self, index: u32, until: Until) {
        let key = self.keys[index as usize];
        let vcpus = self.vcpus();
        for vcpu in 0..vcpus {
            let by = By::Vcpu(key[1 + vcpu]);
            self.agent(index, &key, by, Agent::Vcpu(vcpu as u8), Some(vcpu), until);
        }
        self.agent(index, &key, By::Zapper, Agent::Zapper, None, until);
        for thread in 0..self.system.threads.len() as u8 {
            let agent = Agent::Thread(thread);
            self.agent(index, &key, By::Thread(thread), agent, None, until);
        }
        if self.moves.singletons.wants_target(key[0]) {
            for vcpu in 0..vcpus {
                let by = By::Kick(key[1 + vcpu]);
                self.agent(index, &key, by, Agent::Zapper, Some(vcpu), until);
            }
        }
    }

    /// The moves of one agent; `about` is the vCPU they are about.
    fn agent(
        &mut self,
        index: u32,
        key: &Key<W>,
        by: By,
        agent: Agent,
        about: Option<usize>,
        until: Until,
    ) {
        let ids = &key[1..=self.system.scenario.vcpus];
        let except = about.unwrap_or(usize::MAX);
        let (moves, overflows) = self.moves.of(key[0], by, ids, except);
        self.overflowed |= overflows;
        for number in moves {
            let known = self.moves.known(number);
            self.moves.take(number);
            let after = self.after(
                key,
                known.shared,
                known.own,
                about,
                known.is_broadcast.then_some(number),
            );
            let is_new = self.insert(after, index);
            let mut broken = known.broken;
            if is_new {
                let (shared, vcpus) = (self.moves.singletons.get(after[0]), self.vcpus_of(&after));
                broken |= self.system.broken_by_view(&shared, &vcpus[..self.vcpus()]);
            }
            let target = about
                .filter(|_| agent == Agent::Zapper)
                .map(|vcpu| vcpu as u8);
            if broken & !self.broken != 0 {
                let event = self.moves.event(number, agent, target);
                for property in properties(broken & !self.broken) {
                    self.violations.push((property, index, event.clone()));
                }
                self.broken |= broken;
            }
            if known.is_busy || self.moves.is_first(number) {
                self.witness(key, number, agent, target);
                if let Until::Fires(step) = until {
                    let mut trail = self.moves.trail(number).iter();
                    self.fired |= trail.any(|taken| taken.0 == step);
                }
            }
        }
    }

    /// The state behind a move.
    fn after(
        &mut self,
        key: &Key<W>,
        shared: SharedId,
        own: Option<VcpuId>,
        about: Option<usize>,
        broadcast: Option<u32>,
    ) -> Key<W> {
        let mut after = *key;
        after[0] = shared;
        if let Some(number) = broadcast {
            for id in &mut after[1..=self.system.scenario.vcpus] {
                *id = self.moves.bystander(number, *id);
            }
        }
        if let (Some(about), Some(own)) = (about, own) {
            after[1 + about] = own;
        }
        self.sort(&mut after);
        after
    }

    fn witness(&mut self, key: &Key<W>, number: u32, agent: Agent, target: Option<u8>) {
        let event = self.moves.event(number, agent, target);
        let before = self.state(key);
        self.system.witnesses(&before, &event, |witness| {
            self.witnesses.insert(witness);
        });
    }

    fn is_done(&self, until: Until) -> bool {
        match until {
            Until::Everything => false,
            Until::Violates(property) => self.broken & property.bit() != 0,
            Until::Fires(_) => self.fired,
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
        let keys =
            self.keys.capacity() * size_of::<Key<W>>() + self.parents.capacity() * size_of::<u32>();
        (keys + self.table.allocation_size() + self.moves.bytes()) as u64
    }

    fn violation(&self, (property, index, event): &(Property, u32, Event)) -> Violation {
        let mut path = vec![self.words(&self.keys[*index as usize])];
        let mut index = *index;
        while index != 0 {
            index = self.parents[index as usize];
            path.push(self.words(&self.keys[index as usize]));
        }
        path.reverse();
        Violation {
            property: *property,
            path,
            last: event.clone(),
        }
    }
}
