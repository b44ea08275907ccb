//! A leaf in flight: who calls, what it has locked so far, and how it unwinds.

use super::{Page, Td};
use crate::resource::{Mode, Resource};
use crate::status::{OPERAND_BUSY, OPERAND_BUSY_HOST_PRIORITY, Operand, StatusWord};
use crate::system::Agent;
use crate::table::Effect;
use crate::threads::event::{Entry, Event};
use crate::threads::locks::{Attempt, EntryStep, Lock, SharexStep};
use crate::threads::runtime::Runtime;
use arrayvec::ArrayVec;
use std::marker::PhantomData;

/// The thread that runs.
pub(in crate::threads) struct Current<R> {
    pub(in crate::threads) agent: Agent,
    /// The page that it is about.
    pub(in crate::threads) page: u8,
    engine: PhantomData<R>,
}

impl<R> Clone for Current<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Current<R> {}

impl<R: Runtime> Current<R> {
    pub(in crate::threads) const fn new(agent: Agent) -> Self {
        Self {
            agent,
            page: 0,
            engine: PhantomData,
        }
    }

    /// The same thread, about a page.
    pub(in crate::threads) const fn about(self, page: u8) -> Self {
        Self { page, ..self }
    }

    const fn entry(self, event: Event) -> Entry {
        Entry {
            agent: self.agent,
            event,
        }
    }

    pub(in crate::threads) fn record(self, event: Event) {
        R::record(self.entry(event));
    }

    /// Notes a step that touches no shared memory.
    pub(in crate::threads) fn record_local(self, event: Event) {
        R::local_step();
        self.record(event);
    }

    /// The vCPU whose thread this is; a zapper has none.
    pub(in crate::threads) fn vcpu(self) -> usize {
        match self.agent {
            Agent::Vcpu(index) => index.into(),
            _ => 0,
        }
    }
}

/// What a leaf has taken and must give back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    Lock(Resource, Mode),
    Epoch,
}

/// A leaf in flight.
pub(super) struct Call<'a, R: Runtime> {
    pub(super) td: &'a Td<R>,
    pub(super) current: Current<R>,
    undo: ArrayVec<Undo, 8>,
}

impl<'a, R: Runtime> Call<'a, R> {
    pub(super) fn new(td: &'a Td<R>, current: Current<R>) -> Self {
        Self {
            td,
            current,
            undo: ArrayVec::new(),
        }
    }

    /// TDH.VP.ENTER while its guest runs.
    pub(super) fn in_guest(td: &'a Td<R>, current: Current<R>) -> Self {
        let mut call = Self::new(td, current);
        let shared = |resource| Undo::Lock(resource, Mode::Shared);
        call.undo
            .extend([shared(Resource::Tdvpr), shared(Resource::Tdr), Undo::Epoch]);
        call
    }

