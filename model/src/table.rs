//! The lock table: what each SEAMCALL and TDCALL does to the module's locks, in order.
//!
//! One file per TDX module version in `data/modules/`. A leaf is a straight sequence of steps;
//! what it undoes when a step fails is not written down: every error exit of the module
//! releases exactly what was taken, in reverse order (`facts` in docs/model.md).

mod parse;

use crate::closed_enum::closed_enum;
use crate::resource::{Evidence, LockKind, Mode, Resource};
use crate::status::Operand;

closed_enum! { "effect",
    /// What a leaf does between taking and releasing locks. See `module/effects.rs`.
    pub enum Effect {
        BlockEntry = "block-entry": "TDH.MEM.RANGE.BLOCK: check the entry's state and store its blocked form, entry still locked",
        RecordBepoch = "record-bepoch": "TDH.MEM.RANGE.BLOCK: copy TD_EPOCH into the page's PAMT.BEPOCH, without the epoch lock",
        AdvanceEpoch = "advance-epoch": "TDH.MEM.TRACK: require REFCOUNT of the previous epoch to be 0, then TD_EPOCH++",
        CheckLeaf = "check-leaf": "TDH.MEM.PAGE.REMOVE: require a present leaf",
        CheckTracked = "check-tracked": "TDH.MEM.PAGE.REMOVE: in a runnable TD, require blocked and tracked",
        FreeEntry = "free-entry": "TDH.MEM.PAGE.REMOVE: store FREE",
        SampleEpoch = "sample-epoch": "TDH.VP.ENTER: sample TD_EPOCH, REFCOUNT[epoch & 1]++",
        WouldFault = "would-fault": "TDH.VP.ENTER: 0-step filter, leave with an EPT violation if the listed GPA would still fault",
        RunGuest = "run-guest": "TDH.VP.ENTER: the guest runs, until a VM exit that becomes a TD exit",
        LeaveEpoch = "leave-epoch": "TD exit: REFCOUNT[vCPU's epoch & 1]--",
        AcceptCheck = "accept-check": "TDG.MEM.PAGE.ACCEPT: re-read the entry and decide",
        AcceptStore = "accept-store": "TDG.MEM.PAGE.ACCEPT: store the entry as MAPPED",
        AttrCheck = "attr-check": "TDG.MEM.PAGE.ATTR.RD / WR: re-read the entry and decide",
        AugEntry = "aug-entry": "TDH.MEM.PAGE.AUG: require FREE, store PENDING",
        AddEntry = "add-entry": "TDH.MEM.PAGE.ADD: require FREE, store MAPPED",
        Finalize = "finalize": "TDH.MR.FINALIZE: OP_STATE becomes RUNNABLE",
        RequireInitialized = "require-initialized": "refuse the call with OP_STATE_INCORRECT unless the TD is before TDH.MR.FINALIZE",
        RequireRunnable = "require-runnable": "refuse the call with OP_STATE_INCORRECT unless the TD is behind TDH.MR.FINALIZE",
    }
}

closed_enum! { "condition",
    /// When a step of a leaf is taken at all.
    pub enum Condition {
        ZeroStepArmed = "zero-step-armed": "the vCPU's LAST_EPF_GPA_LIST is not empty",
    }
}

/// One step of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowStep {
    /// What it does.
    pub action: FlowAction,
    /// Only under this condition.
    pub when: Option<Condition>,
}

/// What a step of a leaf does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// Try to take a lock; `busy` is the operand reported with OPERAND_BUSY.
    Acquire {
        /// The lock.
        resource: Resource,
        /// How.
        mode: Mode,
        /// Bits 31:0 of the BUSY status.
        busy: Operand,
    },
    /// Release a lock.
    Release {
        /// The lock.
        resource: Resource,
    },
    /// A coded effect, and the lock that the same store releases, if any.
    Effect {
        /// The effect.
        effect: Effect,
        /// The lock released by the same store.
        releases: Option<Resource>,
    },
}

/// One SEAMCALL or TDCALL leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// `TDH.MEM.RANGE.BLOCK`, …
    pub name: String,
    /// The leaf version, where versions differ.
    pub version: Option<u64>,
    /// Its steps.
    pub flow: Vec<FlowStep>,
    /// Where this was found.
    pub source: String,
    /// How well it is known.
    pub evidence: Evidence,
}

impl FlowStep {
    /// Whether it only asks for the TD's OP_STATE.
    #[must_use]
    pub const fn asks_op_state(&self) -> bool {
        matches!(
            self.action,
            FlowAction::Effect {
                effect: Effect::RequireInitialized | Effect::RequireRunnable,
                ..
            }
        )
    }
}

impl Leaf {
    /// `TDH.VP.INIT@1` where versions differ, else the plain name.
    #[must_use]
    pub fn key(&self) -> String {
        self.version.map_or_else(
            || self.name.clone(),
            |version| format!("{}@{version}", self.name),
        )
    }

    /// True for guest-side leaves (`TDG.*`).
    #[must_use]
    pub fn is_tdcall(&self) -> bool {
        self.name.starts_with("TDG.")
    }

    /// The leaf's lock acquisitions, in order.
    pub fn acquisitions(&self) -> impl Iterator<Item = (Resource, Mode, Operand)> + '_ {
        self.flow.iter().filter_map(|step| match step.action {
            FlowAction::Acquire {
                resource,
                mode,
                busy,
            } => Some((resource, mode, busy)),
            _ => None,
        })
    }
}

/// A TDX module version's lock table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockTable {
    /// Version name: `1.5.05`.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// The kind of each lock the table mentions.
    pub kinds: Vec<(Resource, LockKind)>,
    /// Whether whole-entry stores keep a host-priority mark set meanwhile (2.0.12) or erase it.
    pub entry_store_keeps_host_priority: bool,
    /// The leaves.
    pub leaves: Vec<Leaf>,
}

impl LockTable {
    /// The leaf with this key (`TDH.VP.INIT@1`) or, for an unversioned row, name.
    #[must_use]
    pub fn leaf(&self, key: &str) -> Option<&Leaf> {
        let plain = key.split('@').next();
        self.leaves
            .iter()
            .find(|leaf| leaf.key() == key)
            .or_else(|| {
                self.leaves
                    .iter()
                    .find(|leaf| leaf.version.is_none() && Some(leaf.name.as_str()) == plain)
            })
    }
}
