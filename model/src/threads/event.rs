//! What the code records while it runs: one event per step, with the value that was observed.
//!
//! The vocabulary is the packed model's, so that a transition of the model and a step of the code
//! are the same event (`conformance`).

use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::kernel::KvmHeld;
use crate::resource::{KvmMode, Mode, Resource};
use crate::status::{Operand, StatusWord};
use crate::system::Agent;
use crate::table::Effect;
use std::cell::RefCell;

closed_enum! { "leaf",
    /// The SEAMCALLs and TDCALLs that exist as code.
    pub enum Leaf {
        Block = "TDH.MEM.RANGE.BLOCK": "tdh_mem_range_block.c",
        Track = "TDH.MEM.TRACK": "tdh_mem_track.c",
        Remove = "TDH.MEM.PAGE.REMOVE": "tdh_mem_page_remove.c",
        Enter = "TDH.VP.ENTER": "tdh_vp_enter.c",
        Aug = "TDH.MEM.PAGE.AUG": "tdh_mem_page_aug.c",
        Write = "TDH.VP.WR": "tdh_vp_rd_wr.c",
        Create = "TDH.VP.CREATE": "tdh_vp_create.c",
        AddCx = "TDH.VP.ADDCX": "tdh_vp_addcx.c",
        Init = "TDH.VP.INIT@1": "tdh_vp_init.c, leaf version 1",
        Add = "TDH.MEM.PAGE.ADD": "tdh_mem_page_add.c",
        Accept = "TDG.MEM.PAGE.ACCEPT": "tdg_mem_page_accept.c",
        AttrRead = "TDG.MEM.PAGE.ATTR.RD": "tdg_mem_page_attr_rd.c",
        AttrWrite = "TDG.MEM.PAGE.ATTR.WR": "tdg_mem_page_attr_wr.c",
    }
}

/// A step of the code. Outcomes are numbered as in `system::labels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A SEAMCALL begins; `no_fail` when its caller can not handle BUSY any more.
    Call {
        /// Which.
        leaf: Leaf,
        /// The second call, or the only one under a flag that is up throughout.
        no_fail: bool,
    },
    /// The SEAMCALL is over.
    Returned(StatusWord),

    /// A page removal begins, under mmu_lock or without it.
    BeginZap {
        /// Of which page.
        page: u8,
        /// How mmu_lock is held.
        mmu_lock: Option<KvmMode>,
    },
    /// The mirror SPTE is frozen for a removal that has not mmu_lock for write.
    FreezeMirrorSpte,
    /// It is not present any more.
    ThawMirrorSpte,
    /// mmu_lock is dropped.
    Unlock,
    /// A page removal without mmu_lock ends.
    EndZap,
    /// `WRITE_ONCE(wait_for_sept_zap, value)`.
    StoreFlag(bool),
    /// The kick looked at a vCPU's mode.
    Visited {
        /// Whose.
        vcpu: u8,
        /// What was found and done.
        outcome: u8,
    },
    /// `kvm_clear_request()` on every vCPU begins.
    ClearRequests,
    /// The kick sent an IPI.
    Sent {
        /// To whose CPU.
        vcpu: u8,
    },
    /// Every IPI of the kick is acknowledged.
    AllAcknowledged,
    /// The predicate called a status busy that is not TDX_OPERAND_BUSY.
    CalledBusy(StatusWord),
    /// `KVM_BUG_ON` fires.
    BugOn,

    /// A vCPU is created: kvm->online_vcpus counts it.
    ComesOnline,
    /// A vCPU that slept on the flag finds it down.
    Woken,
    /// Somebody else's kick found this vCPU in IN_GUEST_MODE.
    ForeignKick,
    /// `local_irq_disable()`.
    IrqDisable,
    /// `local_irq_enable()`.
    IrqEnable,
    /// A store to `vcpu->mode`.
    StoreMode {
        /// IN_GUEST_MODE?
        in_guest: bool,
    },
    /// `kvm_vcpu_exit_request()`: 0 no, 1 EXITING_GUEST_MODE, 2 a request or work.
    ExitRequest(u8),
    /// `READ_ONCE(wait_for_sept_zap)`.
    TestFlag(bool),
    /// `handle_exit_irqoff()`: 0 nothing, 1 an interrupt, 2 the same interrupt again.
    Dispatch(u8),
    /// `read_lock(mmu_lock)` and the mirror SPTE: 0 absent, 1 present, 2 frozen by another vCPU.
    FaultLock(u8),
    /// What became of TDH.MEM.PAGE.AUG: 0 mapped, 1 RET_PF_RETRY, 2 KVM_BUG_ON.
    AugStatus(u8),

    /// An ioctl has taken KVM locks: its own, or those around a call.
    TakeLocks(KvmHeld),
    /// It drops the locks around a call, or all it has.
    DropLocks,
    /// It mapped the page in the mirror page table, or (`false`) found it mapped.
    Premapped(bool),

    /// A try-lock.
    Acquire {
        /// The lock.
        resource: Resource,
        /// How.
        mode: Mode,
        /// The operand of a BUSY.
        operand: Operand,
        /// Taken, or BUSY.
        taken: bool,
    },
    /// A host failed on TDEL and set TDHP.
    MarkHostPriority,
    /// A host has TDEL and cleared TDHP.
    ClearHostPriority,
    /// A guest has TDEL and looked at TDHP.
    LookHostPriority(bool),
    /// A guest gave way: TDEL cleared.
    YieldTdel,
    /// A lock is released.
    Release(Resource),
    /// TDH.VP.ENTER took its REFCOUNT++ back.
    UndoEpoch,
    /// LAST_EPF_GPA_LIST: not empty?
    ZeroStepArmed(bool),
    /// What a leaf does between its locks.
    Effect(Effect, u8),
    /// The guest did something: the outcome, the TDCALL if it is one, whether 0-step is armed now.
    Guest {
        /// See `system::labels::guest`.
        outcome: u8,
        /// Which TDCALL.
        tdcall: Option<Leaf>,
        /// LAST_EPF_GPA_LIST is not empty afterwards.
        armed: bool,
        /// The page of a TDCALL or of an EPT violation.
        page: u8,
    },
}