    /// The page it is about.
    pub(super) fn page(&self) -> &'a Page<R> {
        self.td.page(self.current.page)
    }

    fn lock(&self, resource: Resource) -> Option<&'a Lock<R>> {
        let Current { agent, page, .. } = self.current;
        self.td.lock(resource, agent, page)
    }

    fn tried(&mut self, resource: Resource, mode: Mode, operand: Operand, taken: bool) {
        if taken {
            self.undo.push(Undo::Lock(resource, mode));
        }
        let event = Event::Acquire {
            resource,
            mode,
            operand,
            taken,
        };
        self.current.record(event);
    }

    /// Tries a sharex lock.
    pub(super) fn acquire(
        &mut self,
        resource: Resource,
        mode: Mode,
        operand: Operand,
    ) -> Result<(), StatusWord> {
        let Some(lock) = self.lock(resource) else {
            self.tried(resource, mode, operand, false);
            return Err(OPERAND_BUSY.with(operand));
        };
        let mut found_marked = 0;
        let attempt = lock.acquire(mode, |step| match step {
            SharexStep::Decided { taken } => self.tried(resource, mode, operand, taken),
            SharexStep::FoundMarked => found_marked = R::recorded(),
            // Noted where somebody had the lock.
            SharexStep::OvertakenSince => {
                let refused = Event::Acquire {
                    resource,
                    mode,
                    operand,
                    taken: false,
                };
                R::record_while_held(self.current.entry(refused), resource, found_marked);
            }
        });
        if attempt == Attempt::Taken {
            Ok(())
        } else {
            Err(OPERAND_BUSY.with(operand))
        }
    }

    /// By a SEAMCALL.
    pub(super) fn acquire_entry_host(&mut self, operand: Operand) -> Result<(), StatusWord> {
        let entry = &self.page().entry;
        match entry.acquire_host(|step| self.entry_step(step, Mode::Host, operand)) {
            Attempt::Taken => Ok(()),
            _ => Err(OPERAND_BUSY.with(operand)),
        }
    }

    /// By a TDCALL.
    pub(super) fn acquire_entry_guest(&mut self, operand: Operand) -> Result<(), StatusWord> {
        let entry = &self.page().entry;
        match entry.acquire_guest(|step| self.entry_step(step, Mode::Guest, operand)) {
            Attempt::Taken => Ok(()),
            Attempt::Busy => Err(OPERAND_BUSY.with(operand)),
            Attempt::BusyHostPriority => Err(OPERAND_BUSY_HOST_PRIORITY.with(operand)),
        }
    }

    fn entry_step(&mut self, step: EntryStep, mode: Mode, operand: Operand) {
        let event = match step {
            EntryStep::SetTdel { taken } => {
                return self.tried(Resource::SeptEntry, mode, operand, taken);
            }
            EntryStep::MarkedTdhp => Event::MarkHostPriority,
            EntryStep::ClearedTdhp => Event::ClearHostPriority,
            EntryStep::LookedAtTdhp { marked } => Event::LookHostPriority(marked),
            EntryStep::GaveWay => {
                self.forget(Resource::SeptEntry);
                Event::YieldTdel
            }
        };
        self.current.record(event);
    }

    /// Notes an effect and its outcome.
    pub(super) fn note(&self, effect: Effect, outcome: u8) {
        self.current.record(Event::Effect(effect, outcome));
    }

    /// Releases one lock.
    pub(super) fn release(&mut self, resource: Resource) {
        let mode = self.forget(resource);
        match (resource, mode) {
            (Resource::SeptEntry, Some(_)) => self.page().entry.release(),
            (_, Some(mode)) => {
                if let Some(lock) = self.lock(resource) {
                    lock.release(mode);
                }
            }
            (_, None) => return,
        }
        self.current.record(Event::Release(resource));
    }

    /// The lock is not the leaf's any more: a store released it.
    pub(super) fn forget(&mut self, resource: Resource) -> Option<Mode> {
        let held = |undo: &Undo| matches!(undo, Undo::Lock(held, _) if *held == resource);
        let index = self.undo.iter().position(held)?;
        match self.undo.remove(index) {
            Undo::Lock(_, mode) => Some(mode),
            Undo::Epoch => None,
        }
    }

    /// A unit of REFCOUNT is to be given back.
    pub(super) fn counted(&mut self) {
        self.undo.push(Undo::Epoch);
    }

    /// The TD exit gives it back itself.
    pub(super) fn uncounted(&mut self) {
        self.undo.retain(|undo| *undo != Undo::Epoch);
    }

    /// Gives back all that was taken, the last first: an error exit, and most successful ones.
    pub(super) fn unwind(&mut self, undo_epoch: impl Fn(&Td<R>)) {
        while let Some(undo) = self.undo.last().copied() {
            match undo {
                Undo::Lock(resource, _) => self.release(resource),
                Undo::Epoch => {
                    undo_epoch(self.td);
                    self.uncounted();
                    self.current.record(Event::UndoEpoch);
                }
            }
        }
    }
}
