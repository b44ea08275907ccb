//! What the TDX module locks, and in which modes.

use crate::closed_enum::closed_enum;

closed_enum! { "resource",
    /// A lock of the TDX module.
    pub enum Resource {
        Tdr = "TDR": "the TDR page's PAMT entry",
        OpState = "OP_STATE": "the TD's OP_STATE",
        TdEpoch = "TD_EPOCH": "the TD epoch, TDCS.epoch_tracking",
        SeptTree = "SEPT_TREE": "the secure EPT tree",
        SeptEntry = "SEPT_ENTRY": "one secure EPT entry (bits TDEL and TDHP)",
        Tdvpr = "TDVPR": "the TDVPR page's PAMT entry of one vCPU",
        PagePamt = "PAGE_PAMT": "the PAMT entry of the page added or removed",
    }
}

closed_enum! { "lock kind",
    /// The algorithm behind a lock (tdx_locks.h). All of them are try-locks.
    pub enum LockKind {
        Sharex = "sharex": "shared or exclusive; a failed attempt leaves no trace once the holder is gone",
        SharexHostPriority = "sharex-host-priority": "shared or exclusive, with a bit by which a failed host attempt turns guests away",
        SeptEntry = "sept-entry": "TDEL (bit 11) and TDHP (bit 52) inside the 64-bit S-EPT entry",
    }
}

closed_enum! { "mode",
    /// How a lock is taken.
    pub enum Mode {
        Shared = "shared": "excludes exclusive holders",
        Exclusive = "exclusive": "excludes everybody",
        Host = "host": "an S-EPT entry, taken by a SEAMCALL; a failure marks the entry host-priority",
        Guest = "guest": "an S-EPT entry, taken by a TDCALL; gives way to a host-priority mark",
    }
}

impl Mode {
    /// True when two holders in these modes can not be.
    #[must_use]
    pub const fn conflicts(self, other: Self) -> bool {
        !matches!((self, other), (Self::Shared, Self::Shared))
    }
}

impl Resource {
    /// True when the lock exists once per page, so that only users of the same page meet.
    #[must_use]
    pub const fn is_per_page(self) -> bool {
        matches!(self, Self::SeptEntry | Self::PagePamt)
    }

    /// True when the lock exists once per vCPU, so that different vCPUs never meet on it.
    #[must_use]
    pub const fn is_per_vcpu(self) -> bool {
        matches!(self, Self::Tdvpr)
    }
}

closed_enum! { "KVM lock",
    /// A lock of KVM's, held around SEAMCALLs.
    pub enum KvmLock {
        MmuLock = "mmu_lock": "kvm->mmu_lock, a rwlock",
        VmLock = "kvm->lock": "kvm->lock, a mutex",
        SlotsLock = "slots_lock": "kvm->slots_lock, a mutex",
        VcpuMutex = "vcpu->mutex": "the vcpu->mutex of a vCPU of the thread's own, another one for each thread",
        InvalidateLock = "invalidate_lock": "the filemap invalidate_lock of the page's guest_memfd inode, a rwsem",
        EveryVcpuMutex = "every vcpu->mutex": "the vcpu->mutex of every vCPU of the VM, as kvm_lock_all_vcpus() takes them",
    }
}

impl KvmLock {
    /// Its place in the order in which KVM takes its locks, outermost first
    /// (Documentation/virt/kvm/locking.rst; `tdx_acquire_vm_state_locks`). mmu_lock is a spinning lock
    /// and comes last: nothing that sleeps is taken inside.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::VmLock => 0,
            Self::VcpuMutex | Self::EveryVcpuMutex => 1,
            Self::SlotsLock => 2,
            Self::InvalidateLock => 3,
            Self::MmuLock => 4,
        }
    }
}

closed_enum! { "KVM lock mode",
    /// How a KVM lock is held.
    pub enum KvmMode {
        Read = "read": "shared with other readers",
        Write = "write": "alone",
    }
}

closed_enum! { "evidence",
    /// How well a row of data is known.
    pub enum Evidence {
        Read = "read": "read in source",
        Stated = "stated": "stated in public by someone who is named in the source",
        Assumed = "assumed": "assumed; a verdict that rests on it says so",
    }
}
