//! The claim as a stateright `ActorModel`: a formulation of its own, which shares nothing with the
//! packed model but the [`Decisions`].
//!
//! Actors: the zapper, the vCPUs and the code in them, the TDX module, the kernel's memory. Memory
//! is sequentially consistent. The host's page faults are left out: they run under mmu_lock for
//! read, and the zapper holds it for write.
//!
//! [`ActorClaim::model`] carries every property. For a verdict, give a checker one of them
//! ([`only`]): with others open, stateright goes on after a violation and overwrites its trace.

mod guest;
mod memory;
mod message;
mod module;
mod vcpu;
mod zapper;

pub use guest::GuestState;
pub use memory::MemoryState;
pub use message::{Access, Instruction, Leaf, Location, Lock, Msg, Status, Word};
pub use module::ModuleState;
pub use vcpu::{Vcpu, VcpuState};
pub use zapper::{Zapper, ZapperState};

use crate::kernel::decisions::Decisions;
use crate::kernel::unsupported::{Implemented, Unsupported, refuse_others};
use stateright::Expectation;
use stateright::actor::{Actor, ActorModel, ActorModelState, Id, Network, Out};
use std::borrow::Cow;

/// The claim: "Once the flag is set and every vCPU has been kicked, the second SEAMCALL cannot
/// return TDX_OPERAND_BUSY."
pub const NO_SECOND_BUSY: &str = "no second BUSY";
/// What TDX_PREVIOUS_TLB_EPOCH_BUSY would say otherwise; the kick after TRACK is there for it.
pub const NO_VCPU_IN_THE_PREVIOUS_EPOCH: &str = "TRACK finds no vCPU in the previous epoch";
/// What must be seen to happen, or the claim holds for nothing.
pub const WITNESSES: &[&str] = &[
    "a second call was made",
    "the flag turned a vCPU back",
    "an IPI interrupted a running guest",
    "BUSY on the S-EPT tree",
    "BUSY on the epoch",
    "BUSY on the S-EPT entry",
];

/// What this form implements.
const IMPLEMENTED: Implemented = &[
    ("flag_raise", &["before-kick", "after-kick", "never"]),
    ("flag_clear", &["after-retry", "before-retry"]),
    ("kick", &["request-wait", "request-no-wait", "none"]),
    ("kick_mode_read", &["locked-cmpxchg"]),
    (
        "vcpu_flag_test",
        &["in-tdx-vcpu-run", "before-mode-store", "absent"],
    ),
    ("vcpu_barrier", &["srcu-unlock"]),
    ("mode_outside", &["after-vp-enter"]),
    ("irq_disable", &["before-mode-store"]),
    ("busy_predicate", &["masked"]),
    ("on_busy", &["kick-and-retry"]),
    ("track_kick", &["after-track"]),
    ("exit_request", &["mode-or-work"]),
    ("flag_return", &["exit-handled"]),
    ("vp_enter_busy", &["exit-handled"]),
    ("exit_reason_on_flag", &["kept"]),
];

/// The claim, for some vCPUs and some decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActorClaim {
    /// How many vCPUs, from 1 to 64.
    pub vcpus: usize,
    /// The protocol's decisions.
    pub decisions: Decisions,
}

/// The actor system.
pub type ClaimModel = ActorModel<Agent>;

impl ActorClaim {
    /// The actor system with all its properties.
    ///
    /// # Errors
    /// When a decision has a value that the actors do not implement.
    pub fn model(&self) -> Result<ClaimModel, Unsupported> {
        refuse_others(IMPLEMENTED, &self.decisions)?;
        let mut model = ActorModel::new((), ())
            .init_network(Network::new_ordered([]))
            .actor(Agent::Module { vcpus: self.vcpus })
            .actor(Agent::Memory { vcpus: self.vcpus })
            .actor(Agent::Zapper(Zapper::new(&self.decisions, self.vcpus)));
        for index in 0..self.vcpus {
            model = model
                .actor(Agent::Vcpu(Vcpu::new(&self.decisions, index)))
                .actor(Agent::Guest);
        }
        Ok(properties(model))
    }
}

/// The same system with one property only.
#[must_use]
pub fn only(mut model: ClaimModel, property: &str) -> ClaimModel {
    model
        .properties
        .retain(|candidate| candidate.name == property);
    model
}

fn properties(model: ClaimModel) -> ClaimModel {
    use Expectation::{Always, Sometimes};
    let [second_call, turned_back, interrupted, tree, epoch, entry] = WITNESSES else {
        unreachable!("one name for each property below")
    };
    model
        .property(Always, NO_SECOND_BUSY, |_, state| {
            !zapper(state).is_some_and(ZapperState::second_call_was_busy)
        })
        .property(Always, NO_VCPU_IN_THE_PREVIOUS_EPOCH, |_, state| {
            !zapper(state).is_some_and(ZapperState::previous_epoch_was_busy)
        })
        .property(Sometimes, second_call, |model, state| {
            match (&model.actors[message::ZAPPER], zapper(state)) {
                (Agent::Zapper(program), Some(state)) => program.is_in_second_call(state),
                _ => false,
            }
        })
        .property(Sometimes, turned_back, |_, state| {
            vcpus(state).any(VcpuState::is_turned_back)
        })
        .property(Sometimes, interrupted, |_, state| {
            vcpus(state).any(VcpuState::is_interrupted)
        })
        .property(Sometimes, tree, |_, state| {
            busy_on(state) == Some(Lock::Tree)
        })
        .property(Sometimes, epoch, |_, state| {
            busy_on(state) == Some(Lock::Epoch)
        })
        .property(Sometimes, entry, |_, state| {
            busy_on(state) == Some(Lock::Entry)
        })
}

