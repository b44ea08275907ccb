//! The transition function: all successors of a state, or the one an event names.

use super::System;
use super::labels::{Part, StepId};
use super::moves::{Broadcast, Move, Mover};
use super::others::{AllBut, Asked, Others, Predicate, Recording};
use super::state::{Control, Shared, State, Vcpu};
use arrayvec::ArrayVec;
use std::cell::RefCell;

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// The zapper's thread.
    Zapper,
    /// A vCPU's thread, guest or CPU.
    Vcpu(u8),
    /// An ioctl thread.
    Thread(u8),
}

/// The steps one transition consists of: the first, and local ones fused to it (R1, R2).
#[derive(Clone, Copy, Debug)]
pub struct Trail {
    len: u8,
    steps: [StepId; Trail::CAPACITY],
}

impl Trail {
    /// The most steps; fusing stops short of it, which is sound.
    const CAPACITY: usize = 31;

    /// No step.
    pub const EMPTY: Self = Self {
        len: 0,
        steps: [StepId(0); Self::CAPACITY],
    };

    pub(super) fn push(&mut self, step: StepId) {
        self.steps[usize::from(self.len)] = step;
        self.len += 1;
    }

    /// Room for another step and for the caller's view of a return.
    const fn has_room(&self) -> bool {
        self.len as usize + 2 < Self::CAPACITY
    }
}

impl std::ops::Deref for Trail {
    type Target = [StepId];

    fn deref(&self) -> &[StepId] {
        &self.steps[..usize::from(self.len)]
    }
}

impl PartialEq for Trail {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Trail {}

/// A transition: who, which steps with which outcomes, and which vCPU the zapper's step was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who moved.
    pub agent: Agent,
    /// The vCPU a step of the kick was about.
    pub target: Option<u8>,
    /// What was chosen where the steps do not say it: the page; the TDCALL or the 0-step list.
    pub choice: u8,
    /// The steps.
    pub trail: Trail,
}

/// A store found no room in its buffer: the exploration is not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflow(pub bool);

/// A step in the making: what it may see and change.
#[derive(Clone)]
pub(super) struct Frame<'a, O> {
    pub(super) others: &'a O,
    pub(super) part: Part,
    pub(super) shared: Shared,
    /// The vCPU whose step it is, or which the kick is about.
    pub(super) own: Option<Vcpu>,
    pub(super) broadcast: Broadcast,
    /// See [`Event::choice`].
    pub(super) choice: u8,
    pub(super) trail: Trail,
}

/// What a step can lead to.
pub(super) type Outcomes<'a, O> = ArrayVec<Frame<'a, O>, 32>;

impl<O: Others> Frame<'_, O> {
    /// Where the stepping thread stands.
    pub(super) fn control(&self) -> Control {
        match (self.part, &self.own) {
            (Part::Vcpu, Some(vcpu)) => vcpu.control,
            _ => self.shared.control(self.part),
        }
    }

    pub(super) fn control_mut(&mut self) -> &mut Control {
        match (self.part, &mut self.own) {
            (Part::Vcpu, Some(vcpu)) => &mut vcpu.control,
            (Part::Thread0, _) => &mut self.shared.threads[0],
            (Part::Thread1, _) => &mut self.shared.threads[1],
            _ => &mut self.shared.zapper,
        }
    }

    /// Whether a vCPU other than the stepping one satisfies the predicate. For the kick's steps the
    /// vCPU they are about is another one.
    pub(super) fn any_vcpu(&self, system: &System, predicate: Predicate) -> bool {
        let target = if self.part == Part::Vcpu {
            None
        } else {
            self.own
        };
        target.is_some_and(|vcpu| predicate.holds(system, &vcpu))
            || self.others.any(system, predicate)
    }

    /// True when the stepping CPU has no store waiting.
    pub(super) fn buffer_is_empty(&self) -> bool {
        match (self.part, &self.own) {
            (Part::Vcpu, Some(vcpu)) => vcpu.stores.is_empty(),
            _ => self.shared.flag_stores_of(self.part).is_empty(),
        }
    }
}

impl System {
    /// The state every run starts from: nobody in the TD; a runnable TD's pages are mapped, a TD
    /// that is not finalized has none yet.
    #[must_use]
    pub fn initial(&self) -> State {
        use super::state::{EntryState, MirrorSpte, Page, TdState};
        let mapped = Page {
            entry: EntryState::Mapped,
            mirror: MirrorSpte::Present,
            ..Page::default()
        };
        let mut pages = [Page::default(); crate::scenario::MAX_PAGES];
        if self.scenario.finalized || self.scenario.populated {
            pages[..self.scenario.pages].fill(mapped);
        }
        let td = if self.scenario.finalized {
            TdState::Runnable
        } else {
            TdState::Initialized
        };
        let shared = Shared {
            op_state: td,
            kvm_state: td,
            zapper: Control::default(),
            flag: false,
            flag_stores: super::state::StoreBuffer::default(),
            bugged: false,
            pages,
            threads: [Control::default(); crate::scenario::MAX_THREADS],
            thread_stores: Default::default(),
        };
        let vcpu = Vcpu {
            offline: self.scenario.late,
            ..Vcpu::default()
        };
        let mut vcpus = [Vcpu::default(); crate::scenario::MAX_VCPUS];
        vcpus[..self.scenario.vcpus].fill(vcpu);
        State { shared, vcpus }
    }

