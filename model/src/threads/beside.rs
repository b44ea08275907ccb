//! Who else there is beside the zapper and the vCPUs: ioctl threads, and the TD that they find.
//!
//! What an ioctl does is code. Which KVM locks it holds, around all of it and around each call, and what
//! it makes of a failure, is read off the kernel profile's code path: a lock that is added or dropped
//! there is added or dropped here.

use crate::closed_enum::closed_enum;
use crate::kernel::{CodePath, Deed, KernelProfile, KvmHeld, OnFailure};
use crate::resource::{KvmLock, KvmMode};
use crate::scenario::{self, MAX_THREADS};

closed_enum! { "ioctl that exists as code",
    /// An ioctl, or a part of one that the kernel profiles have as a code path of its own.
    pub enum Ioctl {
        InitVcpuCreate = "KVM_TDX_INIT_VCPU:create": "tdx_td_vcpu_init() before TDH.VP.INIT: TDH.VP.CREATE, TDH.VP.ADDCX",
        InitVcpu = "KVM_TDX_INIT_VCPU": "tdx_td_vcpu_init(): TDH.VP.INIT",
        InitVcpuWrite = "KVM_TDX_INIT_VCPU:write": "tdx_vcpu_init() behind it: TDH.VP.WR",
        InitMemRegion = "KVM_TDX_INIT_MEM_REGION": "tdx_gmem_post_populate(), up to 6.18: map in the mirror page table, TDH.MEM.PAGE.ADD",
    }
}

/// The most calls, or other deeds, of an ioctl's.
pub(super) const DEEDS: usize = 2;

/// What an ioctl does, as the kernel profiles spell it.
fn deeds(ioctl: Ioctl) -> Vec<Deed> {
    let seamcall = |leaf: &str| Deed::Seamcall(leaf.to_owned());
    match ioctl {
        Ioctl::InitVcpuCreate => vec![seamcall("TDH.VP.CREATE"), seamcall("TDH.VP.ADDCX")],
        Ioctl::InitVcpu => vec![seamcall("TDH.VP.INIT@1")],
        Ioctl::InitVcpuWrite => vec![seamcall("TDH.VP.WR")],
        Ioctl::InitMemRegion => vec![Deed::Premap, seamcall("TDH.MEM.PAGE.ADD")],
    }
}

/// What the profile says of one of an ioctl's deeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The KVM locks taken around it, inside the ioctl's own.
    pub under: KvmHeld,
    /// What becomes of a failure.
    pub on_failure: OnFailure,
}

/// An ioctl thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoctlThread {
    /// What it does.
    pub ioctl: Ioctl,
    /// The KVM locks held around all of it.
    pub locks: KvmHeld,
    /// Deed by deed; those it does not have are as its last.
    pub around: [Around; DEEDS],
}

/// What the code does not have, or can not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsCode {
    /// Such a path is there, but what it does is not.
    #[error("{name} of this kernel does not exist as code; {} do", .known.join(", "))]
    Path {
        /// The path.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// More ioctls than there is room for.
    #[error("{given} ioctls asked for; at most {MAX_THREADS} can be beside the zapper")]
    TooMany {
        /// What was asked for.
        given: usize,
    },
    /// Ioctls of a TD that can run.
    #[error(
        "beside an ioctl the TD of the code is not finalized; ask with finalized=false, and with populated=true where the page is to be there from the start"
    )]
    Finalized,
    /// A TD that is not finalized, and nobody beside the zapper.
    #[error(
        "a TD that is not finalized has no vCPU that runs: name an ioctl that is beside the zapper"
    )]
    Nobody,
    /// Another removal than the profile's first, or none.
    #[error("the code removes pages as the profile's [zap] does")]
    Zap,
    /// mmu_lock is for others to take.
    #[error("the zapper of the code holds mmu_lock for write; here it does not")]
    MmuLock,
}

/// Who is beside zapper and vCPUs, what the TD is at the start, and the zapper's own KVM locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The ioctl threads, the first ones there are.
    pub threads: [Option<IoctlThread>; MAX_THREADS],
    /// TDH.MR.FINALIZE has been done. Before it no vCPU runs, and nobody does it meanwhile.
    pub finalized: bool,
    /// The page is there at the start.
    pub populated: bool,
    /// KVM maps pages in the mirror page table before it adds them (`tdx_is_sept_zap_err_due_to_premap()`).
    pub premaps: bool,
    /// The KVM locks around a page removal.
    pub zap: KvmHeld,
}

