//! What a checker searches: the actors' moves and their messages, and which deliveries are taken at
//! once.
//!
//! A step of a CPU is a move, a request, what memory or module does about it, and the answer. With
//! [`Delivery::AnyOrder`] each of these is a transition of its own; with [`Delivery::AtOnce`] they are
//! one. Nothing is lost by that, because only one part of a step meets other CPUs: what memory or
//! module does when the request is delivered.
//!
//! - Before it: the move and the request change nothing but the CPU's own actor, which does nothing
//!   else until it is answered. Whatever others do meanwhile could as well have been done before.
//! - After it: the answer, and an acknowledgement, change nothing but the actor they are for, which
//!   waits for them. Whatever others do meanwhile could as well be done after.
//! - A step ends: each answer leads to a place where the CPU waits for its next move, or for its
//!   store queue (`is_private` says what follows at once, and why nobody can tell).
//! - Nothing that is asked of a state looks at messages, or at actors that wait for an answer.
//!
//! An IPI is not part of a step: it arrives when it likes. A test compares the three on one vCPU.

use super::message::{Cpu, MEMORY, Msg, ZAPPER, vcpu};
use super::observe::Made;
use super::vcpu::Vcpu;
use super::zapper::{Deed, Zapper};
use super::{Agent, AgentState, MemoryState, ModuleState, Setup, VcpuState, ZapperState};
use crate::actors::message::{MODULE, Move};
use stateright::actor::{ActorModel, ActorModelAction, ActorModelState, Id, Network};
use stateright::{Model, Path, Property};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Which deliveries are transitions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of them, in any order.
    AnyOrder,
    /// All of them, but while a request or an answer is under way only that is delivered.
    StepsFirst,
    /// That of IPIs: a request and its answer are delivered with the move that sends them.
    AtOnce,
}

/// A transition: a delivery, or an actor's move (which stateright calls a timeout).
pub type Step = ActorModelAction<Msg, Move, ()>;

/// A state of the actors and of the network between them.
#[derive(Clone, PartialEq)]
pub struct Snapshot(pub ActorModelState<Agent>);

// An actor system compares its parts, all of which are `Eq`.
impl Eq for Snapshot {}

impl Hash for Snapshot {
    /// Only what there is: no actor has timers, random choices, storage or crashes.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.actor_states.hash(state);
        self.0.network.hash(state);
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Snapshot {
    /// The module.
    #[must_use]
    pub fn module(&self) -> &ModuleState {
        match &*self.0.actor_states[MODULE] {
            AgentState::Module(module) => module,
            _ => unreachable!("actor {MODULE} is the module"),
        }
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &MemoryState {
        match &*self.0.actor_states[MEMORY] {
            AgentState::Memory(memory) => memory,
            _ => unreachable!("actor {MEMORY} is the memory"),
        }
    }

    /// The zapper.
    #[must_use]
    pub fn zapper(&self) -> &ZapperState {
        match &*self.0.actor_states[ZAPPER] {
            AgentState::Zapper(zapper) => zapper,
            _ => unreachable!("actor {ZAPPER} is the zapper"),
        }
    }

    /// The vCPUs.
    pub fn vcpus(&self) -> impl Iterator<Item = &VcpuState> {
        let states = self.0.actor_states[ZAPPER + 1..].iter();
        states.filter_map(|state| match &**state {
            AgentState::Vcpu(vcpu) => Some(vcpu),
            _ => None,
        })
    }

    /// Whether every step that was begun is over, or waits for a store queue.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        part_of_a_step(&self.0).is_none()
    }

    /// Whether an IPI to the vCPU is on its way.
    #[must_use]
    pub fn ipi_on_its_way(&self, index: usize) -> bool {
        let mut deliverable = self.0.network.iter_deliverable();
        deliverable.any(|message| message.dst == vcpu(index) && *message.msg == Msg::Ipi)
    }
}

/// The actors, ready to be searched.
pub struct Protocol {
    /// The actors by themselves.
    pub actors: ActorModel<Agent>,
    /// What does not change.
    pub setup: Arc<Setup>,
    /// Which deliveries are transitions of their own.
    pub delivery: Delivery,
}

impl Protocol {
    /// The actors of a question.
    #[must_use]
    pub fn new(setup: Setup, delivery: Delivery) -> Self {
        let setup = Arc::new(setup);
        let mut actors = ActorModel::new((), ())
            .init_network(Network::new_ordered([]))
            .actor(Agent::Module(Arc::clone(&setup)))
            .actor(Agent::Memory(Arc::clone(&setup)))
            .actor(Agent::Zapper(Zapper::new(&setup), Arc::clone(&setup)));
        for index in 0..setup.vcpus() {
            actors = actors.actor(Agent::Vcpu(Vcpu::new(&setup, index)));
        }
        Self {
            actors,
            setup,
            delivery,
        }
    }

    /// The zapper's side of the actors.
    #[must_use]
    pub fn zapper(&self) -> &Zapper {
        match &self.actors.actors[ZAPPER] {
            Agent::Zapper(zapper, _) => zapper,
            _ => unreachable!("actor {ZAPPER} is the zapper"),
        }
    }

    /// A vCPU's side of the actors.
    #[must_use]
    pub fn vcpu(&self, index: usize) -> &Vcpu {
        match &self.actors.actors[ZAPPER + 1 + index] {
            Agent::Vcpu(vcpu) => vcpu,
            _ => unreachable!("vCPUs come last"),
        }
    }