/// An event and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Who.
    pub agent: Agent,
    /// What.
    pub event: Event,
}

impl Event {
    /// Whether only a thread that removes pages does this.
    #[must_use]
    pub const fn is_of_a_removal(self) -> bool {
        matches!(
            self,
            Self::BeginZap { .. }
                | Self::StoreFlag(_)
                | Self::Visited { .. }
                | Self::Call {
                    leaf: Leaf::Block | Leaf::Track | Leaf::Remove,
                    ..
                }
        )
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.agent {
            Agent::Zapper => f.write_str("zapper   ")?,
            Agent::Vcpu(index) => write!(f, "vCPU {index:<4}")?,
            Agent::Thread(index) => write!(f, "thread {index:<2}")?,
        }
        write!(f, "{}", self.event)
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let down_or_up = |up: bool| if up { "up" } else { "down" };
        match *self {
            Self::Call { leaf, no_fail } => {
                let which = if no_fail { ", which must not fail" } else { "" };
                write!(f, "calls {}{which}", leaf.key())
            }
            Self::Returned(status) => write!(f, "returns {}", status.pretty()),
            Self::BeginZap { page, mmu_lock } => {
                f.write_str(match mmu_lock {
                    Some(KvmMode::Write) => "write_lock(mmu_lock)",
                    Some(KvmMode::Read) => "read_lock(mmu_lock) for a removal",
                    None => "begins a removal without mmu_lock",
                })?;
                of_page(f, page)
            }
            Self::FreezeMirrorSpte => f.write_str("freezes the mirror SPTE"),
            Self::ThawMirrorSpte => f.write_str("the mirror SPTE is not present"),
            Self::Unlock => f.write_str("unlocks mmu_lock"),
            Self::EndZap => f.write_str("ends a removal without mmu_lock"),
            Self::StoreFlag(value) => write!(f, "WRITE_ONCE(wait_for_sept_zap, {value})"),
            Self::Visited { vcpu, outcome: 5 } => write!(f, "reads the CPU of vCPU {vcpu}"),
            Self::Visited { vcpu, outcome } => {
                let found = [
                    "OUTSIDE, skip",
                    "IN, needs an IPI",
                    "EXITING, needs an IPI",
                    "EXITING, skip",
                ];
                let found = found.get(usize::from(outcome)).unwrap_or(&"?");
                write!(f, "looks at the mode of vCPU {vcpu}: {found}")
            }
            Self::Sent { vcpu } => write!(f, "sends an IPI to vCPU {vcpu}"),
            Self::ClearRequests => f.write_str("clears the vCPUs' requests"),
            Self::AllAcknowledged => f.write_str("every IPI is acknowledged"),
            Self::CalledBusy(status) => write!(f, "calls {} busy", status.pretty()),
            Self::BugOn => f.write_str("KVM_BUG_ON fires"),
            Self::ComesOnline => f.write_str("comes online"),
            Self::Woken => f.write_str("sleeps no longer: wait_for_sept_zap is down"),
            Self::ForeignKick => f.write_str("is kicked by somebody else: EXITING_GUEST_MODE"),
            Self::IrqDisable => f.write_str("local_irq_disable()"),
            Self::IrqEnable => f.write_str("local_irq_enable()"),
            Self::StoreMode { in_guest: true } => f.write_str("mode = IN_GUEST_MODE"),
            Self::StoreMode { in_guest: false } => f.write_str("mode = OUTSIDE_GUEST_MODE"),
            Self::ExitRequest(0) => f.write_str("kvm_vcpu_exit_request(): no"),
            Self::ExitRequest(1) => f.write_str("kvm_vcpu_exit_request(): EXITING_GUEST_MODE"),
            Self::ExitRequest(_) => f.write_str("kvm_vcpu_exit_request(): something is pending"),
            Self::TestFlag(up) => write!(f, "wait_for_sept_zap is {}", down_or_up(up)),
            Self::Dispatch(0) => f.write_str("handle_exit_irqoff(): nothing to dispatch"),
            Self::Dispatch(1) => f.write_str("handle_exit_irqoff(): dispatches the interrupt"),
            Self::Dispatch(_) => f.write_str("handle_exit_irqoff(): dispatches it again"),
            Self::FaultLock(0) => {
                f.write_str("read_lock(mmu_lock), mirror SPTE absent: freezes it")
            }
            Self::FaultLock(1) => f.write_str("read_lock(mmu_lock), mirror SPTE present"),
            Self::FaultLock(_) => f.write_str("read_lock(mmu_lock), mirror SPTE frozen"),
            Self::AugStatus(0) => f.write_str("the page is mapped"),
            Self::AugStatus(1) => f.write_str("RET_PF_RETRY"),
            Self::AugStatus(_) => f.write_str("KVM_BUG_ON fires"),
            Self::TakeLocks(held) => {
                let mut locks: Vec<_> = held.iter().map(|(lock, _)| lock).collect();
                locks.sort_by_key(|lock| lock.rank());
                let locks: Vec<&str> = locks.into_iter().map(ClosedEnum::key).collect();
                match locks[..] {
                    [] => f.write_str("takes no KVM lock"),
                    _ => write!(f, "takes {}", locks.join(", ")),
                }
            }
            Self::DropLocks => f.write_str("drops its KVM locks"),
            Self::Premapped(true) => f.write_str("maps the page in the mirror page table only"),
            Self::Premapped(false) => f.write_str("finds the page in the mirror page table"),
            Self::Acquire {
                resource,
                mode,
                taken,
                ..
            } => {
                let outcome = if taken { "taken" } else { "BUSY" };
                write!(f, "{} {}: {outcome}", resource.key(), mode.key())
            }
            Self::MarkHostPriority => f.write_str("sets TDHP"),
            Self::ClearHostPriority => f.write_str("clears TDHP"),
            Self::LookHostPriority(true) => f.write_str("TDHP is set"),
            Self::LookHostPriority(false) => f.write_str("TDHP is clear"),
            Self::YieldTdel => f.write_str("gives way: clears TDEL"),
            Self::Release(resource) => write!(f, "releases {}", resource.key()),
            Self::UndoEpoch => f.write_str("undoes REFCOUNT++"),
            Self::ZeroStepArmed(true) => f.write_str("0-step is armed"),
            Self::ZeroStepArmed(false) => f.write_str("0-step is not armed"),
            Self::Effect(effect, 0) => f.write_str(effect.key()),
            Self::Effect(effect, outcome) => write!(f, "{}: refused ({outcome})", effect.key()),
            Self::Guest {
                outcome,
                tdcall,
                page,
                ..
            } => match tdcall {
                Some(leaf) => {
                    write!(f, "the guest issues {}", leaf.key())?;
                    of_page(f, page)
                }
                None => {
                    let why = [
                        "",
                        "an EPT violation",
                        "the kick's IPI",
                        "an interrupt",
                        "TDG.VP.VMCALL",
                    ];
                    let why = why.get(usize::from(outcome)).unwrap_or(&"?");
                    write!(f, "the guest exits: {why}")?;
                    of_page(f, page)
                }
            },
        }
    }
}

