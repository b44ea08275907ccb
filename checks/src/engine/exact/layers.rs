//! The search: layer by layer, on any number of threads, the same counts on every number.
//!
//! A state belongs to the thread that its key's hash says. Each thread expands its states of the
//! layer and hands successors to their owners; then each takes in what it was handed. In the first
//! half nobody changes the table of moves: what is not in it yet is put aside and worked out in
//! between, by one thread.

use super::interned::VcpuId;
use super::moves::{By, MoveTable, Moves};
use super::visited::{Visited, shard};
use super::{Key, Until};
use crate::engine::{Clock, Cut, Limits, Report, Watch};
use seamcheck_model::property::{PropertySet, Witness};
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::state::Vcpu;
use seamcheck_model::system::{Agent, State, System};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// How many states a thread expands before what it found is taken in.
const PORTION: usize = 1 << 13;

/// What one thread owns. On cache lines of its own, as everything that one thread alone writes.
#[repr(align(128))]
struct Shard<const W: usize> {
    visited: Visited<W>,
    /// The layer, of which the first `done` are expanded.
    layer: Vec<Key<W>>,
    done: usize,
    next: Vec<Key<W>>,
    states: u64,
    broken: PropertySet,
}

/// Successors that belong to one shard.
#[derive(Clone, Default)]
#[repr(align(128))]
struct Handed<const W: usize> {
    keys: Vec<Key<W>>,
}

/// What one thread found.
#[derive(Default)]
#[repr(align(128))]
struct Found<const W: usize> {
    /// Successors, by the shard they belong to.
    successors: Vec<Handed<W>>,
    /// Agents whose moves are not known yet.
    unknown: Vec<(Key<W>, Turn)>,
    /// How often each move was taken.
    taken: Vec<u64>,
    witnesses: BTreeSet<Witness>,
    broken: PropertySet,
    overflowed: bool,
}

/// An agent's turn in a state.
#[derive(Clone, Copy)]
struct Turn {
    by: By,
    agent: Agent,
    /// The vCPU that the moves are about.
    about: Option<usize>,
}

/// The search.
pub(super) struct Layers<'a, const W: usize> {
    system: &'a System,
    moves: MoveTable<'a>,
    shards: Vec<Shard<W>>,
    found: Vec<Found<W>>,
    until: Until,
    fired: bool,
}

impl<'a, const W: usize> Layers<'a, W> {
    pub(super) fn new(system: &'a System, until: Until, threads: usize) -> Self {
        let own = || Shard {
            visited: Visited::new(system.scenario.vcpus),
            layer: Vec::new(),
            done: 0,
            next: Vec::new(),
            states: 0,
            broken: 0,
        };
        let found = || Found {
            successors: vec![Handed::default(); threads],
            ..Found::default()
        };
        Self {
            system,
            moves: MoveTable::new(system),
            shards: (0..threads).map(|_| own()).collect(),
            found: (0..threads).map(|_| found()).collect(),
            until,
            fired: false,
        }
    }

    /// The report without traces, and the properties that are broken.
    pub(super) fn run(mut self, limits: Limits, watch: &Watch) -> (Report, PropertySet) {
        let clock = Clock::start();
        let start = self.first();
        self.found[0].successors[shard(&start, self.system.scenario.vcpus, self.shards.len())]
            .keys
            .push(start);
        self.take_in();
        let (mut depth, mut cut) = (0u64, None);
        loop {
            let is_expanded = self
                .shards
                .iter()
                .all(|shard| shard.done == shard.layer.len());
            if is_expanded {
                if self.is_done() || self.shards.iter().all(|shard| shard.next.is_empty()) {
                    break;
                }
                for shard in &mut self.shards {
                    std::mem::swap(&mut shard.layer, &mut shard.next);
                    shard.next.clear();
                    shard.done = 0;
                }
                depth += 1;
            }
            cut = self.over(limits, clock, watch);
            if cut.is_some() {
                break;
            }
            self.expand();
            self.work_out();
            if self.bytes() + self.growth() > limits.memory {
                cut = Some(Cut::Memory);
                break;
            }
            self.take_in();
        }
        // The first layer is the start alone.
        self.report(depth - 1, cut, clock)
    }

    fn report(mut self, depth: u64, mut cut: Option<Cut>, clock: Clock) -> (Report, PropertySet) {
        let expanded_all = cut.is_none() && self.shards.iter().all(|shard| shard.next.is_empty());
        if cut.is_none() && self.found.iter().any(|found| found.overflowed) {
            cut = Some(Cut::StoreBuffer);
        }
        for found in &self.found {
            self.moves.take(&found.taken);
        }
        let witnesses = self.found.iter().flat_map(|found| found.witnesses.iter());
        let witnesses: BTreeSet<Witness> = witnesses.copied().collect();
        let report = Report {
            states: self.states(),
            transitions: self.moves.transitions(),
            depth,
            complete: expanded_all && cut.is_none(),
            cut,
            violations: Vec::new(),
            elapsed: clock.elapsed(),
            bytes: self.bytes(),
            key_bytes: size_of::<Key<W>>(),
            fired: self.moves.fired(),
            witnesses: witnesses.into_iter().collect(),
        };
        (report, self.broken())
    }

