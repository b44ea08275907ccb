//! What does not change during a search: the decisions, the scenario, and the lock table's leaves as
//! the module runs them.

mod collisions;
mod private;
mod refused;

pub use refused::{SetupError, implements};

use crate::kernel::unsupported::refuse_others;
use crate::kernel::{Decisions, KernelProfile, KvmHeld};
use crate::property::PropertySet;
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::scenario::Scenario;
use crate::status::Operand;
use crate::table::{self, Effect, FlowAction, LockTable};

/// One step of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Try a sharex lock.
    Try {
        /// The lock.
        resource: Resource,
        /// How.
        mode: Mode,
        /// The operand of the BUSY.
        busy: Operand,
    },
    /// `lock bts` of TDEL.
    SetTdel {
        /// Host or guest.
        mode: Mode,
        /// The operand of the BUSY.
        busy: Operand,
    },
    /// A host has TDEL: `lock btr` of TDHP.
    ClearTdhp,
    /// A guest has TDEL: is TDHP set?
    TestTdhp {
        /// The operand of the refusal.
        busy: Operand,
    },
    /// Release a lock.
    Release(Resource),
    /// What the leaf does, and the lock that the same store releases.
    Do(Effect, Option<Resource>),
}

/// A step, with what is known about it beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What it does.
    pub action: Action,
    /// Only while LAST_EPF_GPA_LIST is not empty.
    pub if_armed: bool,
    /// Nobody else can make it fail, or see that it was made: it is made with the step before it.
    pub private: bool,
}

/// A leaf.
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// Its steps; none if nobody issues it.
    pub ops: Vec<Op>,
}

/// Everything a search does not change.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The protocol.
    pub decisions: Decisions,
    /// Who takes part.
    pub scenario: Scenario,
    /// The leaves, as in [`LEAVES`].
    pub leaves: Vec<Leaf>,
    /// Whether whole-entry stores keep a TDHP set meanwhile.
    pub keeps_host_priority: bool,
    /// The properties whose violation an actor remembers, as a set of bits.
    pub watched: PropertySet,
    users: Vec<User>,
}

/// The leaves, by place: SEAMCALLs of the zapper's, SEAMCALLs of a vCPU's, TDCALLs.
pub const LEAVES: [&str; 9] = [
    "TDH.MEM.RANGE.BLOCK",
    "TDH.MEM.TRACK",
    "TDH.MEM.PAGE.REMOVE",
    "TDH.VP.ENTER",
    "TDH.MEM.PAGE.AUG",
    "TDH.VP.WR",
    "TDG.MEM.PAGE.ACCEPT",
    "TDG.MEM.PAGE.ATTR.RD",
    "TDG.MEM.PAGE.ATTR.WR",
];
/// TDH.MEM.RANGE.BLOCK's place in [`LEAVES`].
pub const BLOCK: u8 = 0;
/// TDH.MEM.TRACK's.
pub const TRACK: u8 = 1;
/// TDH.MEM.PAGE.REMOVE's.
pub const REMOVE: u8 = 2;
/// TDH.VP.ENTER's.
pub const ENTER: u8 = 3;
/// TDH.MEM.PAGE.AUG's.
pub const AUG: u8 = 4;
/// TDH.VP.WR's.
pub const WRITE: u8 = 5;
/// TDG.MEM.PAGE.ACCEPT's, the first TDCALL's.
pub const FIRST_TDCALL: u8 = 6;

/// Who issues a leaf, and under which KVM locks.
#[derive(Clone, Debug)]
struct User {
    leaf: usize,
    by_zapper: bool,
    locks: KvmHeld,
    acquires: Vec<(Resource, Mode)>,
}

impl Setup {
    /// Lays out the actors' side of a question.
    ///
    /// # Errors
    /// When the scenario has what the actors have not, or the table lacks a leaf.
    pub fn new(
        table: &LockTable,
        kernel: &KernelProfile,
        decisions: Decisions,
        scenario: &Scenario,
    ) -> Result<Self, SetupError> {
        refused::refuse(scenario)?;
        refuse_others(refused::IMPLEMENTED, &decisions)?;
        let mut setup = Self {
            decisions,
            scenario: scenario.clone(),
            leaves: Vec::new(),
            keeps_host_priority: table.entry_store_keeps_host_priority,
            watched: PropertySet::MAX,
            users: Vec::new(),
        };
        let zap = kernel.zap.locks;
        let fault = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        for (index, key) in LEAVES.into_iter().enumerate() {
            let (agent, locks) = match index as u8 {
                BLOCK | TRACK | REMOVE => ("the zapper", zap),
                AUG => ("a vCPU", fault),
                ENTER | WRITE => ("a vCPU", KvmHeld::default()),
                _ => ("the guest", KvmHeld::default()),
            };
            let left_out = match index as u8 {
                FIRST_TDCALL => !scenario.accept,
                index => index > FIRST_TDCALL && !scenario.attr,
            };
            match table.leaf(key).filter(|_| !left_out) {
                Some(leaf) => setup.add(leaf, index, locks),
                // Tables may lack TDH.VP.WR: then no event is pushed.
                None if left_out || index as u8 == WRITE => setup.leaves.push(Leaf::default()),
                None => {
                    return Err(SetupError::MissingLeaf {
                        table: table.name.clone(),
                        leaf: key,
                        agent,
                    });
                }
            }
        }
        setup.find_private();
        Ok(setup)
    }

    /// Whether the table has TDH.VP.WR.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.leaves[usize::from(WRITE)].ops.is_empty()
    }

    /// The TDCALLs the guest may issue.
    pub(super) fn tdcalls(&self) -> impl Iterator<Item = u8> + '_ {
        (FIRST_TDCALL..LEAVES.len() as u8)
            .filter(|leaf| !self.leaves[usize::from(*leaf)].ops.is_empty())
    }

    pub(super) fn vcpus(&self) -> usize {
        self.scenario.vcpus
    }

    fn add(&mut self, leaf: &table::Leaf, index: usize, locks: KvmHeld) {
        let steps = leaf
            .flow
            .iter()
            .filter(|step| step.when.is_none() || self.scenario.zero_step);
        let mut ops = Vec::new();
        let mut acquires = Vec::new();
        for step in steps {
            let mut push = |action| {
                ops.push(Op {
                    action,
                    if_armed: step.when.is_some(),
                    private: false,
                });
            };
            match step.action {
                FlowAction::Acquire {
                    resource,
                    mode,
                    busy,
                } => {
                    acquires.push((resource, mode));
                    match mode {
                        Mode::Shared | Mode::Exclusive => push(Action::Try {
                            resource,
                            mode,
                            busy,
                        }),
                        Mode::Host => {
                            push(Action::SetTdel { mode, busy });
                            push(Action::ClearTdhp);
                        }
                        Mode::Guest => {
                            push(Action::SetTdel { mode, busy });
                            push(Action::TestTdhp { busy });
                        }
                    }
                }
                FlowAction::Release { resource } => push(Action::Release(resource)),
                // The TD is finalized, and stays so: this says yes, and changes nothing.
                FlowAction::Effect {
                    effect: Effect::RequireRunnable,
                    ..
                } => {}
                FlowAction::Effect { effect, releases } => push(Action::Do(effect, releases)),
            }
        }
        self.users.push(User {
            leaf: index,
            by_zapper: index <= usize::from(REMOVE),
            locks,
            acquires,
        });
        self.leaves.push(Leaf { ops });
    }
}
