//! What takes part in a run, and what the guest may do.

use crate::closed_enum::closed_enum;

closed_enum! { "memory model",
    /// How stores become visible.
    pub enum Memory {
        Sc = "sc": "sequential consistency: a store is in memory before the next step",
        Tso = "tso": "x86-TSO: stores wait in a FIFO per CPU; locked instructions and interrupts drain it",
    }
}

/// The largest number of vCPUs a state has room for.
pub const MAX_VCPUS: usize = 8;
/// The largest number of pages a state has room for.
pub const MAX_PAGES: usize = 2;
/// The largest number of ioctl threads a state has room for; a second zapper takes the place of one.
pub const MAX_THREADS: usize = 2;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Number of vCPUs.
    pub vcpus: usize,
    /// Number of private pages that are zapped.
    pub pages: usize,
    /// Number of guest_memfd inodes: 1, or as many as pages, each page in its own.
    pub inodes: usize,
    /// What removes pages: the kernel profile's `[zap]` or one of its `[[trigger]]`s by name,
    /// [`Scenario::NOBODY`] for nobody, or empty for `[zap]`.
    pub zap: String,
    /// Number of zappers: 1, or 2 that each remove pages with the locks of `zap`.
    pub zappers: usize,
    /// Code paths of the kernel profile that run as threads beside the zapper, without end.
    pub threads: Vec<String>,
    /// Whether TDH.MR.FINALIZE has been done at the start; before it no vCPU can enter. A thread may
    /// do it (KVM_TDX_FINALIZE_VM).
    pub finalized: bool,
    /// Whether pages have been added before the start; those of a finalized TD always have.
    pub populated: bool,
    /// Whether the guest issues TDG.MEM.PAGE.ACCEPT.
    pub accept: bool,
    /// Whether the guest issues TDG.MEM.PAGE.ATTR.RD and ATTR.WR.
    pub attr: bool,
    /// Whether repeated EPT violations can arm the module's 0-step mitigation.
    pub zero_step: bool,
    /// Whether the exit reason that the flag return leaves behind is tracked (property I8).
    pub exit_reason: bool,
    /// Whether a vCPU that is scheduled out may come back on another CPU.
    pub migrate: bool,
    /// Whether vCPUs are created only after the start, at any time: what KVM refuses once the TD is
    /// finalized (M31).
    pub late: bool,
    /// Whether the module's HP_LOCK_TIMEOUT may run out on a guest that is refused for a host's
    /// sake (`no-internal-error`, `mark-goes-away`).
    pub host_priority_timeout: bool,
    /// Whether somebody else kicks vCPUs as well, at any time: kvm_vcpu_kick(), or another thread's
    /// kvm_make_all_cpus_request(). No zapper waits for the IPI of such a kick.
    pub foreign_kick: bool,
    /// The memory model.
    pub memory: Memory,
}

impl Scenario {
    /// The name of a zap that does not take place.
    pub const NOBODY: &str = "nobody";
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            vcpus: 1,
            pages: 1,
            threads: Vec::new(),
            inodes: 1,
            zap: String::new(),
            zappers: 1,
            finalized: true,
            populated: false,
            accept: true,
            attr: true,
            zero_step: true,
            exit_reason: false,
            migrate: false,
            late: false,
            host_priority_timeout: false,
            foreign_kick: false,
            memory: Memory::Sc,
        }
    }
}