    fn first(&mut self) -> Key<W> {
        let initial = self.system.initial();
        let mut key = [0; W];
        key[0] = self.moves.singletons.number(self.system, &initial.shared);
        let vcpus = &initial.vcpus[..self.system.scenario.vcpus];
        for (id, vcpu) in key[1..].iter_mut().zip(vcpus) {
            *id = self.moves.number(vcpu);
        }
        sort(self.system, &self.moves, &mut key);
        key
    }

    /// The first half, on every thread: the successors of a portion of each shard's layer.
    fn expand(&mut self) {
        let (system, moves) = (self.system, &self.moves);
        let work = |shard: &mut Shard<W>, found: &mut Found<W>| {
            found.taken.resize(moves.len(), 0);
            let end = shard.layer.len().min(shard.done + PORTION);
            for key in &shard.layer[shard.done..end] {
                turns(system, moves, key, |turn| {
                    found.look_up(system, moves, key, turn);
                });
            }
            shard.done = end;
        };
        let pairs = self.shards.iter_mut().zip(&mut self.found);
        on_threads(pairs.collect(), |(shard, found)| work(shard, found));
    }

    /// In between, on one thread: the moves that were not known.
    fn work_out(&mut self) {
        let (system, moves) = (self.system, &mut self.moves);
        for found in &mut self.found {
            for (key, turn) in std::mem::take(&mut found.unknown) {
                let ids = &key[1..=system.scenario.vcpus];
                let except = turn.about.unwrap_or(usize::MAX);
                let worked_out = moves.work_out(key[0], turn.by, ids, except);
                if let Until::Fires(step) = self.until {
                    self.fired |= moves.has_step(worked_out, step);
                }
                found.taken.resize(moves.len(), 0);
                found.apply(system, moves, &key, turn, worked_out);
            }
        }
    }

    /// The second half, on every thread: what is new among the successors it was handed.
    fn take_in(&mut self) {
        let (system, moves) = (self.system, &self.moves);
        let mut handed: Vec<Vec<Vec<Key<W>>>> = vec![Vec::new(); self.shards.len()];
        for found in &mut self.found {
            for (owner, keys) in found.successors.iter_mut().enumerate() {
                handed[owner].push(std::mem::take(&mut keys.keys));
            }
        }
        let work = |shard: &mut Shard<W>, handed: &mut Vec<Vec<Key<W>>>| {
            for key in handed.iter().flatten() {
                if shard.visited.insert(key) {
                    shard.states += 1;
                    shard.next.push(*key);
                    let state = state(system, moves, key);
                    let vcpus = &state.vcpus[..system.scenario.vcpus];
                    shard.broken |= system.broken_by_view(&state.shared, vcpus);
                }
            }
        };
        let pairs = self.shards.iter_mut().zip(&mut handed);
        on_threads(pairs.collect(), |(shard, handed)| work(shard, handed));
        // The room is used again.
        for (owner, lists) in handed.into_iter().enumerate() {
            for (found, mut list) in self.found.iter_mut().zip(lists) {
                list.clear();
                found.successors[owner].keys = list;
            }
        }
    }

    fn broken(&self) -> PropertySet {
        let shards = self.shards.iter().fold(0, |set, shard| set | shard.broken);
        self.found
            .iter()
            .fold(shards, |set, found| set | found.broken)
    }

    /// Asked between layers only, so that the answer is the same on any number of threads.
    fn is_done(&self) -> bool {
        match self.until {
            Until::Everything => false,
            Until::Violates(property) => self.broken() & property.bit() != 0,
            Until::Fires(_) => self.fired,
        }
    }

    fn states(&self) -> u64 {
        self.shards.iter().map(|shard| shard.states).sum()
    }

    fn over(&self, limits: Limits, clock: Clock, watch: &Watch) -> Option<Cut> {
        watch.states.store(self.states(), Ordering::Relaxed);
        if watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if self.states() > limits.states {
            Some(Cut::States)
        } else if self.bytes() >= limits.memory {
            Some(Cut::Memory)
        } else if clock.elapsed() >= limits.time {
            Some(Cut::Time)
        } else {
            None
        }
    }

    /// What the sets of states would take in addition for what was found last.
    fn growth(&self) -> u64 {
        let growth = self.shards.iter().enumerate().map(|(owner, shard)| {
            let found = self.found.iter();
            let handed = found.map(|found| found.successors[owner].keys.len());
            shard.visited.growth(handed.sum())
        });
        growth.sum::<usize>() as u64
    }

