//! The claim as a stateright `ActorModel`: a second formulation, which shares the data with the packed
//! model (lock tables, status words, decisions) and none of its behaviour.
//!
//! The actors are the zapper, N vCPUs with their guests, the TDX module, which owns the lock words
//! and advances each call under way step by step, and the kernel's memory with a store queue for each
//! CPU in front of it. IPIs and their acknowledgements are messages.
//!
//! [`Protocol`] is what a checker searches: the actors, what each may do by itself, and which
//! deliveries are taken at once ([`Delivery`]). There is one page; mmu_lock is the only KVM lock that
//! two of these actors contend, so it is the only one there is.

mod delivery;
mod explore;
pub mod memory;
pub mod message;
pub mod module;
pub mod observe;
mod setup;
mod text;
pub mod vcpu;
pub mod zapper;

pub use delivery::{Delivery, Protocol, Snapshot, Step};
pub use explore::{View, Walk};
pub use setup::{AUG, BLOCK, ENTER, FIRST_TDCALL, LEAVES, REMOVE, TRACK, WRITE};
pub use setup::{Action, Op, Setup, SetupError, implements};

use memory::MemoryState;
use message::{Move, Msg};
use module::ModuleState;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::sync::Arc;
use vcpu::{Vcpu, VcpuState};
use zapper::{Zapper, ZapperState};

/// An actor.
#[derive(Clone, Debug)]
pub enum Agent {
    /// The TDX module.
    Module(Arc<Setup>),
    /// The kernel's memory.
    Memory(Arc<Setup>),
    /// The thread that removes pages.
    Zapper(Zapper, Arc<Setup>),
    /// A vCPU thread and its guest.
    Vcpu(Vcpu),
}

/// An actor's state.
#[derive(Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum AgentState {
    Module(ModuleState),
    Memory(MemoryState),
    Zapper(ZapperState),
    Vcpu(VcpuState),
}

impl Agent {
    /// What the actor may do by itself.
    fn moves(&self, state: &AgentState) -> Vec<Move> {
        let mut moves = Vec::new();
        match (self, state) {
            (Self::Zapper(zapper, _), AgentState::Zapper(state)) => {
                moves.extend(zapper.moves(state));
            }
            (Self::Vcpu(vcpu), AgentState::Vcpu(state)) => vcpu.moves(state, &mut moves),
            (Self::Memory(setup), AgentState::Memory(state)) => {
                moves.extend(state.moves());
                if setup.scenario.foreign_kick {
                    moves.extend(state.foreign_kicks());
                }
            }
            _ => {}
        }
        moves
    }
}

impl Actor for Agent {
    type Msg = Msg;
    type Timer = Move;
    type State = AgentState;
    type Storage = ();
    type Random = ();

    fn on_start(&self, _: Id, _: &Option<()>, _: &mut Out<Self>) -> AgentState {
        match self {
            Self::Module(setup) => AgentState::Module(ModuleState::new(setup.vcpus())),
            Self::Memory(setup) => AgentState::Memory(MemoryState::new(setup.vcpus())),
            Self::Zapper(..) => AgentState::Zapper(ZapperState::start()),
            Self::Vcpu(_) => AgentState::Vcpu(VcpuState::start()),
        }
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, AgentState>, src: Id, msg: Msg, o: &mut Out<Self>) {
        match (self, state.to_mut()) {
            (Self::Module(setup), AgentState::Module(state)) => state.on_msg(setup, src, msg, o),
            (Self::Memory(setup), AgentState::Memory(state)) => {
                state.on_msg(setup.scenario.memory, src, msg, o);
            }
            (Self::Zapper(zapper, setup), AgentState::Zapper(state)) => {
                zapper.on_msg(setup, state, src, msg, o);
            }
            (Self::Vcpu(vcpu), AgentState::Vcpu(state)) => vcpu.on_msg(state, msg, o),
            _ => unreachable!("an actor keeps its role"),
        }
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, AgentState>, act: &Move, o: &mut Out<Self>) {
        match (self, state.to_mut(), *act) {
            (Self::Memory(setup), AgentState::Memory(state), Move::Drain(cpu)) => {
                state.drain(setup.scenario.memory, cpu, o);
            }
            (Self::Memory(_), AgentState::Memory(state), Move::ForeignKick(vcpu)) => {
                state.kick(vcpu);
            }
            (Self::Zapper(..), AgentState::Zapper(state), act) => Zapper::act(state, act, o),
            (Self::Vcpu(vcpu), AgentState::Vcpu(state), act) => vcpu.act(state, act, o),
            _ => unreachable!("only what is offered is taken"),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Module(_) => "TDX module".into(),
            Self::Memory(_) => "memory".into(),
            Self::Zapper(..) => "zapper".into(),
            Self::Vcpu(vcpu) => format!("vCPU {}", vcpu.index),
        }
    }
}
