//! What the actors say to each other.
//!
//! A CPU has at most one request under way, and all it waits for is the answer; only an IPI comes
//! unasked. Nothing here is a string, so states stay small.

use super::setup::Action;
use crate::resource::Resource;
use crate::status::StatusWord;
use stateright::actor::Id;

/// The most vCPUs this form has room for.
pub const MAX_VCPUS: usize = 4;
/// The zapper's CPU, and one for each vCPU.
pub(super) const MAX_CPUS: usize = MAX_VCPUS + 1;

/// The TDX module.
pub const MODULE: usize = 0;
/// The kernel's memory.
pub const MEMORY: usize = 1;
/// The thread that removes pages.
pub const ZAPPER: usize = 2;

/// The actor that is vCPU number `index`.
pub(super) fn vcpu(index: usize) -> Id {
    Id::from(ZAPPER + 1 + index)
}

/// A CPU: what has a store queue, and at most one SEAMCALL under way. The zapper's is 0, that of
/// vCPU `n` is `n + 1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub u8);

impl Cpu {
    /// The zapper's.
    pub const ZAPPER: Self = Self(0);

    /// The CPU of vCPU number `index`.
    #[must_use]
    pub const fn of_vcpu(index: usize) -> Self {
        Self(index as u8 + 1)
    }

    /// The CPU on which the actor runs.
    pub(super) fn of(actor: Id) -> Self {
        Self((usize::from(actor) - ZAPPER) as u8)
    }

    /// The actor that runs on it.
    pub(super) fn actor(self) -> Id {
        Id::from(ZAPPER + usize::from(self.0))
    }

    /// Which vCPU it is; `None` for the zapper's.
    #[must_use]
    pub const fn vcpu(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// `vcpu->mode` (include/linux/kvm_host.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Mode {
    #[default]
    OutsideGuestMode,
    InGuestMode,
    ExitingGuestMode,
}

/// One access to kernel memory, by the CPU that sends it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// `READ_ONCE(wait_for_sept_zap)`; answered by [`Answer::Flag`].
    ReadFlag,
    /// `WRITE_ONCE(wait_for_sept_zap, …)`, a plain store.
    WriteFlag(bool),
    /// A plain load of a vCPU's mode; answered by [`Answer::Mode`].
    ReadMode(u8),
    /// A plain store to the CPU's own vCPU's mode.
    WriteMode(Mode),
    /// `cmpxchg(&vcpu->mode, IN_GUEST_MODE, EXITING_GUEST_MODE)`, LOCKed; answered by the old mode.
    KickMode(u8),
    /// Waits until the CPU's stores are in memory: `smp_mb()`, and whatever else drains the queue.
    FullBarrier,
    /// `write_lock(mmu_lock)` and the removal of the mirror SPTE, if there is one.
    LockAndUnmap,
    /// `write_unlock(mmu_lock)`.
    UnlockAfterZap,
    /// `read_lock(mmu_lock)` and the freezing of the mirror SPTE, if there is none.
    LockAndFreeze,
    /// The mirror SPTE mapped, or empty again, and `read_unlock(mmu_lock)`.
    UnlockAfterFault {
        /// Whether the fault has mapped the page.
        mapped: bool,
    },
    /// `KVM_BUG_ON()`: the VM is dead.
    BugOn,
}

/// What memory answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// The access is done.
    Done,
    /// `wait_for_sept_zap`.
    Flag(bool),
    /// A vCPU's mode.
    Mode(Mode),
    /// `mmu_lock` is taken, and the SPTE was as wanted.
    Locked,
    /// Somebody holds `mmu_lock`: spin.
    Contended,
    /// There was nothing to do about the SPTE, and the lock is dropped again.
    Nothing,
}

/// Why a TD exit was made, as KVM caches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitReason {
    /// Undefined, or of no further interest.
    #[default]
    None,
    /// An EPT violation on the page.
    EptViolation,
    /// TDG.VP.VMCALL, or anything that needs no page.
    Vmcall,
    /// An external interrupt.
    Interrupt,
    /// The same, dispatched by `handle_exit_irqoff()` already, and still cached.
    InterruptDispatched,
}

/// What a guest does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuestStep {
    /// A TDCALL, by its place in [`super::LEAVES`].
    Tdcall(u8),
    /// Touches the page. If the entry faults, the module's 0-step counter may arm.
    Touch {
        /// LAST_EPF_GPA_LIST names the page from then on; else it is empty.
        arms: bool,
    },
    /// Is interrupted. Not every interrupt ends a guest at once (td_exit_stepping.c).
    Interrupted {
        /// RIP has moved since entry, which empties LAST_EPF_GPA_LIST.
        progress: bool,
    },
    /// TDG.VP.VMCALL.
    Vmcall {
        /// See [`GuestStep::Interrupted`].
        progress: bool,
    },
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Msg {
    /// CPU to memory.
    Access(Access),
    /// Memory to CPU.
    Answer(Answer),
    /// CPU to module: SEAMCALL, by its place in [`super::LEAVES`].
    Seamcall(u8),
    /// CPU to module: the next step of the call under way.
    Step,
    /// CPU to module: what the guest does.
    Guest(GuestStep),
    /// Module to CPU: the step is made, more follow.
    Running,
    /// Module to CPU: the guest runs.
    GuestRuns,
    /// Module to CPU: SEAMRET.
    Return {
        /// RAX.
        status: StatusWord,
        /// For TDH.VP.ENTER: why the guest was left.
        exit: ExitReason,
    },
    /// Zapper to vCPU: the kick's interrupt.
    Ipi,
    /// vCPU to zapper: `ack_kick()` has run; `csd_unlock()`.
    Acknowledged,
}

impl Msg {
    /// True for a request or an answer: part of a step that a CPU has begun. Only an interrupt
    /// arrives when it likes.
    #[must_use]
    pub const fn belongs_to_a_step(self) -> bool {
        !matches!(self, Self::Ipi)
    }
}

/// What an actor may do by itself. stateright calls it a timeout; none is ever set, they are offered
/// where the actors' states allow them (`delivery.rs`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    /// The CPU's next instruction: an access to memory.
    Access(Access),
    /// The same: `local_irq_disable()`.
    LocalIrqDisable,
    /// The next step of the CPU's SEAMCALL, or of the TDCALL in it. Which that is, the module knows:
    /// it is filled in for those who read along.
    Step(Option<Standing>),
    /// `vcpu_run()` goes on to `vcpu_enter_guest()`; with `push` it first issues TDH.VP.WR.
    EnterGuest {
        /// Whether an event is pushed, or posted interrupts set up.
        push: bool,
    },
    /// `kvm_vcpu_exit_request()`.
    ExitRequest {
        /// Whether a request or thread work is pending.
        work: bool,
    },
    /// What the guest does next.
    Guest(GuestStep),
    /// Memory: the CPU's oldest store leaves its queue.
    Drain(Cpu),
    /// Memory: a CPU that is nobody's here kicks a vCPU, `kvm_vcpu_exiting_guest_mode()`.
    ForeignKick(u8),
}

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Standing {
    /// The leaf's place in [`super::LEAVES`].
    pub leaf: u8,
    /// What it does next.
    pub next: Doing,
}

/// What a call does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doing {
    /// A step of its flow.
    Action(Action),
    /// It sets TDHP, because it has failed to lock the entry.
    SetTdhp,
    /// It gives a lock back.
    GiveBack(Resource),
    /// It undoes its REFCOUNT++.
    UndoRefcount,
}
