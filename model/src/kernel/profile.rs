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
            "decisions_as",
            "decisions_evidence",
            "decisions",
            "zap",
            "trigger",
            "path",
            "renamed",
        ])?;
        let (decisions, evidence) = parse_decisions(root)?;
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
        let mut zap = root
            .has("zap")
            .then(|| path::parse(root.table("zap")?))
            .transpose()?;
        let mut renamed = renamed::parse(root)?;
        if root.has("paths_as") {
            inherit(root, &mut zap, &mut paths, &mut triggers, &mut renamed)?;
        }
        Ok(Self {
            name: root.string("name")?.to_owned(),
            title: root.string("title")?.to_owned(),
            decisions,
            evidence,
            zap: zap.ok_or_else(|| {
                root.error("missing key `zap`")
                    .with_help("give it, or take that of another kernel: paths_as = \"6.19\"")
            })?,
            triggers,
            paths,
            renamed,
        })
    }

    /// The code path called `name`, if the profile has one.
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

/// The built-in profile that the key `key` names, and the evidence that this one claims for what it
/// takes over: `assumed` unless it says otherwise.
fn other(
    root: Reader<'_>,
    key: &str,
    evidence: &str,
) -> Result<(KernelProfile, Evidence), DataError> {
    let from = root.string(key)?;
    let evidence = if root.has(evidence) {
        root.choice(evidence)?
    } else {
        Evidence::Assumed
    };
    let known = builtin::KERNELS.iter().find(|(name, _)| *name == from);
    let Some((name, text)) = known else {
        let names: Vec<&str> = builtin::KERNELS.iter().map(|(name, _)| *name).collect();
        return Err(root
            .error_at(key, format!("unknown kernel `{from}`"))
            .with_help(format!("it is one of {}", names.join(", "))));
    };
    if root.string("name")? == *name {
        return Err(root.error_at(key, "a profile can not take over its own rows"));
    }
    Ok((KernelProfile::parse(name, text)?, evidence))
}

/// Rows that another profile has and this one has not.
fn inherit(
    root: Reader<'_>,
    zap: &mut Option<CodePath>,
    paths: &mut Vec<CodePath>,
    triggers: &mut Vec<Trigger>,
    renamed: &mut Vec<Renamed>,
) -> Result<(), DataError> {
    let (other, evidence) = other(root, "paths_as", "paths_evidence")?;
    let source = |source: &str| format!("{source}, as in {}", other.name);
    let taken_over = |path: CodePath| CodePath {
        source: source(&path.source),
        evidence,
        ..path
    };
    zap.get_or_insert_with(|| taken_over(other.zap.clone()));
    for path in &other.paths {
        if paths.iter().all(|known| known.name != path.name) {
            paths.push(taken_over(path.clone()));
        }
    }
    for trigger in &other.triggers {
        if triggers.iter().all(|known| known.name != trigger.name) {
            triggers.push(Trigger {
                source: source(&trigger.source),
                evidence,
                ..trigger.clone()
            });
        }
    }
    for row in &other.renamed {
        if renamed.iter().all(|known| known.function != row.function) {
            renamed.push(Renamed {
                source: source(&row.source),
                evidence,
                ..row.clone()
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

/// A kernel version is a full assignment: what is not given is that of the profile that
/// `decisions_as` names; without one every decision must be given.
fn parse_decisions(root: Reader<'_>) -> Result<(Decisions, Vec<Evidence>), DataError> {
    let taken = root
        .has("decisions_as")
        .then(|| other(root, "decisions_as", "decisions_evidence"))
        .transpose()?;
    let given = if root.has("decisions") || taken.is_none() {
        Some(root.table("decisions").map_err(give_or_take_over)?)
    } else {
        None
    };
    let mut decisions = Decisions::first_of_each();
    if let Some((other, _)) = &taken {
        decisions = other.decisions;
    }
    if let Some(table) = given {
        table.only(Decisions::NAMES)?;
    }
    let mut all = Vec::new();
    for name in Decisions::NAMES {
        // What is not given and can not be taken over is missed where it should stand.
        let given = given.filter(|table| table.has(name) || taken.is_none());
        all.push(match (given, &taken) {
            (Some(table), _) => parse_decision(table, name, &mut decisions)?,
            (None, taken) => taken
                .as_ref()
                .map_or(Evidence::Assumed, |(_, taken)| *taken),
        });
    }
    Ok((decisions, all))
}

fn parse_decision(
    table: Reader<'_>,
    name: &str,
    decisions: &mut Decisions,
) -> Result<Evidence, DataError> {
    let row = table.table(name).map_err(|error| {
        if table.has(name) {
            error
        } else {
            give_or_take_over(error)
        }
    })?;
    row.only(&["value", "source", "evidence"])?;
    row.string("source")?;
    decisions
        .set(name, row.string("value")?)
        .map_err(|error| row.error_at("value", error.to_string()))?;
    row.choice("evidence")
}

fn give_or_take_over(error: DataError) -> DataError {
    error.with_help(
        "give every decision (`check list --decisions`), or take over the rest: decisions_as = \"6.19\"",
    )
}
