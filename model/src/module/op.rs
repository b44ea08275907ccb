//! One step inside the TDX module.

use crate::resource::{Mode, Resource};
use crate::table::Effect;

/// Index of a leaf in [`super::Code::leaves`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafId(pub u8);

/// The locks held at a point of a leaf, and whether the vCPU counts in an epoch's REFCOUNT there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held {
    shared: u8,
    exclusive: u8,
    /// One unit of `REFCOUNT[epoch & 1]` is held.
    pub counted: bool,
}

impl Held {
    /// Adds a lock.
    #[must_use]
    pub const fn with(mut self, resource: Resource, mode: Mode) -> Self {
        match mode {
            Mode::Shared => self.shared |= 1 << resource as u8,
            _ => self.exclusive |= 1 << resource as u8,
        }
        self
    }

    /// Removes a lock.
    #[must_use]
    pub const fn without(mut self, resource: Resource) -> Self {
        self.shared &= !(1 << resource as u8);
        self.exclusive &= !(1 << resource as u8);
        self
    }

    /// Adds a unit of REFCOUNT.
    #[must_use]
    pub const fn counting(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Adds the locks of another point (a TDCALL's to those its VP.ENTER holds).
    #[must_use]
    pub const fn and(mut self, other: Self) -> Self {
        self.shared |= other.shared;
        self.exclusive |= other.exclusive;
        self.counted |= other.counted;
        self
    }

    /// True when the lock is held in any mode.
    #[must_use]
    pub const fn has(self, resource: Resource) -> bool {
        (self.shared | self.exclusive) & (1 << resource as u8) != 0
    }

    /// True when a try-acquire in `mode` fails against this.
    #[must_use]
    pub const fn conflicts(self, resource: Resource, mode: Mode) -> bool {
        let bit = 1 << resource as u8;
        match mode {
            Mode::Shared => self.exclusive & bit != 0,
            _ => (self.shared | self.exclusive) & bit != 0,
        }
    }

    /// True when the lock is held shared.
    #[must_use]
    pub const fn is_shared(self, resource: Resource) -> bool {
        self.shared & (1 << resource as u8) != 0
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    /// Try a sharex lock. On failure: BUSY.
    Acquire {
        /// The lock.
        resource: Resource,
        /// Shared or exclusive.
        mode: Mode,
    },
    /// Atomically set TDEL of the S-EPT entry. On failure: BUSY.
    SetTdel {
        /// Host or guest.
        mode: Mode,
    },
    /// A host failed on TDEL: atomically set TDHP.
    MarkHostPriority,
    /// A host has TDEL: atomically clear TDHP.
    ClearHostPriority,
    /// A guest has TDEL: look at TDHP. On failure: give way.
    LookHostPriority,
    /// A guest gives way: clear TDEL again.
    YieldTdel,
    /// Release a lock.
    Release {
        /// The lock.
        resource: Resource,
    },
    /// Undo TDH.VP.ENTER's REFCOUNT increment on an error path.
    UndoEpoch,
    /// Go on at `next` when the 0-step list is not empty, else at `fail`.
    BranchZeroStep,
    /// A coded effect.
    Effect {
        /// The effect.
        effect: Effect,
        /// The lock that the same store releases.
        releases: Option<Resource>,
    },
    /// Back to the caller.
    Return,
}

impl OpKind {
    /// The lock this step tries to take, if it tries to take one.
    #[must_use]
    pub const fn acquires(self) -> Option<Resource> {
        match self {
            Self::Acquire { resource, .. } => Some(resource),
            Self::SetTdel { .. } => Some(Resource::SeptEntry),
            _ => None,
        }
    }
}

/// One step of a compiled leaf.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// The leaf it belongs to.
    pub leaf: LeafId,
    /// What it does.
    pub kind: OpKind,
    /// Where it goes on.
    pub next: u8,
    /// Where it goes on after a failure.
    pub fail: u8,
    /// The status word of a failure, as an index into [`super::Code::statuses`].
    pub status: u8,
    /// What is held before this step.
    pub held: Held,
    /// No configured agent can ever make this acquisition fail or notice this release (R1).
    pub uncontended: bool,
}
