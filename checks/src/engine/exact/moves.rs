//! What each agent can do, worked out once.
//!
//! A move depends on the singletons, on the vCPU it is about, and on what its step asks about the
//! others (`model::system::others`), on nothing else. So it is computed once for each combination
//! of these and looked up from then on: a search meets a few thousand combinations in millions of
//! states. Singletons and vCPUs are numbered, and a state is kept as their numbers.

use super::Key;
use super::interned::{SharedId, Singletons, VcpuId, Vcpus};
use rustc_hash::FxHashMap;
use seamcheck_model::property::PropertySet;
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::moves::{Move, Mover};
use seamcheck_model::system::others::{AllBut, Asked, Predicate, Recording};

use seamcheck_model::system::state::Vcpu;
use seamcheck_model::system::{Agent, Event, System};
use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;

/// Answers to the questions asked so far, one bit each.
pub(super) type Answers = u64;

/// The most questions that can be told apart; the answers to others are not kept.
const MAX_QUESTIONS: usize = Answers::BITS as usize;

/// Who moves, as far as the move depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum By {
    Vcpu(VcpuId),
    Zapper,
    /// A zapper's, about one vCPU.
    Kick(Part, VcpuId),
    Thread(u8),
}

/// A move that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) shared: SharedId,
    /// What becomes of the vCPU it is about.
    pub(super) own: Option<VcpuId>,
    /// What the steps break, whatever the state.
    pub(super) broken: PropertySet,
    /// A step fails on a lock: who holds it is another state's matter.
    pub(super) is_busy: bool,
    /// Other vCPUs are changed too.
    pub(super) is_broadcast: bool,
}

/// The moves of an agent in a situation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moves {
    first: u32,
    end: u32,
    /// One is missing, because a store found no room.
    pub(super) overflows: bool,
    /// One changes other vCPUs too.
    broadcasts: bool,
}

impl Moves {
    pub(super) fn numbers(self) -> std::ops::Range<u32> {
        self.first..self.end
    }
}

/// The moves of one agent that go with some answers.
#[derive(Debug)]
struct Case {
    asked: Answers,
    answers: Answers,
    moves: Moves,
    /// Where in [`MoveTable::more`] the agent's next case is.
    next: Option<NonZeroU32>,
}

/// Every move met so far.
pub(super) struct MoveTable<'a> {
    system: &'a System,
    pub(super) singletons: Singletons,
    pub(super) vcpus: Vcpus,
    questions: Vec<Predicate>,
    /// Each agent's first case, which is often the only one.
    agents: FxHashMap<u64, Case>,
    /// Further cases, counted from 1.
    more: Vec<Case>,
    known: Vec<Known>,
    whole: Vec<Move>,
    /// How often each was taken.
    taken: Vec<u64>,
}

/// An agent beside some singletons, as one word.
const fn agent_key(shared: SharedId, by: By) -> u64 {
    let (kind, own) = match by {
        By::Zapper => (0, 0),
        By::Vcpu(id) => (1, id),
        By::Kick(Part::Zapper, id) => (2, id),
        By::Kick(_, id) => (3, id),
        By::Thread(index) => (4, index as u32),
    };
    (shared as u64) << 35 | kind << 32 | own as u64
}

