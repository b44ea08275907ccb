//! Who can collide with whom on which lock of the module, and under which KVM locks they really can.
//!
//! The first half reads a lock table's rows and nothing else. The second asks a kernel profile who
//! issues which leaf, holding what, and when in the TD's life.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::{KernelProfile, KvmHeld};
use seamcheck_model::kvm::Program;
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::module::compile::TooLarge;
use seamcheck_model::module::{Compiler, Held, LeafId, Op};
use seamcheck_model::resource::{KvmLock, KvmMode, Mode, Resource};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::status::{OPERAND_BUSY, StatusWord};
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{ConfigError, Reductions, System};
use seamcheck_model::table::{Leaf, LockTable};

/// A leaf that can fail on a lock because another leaf holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The leaf that fails, by key.
    pub loser: String,
    /// The lock.
    pub lock: Resource,
    /// How the loser wants it.
    pub wanted: Mode,
    /// What the loser returns.
    pub status: StatusWord,
    /// The leaf that holds it, by key.
    pub holder: String,
    /// How it holds it.
    pub held: Mode,
}

/// Every collision that the rows of a table allow.
///
/// A pair is left out when the loser can not get as far as the lock: when what it holds by then
/// conflicts with something that the holder holds all the while. TDVPR is left out, because it is one
/// vCPU's.
///
/// # Errors
/// When a leaf has more steps than fit.
pub fn collisions(table: &LockTable) -> Result<Vec<Collision>, TooLarge> {
    let compiled: Result<Vec<Compiled<'_>>, TooLarge> =
        table.leaves.iter().map(Compiled::new).collect();
    let compiled = compiled?;
    let around_guest = compiled
        .iter()
        .find_map(|leaf| leaf.guest)
        .unwrap_or_default();
    let around = |leaf: &Leaf| {
        if leaf.is_tdcall() {
            around_guest
        } else {
            Held::default()
        }
    };
    let mut found = Vec::new();
    for loser in &compiled {
        for (lock, wanted, busy) in loser.leaf.acquisitions() {
            if lock.is_per_vcpu() {
                continue;
            }
            for holder in &compiled {
                let mode = holder.mode_of(lock);
                let Some(held) = mode.filter(|held| wanted.conflicts(*held)) else {
                    continue;
                };
                let tries = loser.tries(lock).map(|op| op.held.and(around(loser.leaf)));
                let mut tries = tries;
                let meet = tries.any(|before| {
                    let mut while_held = holder.holding(lock);
                    while_held.any(|op| compatible(before, op.held.and(around(holder.leaf))))
                });
                if meet {
                    found.push(Collision {
                        loser: loser.leaf.key(),
                        lock,
                        wanted,
                        status: OPERAND_BUSY.with(busy),
                        holder: holder.leaf.key(),
                        held,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// A leaf and its steps, compiled by itself.
struct Compiled<'a> {
    leaf: &'a Leaf,
    ops: Vec<Op>,
    /// What is held while the guest runs (TDH.VP.ENTER).
    guest: Option<Held>,
}

impl<'a> Compiled<'a> {
    fn new(leaf: &'a Leaf) -> Result<Self, TooLarge> {
        let mut compiler = Compiler::default();
        compiler.add(leaf)?;
        let code = compiler.finish();
        let guest = code.leaves.first().and_then(|leaf| leaf.guest);
        Ok(Self {
            leaf,
            guest: guest.map(|address| code.ops[usize::from(address)].held),
            ops: code.ops,
        })
    }

    fn mode_of(&self, lock: Resource) -> Option<Mode> {
        let mut taken = self.leaf.acquisitions();
        taken
            .find(|(other, ..)| *other == lock)
            .map(|(_, mode, _)| mode)
    }

    /// The steps that try a lock.
    fn tries(&self, lock: Resource) -> impl Iterator<Item = &Op> {
        let ops = self.ops.iter().skip(1);
        ops.filter(move |op| op.kind.acquires() == Some(lock))
    }

    /// The steps before which a lock is held.
    fn holding(&self, lock: Resource) -> impl Iterator<Item = &Op> {
        let ops = self.ops.iter().skip(1);
        ops.filter(move |op| op.held.has(lock))
    }
}

/// Whether two threads can hold these at the same time.
fn compatible(one: Held, other: Held) -> bool {
    Resource::ALL.iter().all(|lock| {
        let mode = if one.is_shared(*lock) {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        lock.is_per_vcpu() || !one.has(*lock) || !other.conflicts(*lock, mode)
    })
}

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

/// What keeps two callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// A KVM lock, and how the two hold it.
    Lock(KvmLock, KvmMode, KvmMode),
    /// One is over before the other can begin.
    Finalize,
    /// Two faults on the same page: one finds the SPTE frozen.
    FrozenSpte,
    /// One of them makes or unmakes the VM: nothing else runs then.
    Alone,
}

impl Apart {
    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Lock(lock, KvmMode::Write, KvmMode::Write) => {
                format!("{}, which both take alone", lock.key())
            }
            Self::Lock(lock, one, other) => {
                format!("{}, {} against {}", lock.key(), one.key(), other.key())
            }
            Self::Finalize => "TDH.MR.FINALIZE lies between them".into(),
            Self::Alone => "nothing else runs while the VM is made or unmade".into(),
            Self::FrozenSpte => "the frozen SPTE: one page, two faults".into(),
        }
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

/// What keeps two callers from meeting on a lock; `None` when nothing does.
#[must_use]
pub fn apart(one: &Caller, other: &Caller, on: Resource) -> Option<Apart> {
    let times = [one.when, other.when];
    if times.contains(&When::BeforeFinalize) && times.contains(&When::AfterFinalize) {
        return Some(Apart::Finalize);
    }
    if one.is_alone || other.is_alone {
        return Some(Apart::Alone);
    }
    if one.locks.excludes(other.locks) {
        let single = |held: (KvmLock, KvmMode)| KvmHeld::default().with(held.0, held.1);
        let pairs = one.locks.iter().flat_map(|held| {
            let others = other.locks.iter();
            others.map(move |against| (held, against))
        });
        let mut excluding =
            pairs.filter(|(held, against)| single(*held).excludes(single(*against)));
        return excluding
            .next()
            .map(|(held, against)| Apart::Lock(held.0, held.1, against.1));
    }
    (one.is_fault && other.is_fault && on.is_per_page()).then_some(Apart::FrozenSpte)
}

/// A collision between two callers, and what keeps them apart, if anything does.
#[derive(Clone, Debug)]
pub struct Meeting<'a> {
    /// Who fails.
    pub loser: &'a Caller,
    /// Who holds the lock.
    pub holder: &'a Caller,
    /// What keeps them apart.
    pub apart: Option<Apart>,
}

/// Everybody who can bring a collision about, together or not.
#[must_use]
pub fn meetings<'a>(collision: &Collision, callers: &'a [Caller]) -> Vec<Meeting<'a>> {
    let issues = |leaf: &str| {
        let leaf = leaf.to_owned();
        callers.iter().filter(move |caller| caller.leaf == leaf)
    };
    let pairs = issues(&collision.loser)
        .flat_map(|loser| issues(&collision.holder).map(move |holder| (loser, holder)));
    pairs
        .map(|(loser, holder)| Meeting {
            loser,
            holder,
            apart: apart(loser, holder, collision.lock),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seamcheck_model::builtin;

    fn table(name: &str) -> LockTable {
        let (_, text) = builtin::MODULES
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap();
        LockTable::parse(name, text).unwrap()
    }

    fn kernel(name: &str) -> KernelProfile {
        let (_, text) = builtin::KERNELS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap();
        KernelProfile::parse(name, text).unwrap()
    }

    fn find<'a>(all: &'a [Collision], loser: &str, holder: &str) -> Vec<(&'a str, Mode, Mode)> {
        let pair = all
            .iter()
            .filter(|found| found.loser == loser && found.holder == holder);
        pair.map(|found| (found.lock.key(), found.wanted, found.held))
            .collect()
    }

    #[test]
    fn a_pair_that_an_earlier_lock_keeps_apart_is_no_collision() {
        let all = collisions(&table("1.5.05")).unwrap();
        // PAGE.ADD holds the TDR alone all the while, so AUG never gets as far as the page.
        let tdr = ("TDR", Mode::Shared, Mode::Exclusive);
        assert_eq!(find(&all, "TDH.MEM.PAGE.AUG", "TDH.MEM.PAGE.ADD"), [tdr]);
    }

    #[test]
    fn the_pair_that_refutes_the_claim_meets_before_finalize_and_only_there() {
        let (table, kernel) = (table("1.5.05"), kernel("6.16"));
        let all = collisions(&table).unwrap();
        let callers = callers(&table, &kernel).unwrap();
        let collision = all
            .iter()
            .find(|found| found.loser == "TDH.MEM.RANGE.BLOCK" && found.holder == "TDH.VP.INIT@1");
        let collision = collision.unwrap();
        assert_eq!(collision.status, StatusWord(0x8000_0200_0000_0002));
        let together: Vec<_> = meetings(collision, &callers)
            .into_iter()
            .filter(|meeting| meeting.apart.is_none())
            .map(|meeting| (meeting.holder.name.clone(), meeting.holder.is_hypothetical))
            .collect();
        assert!(
            together.contains(&("KVM_TDX_INIT_VCPU".into(), false)),
            "{together:?}"
        );
        assert!(
            together.contains(&("any-tdr-exclusive".into(), true)),
            "{together:?}"
        );
    }

    #[test]
    fn mmu_lock_keeps_the_zap_and_the_fault_apart() {
        let (table, kernel) = (table("1.5.05"), kernel("6.16"));
        let callers = callers(&table, &kernel).unwrap();
        let who = |leaf: &str| callers.iter().find(|caller| caller.leaf == leaf).unwrap();
        let (zap, fault) = (who("TDH.MEM.RANGE.BLOCK"), who("TDH.MEM.PAGE.AUG"));
        let kept = apart(zap, fault, Resource::SeptTree);
        let lock = Apart::Lock(KvmLock::MmuLock, KvmMode::Write, KvmMode::Read);
        assert_eq!(kept, Some(lock));
        assert_eq!(
            apart(fault, fault, Resource::SeptEntry),
            Some(Apart::FrozenSpte)
        );
        assert_eq!(apart(fault, fault, Resource::SeptTree), None);
        assert_eq!(who("TDH.MEM.TRACK").when, When::AfterFinalize);
        assert_eq!(zap.when, When::Always);
        let ioctl = who("TDH.VP.INIT@1");
        assert_eq!(apart(ioctl, fault, Resource::Tdr), Some(Apart::Finalize));
    }

    #[test]
    fn the_rows_allow_everything_that_a_system_requires_to_be_seen() {
        use seamcheck_model::property::Witness;
        for (module, _) in builtin::MODULES {
            let (table, kernel) = (table(module), kernel("6.16"));
            let all = collisions(&table).unwrap();
            let reductions = Reductions {
                share_equal: false,
                ..Reductions::ALL
            };
            let scenario = Scenario {
                vcpus: 2,
                ..Scenario::default()
            };
            let system = System::new(&table, &kernel, kernel.decisions, scenario, reductions);
            let system = system.unwrap();
            let key = |leaf: seamcheck_model::module::LeafId| {
                system.code.leaves[usize::from(leaf.0)].key.as_str()
            };
            for witness in &system.observations.required {
                let Witness::Busy(pair) = witness else {
                    continue;
                };
                let there = all.iter().any(|found| {
                    found.loser == key(pair.loser)
                        && found.holder == key(pair.holder)
                        && found.lock == pair.resource
                });
                assert!(there, "{module}: {witness:?}");
            }
        }
    }
}
