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
/// The largest number of ioctl threads a state has room for.
pub const MAX_THREADS: usize = 2;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Number of vCPUs.
    pub vcpus: usize,
    /// Number of private pages that are zapped.
    pub pages: usize,
    /// Code paths of the kernel profile that run as threads beside the zapper, without end.
    pub threads: Vec<String>,
    /// Whether TDH.MR.FINALIZE has been done; before it no vCPU can enter.
    pub finalized: bool,
    /// Whether the guest issues TDG.MEM.PAGE.ACCEPT.
    pub accept: bool,
    /// Whether the guest issues TDG.MEM.PAGE.ATTR.RD and ATTR.WR.
    pub attr: bool,
    /// Whether repeated EPT violations can arm the module's 0-step mitigation.
    pub zero_step: bool,
    /// Whether the exit reason that the flag return leaves behind is tracked (property I8).
    pub exit_reason: bool,
    /// The memory model.
    pub memory: Memory,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            vcpus: 1,
            pages: 1,
            threads: Vec::new(),
            finalized: true,
            accept: true,
            attr: true,
            zero_step: true,
            exit_reason: false,
            memory: Memory::Sc,
        }
    }
}
