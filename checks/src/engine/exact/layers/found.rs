//! What one thread finds: moves that are taken, the states behind them, and what they show.

use super::super::Key;
use super::super::interned::VcpuId;
use super::super::moves::{By, MoveTable, Moves};
use super::super::visited::shard;
use seamcheck_model::property::{PropertySet, Witness};
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::state::Vcpu;
use seamcheck_model::system::{Agent, State, System};
use std::collections::BTreeSet;

/// Successors that belong to one shard.
#[derive(Clone, Default)]
#[repr(align(128))]
pub(super) struct Handed<const W: usize> {
    pub(super) keys: Vec<Key<W>>,
}

/// What one thread found.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Found<const W: usize> {
    /// Successors, by the shard they belong to.
    pub(super) successors: Vec<Handed<W>>,
    /// Agents whose moves are not known yet.
    pub(super) unknown: Vec<(Key<W>, Turn)>,
    /// How often each move was taken.
    pub(super) taken: Vec<u64>,
    pub(super) witnesses: BTreeSet<Witness>,
    pub(super) broken: PropertySet,
    pub(super) overflowed: bool,
}

/// An agent's turn in a state.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) by: By,
    pub(super) agent: Agent,
    /// The vCPU that the moves are about.
    pub(super) about: Option<usize>,
}

impl<const W: usize> Found<W> {
    pub(super) fn look_up(
        &mut self,
        system: &System,
        moves: &MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
    ) {
        let ids = &key[1..=system.scenario.vcpus];
        let known = moves.find(key[0], turn.by, ids, turn.about.unwrap_or(usize::MAX));
        let Some(known) = known.filter(|known| moves.knows_bystanders(*known, ids)) else {
            self.unknown.push((*key, turn));
            return;
        };
        for number in known.numbers() {
            let mut after = moves.after(number, key, turn.about);
            self.reached(system, moves, key, turn, number, &mut after);
        }
        self.overflowed |= known.overflows;
    }

    pub(super) fn apply(
        &mut self,
        system: &System,
        moves: &mut MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        worked_out: Moves,
    ) {
        for number in worked_out.numbers() {
            moves.meet_bystanders(number, &key[1..=system.scenario.vcpus]);
            let mut after = moves.after(number, key, turn.about);
            self.reached(system, moves, key, turn, number, &mut after);
            self.witness(system, moves, key, turn, number);
        }
        self.overflowed |= worked_out.overflows;
    }

    /// Takes a move, hands the state behind it to its owner.
    fn reached(
        &mut self,
        system: &System,
        moves: &MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        number: u32,
        after: &mut Key<W>,
    ) {
        self.taken[number as usize] += 1;
        let known = moves.known(number);
        self.broken |= known.broken;
        sort(system, moves, after);
        let owner = shard(after, system.scenario.vcpus, self.successors.len());
        self.successors[owner].keys.push(*after);
        // What else a move shows, it has shown when it was worked out.
        if known.is_busy {
            self.witness(system, moves, key, turn, number);
        }
    }

    fn witness(
        &mut self,
        system: &System,
        moves: &MoveTable<'_>,
        key: &Key<W>,
        turn: Turn,
        number: u32,
    ) {
        let target = turn.about.filter(|_| matches!(turn.by, By::Kick(..)));
        let event = moves.event(number, turn.agent, target.map(|vcpu| vcpu as u8));
        system.witnesses(&state(system, moves, key), &event, |witness| {
            self.witnesses.insert(witness);
        });
    }
}

/// Every agent's turn, in the order of [`System::successors`].
pub(super) fn turns<const W: usize>(
    system: &System,
    moves: &MoveTable<'_>,
    key: &Key<W>,
    mut each: impl FnMut(Turn),
) {
    let ids = &key[1..=system.scenario.vcpus];
    let mut turn = |by, agent, about| each(Turn { by, agent, about });
    for (vcpu, id) in ids.iter().enumerate() {
        turn(By::Vcpu(*id), Agent::Vcpu(vcpu as u8), Some(vcpu));
    }
    turn(By::Zapper, Agent::Zapper, None);
    for thread in 0..system.threads.len() as u8 {
        turn(By::Thread(thread), Agent::Thread(thread), None);
    }
    for part in moves.singletons.kickers(key[0]) {
        for (vcpu, id) in ids.iter().enumerate() {
            turn(By::Kick(*part, *id), part.agent(), Some(vcpu));
        }
    }
}

/// R5: vCPUs by their packed words.
pub(super) fn sort<const W: usize>(system: &System, moves: &MoveTable<'_>, key: &mut Key<W>) {
    if system.reductions.sort_vcpus {
        let vcpus = &mut key[1..=system.scenario.vcpus];
        vcpus.sort_unstable_by_key(|id: &VcpuId| moves.vcpus.word(*id));
    }
}

pub(super) fn state<const W: usize>(system: &System, moves: &MoveTable<'_>, key: &Key<W>) -> State {
    let mut vcpus = [Vcpu::default(); MAX_VCPUS];
    for (vcpu, id) in vcpus.iter_mut().zip(&key[1..=system.scenario.vcpus]) {
        *vcpu = moves.vcpus.get(*id);
    }
    State {
        shared: moves.singletons.get(key[0]),
        vcpus,
    }
}