fn zapper(state: &ActorModelState<Agent>) -> Option<&ZapperState> {
    match &*state.actor_states[message::ZAPPER] {
        AgentState::Zapper(zapper) => Some(zapper),
        _ => None,
    }
}

fn vcpus(state: &ActorModelState<Agent>) -> impl Iterator<Item = &VcpuState> {
    state
        .actor_states
        .iter()
        .filter_map(|state| match &**state {
            AgentState::Vcpu(vcpu) => Some(vcpu),
            _ => None,
        })
}

fn busy_on(state: &ActorModelState<Agent>) -> Option<Lock> {
    zapper(state).and_then(ZapperState::busy_on)
}

/// An actor.
#[derive(Clone, Debug)]
pub enum Agent {
    /// The TDX module.
    Module {
        /// How many vCPUs it keeps.
        vcpus: usize,
    },
    /// The kernel's memory.
    Memory {
        /// How many vCPUs have a mode in it.
        vcpus: usize,
    },
    /// The thread that removes pages.
    Zapper(Zapper),
    /// A vCPU thread.
    Vcpu(Vcpu),
    /// The code that runs in the vCPU before it.
    Guest,
}

/// An actor's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AgentState {
    Module(ModuleState),
    Memory(MemoryState),
    Zapper(ZapperState),
    Vcpu(VcpuState),
    Guest(GuestState),
}

impl Actor for Agent {
    type Msg = Msg;
    type Timer = ();
    type State = AgentState;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, o: &mut Out<Self>) -> AgentState {
        match self {
            Self::Module { vcpus } => AgentState::Module(ModuleState::new(*vcpus)),
            Self::Memory { vcpus } => AgentState::Memory(MemoryState::new(*vcpus)),
            Self::Zapper(zapper) => AgentState::Zapper(zapper.start(o)),
            Self::Vcpu(vcpu) => AgentState::Vcpu(vcpu.start(o)),
            Self::Guest => AgentState::Guest(GuestState::default()),
        }
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<'_, AgentState>,
        src: Id,
        msg: Msg,
        o: &mut Out<Self>,
    ) {
        match (self, state.to_mut()) {
            (Self::Module { .. }, AgentState::Module(state)) => state.on_msg(src, msg, o),
            (Self::Memory { .. }, AgentState::Memory(state)) => state.on_msg(src, msg, o),
            (Self::Zapper(zapper), AgentState::Zapper(state)) => zapper.on_msg(state, src, msg, o),
            (Self::Vcpu(vcpu), AgentState::Vcpu(state)) => vcpu.on_msg(state, msg, o),
            (Self::Guest, AgentState::Guest(state)) => state.on_msg(id, src, msg, o),
            (_, state) => unreachable!("an actor keeps its role, but has become {state:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stateright::{Checker, Model};

    /// Every state of one vCPU under the decisions of the patch as merged.
    const ONE_VCPU_STATES: usize = 11_206;

    fn claim(decision: &str, value: &str) -> ActorClaim {
        let mut decisions = Decisions::first_of_each();
        if !decision.is_empty() {
            decisions.set(decision, value).unwrap();
        }
        ActorClaim {
            vcpus: 1,
            decisions,
        }
    }

    /// The number of states searched, and the length of the trace to `property`, if there is one.
    fn check(claim: ActorClaim, property: &str) -> (usize, Option<usize>) {
        let checker = only(claim.model().unwrap(), property)
            .checker()
            .spawn_bfs()
            .join();
        let trace = checker.discovery(property_named(property));
        (
            checker.unique_state_count(),
            trace.map(|path| path.into_actions().len()),
        )
    }

    fn property_named(name: &str) -> &'static str {
        let mut names = WITNESSES
            .iter()
            .chain(&[NO_SECOND_BUSY, NO_VCPU_IN_THE_PREVIOUS_EPOCH]);
        names.find(|candidate| **candidate == name).unwrap()
    }

    #[test]
    fn the_claim_holds_for_one_vcpu_as_merged() {
        for property in [NO_SECOND_BUSY, NO_VCPU_IN_THE_PREVIOUS_EPOCH] {
            assert_eq!(
                check(claim("", ""), property),
                (ONE_VCPU_STATES, None),
                "{property}"
            );
        }
    }

    #[test]
    fn every_witness_is_found() {
        for witness in WITNESSES {
            assert!(check(claim("", ""), witness).1.is_some(), "{witness}");
        }
    }

    #[test]
    fn the_claim_is_violated_when_one_decision_is_changed() {
        for (decision, value) in [
            ("flag_raise", "after-kick"),
            ("flag_raise", "never"),
            ("flag_clear", "before-retry"),
            ("kick", "none"),
            ("kick", "request-no-wait"),
            ("vcpu_flag_test", "absent"),
            ("vcpu_flag_test", "before-mode-store"),
        ] {
            let (_, trace) = check(claim(decision, value), NO_SECOND_BUSY);
            assert!(trace.is_some(), "{decision} = {value}");
        }
    }

    #[test]
    fn a_decision_the_actors_do_not_implement_is_refused() {
        let refused = claim("kick", "vcpu-kick").model().err();
        assert_eq!(
            refused,
            Some(Unsupported {
                decision: "kick",
                value: "vcpu-kick"
            })
        );
    }
}
