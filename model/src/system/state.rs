//! The state: a few singletons and N identical vCPUs.
//!
//! Who holds a lock is not in here: it follows from where everybody stands (`System::held_by`).
//! Nothing counts vCPUs and nothing is indexed by one, so a state stays meaningful when a vCPU
//! is dropped from it.

use crate::closed_enum::closed_enum;
use crate::scenario::{MAX_PAGES, MAX_THREADS, MAX_VCPUS};
use crate::system::System;

/// Where a thread stands: a line of its program and, inside a SEAMCALL, a step of the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Control {
    /// Line of the thread's program.
    pub line: u8,
    /// Address in the module's code; 0 when the thread is not in the module. While the guest is in
    /// a TDCALL this is the TDCALL's step, and TDH.VP.ENTER stands where the guest runs.
    pub op: u8,
    /// Index of the status that the call in flight will return, or has returned; 0 is success.
    pub status: u8,
    /// The page the thread is about.
    pub page: u8,
}

/// Stores that have not reached memory yet, oldest first: one bit each, at most two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoreBuffer {
    len: u8,
    bits: u8,
}

impl StoreBuffer {
    /// How many stores fit. Two are enough for every mutant (docs/model.md); one more makes the
    /// verdict `unknown`.
    pub const CAPACITY: u8 = 2;

    /// True when nothing waits.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Adds a store; `None` when there is no room.
    #[must_use]
    pub const fn push(self, value: bool) -> Option<Self> {
        if self.len == Self::CAPACITY {
            return None;
        }
        Some(Self {
            len: self.len + 1,
            bits: self.bits | (value as u8) << self.len,
        })
    }

    /// The oldest store and the rest.
    #[must_use]
    pub const fn pop(self) -> Option<(bool, Self)> {
        if self.len == 0 {
            return None;
        }
        Some((
            self.bits & 1 == 1,
            Self {
                len: self.len - 1,
                bits: self.bits >> 1,
            },
        ))
    }

    /// The value a load by the same CPU is given: the newest store.
    #[must_use]
    pub const fn newest(self) -> Option<bool> {
        if self.len == 0 {
            return None;
        }
        Some(self.bits >> (self.len - 1) & 1 == 1)
    }

    pub(super) const fn to_bits(self) -> u64 {
        (self.len | self.bits << 2) as u64
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self {
            len: (bits & 3) as u8,
            bits: (bits >> 2 & 3) as u8,
        }
    }
}

closed_enum! { "mode of a vCPU",
    /// `vcpu->mode`, as it is in memory.
    pub enum VcpuMode {
        Outside = "OUTSIDE_GUEST_MODE": "not in its IRQs-off section",
        InGuest = "IN_GUEST_MODE": "in its IRQs-off section",
        Exiting = "EXITING_GUEST_MODE": "kicked while in its IRQs-off section",
    }
}

closed_enum! { "phase of a kick",
    /// Where `kvm_make_all_cpus_request()` stands with one vCPU.
    pub enum KickPhase {
        Unvisited = "unvisited": "not looked at yet, or no kick is under way",
        Queued = "queued": "its CPU is in the mask",
        Awaited = "awaited": "its IPI is sent and not acknowledged",
        Visited = "visited": "skipped, acknowledged, or not waited for",
    }
}

closed_enum! { "IPI",
    /// A kick's IPI to a vCPU's CPU.
    pub enum Ipi {
        None = "none": "none is on its way",
        Sent = "sent": "it is on its way",
        Pending = "pending": "it has arrived and waits for interrupts to open",
    }
}

closed_enum! { "epoch of a vCPU",
    /// The TD epoch a vCPU in the guest has entered with, relative to TD_EPOCH.
    pub enum VcpuEpoch {
        Current = "current": "TD_EPOCH",
        Previous = "previous": "TD_EPOCH - 1",
    }
}

closed_enum! { "exit reason",
    /// The cached exit reason.
    pub enum ExitReason {
        None = "none": "undefined, or dispatched and of no further interest",
        EptViolation = "EPT violation": "on the vCPU's page",
        Other = "TDVMCALL": "anything that needs no page",
        Interrupt = "external interrupt": "not dispatched yet",
        InterruptDispatched = "external interrupt (dispatched)": "still cached after it was dispatched",
        HostPriorityTimeout = "HOST_PRIORITY_BUSY_TIMEOUT": "no exit reason at all: TDH.VP.ENTER returned an error that KVM does not handle",
    }
}

closed_enum! { "S-EPT entry state",
    /// The state of a leaf S-EPT entry.
    pub enum EntryState {
        Free = "FREE": "no page",
        Pending = "PENDING": "added by TDH.MEM.PAGE.AUG, not accepted yet",
        Mapped = "MAPPED": "accepted",
        Blocked = "BLOCKED": "MAPPED, then blocked",
        PendingBlocked = "PENDING_BLOCKED": "PENDING, then blocked",
    }
}

closed_enum! { "state of the TD",
    /// How far the TD's life has come, as the module or as KVM has it: OP_STATE and `kvm_tdx->state`
    /// are two variables.
    pub enum TdState {
        Initialized = "INITIALIZED": "TDH.MR.FINALIZE is not done",
        Runnable = "RUNNABLE": "it is done",
    }
}

closed_enum! { "BEPOCH",
    /// A page's PAMT.BEPOCH relative to TD_EPOCH.
    pub enum BlockEpoch {
        Older = "older": "older than TD_EPOCH - 1, or never set",
        Previous = "previous": "TD_EPOCH - 1",
        Current = "current": "TD_EPOCH",
    }
}

