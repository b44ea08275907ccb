//! Nothing is bounded: zaps start over without end, and a run can always come back to its beginning.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, Key, key, walk};
use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{Event, State, System};

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

/// The graph of a search, backwards.
struct Graph {
    system: System,
    states: Vec<State>,
    into: FxHashMap<Key, Vec<Key>>,
    /// States in which a zap begins.
    zaps: FxHashSet<Key>,
}

impl Graph {
    fn of(ask: &Ask) -> Self {
        let system = ask.system().unwrap();
        let mut states = Vec::new();
        let mut into: FxHashMap<Key, Vec<Key>> = FxHashMap::default();
        let mut zaps = FxHashSet::default();
        let begins = |event: &Event| {
            event.trail.iter().any(|step| {
                let (part, line, _) = system.labels.parts(*step);
                let begin = |line: u8| {
                    matches!(system.zap[usize::from(line)].instr, Instr::BeginZap { .. })
                };
                part == Part::Zapper && begin(line)
            })
        };
        let cross = |before: &State, event: &Event, after: &State| {
            let from = key(&system, before);
            into.entry(key(&system, after)).or_default().push(from);
            if begins(event) {
                zaps.insert(from);
            }
        };
        walk(&system, |state| states.push(*state), cross);
        Self {
            system,
            states,
            into,
            zaps,
        }
    }

    /// The states from which one of `goals` is reached by at least one transition.
    fn reach(&self, goals: impl IntoIterator<Item = Key>) -> FxHashSet<Key> {
        let mut seen: FxHashSet<Key> = FxHashSet::default();
        let mut queue: Vec<Key> = goals.into_iter().collect();
        while let Some(state) = queue.pop() {
            for before in self.into.get(&state).into_iter().flatten() {
                if seen.insert(*before) {
                    queue.push(*before);
                }
            }
        }
        seen
    }

    fn start(&self) -> Key {
        key(&self.system, &self.system.initial())
    }
}

fn claim() -> Ask {
    Ask::claim().unwrap()
}

fn without_zero_step(mut ask: Ask) -> Ask {
    ask.scenario.zero_step = false;
    ask
}

#[test]
fn the_first_state_is_reached_again_from_every_state() {
    for memory in BOTH {
        for ask in [without_zero_step(claim()), claim().two_trimmed()] {
            let graph = Graph::of(&ask.memory(memory));
            let again = graph.reach([graph.start()]);
            assert_eq!(again.len(), graph.states.len());
        }
    }
}

#[test]
fn a_zap_begins_in_many_states_and_another_can_follow_each() {
    for memory in BOTH {
        let graph = Graph::of(&claim().two_trimmed().memory(memory));
        assert!(graph.zaps.len() > 100, "{}", graph.zaps.len());
        let again = graph.reach(graph.zaps.iter().copied());
        assert_eq!(again.len(), graph.states.len());
    }
}

#[test]
fn only_vcpus_that_are_all_armed_keep_the_first_state_from_being_reached_again() {
    // An armed vCPU is turned away while the listed page is not accepted, and only a guest accepts.
    for (ask, name) in [(claim(), "one"), (claim().vcpus(2), "two")] {
        let graph = Graph::of(&ask);
        let again = graph.reach([graph.start()]);
        let stuck = graph
            .states
            .iter()
            .filter(|state| !again.contains(&key(&graph.system, state)));
        let mut count = 0;
        for state in stuck {
            let mut vcpus = state.vcpus[..ask.scenario.vcpus].iter();
            assert!(vcpus.all(|vcpu| vcpu.zero_step != 0), "{name}: {state:?}");
            count += 1;
        }
        assert!(
            count > 0 && count < graph.states.len() / 3,
            "{name}: {count}"
        );
        // A zap began before, and it has come to its end: the zapper can finish from everywhere.
        let idle = |state: &&State| (state.shared.zapper.line, state.shared.flag) == (0, false);
        let idle = graph
            .states
            .iter()
            .filter(idle)
            .map(|state| key(&graph.system, state));
        assert_eq!(graph.reach(idle).len(), graph.states.len(), "{name}");
    }
}

#[test]
fn a_removed_page_comes_back_by_a_vcpu_only() {
    let graph = Graph::of(&claim().vcpus(0));
    assert_eq!(graph.states.len(), 7);
    assert!(graph.reach([graph.start()]).is_empty());
}
