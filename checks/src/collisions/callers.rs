//! Who in a kernel issues which leaf, under which of KVM's locks, and when in the TD's life.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::{KernelProfile, KvmHeld};
use seamcheck_model::kvm::Program;
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::module::LeafId;
use seamcheck_model::resource::{KvmLock, KvmMode};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{ConfigError, Reductions, System};
use seamcheck_model::table::LockTable;

/// When in the TD's life something can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At any time.
    Always,
    /// Before TDH.MR.FINALIZE only.
    BeforeFinalize,
    /// After TDH.MR.FINALIZE only.
    AfterFinalize,
}

impl When {
    /// For the end of a sentence; empty if always.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Always => "",
            Self::BeforeFinalize => "before TDH.MR.FINALIZE",
            Self::AfterFinalize => "after TDH.MR.FINALIZE",
        }
    }
}

/// A place in a kernel that issues a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `fallocate(PUNCH_HOLE)`, `a vCPU's run loop`, `the guest`, or a code path.
    pub name: String,
    /// The leaf, by key.
    pub leaf: String,
    /// The KVM locks held around it.
    pub locks: KvmHeld,
    /// When.
    pub when: When,
    /// The vCPU's page-fault handler: two of them never meet on one page (frozen SPTE).
    pub is_fault: bool,
    /// The profile says that no code of KVM's does this; it stands for what another host could do.
    pub is_hypothetical: bool,
    /// Nothing else runs beside it: it makes or unmakes the VM.
    pub is_alone: bool,
}

impl Caller {
    /// `KVM_TDX_INIT_VCPU under vcpu->mutex`, with how a lock is held where there are two ways. What a
    /// vCPU does under its own mutex excludes nobody, and goes without.
    #[must_use]
    pub fn text(&self) -> String {
        let locks: Vec<String> = self.locks.iter().map(lock_text).collect();
        if locks.is_empty() {
            return self.name.clone();
        }
        format!("{} under {}", self.name, locks.join(", "))
    }
}

impl Caller {
    /// True when two leaves are issued by the same code under the same locks.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        self.name == other.name && self.locks == other.locks && self.when == other.when
    }
}

fn lock_text((lock, mode): (KvmLock, KvmMode)) -> String {
    match lock {
        KvmLock::MmuLock | KvmLock::InvalidateLock => format!("{} {}", lock.key(), mode.key()),
        _ => lock.key().to_owned(),
    }
}

/// Everybody in a kernel who issues a leaf that the table has.
///
/// # Errors
/// When the table lacks a leaf of the page removal or of the vCPUs.
pub fn callers(table: &LockTable, kernel: &KernelProfile) -> Result<Vec<Caller>, ConfigError> {
    // A system knows what its zapper and vCPUs issue; every path is added by itself.
    let reductions = Reductions {
        share_equal: false,
        ..Reductions::ALL
    };
    let scenario = Scenario::default();
    let system = System::new(table, kernel, kernel.decisions, scenario, reductions)?;
    let early = before_finalize(&system.zap);
    let mut all: Vec<Caller> = Vec::new();
    for user in system.users() {
        let leaf = &system.code.leaves[usize::from(user.leaf.0)];
        if user.part == Part::Zapper {
            let when = if early.contains(&user.leaf) {
                When::Always
            } else {
                When::AfterFinalize
            };
            all.extend(kernel.triggers().into_iter().map(|trigger| Caller {
                name: trigger.name,
                leaf: leaf.key.clone(),
                locks: trigger.locks,
                when,
                is_fault: false,
                is_hypothetical: false,
                is_alone: trigger.alone.is_some(),
            }));
            continue;
        }
        let (name, when) = match user.part {
            _ if leaf.is_tdcall => ("the guest", When::AfterFinalize),
            _ if user.is_fault => ("a vCPU's page fault", When::AfterFinalize),
            _ => ("a vCPU's run loop", When::AfterFinalize),
        };
        all.push(Caller {
            name: name.to_owned(),
            leaf: leaf.key.clone(),
            locks: user.locks,
            when,
            is_fault: user.is_fault,
            is_hypothetical: false,
            is_alone: false,
        });
    }
    for path in &kernel.paths {
        let calls = path.seamcalls();
        let calls = calls.filter_map(|(key, held)| Some((table.leaf(key)?, held)));
        all.extend(calls.map(|(leaf, locks)| Caller {
            name: path.name.clone(),
            leaf: leaf.key(),
            locks,
            when: match (path.before_finalize, path.after_finalize) {
                (true, _) => When::BeforeFinalize,
                (_, true) => When::AfterFinalize,
                _ => When::Always,
            },
            is_fault: false,
            is_hypothetical: path.hypothetical,
            is_alone: path.alone.is_some(),
        }));
    }
    Ok(all)
}

/// The leaves that a removal issues before the TD is runnable: the calls its program comes to when
/// `UnlessRunnable` always branches.
fn before_finalize(zap: &Program) -> Vec<LeafId> {
    let (mut open, mut seen) = (vec![0], vec![false; zap.len()]);
    let mut issued = Vec::new();
    while let Some(at) = open.pop() {
        if at >= zap.len() || std::mem::replace(&mut seen[at], true) {
            continue;
        }
        let next = at + 1;
        match zap[at].instr {
            Instr::UnlessRunnable { to } | Instr::Jump { to } | Instr::GiveUp { to } => {
                open.push(usize::from(to));
            }
            Instr::UnlessBusy { to, .. }
            | Instr::IfError { to }
            | Instr::UnlessPremapError { to }
            | Instr::Unlock { to } => open.extend([next, usize::from(to)]),
            Instr::Call { leaf, .. } => {
                issued.push(leaf);
                open.push(next);
            }
            _ => open.push(next),
        }
    }
    issued
}