/// A vCPU thread, its guest, and its CPU's store buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vcpu {
    /// Where it stands.
    pub control: Control,
    /// `vcpu->mode` in memory.
    pub mode: VcpuMode,
    /// Its stores to `mode` that have not reached memory: true is IN_GUEST_MODE.
    pub stores: StoreBuffer,
    /// Where the kick stands with it.
    pub kick: KickPhase,
    /// The kick's IPI to its CPU.
    pub ipi: Ipi,
    /// The epoch it entered with; meaningful while it counts in a REFCOUNT.
    pub epoch: VcpuEpoch,
    /// LAST_EPF_GPA_LIST: 0 is empty, 1 + page otherwise (at most one page, docs/model.md).
    pub zero_step: u8,
    /// The cached exit reason.
    pub exit: ExitReason,
    /// The flag was seen down since interrupts were disabled. Observed by property I4 only.
    pub flag_seen_down: bool,
    /// The host-priority bit in the copy of the entry that ACCEPT is going to store back.
    pub entry_copy_hp: bool,
    /// The request bit of the RFC is set in `vcpu->requests`.
    pub request: bool,
    /// The kick under way has read its `vcpu->cpu`.
    pub cpu_read: bool,
    /// It has moved to another CPU since.
    pub cpu_stale: bool,
    /// It is not created yet: no kick finds it.
    pub offline: bool,
    /// Where the second zapper's kick stands with it.
    pub second_kick: KickPhase,
    /// The second zapper's IPI to its CPU.
    pub second_ipi: Ipi,
    /// The module's `hp_lock_busy`: its last TDCALL to return was refused for a host's sake.
    pub hp_lock_busy: bool,
}

closed_enum! { "mirror SPTE",
    /// KVM's mirror of an S-EPT entry.
    pub enum MirrorSpte {
        None = "none": "not present",
        Frozen = "frozen": "a fault is mapping it; other faults on the page retry",
        Present = "present": "mapped, as far as KVM knows",
    }
}

/// A private page: its leaf S-EPT entry, PAMT data, and KVM's mirror of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// The entry's state.
    pub entry: EntryState,
    /// TDHP: a host failed to lock the entry.
    pub host_priority: bool,
    /// PAMT.BEPOCH.
    pub bepoch: BlockEpoch,
    /// KVM's mirror of it.
    pub mirror: MirrorSpte,
}

/// Everything that exists once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shared {
    /// The zapper.
    pub zapper: Control,
    /// `kvm_tdx->wait_for_sept_zap` in memory.
    pub flag: bool,
    /// The zapper's stores to it that have not reached memory.
    pub flag_stores: StoreBuffer,
    /// A KVM_BUG_ON has fired: the VM is dead and nobody moves any more.
    pub bugged: bool,
    /// The pages.
    pub pages: [Page; MAX_PAGES],
    /// The ioctl threads, and the second zapper.
    pub threads: [Control; MAX_THREADS],
    /// Their stores to the flag that have not reached memory: only a second zapper makes any.
    pub thread_stores: [StoreBuffer; MAX_THREADS],
    /// The module's OP_STATE.
    pub op_state: TdState,
    /// KVM's `kvm_tdx->state`.
    pub kvm_state: TdState,
}

/// A whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The singletons.
    pub shared: Shared,
    /// The vCPUs; those beyond the scenario's number stay as they are at the start.
    pub vcpus: [Vcpu; MAX_VCPUS],
}

impl Default for Vcpu {
    fn default() -> Self {
        Self {
            control: Control::default(),
            mode: VcpuMode::Outside,
            stores: StoreBuffer::default(),
            kick: KickPhase::Unvisited,
            ipi: Ipi::None,
            epoch: VcpuEpoch::Current,
            zero_step: 0,
            exit: ExitReason::None,
            flag_seen_down: false,
            entry_copy_hp: false,
            request: false,
            cpu_read: false,
            cpu_stale: false,
            offline: false,
            second_kick: KickPhase::Unvisited,
            second_ipi: Ipi::None,
            hp_lock_busy: false,
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self {
            entry: EntryState::Free,
            host_priority: false,
            bepoch: BlockEpoch::Older,
            mirror: MirrorSpte::None,
        }
    }
}

impl System {
    /// Whether every index in these singletons points at something. What a search makes always
    /// does; what is read from a file need not.
    #[must_use]
    pub fn has_shared(&self, shared: &Shared) -> bool {
        let threads = shared.threads.iter().enumerate().all(|(index, thread)| {
            let program = self.threads.get(index);
            program.map_or(*thread == Control::default(), |program| {
                self.has_control(*thread, program.len())
            })
        });
        threads && self.has_control(shared.zapper, self.zap.len())
    }

    /// The same of a vCPU.
    #[must_use]
    pub fn has_vcpu(&self, vcpu: &Vcpu) -> bool {
        usize::from(vcpu.zero_step) <= self.scenario.pages
            && self.has_control(vcpu.control, self.vcpu.len())
    }

    fn has_control(&self, control: Control, lines: usize) -> bool {
        usize::from(control.line) < lines
            && usize::from(control.op) < self.code.ops.len()
            && usize::from(control.status) < self.code.statuses.len()
            && usize::from(control.page) < self.scenario.pages
    }
}

impl EntryState {
    /// BLOCKED or PENDING_BLOCKED.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked | Self::PendingBlocked)
    }
}
