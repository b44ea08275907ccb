//! stateright beside the exact engine: the same transition function, another search.
//!
//! A state is a key and whether the last transition broke the property. Keys are canonical
//! already, so no symmetry is asked of the checker; one run per property, because a later
//! discovery overwrites an earlier path (stateright 0.31).

use super::supervised::supervise;
use super::{Clock, Cut, Limits, Watch};
use seamcheck_model::property::Property as Claim;
use seamcheck_model::system::{System, pack};
use stateright::{Checker, Model, Property};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// About what a state takes in its tables and its queue.
pub const BYTES_PER_STATE: u64 = 200;

/// What stateright found.
#[derive(Clone, Copy, Debug)]
pub struct Opinion {
    /// Distinct states.
    pub states: u64,
    /// Transitions of the path to a violation, if there is one.
    pub violated_after: Option<u64>,
    /// Upper bound on the probability that two states shared a 64-bit fingerprint.
    pub collision: f64,
    /// Wall-clock time.
    pub elapsed: Duration,
}

/// A state of the checker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node<const W: usize> {
    key: [u64; W],
    broken: bool,
}

struct Packed<const W: usize> {
    system: Arc<System>,
    claim: Claim,
    /// Set to end the search: no state has successors any more.
    stopped: AtomicBool,
}

impl<const W: usize> Model for Packed<W> {
    type State = Node<W>;
    /// A transition is named by where it leads.
    type Action = Node<W>;

    fn init_states(&self) -> Vec<Self::State> {
        vec![Node {
            key: self.key(&self.system.initial()),
            broken: false,
        }]
    }

    fn actions(&self, node: &Self::State, actions: &mut Vec<Self::Action>) {
        if node.broken || self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let scenario = &self.system.scenario;
        let before = pack::unpack(&node.key, scenario.vcpus, self.system.threads.len());
        self.system.successors(&before, |event, after| {
            let broken = self.system.broken(&before, &event, &after) & self.claim.bit() != 0;
            actions.push(Node {
                key: self.key(&after),
                broken,
            });
        });
    }

    fn next_state(&self, _: &Self::State, action: Self::Action) -> Option<Self::State> {
        Some(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("claim", |_, node: &Node<W>| !node.broken)]
    }
}

impl<const W: usize> Packed<W> {
    fn key(&self, state: &seamcheck_model::system::State) -> [u64; W] {
        let mut key = [0; W];
        let sort = self.system.reductions.sort_vcpus;
        pack::pack(
            state,
            self.system.scenario.vcpus,
            self.system.threads.len(),
            sort,
            &mut key,
        );
        key
    }
}

/// Searches breadth first on one thread for a violation of `claim`; complete when there is none.
///
/// # Errors
/// With the limit that was hit before.
pub fn search(
    system: &Arc<System>,
    claim: Claim,
    limits: Limits,
    watch: &Watch,
) -> Result<Opinion, Cut> {
    let words = pack::words(system.scenario.vcpus, system.threads.len());
    match words {
        1 => run::<1>(system, claim, limits, watch),
        2 => run::<2>(system, claim, limits, watch),
        3 => run::<3>(system, claim, limits, watch),
        4 => run::<4>(system, claim, limits, watch),
        5 => run::<5>(system, claim, limits, watch),
        _ => run::<{ pack::MAX_WORDS }>(system, claim, limits, watch),
    }
}

fn run<const W: usize>(
    system: &Arc<System>,
    claim: Claim,
    limits: Limits,
    watch: &Watch,
) -> Result<Opinion, Cut> {
    let clock = Clock::start();
    let model = Packed::<W> {
        system: Arc::clone(system),
        claim,
        stopped: AtomicBool::new(false),
    };
    let checker = model.checker().threads(1).spawn_bfs();
    let stop = |model: &Packed<W>| model.stopped.store(true, Ordering::Relaxed);
    let cut = supervise(&checker, limits, watch, BYTES_PER_STATE, stop);
    let checker = checker.join();
    if let Some(cut) = cut {
        return Err(cut);
    }
    let states = checker.unique_state_count() as u64;
    let violated_after = checker
        .discovery("claim")
        .map(|path| path.into_actions().len() as u64);
    let collision = (states as f64).powi(2) / 2f64.powi(65);
    Ok(Opinion {
        states,
        violated_after,
        collision,
        elapsed: clock.elapsed(),
    })
}
