//! The model is inside the code, with two vCPUs: every pair of steps, one right after the other.
//!
//! A pair is a visible event with its agent, and the event that comes next, of the same agent or of
//! another. Every pair that the model has within one removal is driven through the code. That is more
//! than every two program points side by side: both orders of two steps that can be taken there are pairs.

mod common;

use common::Outcome;
use common::code::{Graph, Scope, drive, listed, model_of};
use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario;
use seamcheck_model::system::System;
use seamcheck_model::threads::{Entry, Event};

type Pair = (Entry, Entry);

/// Where a pair is first seen: the state before its first event.
type Pairs = FxHashMap<Pair, u32>;

/// Without what leads to the same sequences of events.
const ONE_REMOVAL: Scope = Scope {
    zaps: 1,
    ipis_arrive: true,
    shortened: true,
};

/// The events that can come next, once hidden steps are over.
fn next_events(graph: &Graph, at: u32) -> Box<[Entry]> {
    let (mut seen, mut open, mut events) = (vec![at], vec![at], Vec::new());
    while let Some(at) = open.pop() {
        for edge in graph.edges(at) {
            match edge.entry {
                Some(entry) if !events.contains(&entry) => events.push(entry),
                None if !seen.contains(&edge.to) => {
                    seen.push(edge.to);
                    open.push(edge.to);
                }
                _ => {}
            }
        }
    }
    events.into()
}

fn pairs_of(graph: &Graph) -> Pairs {
    let mut next: Vec<Option<Box<[Entry]>>> = vec![None; graph.len() as usize];
    let mut pairs = Pairs::default();
    for from in 0..graph.len() {
        for edge in graph.edges(from) {
            let Some(first) = edge.entry else { continue };
            let next = &mut next[edge.to as usize];
            let next = next.get_or_insert_with(|| next_events(graph, edge.to));
            for second in next.iter() {
                pairs.entry((first, *second)).or_insert(from);
            }
        }
    }
    pairs
}

/// Paths on which every pair lies: the longest first, so that the others' pairs lie on it where they can.
fn paths_through(graph: &Graph, pairs: &Pairs) -> Vec<Vec<Entry>> {
    let along = |(pair, from): (&Pair, &u32)| {
        let mut path = graph.path(*from);
        path.extend([pair.0, pair.1]);
        path
    };
    let mut paths: Vec<Vec<Entry>> = pairs.iter().map(along).collect();
    paths.sort_by_cached_key(|path| (std::cmp::Reverse(path.len()), listed(path)));
    let mut covered: FxHashSet<Pair> = FxHashSet::default();
    paths.retain(|path| {
        let last = (path[path.len() - 2], path[path.len() - 1]);
        let is_new = !covered.contains(&last);
        if is_new {
            covered.extend(path.windows(2).map(|pair| (pair[0], pair[1])));
        }
        is_new
    });
    paths
}

/// The pairs that the code makes on the way along these paths.
fn followed(decisions: Decisions, paths: &[Vec<Entry>]) -> FxHashSet<Pair> {
    let driven = paths.iter().zip(drive(decisions, 2, paths));
    driven
        .filter(|(_, followed)| followed.ended)
        .flat_map(|(path, followed)| path[..followed.events].windows(2))
        .map(|pair| (pair[0], pair[1]))
        .collect()
}

/// The model of two vCPUs, with all that a guest does or with accepting pages alone.
fn two(whole_guest: bool, decisions: Decisions) -> Outcome<System> {
    model_of(
        "1.5.05",
        decisions,
        scenario::Scenario {
            vcpus: 2,
            attr: whole_guest,
            zero_step: whole_guest,
            ..scenario::Scenario::default()
        },
    )
}

/// Drives the code through every pair, and gives back how many there are, of how many states.
fn drive_through(graph: &Graph, pairs: &Pairs, decisions: Decisions) -> (u32, usize) {
    let paths = paths_through(graph, pairs);
    let made = followed(decisions, &paths);
    let missing = pairs.keys().filter(|pair| !made.contains(*pair));
    let missing: Vec<String> = missing.map(|(a, b)| format!("{a}; then {b}")).collect();
    assert_eq!(missing, Vec::<String>::new());
    (graph.len(), pairs.len())
}

#[test]
fn the_code_can_take_every_two_steps_in_a_row_of_two_vcpus_that_accept_pages() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let graph = Graph::of(two(false, decisions)?, ONE_REMOVAL);
    let pairs = pairs_of(&graph);
    assert_eq!(
        drive_through(&graph, &pairs, decisions),
        (3_663_694, 11_467)
    );
    Ok(())
}

/// With the whole guest; and while an IPI is on its way there are two pairs more, which the code has not:
/// its IPIs arrive at once.
#[test]
#[ignore = "takes a minute and a gigabyte of memory: by night"]
fn the_code_can_take_every_two_steps_in_a_row_of_two_vcpus() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let graph = Graph::of(two(true, decisions)?, ONE_REMOVAL);
    let pairs = pairs_of(&graph);
    assert_eq!(
        drive_through(&graph, &pairs, decisions),
        (5_569_788, 15_257)
    );
    let on_its_way = Scope {
        ipis_arrive: false,
        ..ONE_REMOVAL
    };
    drop(graph);
    let graph = Graph::of(two(true, decisions)?, on_its_way);
    let all = pairs_of(&graph);
    let more = all.keys().filter(|pair| !pairs.contains_key(*pair));
    let mut more: Vec<String> = more.map(|(a, b)| format!("{a}; then {b}")).collect();
    more.sort();
    assert_eq!((graph.len(), all.len()), (7_134_588, 15_259));
    assert_eq!(
        more,
        [
            "zapper   sends an IPI to vCPU 0; then vCPU 0   the guest exits: an interrupt",
            "zapper   sends an IPI to vCPU 1; then vCPU 1   the guest exits: an interrupt",
        ]
    );
    Ok(())
}

/// The check can fail: the code of another protocol does not make every pair.
#[test]
fn the_code_of_another_protocol_misses_pairs() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let mut other = decisions;
    other.set("kick", "request-no-wait")?;
    let graph = Graph::of(two(false, decisions)?, ONE_REMOVAL);
    let pairs = pairs_of(&graph);
    let made = followed(other, &paths_through(&graph, &pairs));
    let waits = |pair: &&Pair| pair.0.event == Event::AllAcknowledged;
    assert!(pairs.keys().filter(waits).count() > 0);
    assert_eq!(
        pairs
            .keys()
            .filter(waits)
            .filter(|pair| made.contains(*pair))
            .count(),
        0
    );
    Ok(())
}
