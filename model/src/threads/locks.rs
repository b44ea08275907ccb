//! The module's locks as the atomics they are (src/common/helpers/tdx_locks.h, 1.5.05).
//!
//! On x86 each operation is a LOCKed instruction and thereby a full barrier. A try-lock needs only
//! atomicity to exclude; whatever else its operations order, the module lends to KVM, and that could
//! stand in for a barrier KVM has lost. So the order is the scenario's: what holds with
//! [`Order::Relaxed`] rests on KVM's own barriers alone and holds with x86's locks too; what is
//! violated with [`Order::FullBarrier`] is not an artefact of locks weaker than x86's.

mod host_priority;
mod sept_entry;
mod sharex;

pub use host_priority::{SharexHostPriority, SharexStep};
pub use sept_entry::{EntryStep, SeptEntry, TDEL, TDHP};
pub use sharex::Sharex;

use super::runtime::{Order, Runtime};
use crate::resource::{LockKind, Mode};

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Attempt {
    /// The lock is the caller's.
    Taken,
    /// TDX_OPERAND_BUSY.
    Busy,
    /// TDX_OPERAND_BUSY_HOST_PRIORITY: a guest gives way to a host that failed before.
    BusyHostPriority,
}

/// Which side an attempt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A SEAMCALL.
    Host,
    /// A TDCALL.
    Guest,
}

/// A lock that is taken shared or exclusive.
pub(super) enum Lock<R: Runtime> {
    /// Nobody who takes part takes it in a conflicting mode, so no attempt fails and no holder is
    /// noticed. With words that order nothing there is nothing left to execute.
    Uncontended,
    Sharex(Sharex<R>),
    HostPriority(SharexHostPriority<R>),
}

impl<R: Runtime> Lock<R> {
    pub(super) fn new(kind: LockKind, order: Order) -> Self {
        match kind {
            LockKind::Sharex => Self::Sharex(Sharex::new(order)),
            _ => Self::HostPriority(SharexHostPriority::new(order)),
        }
    }

    /// None has no word.
    pub(super) const fn kind(&self) -> Option<LockKind> {
        match self {
            Self::Uncontended => None,
            Self::Sharex(_) => Some(LockKind::Sharex),
            Self::HostPriority(_) => Some(LockKind::SharexHostPriority),
        }
    }

    /// By a SEAMCALL. `note` is called after the operation that decides it.
    pub(super) fn acquire(&self, mode: Mode, mut note: impl FnMut(SharexStep)) -> Attempt {
        let attempt = match (self, mode) {
            (Self::HostPriority(lock), Mode::Shared) => {
                return lock.acquire_shared(Side::Host, note);
            }
            (Self::HostPriority(lock), _) => return lock.acquire_exclusive(Side::Host, note),
            (Self::Uncontended, _) => Attempt::Taken,
            (Self::Sharex(lock), Mode::Shared) => lock.acquire_shared(),
            (Self::Sharex(lock), _) => lock.acquire_exclusive(),
        };
        let taken = attempt == Attempt::Taken;
        note(SharexStep::Decided { taken });
        attempt
    }

    pub(super) fn release(&self, mode: Mode) {
        match (self, mode) {
            (Self::Uncontended, _) => {}
            (Self::Sharex(lock), Mode::Shared) => lock.release_shared(),
            (Self::Sharex(lock), _) => lock.release_exclusive(),
            (Self::HostPriority(lock), Mode::Shared) => lock.release_shared(),
            (Self::HostPriority(lock), _) => lock.release_exclusive(),
        }
    }
}
