//! Whether a scenario fits its lock table and kernel profile.

use crate::kernel::{CodePath, KernelProfile, KvmHeld};
use crate::module::compile::TooLarge;
use crate::scenario::{MAX_PAGES, MAX_THREADS, MAX_VCPUS, Scenario};

/// A scenario that does not fit its lock table or kernel profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More of something than a state has room for.
    #[error("{given} {what} asked for, at most {limit} are possible")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        given: usize,
        /// How many are possible.
        limit: usize,
    },
    /// The lock table lacks a leaf that an agent issues.
    #[error(
        "lock table {table} has no row for {leaf}, which {agent} issues; add the row, or leave {agent} out"
    )]
    MissingLeaf {
        /// The lock table.
        table: String,
        /// The leaf.
        leaf: String,
        /// The agent.
        agent: String,
    },
    /// The kernel profile has no such code path.
    #[error("kernel {kernel} has no code path `{name}`; it has {}", .known.join(", "))]
    UnknownPath {
        /// The profile.
        kernel: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The code path is refused by KVM once the TD is finalized.
    #[error(
        "{name} is refused once the TD is finalized; ask with finalized=false, or take `any-tdr-exclusive`"
    )]
    OnlyBeforeFinalize {
        /// The code path.
        name: String,
    },
    /// The code path is refused by KVM until the TD is finalized.
    #[error("{name} is refused until the TD is finalized; ask with finalized=true")]
    OnlyAfterFinalize {
        /// The code path.
        name: String,
    },
    /// Nothing can run beside the code path.
    #[error("{name} does not run beside anything else: {why}")]
    Alone {
        /// The code path.
        name: String,
        /// Why.
        why: String,
    },
    /// Nothing of this name removes pages.
    #[error("in kernel {kernel} nothing called `{name}` removes pages; it is one of {}", .known.join(", "))]
    UnknownTrigger {
        /// The profile.
        kernel: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A page has one inode, and every inode a page.
    #[error("{inodes} inodes for {pages} pages: give 1, or as many as there are pages")]
    Inodes {
        /// How many inodes were asked for.
        inodes: usize,
        /// How many pages.
        pages: usize,
    },
    /// There is a zapper; it may have nothing to do.
    #[error("zappers is 1 or 2; for nobody who removes pages give zap=nobody")]
    NoZapper,
    /// What is kept for one kick only.
    #[error(
        "{what} is modelled beside one zapper only: its kick's reading of vcpu->cpu or of their number is kept once"
    )]
    NotWithTwoZappers {
        /// The setting.
        what: &'static str,
    },
    /// The leaves do not fit one-byte addresses.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

pub(super) fn check_sizes(scenario: &Scenario) -> Result<(), ConfigError> {
    let second = scenario.zappers.saturating_sub(1);
    let sizes = [
        ("zappers", scenario.zappers, 2),
        ("vCPUs", scenario.vcpus, MAX_VCPUS),
        ("pages", scenario.pages, MAX_PAGES),
        (
            "ioctl threads",
            scenario.threads.len(),
            MAX_THREADS - second.min(1),
        ),
    ];
    let (inodes, pages) = (scenario.inodes, scenario.pages);
    if inodes != 1 && inodes != pages {
        return Err(ConfigError::Inodes { inodes, pages });
    }
    if scenario.zappers == 0 {
        return Err(ConfigError::NoZapper);
    }
    let alone = [(scenario.migrate, "migrate"), (scenario.late, "late")];
    if let Some((_, what)) = alone.iter().find(|(asked, _)| *asked && second > 0) {
        return Err(ConfigError::NotWithTwoZappers { what });
    }
    match sizes.into_iter().find(|(_, given, limit)| given > limit) {
        Some((what, given, limit)) => Err(ConfigError::TooMany { what, given, limit }),
        None => Ok(()),
    }
}

pub(super) fn find_path<'a>(
    kernel: &'a KernelProfile,
    name: &str,
    finalized: bool,
) -> Result<&'a CodePath, ConfigError> {
    let path = kernel.path(name).ok_or_else(|| ConfigError::UnknownPath {
        kernel: kernel.name.clone(),
        name: name.to_owned(),
        known: kernel.paths.iter().map(|path| path.name.clone()).collect(),
    })?;
    match (&path.alone, path.before_finalize && finalized) {
        (Some(why), _) => Err(ConfigError::Alone {
            name: name.to_owned(),
            why: why.clone(),
        }),
        (None, true) => Err(ConfigError::OnlyBeforeFinalize {
            name: name.to_owned(),
        }),
        (None, false) => Ok(path),
    }
}

/// The locks around the page removal that the scenario asks for.
pub(super) fn zap_locks(
    kernel: &KernelProfile,
    scenario: &Scenario,
) -> Result<KvmHeld, ConfigError> {
    let triggers = kernel.triggers();
    let wanted = scenario.zap.as_str();
    if wanted.is_empty() || wanted == Scenario::NOBODY {
        return Ok(kernel.zap.locks);
    }
    let Some(trigger) = triggers.iter().find(|trigger| trigger.name == wanted) else {
        let names = triggers.into_iter().map(|trigger| trigger.name);
        return Err(ConfigError::UnknownTrigger {
            kernel: kernel.name.clone(),
            name: wanted.to_owned(),
            known: names.chain([Scenario::NOBODY.to_owned()]).collect(),
        });
    };
    match &trigger.alone {
        Some(why) => Err(ConfigError::Alone {
            name: wanted.to_owned(),
            why: why.clone(),
        }),
        None => Ok(trigger.locks),
    }
}
