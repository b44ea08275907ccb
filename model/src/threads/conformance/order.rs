//! An order that x86 allows: loom's own order of an execution on its weak memory is none, because a load
//! may be made late and still find an old value.
//!
//! The threads' lists of events are what an execution came to. Any way of interleaving them that the model
//! accepts shows that x86 can come to the same.

use super::subsets::key;
use super::{View, follow};
use crate::scenario::MAX_THREADS;
use crate::system::{Agent, State, System};
use crate::threads::event::Entry;
use rustc_hash::FxHashSet;

/// The vCPUs of loom's most threads.
const VCPUS: usize = 4;

/// The most threads: the zapper's, vCPUs', and those beside them.
pub(super) const THREADS: usize = 1 + VCPUS + MAX_THREADS;

/// How far a search goes.
const NODES: usize = 1_000_000;

/// What a search for an order comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// There is one.
    Found,
    /// There is none.
    None,
    /// The search was cut short.
    Unknown,
}

/// How far each thread has come.
type Positions = [u16; THREADS];

/// The slot of an agent: the zapper's is the first, those beside it are the last.
pub(super) const fn slot(agent: Agent) -> usize {
    match agent {
        Agent::Zapper => 0,
        Agent::Vcpu(index) => 1 + index as usize,
        Agent::Thread(index) => 1 + VCPUS + index as usize,
    }
}

/// A journal thread by thread, each entry with its place in the journal.
fn lists(journal: &[Entry]) -> Vec<Vec<(usize, Entry)>> {
    let mut lists = vec![Vec::new(); THREADS];
    for (at, entry) in journal.iter().enumerate() {
        if let Some(list) = lists.get_mut(slot(entry.agent)) {
            list.push((at, *entry));
        }
    }
    lists
}

/// Looks for an order of a journal's events, each thread's kept, that the model accepts from `start`.
/// Orders close to the journal's own are tried first.
pub(super) fn search(system: &System, view: View, start: &State, journal: &[Entry]) -> Order {
    let lists = lists(journal);
    let mut seen: FxHashSet<(Positions, Vec<u64>)> = FxHashSet::default();
    let mut open: Vec<(Positions, State)> = vec![(Positions::default(), *start)];
    while let Some((positions, state)) = open.pop() {
        if !seen.insert((positions, key(system, &state))) {
            continue;
        }
        if seen.len() > NODES {
            return Order::Unknown;
        }
        let at = |slot: usize| lists[slot].get(usize::from(positions[slot]));
        let mut ahead: Vec<(usize, Entry)> = (0..THREADS).filter_map(at).copied().collect();
        if ahead.is_empty() {
            return Order::Found;
        }
        // The last that is put on the stack is the first that is tried.
        ahead.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (_, entry) in ahead {
            let mut moved = positions;
            moved[slot(entry.agent)] += 1;
            let states = FxHashSet::from_iter([state]);
            let (next, _) = follow(system, view, &states, entry);
            open.extend(next.into_iter().map(|state| (moved, state)));
        }
    }
    Order::None
}