    /// What the tables take, room they have grown for included.
    fn bytes(&self) -> u64 {
        let shards = self.shards.iter().map(|shard| {
            let keys = shard.layer.capacity() + shard.next.capacity();
            shard.visited.bytes() + keys * size_of::<Key<W>>()
        });
        let found = self.found.iter().map(|found| {
            let handed = found.successors.iter();
            let keys: usize = handed.map(|handed| handed.keys.capacity()).sum();
            keys * size_of::<Key<W>>() + found.taken.capacity() * size_of::<u64>()
        });
        (shards.sum::<usize>() + found.sum::<usize>() + self.moves.bytes()) as u64
    }
}

impl<const W: usize> Found<W> {
    fn look_up(&mut self, system: &System, moves: &MoveTable<'_>, key: &Key<W>, turn: Turn) {
        let ids = &key[1..=system.scenario.vcpus];
        let known = moves.find(key[0], turn.by, ids, turn.about.unwrap_or(usize::MAX));
        let Some(known) = known.filter(|known| moves.knows_bystanders(*known, ids)) else {
            self.unknown.push((*key, turn));
            return;
        };
        for number in known.numbers() {
            let mut after = moves.after(number, key, turn.about);
            self.reached(system, moves, key, turn, number, &mut after);
        }
        self.overflowed |= known.overflows;
    }

    fn apply(
        &mut self,
        system: &System,
        moves: &mut MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        worked_out: Moves,
    ) {
        for number in worked_out.numbers() {
            moves.meet_bystanders(number, &key[1..=system.scenario.vcpus]);
            let mut after = moves.after(number, key, turn.about);
            self.reached(system, moves, key, turn, number, &mut after);
            self.witness(system, moves, key, turn, number);
        }
        self.overflowed |= worked_out.overflows;
    }

    /// Takes a move, hands the state behind it to its owner.
    fn reached(
        &mut self,
        system: &System,
        moves: &MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        number: u32,
        after: &mut Key<W>,
    ) {
        self.taken[number as usize] += 1;
        let known = moves.known(number);
        self.broken |= known.broken;
        sort(system, moves, after);
        let owner = shard(after, system.scenario.vcpus, self.successors.len());
        self.successors[owner].keys.push(*after);
        // What else a move shows, it has shown when it was worked out.
        if known.is_busy {
            self.witness(system, moves, key, turn, number);
        }
    }

    fn witness(
        &mut self,
        system: &System,
        moves: &MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        number: u32,
    ) {
        let target = turn.about.filter(|_| matches!(turn.by, By::Kick(..)));
        let event = moves.event(number, turn.agent, target.map(|vcpu| vcpu as u8));
        system.witnesses(&state(system, moves, key), &event, |witness| {
            self.witnesses.insert(witness);
        });
    }
}

/// Every agent's turn, in the order of [`System::successors`].
fn turns<const W: usize>(
    system: &System,
    moves: &MoveTable<'_>,
    key: &Key<W>,
    mut each: impl FnMut(Turn),
) {
    let ids = &key[1..=system.scenario.vcpus];
    let mut turn = |by, agent, about| each(Turn { by, agent, about });
    for (vcpu, id) in ids.iter().enumerate() {
        turn(By::Vcpu(*id), Agent::Vcpu(vcpu as u8), Some(vcpu));
    }
    turn(By::Zapper, Agent::Zapper, None);
    for thread in 0..system.threads.len() as u8 {
        turn(By::Thread(thread), Agent::Thread(thread), None);
    }
    for part in moves.singletons.kickers(key[0]) {
        for (vcpu, id) in ids.iter().enumerate() {
            turn(By::Kick(*part, *id), part.agent(), Some(vcpu));
        }
    }
}

/// R5: vCPUs by their packed words.
fn sort<const W: usize>(system: &System, moves: &MoveTable<'_>, key: &mut Key<W>) {
    if system.reductions.sort_vcpus {
        let vcpus = &mut key[1..=system.scenario.vcpus];
        vcpus.sort_unstable_by_key(|id: &VcpuId| moves.vcpus.word(*id));
    }
}

fn state<const W: usize>(system: &System, moves: &MoveTable<'_>, key: &Key<W>) -> State {
    let mut vcpus = [Vcpu::default(); MAX_VCPUS];
    for (vcpu, id) in vcpus.iter_mut().zip(&key[1..=system.scenario.vcpus]) {
        *vcpu = moves.vcpus.get(*id);
    }
    State {
        shared: moves.singletons.get(key[0]),
        vcpus,
    }
}

/// Each piece of work on a thread of its own, the first on this one.
fn on_threads<T: Send>(work: Vec<T>, each: impl Fn(T) + Sync) {
    let mut work = work.into_iter();
    let own = work.next();
    std::thread::scope(|scope| {
        for piece in work {
            let each = &each;
            scope.spawn(move || each(piece));
        }
        own.into_iter().for_each(&each);
    });
}
