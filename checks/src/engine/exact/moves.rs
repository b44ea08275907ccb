//! What each agent can do, worked out once.
//!
//! A move depends on the singletons, on the vCPU it is about, and on what its step asks about the
//! others (`model::system::others`), on nothing else. So it is computed once for each combination
//! of these and looked up from then on: a search meets a few thousand combinations in millions of
//! states. Singletons and vCPUs are numbered, and a state is kept as their numbers.

use super::interned::{SharedId, Singletons, VcpuId, Vcpus};
use rustc_hash::FxHashMap;
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::moves::{Move, Mover};
use seamcheck_model::system::others::{AllBut, Asked, Predicate, Recording};

use seamcheck_model::system::state::Vcpu;
use seamcheck_model::system::{Agent, Event, System, Trail};
use std::cell::RefCell;

/// Answers to the questions asked so far, one bit each.
pub(super) type Answers = u128;

/// The most questions that can be told apart; the answers to others are not kept.
const MAX_QUESTIONS: usize = Answers::BITS as usize;

/// Who moves, as far as the move depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum By {
    Vcpu(VcpuId),
    Zapper,
    Kick(VcpuId),
    Thread(u8),
}

/// A move that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) shared: SharedId,
    /// What becomes of the vCPU it is about.
    pub(super) own: Option<VcpuId>,
    /// What the steps break, whatever the state.
    pub(super) broken: u16,
    /// A step fails on a lock: who holds it is another state's matter.
    pub(super) is_busy: bool,
    /// Other vCPUs are changed too.
    pub(super) is_broadcast: bool,
}

/// The moves of one agent that go with some answers.
#[derive(Debug)]
struct Case {
    asked: Answers,
    answers: Answers,
    moves: std::ops::Range<u32>,
    overflows: bool,
}

/// Every move met so far.
pub(super) struct MoveTable<'a> {
    system: &'a System,
    pub(super) singletons: Singletons,
    pub(super) vcpus: Vcpus,
    questions: Vec<Predicate>,
    /// Where the cases of an agent are.
    agents: FxHashMap<(SharedId, By), Vec<Case>>,
    known: Vec<Known>,
    whole: Vec<Move>,
    /// How often each was taken.
    taken: Vec<u64>,
}

impl<'a> MoveTable<'a> {
    pub(super) fn new(system: &'a System) -> Self {
        Self {
            system,
            singletons: Singletons::default(),
            vcpus: Vcpus::default(),
            questions: Vec::new(),
            agents: FxHashMap::default(),
            known: Vec::new(),
            whole: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The moves of `by` where the vCPUs but the one at `except` are `ids`, as numbers for
    /// [`Self::known`]; and whether one is missing because a store found no room.
    pub(super) fn of(
        &mut self,
        shared: SharedId,
        by: By,
        ids: &[VcpuId],
        except: usize,
    ) -> (std::ops::Range<u32>, bool) {
        let others = ids.iter().enumerate().filter(|(index, _)| *index != except);
        let answers = others.fold(0, |set, (_, id)| set | self.vcpus.answers(*id));
        if let Some(cases) = self.agents.get(&(shared, by)) {
            let fits = |case: &&Case| answers & case.asked == case.answers;
            if let Some(case) = cases.iter().find(fits) {
                return (case.moves.clone(), case.overflows);
            }
        }
        self.work_out(shared, by, ids, except)
    }

    fn work_out(
        &mut self,
        shared: SharedId,
        by: By,
        ids: &[VcpuId],
        except: usize,
    ) -> (std::ops::Range<u32>, bool) {
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
            By::Kick(id) => Mover::Kick(self.vcpus.get(id)),
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
            self.taken.push(0);
        }
        let moves = first..self.known.len() as u32;
        if let Some((asked, answers)) = self.questions_of(&log.into_inner()) {
            let case = Case {
                asked,
                answers,
                moves: moves.clone(),
                overflows: overflow.0,
            };
            self.agents.entry((shared, by)).or_default().push(case);
        }
        (moves, overflow.0)
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

    /// Counts that a move was taken.
    pub(super) fn take(&mut self, index: u32) {
        self.taken[index as usize] += 1;
    }

    /// Whether a move was taken once so far.
    pub(super) fn is_first(&self, index: u32) -> bool {
        self.taken[index as usize] == 1
    }

    /// What becomes of a vCPU that a move which reaches others was not about.
    pub(super) fn bystander(&mut self, index: u32, id: VcpuId) -> VcpuId {
        let vcpu = self.vcpus.get(id);
        let vcpu = self.whole[index as usize].bystander(self.system, vcpu);
        self.number(&vcpu)
    }

    pub(super) fn trail(&self, index: u32) -> &Trail {
        &self.whole[index as usize].trail
    }

    /// A move as an event.
    pub(super) fn event(&self, index: u32, agent: Agent, target: Option<u8>) -> Event {
        let done = &self.whole[index as usize];
        Event {
            agent,
            target,
            choice: done.choice,
            trail: done.trail.clone(),
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
        let agents = size_of::<(SharedId, By)>() + size_of::<Vec<Case>>() + size_of::<Case>();
        self.known.capacity() * each
            + self.agents.capacity() * agents
            + self.singletons.bytes()
            + self.vcpus.bytes()
    }
}