    /// Calls `emit` with every transition possible in `state`.
    ///
    /// Returns whether a store found its buffer full: that transition is missing then.
    pub fn successors(&self, state: &State, emit: impl FnMut(Event, State)) -> Overflow {
        let vcpus = &state.vcpus[..self.scenario.vcpus];
        self.visit(state, |except| AllBut { vcpus, except }, emit)
    }

    /// The same, and every question asked about other vCPUs goes to `log` with its answer. The log
    /// of a transition is what was added before it was emitted, since the last [`Asked::Agent`].
    pub fn successors_asking(
        &self,
        state: &State,
        log: &RefCell<Vec<Asked>>,
        emit: impl FnMut(Event, State),
    ) -> Overflow {
        let vcpus = &state.vcpus[..self.scenario.vcpus];
        self.visit(
            state,
            |except| {
                log.borrow_mut().push(Asked::Agent);
                Recording {
                    others: AllBut { vcpus, except },
                    log,
                }
            },
            emit,
        )
    }

    fn visit<O: Others>(
        &self,
        state: &State,
        all_but: impl Fn(usize) -> O,
        mut emit: impl FnMut(Event, State),
    ) -> Overflow {
        let mut overflow = Overflow::default();
        let mut by = |agent: Agent, target: Option<u8>, mover: Mover, except: usize| {
            let moved = self.moves(&state.shared, mover, &all_but(except), |done| {
                let (event, next) = self.put_back(state, agent, target, done);
                emit(event, next);
            });
            overflow.0 |= moved.0;
        };
        let vcpus = &state.vcpus[..self.scenario.vcpus];
        for (index, vcpu) in vcpus.iter().enumerate() {
            by(Agent::Vcpu(index as u8), None, Mover::Vcpu(*vcpu), index);
        }
        by(Agent::Zapper, None, Mover::Zapper, usize::MAX);
        for index in 0..self.threads.len() as u8 {
            by(Agent::Thread(index), None, Mover::Thread(index), usize::MAX);
        }
        for part in self.kickers(&state.shared) {
            for (index, vcpu) in vcpus.iter().enumerate() {
                let mover = Mover::Kick(part, *vcpu);
                by(part.agent(), Some(index as u8), mover, index);
            }
        }
        overflow
    }

    /// A move as a transition of a whole state.
    fn put_back(
        &self,
        state: &State,
        agent: Agent,
        target: Option<u8>,
        done: Move,
    ) -> (Event, State) {
        let mover = match agent {
            Agent::Vcpu(index) => Some(index),
            _ => target,
        };
        let mut next = State {
            shared: done.shared,
            vcpus: state.vcpus,
        };
        for (index, vcpu) in next.vcpus[..self.scenario.vcpus].iter_mut().enumerate() {
            *vcpu = match done.own {
                Some(own) if mover == Some(index as u8) => own,
                _ => done.bystander(self, *vcpu),
            };
        }
        let event = Event {
            agent,
            target,
            choice: done.choice,
            trail: done.trail,
        };
        (event, next)
    }

    /// The state that `event` leads to, or `None` when it is not possible in `state`.
    #[must_use]
    pub fn step(&self, state: &State, event: &Event) -> Option<State> {
        let mut result = None;
        self.successors(state, |possible, next| {
            if possible == *event {
                result = Some(next);
            }
        });
        result
    }

    /// Takes one step and then every local step that follows (R1, R2).
    pub(super) fn settle<'a, O: Others>(&self, mut frame: Frame<'a, O>) -> Frame<'a, O> {
        while frame.trail.has_room() && self.is_local(&frame) {
            let mut next = Outcomes::new();
            self.step_program(&frame, &mut next);
            let Some(only) = next.pop() else { break };
            frame = only;
        }
        frame
    }

    /// A step of the frame's program: of the module when it is in a call, else of KVM.
    /// Returns whether a store found no room.
    pub(super) fn step_program<'a, O: Others>(
        &self,
        frame: &Frame<'a, O>,
        out: &mut Outcomes<'a, O>,
    ) -> Overflow {
        if frame.control().op == 0 {
            return self.kvm_step(frame, out);
        }
        self.module_step(frame, out);
        Overflow::default()
    }
}
