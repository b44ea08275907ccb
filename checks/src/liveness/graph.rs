//! The explored graph: states with vCPUs told apart, transitions with who takes them.

use super::fairness::{self, Actors};
use crate::engine::{Cut, Limits, Watch};
use arrayvec::ArrayVec;
use rustc_hash::FxHashMap;
use seamcheck_model::system::{Event, State, System, pack};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A transition.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// Where it leads.
    pub to: u32,
    /// Which of the transitions out of its state it is.
    pub nth: u16,
    /// See [`fairness::is_reluctant`].
    pub is_reluctant: bool,
    /// See [`fairness::is_refusal`].
    pub is_refusal: bool,
    /// Who takes it.
    pub by: Actors,
}

/// A packed state.
type Key = ArrayVec<u64, { pack::MAX_WORDS }>;

/// The graph. States are numbered as they are found, breadth first.
#[derive(Debug, Default)]
pub struct Graph {
    keys: Vec<Key>,
    edges: Vec<Edge>,
    /// Where each state's edges end.
    ends: Vec<u32>,
    parents: Vec<u32>,
    /// Who is owed a turn in each state.
    pub owed: Vec<Actors>,
}

impl Graph {
    /// Explores `system`, whose vCPUs must not be sorted.
    ///
    /// # Errors
    /// When a limit was hit.
    pub fn explore(system: &System, limits: Limits, watch: &Watch) -> Result<Self, Cut> {
        let (mut graph, started) = (Self::default(), Instant::now());
        let mut index: FxHashMap<Key, u32> = FxHashMap::default();
        let first = key(system, &system.initial());
        index.insert(first.clone(), 0);
        graph.keys.push(first);
        graph.parents.push(0);
        let mut next = 0;
        while next < graph.keys.len() {
            graph.expand(system, next as u32, &mut index)?;
            next += 1;
            if next.is_multiple_of(1 << 12) {
                watch.states.store(next as u64, Ordering::Relaxed);
                if watch.is_stopped() {
                    return Err(Cut::Interrupted);
                }
                if started.elapsed() > limits.time {
                    return Err(Cut::Time);
                }
                if graph.bytes() > limits.memory {
                    return Err(Cut::Memory);
                }
            }
            if graph.keys.len() as u64 > limits.states {
                return Err(Cut::States);
            }
        }
        Ok(graph)
    }

    /// A graph for tests: for each state who is owed a turn in it and the transitions out of it.
    #[cfg(test)]
    pub(super) fn by_hand(nodes: &[(Actors, &[(u32, Actors)])]) -> Self {
        let mut graph = Self::default();
        for (owed, edges) in nodes {
            graph.keys.push(Key::new());
            graph.parents.push(0);
            graph.owed.push(*owed);
            graph.edges.extend(edges.iter().map(|(to, by)| Edge {
                to: *to,
                nth: 0,
                is_reluctant: false,
                is_refusal: false,
                by: *by,
            }));
            graph.ends.push(graph.edges.len() as u32);
        }
        graph
    }

    fn expand(
        &mut self,
        system: &System,
        from: u32,
        index: &mut FxHashMap<Key, u32>,
    ) -> Result<(), Cut> {
        let before = self.state(system, from);
        let (mut nth, mut able) = (0, 0);
        let overflow = system.successors(&before, |event, after| {
            let key = key(system, &after);
            let to = *index.entry(key).or_insert_with_key(|key| {
                self.keys.push(key.clone());
                self.parents.push(from);
                self.keys.len() as u32 - 1
            });
            let by = fairness::actor(system, &before, &event).bit();
            able |= by;
            self.edges.push(Edge {
                to,
                nth,
                is_reluctant: fairness::is_reluctant(system, &event),
                is_refusal: fairness::is_refusal(system, &event),
                by,
            });
            nth += 1;
        });
        if overflow.0 {
            return Err(Cut::StoreBuffer);
        }
        self.owed.push(fairness::owed(system, &before, able));
        self.ends.push(self.edges.len() as u32);
        Ok(())
    }

    /// How many states there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there are none, which is never: there is the start.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What is kept, in bytes, with the room that the tables are about to grow into; the map holds
    /// every key a second time.
    fn bytes(&self) -> u64 {
        let key = size_of::<Key>();
        let state = 2 * key + 4 * size_of::<u32>() + size_of::<Actors>();
        let now = self.keys.capacity() * state + self.edges.capacity() * size_of::<Edge>();
        let is_full = 2 * self.keys.len() > self.keys.capacity();
        (if is_full { 2 * now } else { now }) as u64
    }

    /// The transitions out of a state.
    #[must_use]
    pub fn edges(&self, node: u32) -> &[Edge] {
        let node = node as usize;
        let start = node.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.edges[start as usize..self.ends[node] as usize]
    }

    /// A shortest way from the start, both ends included.
    #[must_use]
    pub fn way_to(&self, node: u32) -> Vec<u32> {
        let mut way = vec![node];
        while let Some(last) = way.last().copied().filter(|last| *last != 0) {
            way.push(self.parents[last as usize]);
        }
        way.reverse();
        way
    }

    /// Whether some transition leads out of the marked states.
    #[must_use]
    pub fn leaves(&self, marked: &[bool]) -> bool {
        let mut marked_nodes = (0..self.len() as u32).filter(|node| marked[*node as usize]);
        marked_nodes.any(|node| {
            let mut edges = self.edges(node).iter();
            edges.any(|edge| !marked[edge.to as usize])
        })
    }

    /// A state.
    #[must_use]
    pub fn state(&self, system: &System, index: u32) -> State {
        let key = &self.keys[index as usize];
        pack::unpack(key, system.scenario.vcpus, system.threads.len())
    }

    /// The event of a transition.
    #[must_use]
    pub fn event(&self, system: &System, from: u32, edge: &Edge) -> Option<Event> {
        let (mut nth, mut event) = (0, None);
        system.successors(&self.state(system, from), |taken, _| {
            if nth == edge.nth {
                event = Some(taken);
            }
            nth += 1;
        });
        event
    }
}

fn key(system: &System, state: &State) -> Key {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut key = [0; pack::MAX_WORDS];
    let words = pack::words(vcpus, threads);
    pack::pack(state, vcpus, threads, false, &mut key[..words]);
    key[..words].iter().copied().collect()
}
