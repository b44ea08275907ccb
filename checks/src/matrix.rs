//! `check matrix`: leaf against leaf, which can collide on which lock, and which really do.

mod json;
mod text;

pub use json::{FORMAT, Report};

use crate::collisions::{self, Caller, Collision, Meeting};
use crate::exit::Exit;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::leaf_number::LEAVES;
use seamcheck_model::module::compile::TooLarge;
use seamcheck_model::system::ConfigError;
use seamcheck_model::table::LockTable;

/// What a lock table and a kernel profile say about every pair of leaves.
#[derive(Debug)]
pub struct Matrix {
    /// The lock table, as named.
    pub module: String,
    /// The kernel profile, as named.
    pub kernel: String,
    /// The leaves, by key, in the table's order.
    pub leaves: Vec<String>,
    /// What the rows allow.
    pub collisions: Vec<Collision>,
    /// Who in the kernel issues what.
    pub callers: Vec<Caller>,
}

/// Why there is no matrix.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// A leaf is too long.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The table lacks a leaf that every kernel issues.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// How real a collision is under the kernel's locks, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reality {
    /// Code of KVM's can bring the two together.
    Together,
    /// Only code that KVM does not have could.
    Hypothetical,
    /// Both are issued, and something keeps them apart.
    KeptApart,
    /// This kernel issues one of them not at all.
    NoCaller,
}

impl Reality {
    /// As it is spelled in JSON.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Together => "together",
            Self::Hypothetical => "hypothetical",
            Self::KeptApart => "kept-apart",
            Self::NoCaller => "no-caller",
        }
    }

    fn of(meetings: &[Meeting<'_>]) -> Self {
        let each = meetings.iter().map(Self::of_one);
        each.min().unwrap_or(Self::NoCaller)
    }

    fn of_one(meeting: &Meeting<'_>) -> Self {
        if meeting.apart.is_some() {
            Self::KeptApart
        } else if meeting.loser.is_hypothetical || meeting.holder.is_hypothetical {
            Self::Hypothetical
        } else {
            Self::Together
        }
    }
}

impl Matrix {
    /// Reads off a table's rows and a profile's code paths.
    ///
    /// # Errors
    /// When the table is too large, or lacks a leaf of the page removal or of the vCPUs.
    pub fn new(
        module: &str,
        table: &LockTable,
        kernel: &str,
        profile: &KernelProfile,
    ) -> Result<Self, MatrixError> {
        Ok(Self {
            module: module.to_owned(),
            kernel: kernel.to_owned(),
            leaves: table
                .leaves
                .iter()
                .map(seamcheck_model::table::Leaf::key)
                .collect(),
            collisions: collisions::collisions(table)?,
            callers: collisions::callers(table, profile)?,
        })
    }

    fn meetings(&self, collision: &Collision) -> (Reality, Vec<Meeting<'_>>) {
        let meetings = collisions::meetings(collision, &self.callers);
        (Reality::of(&meetings), meetings)
    }

    /// Leaves with a row that no code path of the kernel's issues, hypothetical ones left out: what the
    /// matrix says of them comes from the rows alone.
    #[must_use]
    pub fn not_issued(&self) -> Vec<&str> {
        let issued = |leaf: &&String| {
            let mut callers = self.callers.iter();
            callers.any(|caller| caller.leaf == **leaf && !caller.is_hypothetical)
        };
        let leaves = self.leaves.iter().filter(|leaf| !issued(leaf));
        leaves.map(String::as_str).collect()
    }

    /// Host-side leaves of the module that the table has no row for: the matrix says nothing of them.
    #[must_use]
    pub fn without_row(&self) -> Vec<&'static str> {
        let has_row = |name: &str| {
            let names = self.leaves.iter().map(|key| key.split('@').next());
            names.flatten().any(|known| known == name)
        };
        let names = LEAVES.iter().map(|(_, name)| *name);
        names.filter(|name| !has_row(name)).collect()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// As `seamcheck.matrix.v1`.
    #[must_use]
    pub fn json(&self, exit: Exit) -> Report {
        json::report(self, exit)
    }
}
