//! Where a run can stay for ever, fairly: strongly connected components.

use super::fairness::{Actors, STRONG, is_fair};
use super::graph::{Edge, Graph};
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use rustc_hash::{FxHashMap, FxHashSet};

/// What going round is to be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The first vCPU wants to run: it does not turn away of its own accord.
    pub willing: bool,
    /// On the way round the first vCPU's guest is refused for a host's sake.
    pub refused: bool,
}

/// Among the states marked in `stays`, some that a run can stay in for ever, fairly, going round all
/// of them: of several such regions the one that is nearest to the start. A single state without a
/// way round is one in which nobody is owed a turn.
#[must_use]
pub fn region(graph: &Graph, stays: &[bool], terms: Terms) -> Option<Vec<u32>> {
    let nodes: Vec<u32> = (0..graph.len() as u32)
        .filter(|node| stays[*node as usize])
        .collect();
    let nobody_is_owed = |node: &&u32| graph.owed[**node as usize] == 0;
    let mut best = nodes.iter().find(nobody_is_owed).map(|node| vec![*node]);
    if terms.refused {
        best = None;
    }
    let mut waiting = vec![nodes];
    while let Some(nodes) = waiting.pop() {
        for component in components(graph, &nodes, terms) {
            let (taken, refused) = taken(graph, &component, terms);
            if terms.refused && !refused {
                continue;
            }
            let owed = component.iter().map(|node| graph.owed[*node as usize]);
            if is_fair(owed, taken) {
                if best
                    .as_ref()
                    .is_none_or(|old| first(&component) < first(old))
                {
                    best = Some(component);
                }
                continue;
            }
            // Without the states in which somebody could who never does, what is left may be fair.
            let starved = |node: &u32| graph.owed[*node as usize] & STRONG & !taken != 0;
            let left: Vec<u32> = component
                .iter()
                .copied()
                .filter(|node| !starved(node))
                .collect();
            if left.len() < component.len() {
                waiting.push(left);
            }
        }
    }
    best
}

/// States are numbered in the order of their distance from the start.
fn first(region: &[u32]) -> u32 {
    region.iter().copied().min().unwrap_or(u32::MAX)
}

/// The transitions of a state that a run may take which stays in a region.
pub fn inner<'a>(
    graph: &'a Graph,
    inside: &'a FxHashSet<u32>,
    node: u32,
    terms: Terms,
) -> impl Iterator<Item = &'a Edge> + 'a {
    let edges = graph.edges(node).iter();
    edges.filter(move |edge| !(terms.willing && edge.is_reluctant) && inside.contains(&edge.to))
}

/// Who takes a turn inside a component, and whether a guest is refused there.
fn taken(graph: &Graph, component: &[u32], terms: Terms) -> (Actors, bool) {
    let inside: FxHashSet<u32> = component.iter().copied().collect();
    let edges = component
        .iter()
        .flat_map(|node| inner(graph, &inside, *node, terms));
    edges.fold((0, false), |(taken, refused), edge| {
        (taken | edge.by, refused | edge.is_refusal)
    })
}

/// The strongly connected components that have a way round, among these states.
fn components(graph: &Graph, nodes: &[u32], terms: Terms) -> Vec<Vec<u32>> {
    let inside: FxHashSet<u32> = nodes.iter().copied().collect();
    let mut part: DiGraph<u32, (), u32> = DiGraph::with_capacity(nodes.len(), 4 * nodes.len());
    let added = nodes.iter().map(|node| (*node, part.add_node(*node)));
    let index: FxHashMap<u32, _> = added.collect();
    let mut loops = FxHashSet::default();
    for node in nodes {
        for edge in inner(graph, &inside, *node, terms) {
            part.add_edge(index[node], index[&edge.to], ());
            if edge.to == *node {
                loops.insert(*node);
            }
        }
    }
    let found = tarjan_scc(&part).into_iter();
    found
        .map(|nodes| nodes.into_iter().map(|node| part[node]).collect())
        .filter(|nodes: &Vec<u32>| nodes.len() > 1 || loops.contains(&nodes[0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::fairness::Actor;

    const ZAPPER: u64 = Actor::Zapper.bit();
    const VCPU: u64 = Actor::Vcpu(0).bit();
    const LOCK: u64 = Actor::VcpuLock(0).bit();

    fn found(nodes: &[(u64, &[(u32, u64)])], stays: &[bool]) -> Option<Vec<u32>> {
        let mut region = region(&Graph::by_hand(nodes), stays, Terms::default())?;
        region.sort_unstable();
        Some(region)
    }

    #[test]
    fn a_way_round_on_which_everybody_takes_a_turn_is_fair() {
        let nodes: [(u64, &[(u32, u64)]); 2] = [
            (ZAPPER | VCPU, &[(1, VCPU)]),
            (ZAPPER | VCPU, &[(0, ZAPPER)]),
        ];
        assert_eq!(found(&nodes, &[true, true]), Some(vec![0, 1]));
        // Not among the states that break the property.
        assert_eq!(found(&nodes, &[true, false]), None);
    }

    #[test]
    fn a_way_round_that_keeps_somebody_waiting_is_not() {
        let both: [(u64, &[(u32, u64)]); 2] =
            [(ZAPPER | VCPU, &[(1, VCPU)]), (ZAPPER | VCPU, &[(0, VCPU)])];
        assert_eq!(found(&both, &[true, true]), None);
        // The zapper can not go on in the second state, so that it is not kept waiting all along.
        let one: [(u64, &[(u32, u64)]); 2] = [(ZAPPER | VCPU, &[(1, VCPU)]), (VCPU, &[(0, VCPU)])];
        assert_eq!(found(&one, &[true, true]), Some(vec![0, 1]));
    }

    #[test]
    fn who_is_served_in_order_is_not_passed_over_and_the_rest_is_looked_at_again() {
        // 0 <-> 1 passes over whoever wants the lock in 1; 0 <-> 2 does not.
        let nodes: [(u64, &[(u32, u64)]); 3] = [
            (VCPU, &[(1, VCPU), (2, VCPU)]),
            (VCPU | LOCK, &[(0, VCPU)]),
            (VCPU, &[(0, VCPU)]),
        ];
        assert_eq!(found(&nodes, &[true, true, false]), None);
        assert_eq!(found(&nodes, &[true; 3]), Some(vec![0, 2]));
    }

    #[test]
    fn where_nobody_is_owed_a_turn_a_run_may_rest() {
        let nodes: [(u64, &[(u32, u64)]); 2] = [(VCPU, &[(1, VCPU)]), (0, &[])];
        assert_eq!(found(&nodes, &[true, true]), Some(vec![1]));
        let stuck: [(u64, &[(u32, u64)]); 2] = [(VCPU, &[(1, VCPU)]), (VCPU, &[])];
        assert_eq!(found(&stuck, &[true, true]), None);
    }
}
