//! An endless execution: a stem, and a loop that is gone round for ever.

use super::fair::{Terms, inner};
use super::fairness::{Actors, STRONG, able, actor, is_fair, is_refusal, is_reluctant, owed};
use super::graph::{Edge, Graph};
use super::watch::watches;
use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::property::Property;
use seamcheck_model::system::{Event, State, System};
use std::collections::VecDeque;

/// A way to a cycle, and once round it.
#[derive(Clone, Debug)]
pub struct Lasso {
    /// From the start to the cycle.
    pub stem: Vec<Event>,
    /// Once round; empty where it rests because nobody is owed a turn any more.
    pub cycle: Vec<Event>,
}

impl Lasso {
    /// Transitions of stem and cycle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stem.len() + self.cycle.len()
    }

    /// True for the execution that rests in its first state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A lasso through a region that [`super::fair::region`] found.
#[must_use]
pub fn through(system: &System, graph: &Graph, region: &[u32], terms: Terms) -> Lasso {
    let entry = region.iter().copied().min().unwrap_or(0);
    let inside: FxHashSet<u32> = region.iter().copied().collect();
    let round = Round {
        graph,
        inside: &inside,
        terms,
    };
    Lasso {
        stem: events(system, graph, &stem(graph, entry)),
        cycle: events(system, graph, &round.walk(entry)),
    }
}

/// A transition with the state it starts from.
type Hop = (u32, Edge);

fn stem(graph: &Graph, entry: u32) -> Vec<Hop> {
    let hop = |pair: &[u32]| {
        let mut edges = graph.edges(pair[0]).iter();
        let edge = edges.find(|edge| edge.to == pair[1])?;
        Some((pair[0], *edge))
    };
    graph.way_to(entry).windows(2).filter_map(hop).collect()
}

fn events(system: &System, graph: &Graph, way: &[Hop]) -> Vec<Event> {
    let event = |(from, edge): &Hop| graph.event(system, *from, edge);
    way.iter().filter_map(event).collect()
}

struct Round<'a> {
    graph: &'a Graph,
    inside: &'a FxHashSet<u32>,
    terms: Terms,
}

impl Round<'_> {
    /// From `entry` back to it, past a turn of everybody who is owed one: taken, or, for those who
    /// are not served in order, no longer owed.
    fn walk(&self, entry: u32) -> Vec<Hop> {
        let (mut way, mut here) = (Vec::new(), entry);
        if self.terms.refused
            && let Some((path, refusal)) = self.way_to_refusal(entry)
        {
            here = refusal.1.to;
            way.extend(path);
            way.push(refusal);
        }
        let mut left = self
            .inside
            .iter()
            .fold(0, |set, node| set | self.graph.owed[*node as usize]);
        loop {
            left &= !self.rests(here);
            if left == 0 {
                break;
            }
            let takes = |node: u32| self.edges(node).find(|edge| edge.by & left != 0);
            let wanted = |node: u32| self.rests(node) & left != 0 || takes(node).is_some();
            let Some(path) = self.path(here, &wanted) else {
                break;
            };
            here = path.last().map_or(here, |(_, edge)| edge.to);
            way.extend(path);
            if self.rests(here) & left == 0
                && let Some(edge) = takes(here)
            {
                way.push((here, *edge));
                left &= !edge.by;
                here = edge.to;
            }
        }
        way.extend(self.path(here, &|node| node == entry).unwrap_or_default());
        way
    }

    /// The nearest refusal of the first vCPU's guest.
    fn way_to_refusal(&self, from: u32) -> Option<(Vec<Hop>, Hop)> {
        let refusal = |node: u32| self.edges(node).find(|edge| edge.is_refusal);
        let path = self.path(from, &|node| refusal(node).is_some())?;
        let here = path.last().map_or(from, |(_, edge)| edge.to);
        let edge = *refusal(here)?;
        Some((path, (here, edge)))
    }

    /// Who need not take a turn because in this state none is owed.
    fn rests(&self, node: u32) -> Actors {
        !self.graph.owed[node as usize] & !STRONG
    }

    fn edges(&self, node: u32) -> impl Iterator<Item = &Edge> {
        inner(self.graph, self.inside, node, self.terms)
    }

    /// A shortest path inside the region to a state that is wanted.
    fn path(&self, from: u32, wanted: &dyn Fn(u32) -> bool) -> Option<Vec<Hop>> {
        let mut hops: FxHashMap<u32, Option<Hop>> = FxHashMap::default();
        let mut queue = VecDeque::from([from]);
        hops.insert(from, None);
        while let Some(node) = queue.pop_front() {
            if wanted(node) {
                let back = std::iter::successors(hops[&node], |(before, _)| hops[before]);
                let mut way: Vec<Hop> = back.collect();
                way.reverse();
                return Some(way);
            }
            for edge in self.edges(node) {
                hops.entry(edge.to).or_insert_with(|| {
                    queue.push_back(edge.to);
                    Some((node, *edge))
                });
            }
        }
        None
    }
}

/// Whether going round `cycle` for ever, from `entry`, breaks the property, fairly. Each transition
/// comes with the state before it. For an empty cycle: whether resting in `entry` does.
///
/// Found again from the states alone: neither the graph nor the search is asked.
#[must_use]
pub fn breaks(
    system: &System,
    property: Property,
    entry: &State,
    cycle: &[(State, Event)],
) -> bool {
    let states: Vec<State> = if cycle.is_empty() {
        vec![*entry]
    } else {
        cycle.iter().map(|(state, _)| *state).collect()
    };
    let taken = cycle.iter().fold(0, |set, (state, event)| {
        set | actor(system, state, event).bit()
    });
    let owed = states
        .iter()
        .map(|state| owed(system, state, able(system, state)));
    let reluctant = cycle.iter().any(|(_, event)| is_reluctant(system, event));
    let refused = cycle.iter().any(|(_, event)| is_refusal(system, event));
    let waits = watches(system, property).into_iter().any(|watch| {
        !(watch.terms.willing && reluctant)
            && (refused || !watch.terms.refused)
            && states.iter().all(|state| watch.waits(system, state))
    });
    waits && is_fair(owed, taken)
}
