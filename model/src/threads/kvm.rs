//! KVM's side, function by function (6.16), each obeying the decisions.

mod fault;
mod in_guest;
mod init_vcpu;
mod interrupts;
mod ioctl;
mod kick;
mod locks;
mod mem_region;
mod mmu_lock;
mod vcpu;
mod zap;

use super::beside::Beside;
use super::module::Td;
use super::runtime::{Bits, Flag, Mode, Runtime};
use super::scenario::Scenario;
use crate::kernel::Decisions;
use crate::property::{Property, PropertySet};
use interrupts::Interrupts;
use locks::KvmLocks;
use mmu_lock::MmuLock;

// include/linux/kvm_host.h
pub(super) const OUTSIDE_GUEST_MODE: u8 = 0;
const IN_GUEST_MODE: u8 = 1;
const EXITING_GUEST_MODE: u8 = 2;

/// KVM_REQ_NO_VCPU_ENTER_INPROGRESS, the RFC's bit in `vcpu->requests`.
const NO_VCPU_ENTER: u64 = 1;

/// `struct kvm_vcpu`, and the CPUs it is on in turn: nobody else's.
struct Vcpu<R: Runtime> {
    mode: R::Mode,
    /// `vcpu->cpu`: an index into `cpus`.
    cpu: R::Mode,
    cpus: [Interrupts<R>; 2],
    /// `vcpu->requests`, of which the RFC's bit is one.
    requests: R::Word,
}

/// `struct kvm` with its `struct kvm_tdx`, and the TD behind it.
pub(super) struct Kvm<R: Runtime> {
    decisions: Decisions,
    scenario: Scenario,
    wait_for_sept_zap: R::Flag,
    mmu_lock: MmuLock<R>,
    /// The other locks of KVM's, where anybody meets on one.
    locks: Option<KvmLocks<R>>,
    /// The mirror SPTE of each page.
    mirrors: Vec<R::Word>,
    vcpus: Vec<Vcpu<R>>,
    /// `kvm->online_vcpus`, a bit for each so that they can be created in any order.
    online: R::Word,
    /// How many vCPUs and ioctls still go round: a zapper that waits for a page to be mapped again stops when
    /// nobody is left to map it.
    running: R::Word,
    td: Td<R>,
}

/// The mirror SPTE.
mod mirror {
    pub(super) const NONE: u64 = 0;
    /// A fault is mapping it, or a removal without mmu_lock for write removes it.
    pub(super) const FROZEN: u64 = 1;
    pub(super) const PRESENT: u64 = 2;
}

/// What a thread has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Properties seen violated, a bit each.
    pub violated: PropertySet,
    /// Properties of which what they are about has happened, a bit each; real threads note none.
    pub happened: PropertySet,
    /// Calls whose BUSY nobody can handle any more.
    pub second_calls: u32,
    /// First calls that were busy.
    pub first_busy: u32,
    /// Laps that the flag turned back.
    pub turned_back: u32,
    /// TDH.VP.ENTER calls.
    pub entered: u32,
    /// IPIs sent.
    pub ipis: u32,
}

impl Met {
    /// Adds what another thread has met.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            violated: self.violated | other.violated,
            happened: self.happened | other.happened,
            second_calls: self.second_calls + other.second_calls,
            first_busy: self.first_busy + other.first_busy,
            turned_back: self.turned_back + other.turned_back,
            entered: self.entered + other.entered,
            ipis: self.ipis + other.ipis,
        }
    }

    /// True when the property was seen violated.
    #[must_use]
    pub const fn violates(self, property: Property) -> bool {
        self.violated & property.bit() != 0
    }

    /// True when what the property is about has happened.
    #[must_use]
    pub const fn says_something_of(self, property: Property) -> bool {
        self.happened & property.bit() != 0
    }

    fn violate(&mut self, property: Property, if_true: bool) {
        if if_true {
            self.violated |= property.bit();
        }
    }
}

impl<R: Runtime> Kvm<R> {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let vcpu = |_| Vcpu {
            mode: R::Mode::new(),
            cpu: R::Mode::new(),
            cpus: [Interrupts::new(), Interrupts::new()],
            requests: R::Word::new(0),
        };
        let online = if scenario.late { 0 } else { u64::MAX };
        let present = scenario.prepared().mirror_present;
        Self {
            decisions: scenario.decisions,
            scenario: *scenario,
            wait_for_sept_zap: R::Flag::new(),
            mmu_lock: MmuLock::new(),
            locks: (scenario.beside != Beside::NOBODY).then(KvmLocks::new),
            mirrors: (0..scenario.zappers.count())
                .map(|_| {
                    R::Word::new(if present {
                        mirror::PRESENT
                    } else {
                        mirror::NONE
                    })
                })
                .collect(),
            vcpus: (0..scenario.vcpus).map(vcpu).collect(),
            online: R::Word::new(online),
            running: R::Word::new(scenario.others() as u64),
            td: Td::new(scenario),
        }
    }
}
