//! A kernel profile: `data/kernels/*.toml`.

use super::path::{self, CodePath, set};
use super::renamed::{self, Renamed};
use super::{Decisions, Deed, KvmHeld};
use crate::builtin;
use crate::data::{DataError, Reader};
use crate::resource::{Evidence, KvmLock, KvmMode};

/// Something that makes KVM remove a page, with the locks that it holds outside mmu_lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// `guest_memfd memory failure`, …
    pub name: String,
    /// The function that takes the locks.
    pub function: String,
    /// The locks held during the removal, mmu_lock included.
    pub locks: KvmHeld,
    /// The same, in the order in which they are taken.
    pub order: Vec<(KvmLock, KvmMode)>,
    /// Why nothing else can run beside it, when that is so.
    pub alone: Option<String>,
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
    /// What else makes KVM remove a page.
    pub triggers: Vec<Trigger>,
    /// The other code paths a scenario can add as threads.
    pub paths: Vec<CodePath>,
    /// Functions that have other names than in 6.16.
    pub renamed: Vec<Renamed>,
}

impl KernelProfile {
    /// Reads a kernel profile.
    ///
    /// # Errors
    /// At the first thing that is not understood, with its place and a remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, DataError> {
        let parsed = Reader::parse(file, text)?;
        let root = Reader::root(file, text, &parsed);
        root.only(&[
            "name",
            "title",
            "paths_as",
            "paths_evidence",
            "decisions",
            "zap",
            "trigger",
            "path",
            "renamed",
        ])?;
        let (decisions, evidence) = parse_decisions(root.table("decisions")?)?;
        let mut paths: Vec<CodePath> = Vec::new();
        for row in root.tables("path")? {
            let path = path::parse(row)?;
            if paths.iter().any(|known| known.name == path.name) {
                return Err(row.error_at("name", format!("duplicate code path {}", path.name)));
            }
            paths.push(path);
        }
        let mut triggers: Vec<Trigger> = Vec::new();
        for row in root.tables("trigger")? {
            triggers.push(parse_trigger(row)?);
        }
        if root.has("paths_as") {
            inherit(root, &mut paths, &mut triggers)?;
        }
        Ok(Self {
            name: root.string("name")?.to_owned(),
            title: root.string("title")?.to_owned(),
            decisions,
            evidence,
            zap: path::parse(root.table("zap")?)?,
            triggers,
            paths,
            renamed: renamed::parse(root)?,
        })
    }

    /// The code path called `name`.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&CodePath> {
        self.paths.iter().find(|path| path.name == name)
    }

    /// Whether pages are mapped in the mirror page table before they are added, so that a removal
    /// has to tolerate one that was not (`tdx_is_sept_zap_err_due_to_premap()`, up to 6.18).
    #[must_use]
    pub fn premaps(&self) -> bool {
        let mut deeds = self.paths.iter().flat_map(CodePath::deeds);
        deeds.any(|deed| *deed == Deed::Premap)
    }

    /// Everything that makes KVM remove a page, `[zap]` first.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger> {
        let zap = Trigger {
            name: self.zap.name.clone(),
            function: self.zap.function.clone(),
            locks: self.zap.locks,
            order: self.zap.order.clone(),
            alone: self.zap.alone.clone(),
            source: self.zap.source.clone(),
            evidence: self.zap.evidence,
        };
        std::iter::once(zap)
            .chain(self.triggers.iter().cloned())
            .collect()
    }
}

/// Rows that another profile has and this one has not, with the evidence that this one claims for
/// them: `assumed` unless it says otherwise.
fn inherit(
    root: Reader<'_>,
    paths: &mut Vec<CodePath>,
    triggers: &mut Vec<Trigger>,
) -> Result<(), DataError> {
    let from = root.string("paths_as")?;
    let evidence = if root.has("paths_evidence") {
        root.choice("paths_evidence")?
    } else {
        Evidence::Assumed
    };
    let known = builtin::KERNELS.iter().find(|(name, _)| *name == from);
    let Some((name, text)) = known else {
        let names: Vec<&str> = builtin::KERNELS.iter().map(|(name, _)| *name).collect();
        return Err(root
            .error_at("paths_as", format!("unknown kernel `{from}`"))
            .with_help(format!("it is one of {}", names.join(", "))));
    };
    if root.string("name")? == *name {
        return Err(root.error_at("paths_as", "a profile can not have its own paths"));
    }
    let other = KernelProfile::parse(name, text)?;
    let source = |source: &str| format!("{source}, as in {name}");
    for path in other.paths {
        if paths.iter().all(|known| known.name != path.name) {
            let source = source(&path.source);
            paths.push(CodePath {
                source,
                evidence,
                ..path
            });
        }
    }
    for trigger in other.triggers {
        if triggers.iter().all(|known| known.name != trigger.name) {
            let source = source(&trigger.source);
            triggers.push(Trigger {
                source,
                evidence,
                ..trigger
            });
        }
    }
    Ok(())
}

fn parse_trigger(row: Reader<'_>) -> Result<Trigger, DataError> {
    row.only(&[
        "name", "function", "locks", "alone", "source", "evidence", "note",
    ])?;
    let order = path::parse_locks(row, "locks", &[])?;
    Ok(Trigger {
        name: row.string("name")?.to_owned(),
        function: row.string("function")?.to_owned(),
        locks: set(&order),
        order,
        alone: if row.has("alone") {
            Some(row.string("alone")?.to_owned())
        } else {
            None
        },
        source: row.string("source")?.to_owned(),
        evidence: row.choice("evidence")?,
    })
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
