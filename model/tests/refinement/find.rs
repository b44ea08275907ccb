//! A sequence of the packed model's steps that does what a step of the actors does.

use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::actors::message::{GuestStep, Move};
use seamcheck_model::actors::{LEAVES, Step};
use seamcheck_model::module::OpKind;
use seamcheck_model::system::labels::{Environment, Part, StepId, guest};
use seamcheck_model::system::{Agent, State, System};
use seamcheck_model::table::Effect;
use std::collections::{BTreeSet, VecDeque};

/// A step that has to be in the sequence, where its effect alone would not say that it was meant.
pub(crate) struct Wanted(Vec<StepId>);

impl Wanted {
    pub(crate) fn of(system: &System, step: &Step) -> Self {
        let run_guest = system.code.ops.iter().position(|op| {
            matches!(
                op.kind,
                OpKind::Effect {
                    effect: Effect::RunGuest,
                    ..
                }
            )
        });
        let guest_does = |outcomes: &[u8]| {
            let at = run_guest.unwrap_or_default() as u8;
            let ids = outcomes.iter();
            ids.map(|outcome| system.labels.id(Part::Module, at, *outcome))
                .collect()
        };
        Self(match step {
            Step::Timeout(_, Move::EnterGuest { push: true }) => {
                vec![system.labels.id(Part::Vcpu, 0, 4)]
            }
            Step::Timeout(_, Move::Guest(GuestStep::Interrupted { .. })) => {
                guest_does(&[guest::KICKED, guest::INTERRUPT])
            }
            Step::Timeout(_, Move::ForeignKick(_)) => {
                let kick = Environment::ForeignKick as u8;
                vec![system.labels.id(Part::Environment, kick, 0)]
            }
            Step::Timeout(_, Move::Guest(GuestStep::Vmcall { .. })) => guest_does(&[guest::VMCALL]),
            // The first lock is tried with the choice; if that fails the guest is where it was.
            Step::Timeout(_, Move::Guest(GuestStep::Tdcall(leaf))) => {
                let key = LEAVES[usize::from(*leaf)];
                let leaves = &system.code.leaves;
                let leaf = leaves.iter().find(|leaf| leaf.key == key);
                let start = leaf.map_or(0, |leaf| leaf.start);
                [0, 1]
                    .map(|outcome| system.labels.id(Part::Module, start, outcome))
                    .to_vec()
            }
            _ => Vec::new(),
        })
    }

    pub(crate) fn none(&self) -> bool {
        self.0.is_empty()
    }

    fn is_met_by(&self, steps: &[StepId]) -> bool {
        self.none() || steps.iter().any(|step| self.0.contains(step))
    }

    pub(crate) fn key(&self) -> u8 {
        self.0.first().map_or(0, |step| (step.0 % 251) as u8 + 1)
    }
}

/// A packed state, and whether a wanted step was taken on the way there.
type Node = (State, bool);

/// The most steps of the packed model that one of the actors' stands for.
const LONGEST: usize = 40;

/// A shortest sequence of steps by `who` from one state to another, with a wanted one in it.
pub(crate) fn find(
    system: &System,
    from: &State,
    to: &State,
    who: &[Agent],
    wanted: &Wanted,
) -> Option<Vec<StepId>> {
    let mut parents: FxHashMap<Node, (Node, Vec<StepId>)> = FxHashMap::default();
    let start = (*from, wanted.none());
    let mut layer = vec![start];
    for _ in 0..LONGEST {
        let mut next_layer = Vec::new();
        for node in layer {
            let mut reached = None;
            system.successors(&node.0, |event, next| {
                if !who.contains(&event.agent) || reached.is_some() {
                    return;
                }
                let after = (next, node.1 || wanted.is_met_by(&event.trail));
                if after == start || parents.contains_key(&after) {
                    return;
                }
                parents.insert(after, (node, event.trail.to_vec()));
                next_layer.push(after);
                let dead = to.shared.bugged && after.0.shared.bugged;
                if after == (*to, true) || dead {
                    reached = Some(after);
                }
            });
            if let Some(mut node) = reached {
                let mut steps = Vec::new();
                while let Some((before, taken)) = parents.get(&node) {
                    steps.splice(0..0, taken.iter().copied());
                    node = *before;
                }
                return Some(steps);
            }
        }
        layer = next_layer;
    }
    None
}

/// Every step that the packed model itself takes.
pub(crate) fn taken_by_packed(system: &System) -> BTreeSet<StepId> {
    let mut taken = BTreeSet::new();
    let mut known = FxHashSet::default();
    known.insert(system.initial());
    let mut queue = VecDeque::from([system.initial()]);
    while let Some(state) = queue.pop_front() {
        system.successors(&state, |event, next| {
            taken.extend(event.trail.iter().copied());
            if known.insert(next) {
                queue.push_back(next);
            }
        });
    }
    taken
}