impl Beside {
    /// A finalized TD, and nobody else: the zapper's mmu_lock is the only lock of KVM's that anybody meets.
    pub const NOBODY: Self = Self {
        threads: [None; MAX_THREADS],
        finalized: true,
        populated: true,
        premaps: false,
        zap: MMU_LOCK_FOR_WRITE,
    };

    /// As a scenario of the model's has it, in a kernel.
    ///
    /// # Errors
    /// When the code does not have what the scenario asks for.
    pub fn of(kernel: &KernelProfile, asked: &scenario::Scenario) -> Result<Self, NotAsCode> {
        if asked.threads.is_empty() {
            return match asked.finalized {
                true => Ok(Self::NOBODY),
                false => Err(NotAsCode::Nobody),
            };
        }
        if asked.finalized {
            return Err(NotAsCode::Finalized);
        }
        if asked.threads.len() > MAX_THREADS {
            let given = asked.threads.len();
            return Err(NotAsCode::TooMany { given });
        }
        if !asked.zap.is_empty() {
            return Err(NotAsCode::Zap);
        }
        if !kernel.zap.locks.has_mode(KvmLock::MmuLock, KvmMode::Write) {
            return Err(NotAsCode::MmuLock);
        }
        let mut threads = [None; MAX_THREADS];
        for (slot, name) in threads.iter_mut().zip(&asked.threads) {
            let path = kernel.path(name);
            let found = path.and_then(IoctlThread::of);
            *slot = Some(found.ok_or_else(|| NotAsCode::unknown(name))?);
        }
        Ok(Self {
            threads,
            finalized: false,
            populated: asked.populated,
            premaps: kernel.premaps(),
            zap: kernel.zap.locks,
        })
    }

    /// The ioctl threads, with their numbers.
    pub(super) fn ioctls(&self) -> impl Iterator<Item = (u8, IoctlThread)> + use<> {
        (0..).zip(self.threads.into_iter().flatten())
    }

    /// Whether one of them issues a SEAMCALL that takes the TDR exclusively.
    pub(super) fn takes_tdr(&self) -> bool {
        self.does(Ioctl::InitVcpu) || self.does(Ioctl::InitMemRegion)
    }

    /// Whether one of them is this.
    pub(super) fn does(&self, ioctl: Ioctl) -> bool {
        self.ioctls().any(|(_, thread)| thread.ioctl == ioctl)
    }
}

const MMU_LOCK_FOR_WRITE: KvmHeld = KvmHeld::NONE.with(KvmLock::MmuLock, KvmMode::Write);

impl NotAsCode {
    /// The same, whatever was asked for by name.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Path { .. } => "this ioctl does not exist as code: it is the model's alone",
            Self::TooMany { .. } => "more ioctls than the code has room for",
            Self::Finalized => {
                "no ioctl is beside the code's vCPUs: beside one its TD is not finalized"
            }
            Self::Nobody => "in a TD that is not finalized the code has an ioctl beside the zapper",
            Self::Zap => "the code removes pages as the profile's [zap] does",
            Self::MmuLock => "the code's zapper holds mmu_lock for write",
        }
    }

    fn unknown(name: &str) -> Self {
        use crate::closed_enum::ClosedEnum;
        Self::Path {
            name: name.to_owned(),
            known: Ioctl::ALL.iter().map(|ioctl| ioctl.key()).collect(),
        }
    }
}

impl IoctlThread {
    /// The code of a path, if it does the same, deed by deed.
    fn of(path: &CodePath) -> Option<Self> {
        use crate::closed_enum::ClosedEnum;
        let ioctl = Ioctl::from_key(&path.name)?;
        if !path.deeds().eq(deeds(ioctl).iter()) {
            return None;
        }
        let asks = path.after_finalize || path.refuses_premapped || path.irqs_off;
        let mut around = Vec::new();
        for group in &path.groups {
            // Locks around several deeds at once are not those around each, and the mirror page table is
            // mapped under none but its own.
            let is_one_call = matches!(group.deeds[..], [Deed::Seamcall(_)]);
            if asks || !(group.under.is_empty() || is_one_call) {
                return None;
            }
            around.extend(group.deeds.iter().map(|_| Around {
                under: group.held(),
                on_failure: group.on_failure,
            }));
        }
        let last = *around.last()?;
        around.resize(DEEDS, last);
        Some(Self {
            ioctl,
            locks: path.locks,
            around: around.try_into().ok()?,
        })
    }
}
