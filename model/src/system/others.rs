//! What a step may ask about agents other than its own: whether a vCPU exists that …
//!
//! Steps see the singletons, their own vCPU and the answers to these questions, nothing else.
//! That is what makes a step meaningful however many vCPUs there are.

use super::System;
use super::state::{KickPhase, Vcpu, VcpuEpoch};
use super::zappers::Walker;
use crate::kernel::KvmHeld;
use crate::resource::{Mode, Resource};
use std::cell::RefCell;

/// A question about one other vCPU; a guard asks whether some vCPU satisfies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Holds a module lock so that taking it in `mode` would fail.
    Conflicts {
        /// The lock.
        resource: Resource,
        /// The mode wanted.
        mode: Mode,
        /// The page, for locks that exist per page.
        page: u8,
    },
    /// Holds a KVM lock that excludes these.
    Excludes(KvmHeld),
    /// The kick has not looked at it yet.
    Unvisited(Walker),
    /// The kick still has to send it an IPI.
    Queued(Walker),
    /// It has not acknowledged its IPI.
    Unacknowledged(Walker),
    /// It counts in the REFCOUNT of the previous epoch.
    InPreviousEpoch,
}

/// A predicate without its arguments: what a step declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PredicateKind {
    Conflicts,
    Excludes,
    Unvisited,
    Queued,
    Unacknowledged,
    InPreviousEpoch,
}

impl Predicate {
    /// Without arguments.
    #[must_use]
    pub const fn kind(self) -> PredicateKind {
        match self {
            Self::Conflicts { .. } => PredicateKind::Conflicts,
            Self::Excludes(_) => PredicateKind::Excludes,
            Self::Unvisited(_) => PredicateKind::Unvisited,
            Self::Queued(_) => PredicateKind::Queued,
            Self::Unacknowledged(_) => PredicateKind::Unacknowledged,
            Self::InPreviousEpoch => PredicateKind::InPreviousEpoch,
        }
    }

    /// Whether `vcpu` satisfies it.
    #[must_use]
    pub fn holds(self, system: &System, vcpu: &Vcpu) -> bool {
        match self {
            Self::Conflicts {
                resource,
                mode,
                page,
            } => {
                system.held_by_vcpu(vcpu).conflicts(resource, mode)
                    && (!resource.is_per_page() || vcpu.control.page == page)
            }
            Self::Excludes(locks) => system.vcpu_line(vcpu).held.excludes(locks),
            Self::Unvisited(walker) => {
                vcpu.kick_of(walker) == KickPhase::Unvisited && !vcpu.offline
            }
            Self::Queued(walker) => vcpu.kick_of(walker) == KickPhase::Queued,
            Self::Unacknowledged(walker) => vcpu.kick_of(walker) == KickPhase::Awaited,
            Self::InPreviousEpoch => {
                vcpu.epoch == VcpuEpoch::Previous && system.held_by_vcpu(vcpu).counted
            }
        }
    }

    /// In words, for traces.
    #[must_use]
    pub fn text(self) -> String {
        use crate::closed_enum::ClosedEnum;
        match self {
            Self::Conflicts { resource, mode, .. } => {
                format!("a vCPU holds {} against {}", resource.key(), mode.key())
            }
            Self::Excludes(_) => "a vCPU holds a KVM lock against this one".into(),
            Self::Unvisited(_) => "a vCPU is not visited yet".into(),
            Self::Queued(_) => "a vCPU still needs its IPI".into(),
            Self::Unacknowledged(_) => "a vCPU has not acknowledged its IPI".into(),
            Self::InPreviousEpoch => "a vCPU counts in the previous epoch's REFCOUNT".into(),
        }
    }
}

/// The other vCPUs, as far as a step may know them.
pub trait Others: Clone {
    /// Whether some other vCPU satisfies the predicate.
    fn any(&self, system: &System, predicate: Predicate) -> bool;
}

/// All vCPUs of a concrete state but one.
#[derive(Clone, Copy)]
pub struct AllBut<'a> {
    /// Every vCPU.
    pub vcpus: &'a [Vcpu],
    /// The one whose step it is; an index beyond the end for steps of other agents.
    pub except: usize,
}

impl Others for AllBut<'_> {
    fn any(&self, system: &System, predicate: Predicate) -> bool {
        self.vcpus
            .iter()
            .enumerate()
            .any(|(index, vcpu)| index != self.except && predicate.holds(system, vcpu))
    }
}

/// An entry of the log that [`Recording`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The next agent's steps begin.
    Agent,
    /// A question and its answer.
    Question(Predicate, bool),
}

/// The other vCPUs, with a log of what was asked about them.
#[derive(Clone, Copy)]
pub struct Recording<'a> {
    /// The other vCPUs.
    pub others: AllBut<'a>,
    /// The log.
    pub log: &'a RefCell<Vec<Asked>>,
}

impl Others for Recording<'_> {
    fn any(&self, system: &System, predicate: Predicate) -> bool {
        let answer = self.others.any(system, predicate);
        self.log
            .borrow_mut()
            .push(Asked::Question(predicate, answer));
        answer
    }
}