/// Pages are named where there is more than one.
fn of_page(f: &mut std::fmt::Formatter<'_>, page: u8) -> std::fmt::Result {
    match page {
        0 => Ok(()),
        page => write!(f, ", page {page}"),
    }
}

std::thread_local! {
    static JOURNAL: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The journal of the execution that runs on this OS thread: loom's and shuttle's threads are
/// coroutines on one.
pub(super) fn record(entry: Entry) {
    JOURNAL.with_borrow_mut(|journal| journal.push(entry));
}

/// A refusal by somebody who held the lock between the event number `since` and now. The refused thread has
/// made no event in between.
pub(super) fn record_while_held(refused: Entry, resource: Resource, since: usize) {
    JOURNAL.with_borrow_mut(|journal| {
        let released = |entry: &Entry| entry.event == Event::Release(resource);
        let since = since.min(journal.len());
        let last = journal[since..].iter().rposition(released);
        journal.insert(last.map_or(journal.len(), |at| since + at), refused);
    });
}

/// How many events are in it.
pub(super) fn recorded() -> usize {
    JOURNAL.with_borrow(Vec::len)
}

/// Reads it.
pub(super) fn with_journal<T>(read: impl FnOnce(&[Entry]) -> T) -> T {
    JOURNAL.with_borrow(|journal| read(journal))
}

/// Empties it.
pub(super) fn take_journal() -> Vec<Entry> {
    JOURNAL.take()
}
