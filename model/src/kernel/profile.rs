//! A kernel profile: `data/kernels/*.toml`.

use super::Decisions;
use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::data::{DataError, Reader};
use crate::resource::{Evidence, KvmLock, KvmMode};

closed_enum! { "failure policy",
    /// What a code path does when a SEAMCALL fails.
    pub enum OnFailure {
        Return = "return": "unlock and return an error",
        BugOn = "bug-on": "KVM_BUG_ON on any error",
        BugOnUnlessBusy = "bug-on-unless-busy": "return -EBUSY on TDX_OPERAND_BUSY, KVM_BUG_ON on anything else",
    }
}

/// A set of KVM locks with their modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvmHeld {
    read: u8,
    write: u8,
}

impl KvmHeld {
    /// Adds a lock.
    #[must_use]
    pub const fn with(mut self, lock: KvmLock, mode: KvmMode) -> Self {
        match mode {
            KvmMode::Read => self.read |= 1 << lock as u8,
            KvmMode::Write => self.write |= 1 << lock as u8,
        }
        self
    }

    /// True when two threads can not hold these sets at the same time. Each thread's vcpu->mutex
    /// is that of a vCPU of its own, so it excludes nobody.
    #[must_use]
    pub const fn excludes(self, other: Self) -> bool {
        let common = !(1 << KvmLock::VcpuMutex as u8);
        (self.write & (other.read | other.write) | self.read & other.write) & common != 0
    }

    /// The locks, with their modes.
    pub fn iter(self) -> impl Iterator<Item = (KvmLock, KvmMode)> {
        KvmLock::ALL.iter().flat_map(move |lock| {
            let bit = 1 << *lock as u8;
            let read = (self.read & bit != 0).then_some((*lock, KvmMode::Read));
            let write = (self.write & bit != 0).then_some((*lock, KvmMode::Write));
            read.into_iter().chain(write)
        })
    }
}

/// One thing a code path does while it holds its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Map the page in the mirror page table only, under mmu_lock for read: what KVM does before
    /// the TD is finalized (`tdx_mem_page_record_premap_cnt`).
    Premap,
    /// Issue the SEAMCALL with this key (`TDH.VP.INIT@1`).
    Seamcall(String),
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
    /// What it does, in order.
    pub deeds: Vec<Deed>,
    /// What it does when a SEAMCALL fails.
    pub on_failure: OnFailure,
    /// KVM refuses it once the TD is finalized.
    pub before_finalize: bool,
    /// Where this was found.
    pub source: String,
    /// How well it is known.
    pub evidence: Evidence,
}

/// A kernel version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelProfile {
    /// `6.16`, `patch-v1`, …
    pub name: String,
    /// One line about it.
    pub title: String,
    /// The retry protocol.
    pub decisions: Decisions,
    /// Per decision: evidence, in [`Decisions::NAMES`] order.
    pub evidence: Vec<Evidence>,
    /// The page removal that the zapper performs, and the locks around it.
    pub zap: CodePath,
    /// The other code paths a scenario can add as threads.
    pub paths: Vec<CodePath>,
}

impl KernelProfile {
    /// Reads a kernel profile.
    ///
    /// # Errors
    /// At the first thing that is not understood, with its place and a remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, DataError> {
        let parsed = Reader::parse(file, text)?;
        let root = Reader::root(file, text, &parsed);
        root.only(&["name", "title", "decisions", "zap", "path"])?;
        let (decisions, evidence) = parse_decisions(root.table("decisions")?)?;
        let mut paths: Vec<CodePath> = Vec::new();
        for row in root.tables("path")? {
            let path = parse_path(row)?;
            if paths.iter().any(|known| known.name == path.name) {
                return Err(row.error_at("name", format!("duplicate code path {}", path.name)));
            }
            paths.push(path);
        }
        Ok(Self {
            name: root.string("name")?.to_owned(),
            title: root.string("title")?.to_owned(),
            decisions,
            evidence,
            zap: parse_path(root.table("zap")?)?,
            paths,
        })
    }

    /// The code path called `name`.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&CodePath> {
        self.paths.iter().find(|path| path.name == name)
    }
}

/// Every decision must be given: a kernel version is a full assignment.
fn parse_decisions(table: Reader<'_>) -> Result<(Decisions, Vec<Evidence>), DataError> {
    table.only(Decisions::NAMES)?;
    let mut decisions = Decisions::first_of_each();
    let mut evidence = Vec::new();
    for name in Decisions::NAMES {
        let row = table.table(name)?;
        row.only(&["value", "source", "evidence"])?;
        row.string("source")?;
        decisions
            .set(name, row.string("value")?)
            .map_err(|error| row.error_at("value", error.to_string()))?;
        evidence.push(row.choice("evidence")?);
    }
    Ok((decisions, evidence))
}

fn parse_path(row: Reader<'_>) -> Result<CodePath, DataError> {
    row.only(&[
        "name",
        "function",
        "locks",
        "does",
        "on_failure",
        "before_finalize",
        "source",
        "evidence",
        "note",
    ])?;
    let mut locks = KvmHeld::default();
    for lock in row.tables("locks")? {
        lock.only(&["lock", "mode"])?;
        locks = locks.with(lock.choice("lock")?, lock.choice("mode")?);
    }
    let deeds = row
        .strings("does")?
        .into_iter()
        .map(|deed| match deed {
            "premap" => Deed::Premap,
            leaf => Deed::Seamcall(leaf.to_owned()),
        })
        .collect();
    Ok(CodePath {
        name: row.string("name")?.to_owned(),
        function: row.string("function")?.to_owned(),
        locks,
        deeds,
        on_failure: if row.has("on_failure") {
            row.choice("on_failure")?
        } else {
            OnFailure::Return
        },
        before_finalize: row.boolean("before_finalize", false)?,
        source: row.string("source")?.to_owned(),
        evidence: row.choice("evidence")?,
    })
}