impl<'a> MoveTable<'a> {
    pub(super) fn new(system: &'a System) -> Self {
        Self {
            system,
            singletons: Singletons::default(),
            vcpus: Vcpus::default(),
            questions: Vec::new(),
            agents: FxHashMap::default(),
            more: Vec::new(),
            known: Vec::new(),
            whole: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The moves of `by` where the vCPUs are `ids`, but for the one at `except`; `None` while they
    /// are not worked out.
    pub(super) fn find(
        &self,
        shared: SharedId,
        by: By,
        ids: &[VcpuId],
        except: usize,
    ) -> Option<Moves> {
        let mut case = self.agents.get(&agent_key(shared, by))?;
        let mut answers = 0;
        for (index, id) in ids.iter().enumerate() {
            if index != except {
                answers |= self.vcpus.answers(*id);
            }
        }
        while answers & case.asked != case.answers {
            case = &self.more[case.next?.get() as usize - 1];
        }
        Some(case.moves)
    }

    /// The same, worked out if need be.
    pub(super) fn work_out(
        &mut self,
        shared: SharedId,
        by: By,
        ids: &[VcpuId],
        except: usize,
    ) -> Moves {
        if let Some(known) = self.find(shared, by, ids, except) {
            return known;
        }
        let mut vcpus = [Vcpu::default(); MAX_VCPUS];
        for (vcpu, id) in vcpus.iter_mut().zip(ids) {
            *vcpu = self.vcpus.get(*id);
        }
        let log = RefCell::new(Vec::new());
        let vcpus = &vcpus[..ids.len()];
        let others = Recording {
            others: AllBut { vcpus, except },
            log: &log,
        };
        let mover = match by {
            By::Vcpu(id) => Mover::Vcpu(self.vcpus.get(id)),
            By::Zapper => Mover::Zapper,
            By::Kick(part, id) => Mover::Kick(part, self.vcpus.get(id)),
            By::Thread(index) => Mover::Thread(index),
        };
        let before = self.singletons.get(shared);
        let first = self.known.len() as u32;
        let mut found = Vec::new();
        let overflow = self
            .system
            .moves(&before, mover, &others, |done| found.push(done));
        for done in found {
            let known = self.learn(&before, &done);
            self.known.push(known);
            self.whole.push(done);
        }
        let moves = Moves {
            first,
            end: self.known.len() as u32,
            overflows: overflow.0,
            broadcasts: self.known[first as usize..]
                .iter()
                .any(|known| known.is_broadcast),
        };
        if let Some((asked, answers)) = self.questions_of(&log.into_inner()) {
            self.keep(agent_key(shared, by), asked, answers, moves);
        }
        moves
    }

    /// Adds a case in front of the agent's others.
    fn keep(&mut self, agent: u64, asked: Answers, answers: Answers, moves: Moves) {
        let case = |next| Case {
            asked,
            answers,
            moves,
            next,
        };
        match self.agents.entry(agent) {
            Entry::Vacant(vacant) => {
                vacant.insert(case(None));
            }
            Entry::Occupied(mut first) => {
                let next = NonZeroU32::new(self.more.len() as u32 + 1);
                let before = std::mem::replace(first.get_mut(), case(next));
                self.more.push(before);
            }
        }
    }

    fn learn(&mut self, before: &seamcheck_model::system::state::Shared, done: &Move) -> Known {
        let busy = &self.system.observations.busy;
        Known {
            shared: self.singletons.number(self.system, &done.shared),
            own: done.own.map(|vcpu| self.number(&vcpu)),
            broken: self
                .system
                .broken_by_steps(before, &done.trail, &done.shared),
            is_busy: done
                .trail
                .iter()
                .any(|step| busy[usize::from(step.0)].is_some()),
            is_broadcast: done.reaches_bystanders(),
        }
    }

    /// The questions of a log and their answers, as bits; `None` when there are too many.
    fn questions_of(&mut self, log: &[Asked]) -> Option<(Answers, Answers)> {
        let (mut asked, mut answers) = (0, 0);
        for entry in log {
            let Asked::Question(question, answer) = entry else {
                continue;
            };
            let bit = 1 << self.question(*question)?;
            asked |= bit;
            answers |= if *answer { bit } else { 0 };
        }
        Some((asked, answers))
    }

    fn question(&mut self, wanted: Predicate) -> Option<usize> {
        let known = self.questions.iter().position(|known| *known == wanted);
        if known.is_some() || self.questions.len() == MAX_QUESTIONS {
            return known;
        }
        let index = self.questions.len();
        self.questions.push(wanted);
        self.vcpus.ask(self.system, wanted, 1 << index);
        Some(index)
    }

    /// A vCPU's number.
    pub(super) fn number(&mut self, vcpu: &Vcpu) -> VcpuId {
        self.vcpus.number(self.system, vcpu, &self.questions)
    }

    pub(super) fn known(&self, index: u32) -> Known {
        self.known[index as usize]
    }

    /// How many moves are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Adds how often each move was taken.
    pub(super) fn take(&mut self, taken: &[u64]) {
        self.taken.resize(self.known.len(), 0);
        for (sum, more) in self.taken.iter_mut().zip(taken) {
            *sum += more;
        }
    }

    /// What becomes of a vCPU that a move which reaches others was not about.
    fn bystander(&self, number: u32, id: VcpuId) -> Vcpu {
        self.whole[number as usize].bystander(self.system, self.vcpus.get(id))
    }

    /// Whether everything that these moves make of other vCPUs has a number.
    pub(super) fn knows_bystanders(&self, moves: Moves, ids: &[VcpuId]) -> bool {
        if !moves.broadcasts {
            return true;
        }
        let mut broadcast = moves
            .numbers()
            .filter(|number| self.known(*number).is_broadcast);
        broadcast.all(|number| {
            let mut changed = ids.iter().map(|id| self.bystander(number, *id));
            changed.all(|vcpu| self.vcpus.find(&vcpu).is_some())
        })
    }

    /// Numbers everything that a move makes of other vCPUs.
    pub(super) fn meet_bystanders(&mut self, number: u32, ids: &[VcpuId]) {
        if self.known(number).is_broadcast {
            for id in ids {
                let vcpu = self.bystander(number, *id);
                self.number(&vcpu);
            }
        }
    }

    /// The state behind a move about the vCPU at `about`; vCPUs are not sorted yet.
    pub(super) fn after<const W: usize>(
        &self,
        number: u32,
        key: &Key<W>,
        about: Option<usize>,
    ) -> Key<W> {
        let known = self.known(number);
        let mut after = *key;
        after[0] = known.shared;
        if known.is_broadcast {
            for id in &mut after[1..=self.system.scenario.vcpus] {
                let vcpu = self.bystander(number, *id);
                *id = self.vcpus.find(&vcpu).unwrap_or(*id);
            }
        }
        if let (Some(about), Some(own)) = (about, known.own) {
            after[1 + about] = own;
        }
        after
    }

    /// Whether a step is part of one of these moves.
    pub(super) fn has_step(&self, moves: Moves, step: u16) -> bool {
        let mut moves = moves.numbers();
        moves.any(|number| {
            let mut trail = self.whole[number as usize].trail.iter();
            trail.any(|taken| taken.0 == step)
        })
    }

    /// A move as an event.
    pub(super) fn event(&self, index: u32, agent: Agent, target: Option<u8>) -> Event {
        let done = &self.whole[index as usize];
        Event {
            agent,
            target,
            choice: done.choice,
            trail: done.trail,
        }
    }

    /// How often each step was taken.
    pub(super) fn fired(&self) -> Vec<u64> {
        let mut fired = vec![0; self.system.labels.len()];
        for (done, taken) in self.whole.iter().zip(&self.taken) {
            for step in done.trail.iter() {
                fired[usize::from(step.0)] += taken;
            }
        }
        fired
    }

    /// How many transitions were taken.
    pub(super) fn transitions(&self) -> u64 {
        self.taken.iter().sum()
    }

    /// What it takes, about, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let each = size_of::<Known>() + size_of::<Move>() + size_of::<u64>();
        let agents = size_of::<u64>() + size_of::<Case>();
        self.known.capacity() * each
            + self.agents.capacity() * agents
            + self.more.capacity() * size_of::<Case>()
            + self.singletons.bytes()
            + self.vcpus.bytes()
    }
}
