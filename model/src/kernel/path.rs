//! A code path of KVM's: which of its locks it holds around which SEAMCALLs, and what it does when
//! one fails.

use super::KvmHeld;
use crate::closed_enum::closed_enum;
use crate::data::{DataError, Element, Reader};
use crate::resource::{Evidence, KvmLock, KvmMode};

closed_enum! { "failure policy",
    /// What a code path does when a SEAMCALL fails.
    pub enum OnFailure {
        Return = "return": "unlock and return an error",
        BugOn = "bug-on": "KVM_BUG_ON on any error",
        BugOnUnlessBusy = "bug-on-unless-busy": "return -EBUSY on TDX_OPERAND_BUSY, KVM_BUG_ON on anything else",
    }
}

/// One thing a code path does while it holds its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Map the page in the mirror page table only, under mmu_lock for read: what KVM up to 6.18 does
    /// before the TD is finalized (`tdx_mem_page_record_premap_cnt`).
    Premap,
    /// Go on only if the mirror SPTE is not present; with [`Deed::SetPresent`], mapping a page.
    UnlessMapped,
    /// Make the mirror SPTE present.
    SetPresent,
    /// Issue the SEAMCALL with this key (`TDH.VP.INIT@1`).
    Seamcall(String),
    /// `kvm_tdx->state = TD_STATE_RUNNABLE`.
    StateRunnable,
}

/// Deeds in a row, done under the same locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// KVM locks taken before the first and dropped after the last, inside the path's own.
    pub under: Vec<(KvmLock, KvmMode)>,
    /// What happens when a SEAMCALL fails.
    pub on_failure: OnFailure,
    /// What is done, in order.
    pub deeds: Vec<Deed>,
}

impl Group {
    /// Its locks as a set.
    #[must_use]
    pub fn held(&self) -> KvmHeld {
        set(&self.under)
    }
}

/// An ioctl or another host thread, and its KVM locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodePath {
    /// `KVM_TDX_INIT_VCPU`, …
    pub name: String,
    /// The function that issues the SEAMCALL.
    pub function: String,
    /// The locks held around everything it does.
    pub locks: KvmHeld,
    /// The same, in the order in which they are taken.
    pub order: Vec<(KvmLock, KvmMode)>,
    /// What it does, in order.
    pub groups: Vec<Group>,
    /// What it does when a SEAMCALL fails, where a group does not say otherwise.
    pub on_failure: OnFailure,
    /// KVM refuses it once it has seen the TD finalized (`kvm_tdx->state`, a plain load).
    pub before_finalize: bool,
    /// KVM refuses it until it has seen the TD finalized.
    pub after_finalize: bool,
    /// KVM refuses it while pages are mapped in the mirror page table and not yet added
    /// (`kvm_tdx->nr_premapped`).
    pub refuses_premapped: bool,
    /// Why nothing else can run beside it, when that is so.
    pub alone: Option<String>,
    /// The SEAMCALL is issued with interrupts off, where nothing that sleeps can be taken.
    pub irqs_off: bool,
    /// KVM has no such path: it stands for a question about the module.
    pub hypothetical: bool,
    /// Where this was found.
    pub source: String,
    /// How well it is known.
    pub evidence: Evidence,
}

impl CodePath {
    /// What it does, in order.
    pub fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.groups.iter().flat_map(|group| &group.deeds)
    }

    /// The SEAMCALLs it issues, each with the KVM locks held around it.
    pub fn seamcalls(&self) -> impl Iterator<Item = (&str, KvmHeld)> {
        self.groups.iter().flat_map(|group| {
            let held = self.locks.and(group.held());
            group.deeds.iter().filter_map(move |deed| match deed {
                Deed::Seamcall(leaf) => Some((leaf.as_str(), held)),
                _ => None,
            })
        })
    }

    /// Whether it makes the TD runnable.
    #[must_use]
    pub fn finalizes(&self) -> bool {
        self.deeds().any(|deed| *deed == Deed::StateRunnable)
    }
}

pub(super) fn set(locks: &[(KvmLock, KvmMode)]) -> KvmHeld {
    let empty = KvmHeld::default();
    locks
        .iter()
        .fold(empty, |held, (lock, mode)| held.with(*lock, *mode))
}