    /// One delivery or move, and nothing with it.
    fn one(&self, state: &ActorModelState<Agent>, step: Step) -> Option<ActorModelState<Agent>> {
        self.actors.next_state(state, step)
    }

    /// The state after a transition; `made` is told of each SEAMCALL that is made in it.
    pub fn follow(
        &self,
        state: &Snapshot,
        step: Step,
        mut made: impl FnMut(Made),
    ) -> Option<Snapshot> {
        made_in(self, &state.0, &step)
            .into_iter()
            .for_each(&mut made);
        let mut next = self.one(&state.0, step)?;
        if self.delivery == Delivery::AtOnce {
            while let Some(step) = part_of_a_step(&next) {
                made_in(self, &next, &step).into_iter().for_each(&mut made);
                next = self.one(&next, step)?;
            }
        }
        Some(Snapshot(next))
    }

    /// The path with every delivery as a step of its own, as the actors know it.
    fn spelled_out(
        &self,
        path: Path<Snapshot, Step>,
    ) -> Option<Path<ActorModelState<Agent>, Step>> {
        let mut steps = Vec::new();
        for (state, step) in path.into_vec() {
            let Some(step) = step else { break };
            let mut state = state.0;
            let mut next = Some(step);
            while let Some(step) = next {
                state = self.one(&state, step.clone())?;
                steps.push(step);
                next = match self.delivery {
                    Delivery::AtOnce => part_of_a_step(&state),
                    Delivery::AnyOrder | Delivery::StepsFirst => None,
                };
            }
        }
        let start = self.actors.init_states().into_iter().next()?;
        Path::from_actions(&SpelledOut(self), start, &steps)
    }
}

impl Model for Protocol {
    type State = Snapshot;
    type Action = Step;

    fn init_states(&self) -> Vec<Snapshot> {
        let states = self.actors.init_states();
        states.into_iter().map(Snapshot).collect()
    }

    fn actions(&self, state: &Snapshot, steps: &mut Vec<Step>) {
        // The VM is dead, or the search is not complete anyway: what was begun ends.
        if state.memory().vm_bugged || state.memory().overflowed {
            let ends = heads(&state.0).filter(|(_, _, msg)| msg.belongs_to_a_step());
            steps.extend(ends.map(|(src, dst, msg)| Step::Deliver { src, dst, msg }));
            return;
        }
        if self.delivery != Delivery::AnyOrder
            && let Some(step) = part_of_a_step(&state.0)
        {
            return steps.push(step);
        }
        steps.extend(heads(&state.0).map(|(src, dst, msg)| Step::Deliver { src, dst, msg }));
        let actors = self.actors.actors.iter().zip(&state.0.actor_states);
        for (index, (actor, own)) in actors.enumerate() {
            for act in actor.moves(own) {
                let id = Id::from(index);
                let act = match act {
                    Move::Step(_) => {
                        let standing = state.module().standing(&self.setup, Cpu::of(id));
                        Move::Step(standing)
                    }
                    act => act,
                };
                steps.push(Step::Timeout(id, act));
            }
        }
    }

    fn next_state(&self, state: &Snapshot, step: Step) -> Option<Snapshot> {
        self.follow(state, step, |_| {})
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::observe::properties(self.setup.watched)
    }

    fn format_action(&self, step: &Step) -> String {
        super::text::step(&self.actors, step)
    }

    fn as_svg(&self, path: Path<Snapshot, Step>) -> Option<String> {
        let drawn = self.actors.as_svg(self.spelled_out(path)?)?;
        Some(super::text::without_timeouts(&drawn))
    }
}

/// The SEAMCALL that is delivered to the module.
fn made_in(protocol: &Protocol, state: &ActorModelState<Agent>, step: &Step) -> Option<Made> {
    let Step::Deliver {
        src,
        msg: Msg::Seamcall(leaf),
        ..
    } = step
    else {
        return None;
    };
    let is_last = match &*state.actor_states[usize::from(*src)] {
        AgentState::Zapper(zapper) => {
            let deed = protocol.zapper().program[usize::from(zapper.at)];
            deed == Deed::LastCall(*leaf)
        }
        _ => false,
    };
    Some(Made {
        leaf: *leaf,
        is_last,
    })
}

/// What is first in each channel.
fn heads(state: &ActorModelState<Agent>) -> impl Iterator<Item = (Id, Id, Msg)> + '_ {
    let mut last = None;
    state.network.iter_deliverable().filter_map(move |message| {
        let channel = Some((message.src, message.dst));
        let is_head = last != channel;
        last = channel;
        is_head.then_some((message.src, message.dst, *message.msg))
    })
}

/// The delivery of a request or an answer that is under way.
fn part_of_a_step(state: &ActorModelState<Agent>) -> Option<Step> {
    heads(state)
        .find(|(_, _, msg)| msg.belongs_to_a_step())
        .map(|(src, dst, msg)| Step::Deliver { src, dst, msg })
}

/// The actors with every delivery a step: what stateright's diagrams are drawn from.
struct SpelledOut<'a>(&'a Protocol);

impl Model for SpelledOut<'_> {
    type State = ActorModelState<Agent>;
    type Action = Step;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.actors.init_states()
    }

    fn actions(&self, state: &Self::State, steps: &mut Vec<Step>) {
        let snapshot = Snapshot(state.clone());
        match part_of_a_step(state) {
            Some(step) => steps.push(step),
            None => self.0.actions(&snapshot, steps),
        }
    }

    fn next_state(&self, state: &Self::State, step: Step) -> Option<Self::State> {
        self.0.one(state, step)
    }
}