pub(super) fn parse(row: Reader<'_>) -> Result<CodePath, DataError> {
    row.only(&[
        "name",
        "function",
        "locks",
        "does",
        "on_failure",
        "before_finalize",
        "after_finalize",
        "refuses_premapped",
        "alone",
        "irqs_off",
        "hypothetical",
        "source",
        "evidence",
        "note",
    ])?;
    let order = parse_locks(row, "locks", &[])?;
    let on_failure = if row.has("on_failure") {
        row.choice("on_failure")?
    } else {
        OnFailure::Return
    };
    let mut groups = Vec::new();
    for element in row.elements("does")? {
        groups.push(match element {
            Element::Text(deed) => Group {
                under: Vec::new(),
                on_failure,
                deeds: vec![parse_deed(deed)],
            },
            Element::Table(group) => parse_group(group, on_failure, &order)?,
        });
    }
    let (before_finalize, after_finalize) = (
        row.boolean("before_finalize", false)?,
        row.boolean("after_finalize", false)?,
    );
    if before_finalize && after_finalize {
        return Err(row
            .error_at("after_finalize", "KVM would never let this path pass")
            .with_help("give one of before_finalize and after_finalize"));
    }
    let mut deeds = groups.iter().flat_map(|group: &Group| &group.deeds);
    let of_vcpus = deeds.find_map(|deed| match deed {
        Deed::Seamcall(leaf) if leaf.starts_with("TDG.") || leaf.starts_with("TDH.VP.ENTER") => {
            Some(leaf)
        }
        _ => None,
    });
    if let Some(leaf) = of_vcpus {
        return Err(row
            .error_at(
                "does",
                format!("{leaf} is a vCPU's own, not a host thread's"),
            )
            .with_help("ask for vCPUs instead: --vcpus N"));
    }
    Ok(CodePath {
        name: row.string("name")?.to_owned(),
        function: row.string("function")?.to_owned(),
        locks: set(&order),
        order,
        groups,
        on_failure,
        before_finalize,
        after_finalize,
        refuses_premapped: row.boolean("refuses_premapped", false)?,
        alone: if row.has("alone") {
            Some(row.string("alone")?.to_owned())
        } else {
            None
        },
        irqs_off: row.boolean("irqs_off", false)?,
        hypothetical: row.boolean("hypothetical", false)?,
        source: row.string("source")?.to_owned(),
        evidence: row.choice("evidence")?,
    })
}

fn parse_group(
    group: Reader<'_>,
    on_failure: OnFailure,
    outer: &[(KvmLock, KvmMode)],
) -> Result<Group, DataError> {
    group.only(&["under", "does", "on_failure"])?;
    Ok(Group {
        under: parse_locks(group, "under", outer)?,
        on_failure: if group.has("on_failure") {
            group.choice("on_failure")?
        } else {
            on_failure
        },
        deeds: group.strings("does")?.into_iter().map(parse_deed).collect(),
    })
}

/// No lock of KVM's is recursive.
pub(super) fn parse_locks(
    row: Reader<'_>,
    key: &str,
    outer: &[(KvmLock, KvmMode)],
) -> Result<Vec<(KvmLock, KvmMode)>, DataError> {
    let mut locks: Vec<(KvmLock, KvmMode)> = Vec::new();
    for lock in row.tables(key)? {
        lock.only(&["lock", "mode"])?;
        let taken: KvmLock = lock.choice("lock")?;
        if outer.iter().chain(&locks).any(|(held, _)| *held == taken) {
            use crate::closed_enum::ClosedEnum;
            return Err(lock
                .error_at("lock", format!("{} is held already", taken.key()))
                .with_help("a thread that takes a KVM lock twice waits for itself"));
        }
        locks.push((taken, lock.choice("mode")?));
    }
    Ok(locks)
}

fn parse_deed(deed: &str) -> Deed {
    match deed {
        "premap" => Deed::Premap,
        "unless-mapped" => Deed::UnlessMapped,
        "set-present" => Deed::SetPresent,
        "state-runnable" => Deed::StateRunnable,
        leaf => Deed::Seamcall(leaf.to_owned()),
    }
}
