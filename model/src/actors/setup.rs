//! What does not change during a search: the decisions, the scenario, and the lock table's leaves as
//! the module runs them.

mod collisions;

use super::message::MAX_VCPUS;
use crate::kernel::unsupported::{Implemented, Unsupported, refuse_others};
use crate::kernel::{Decisions, KernelProfile, KvmHeld};
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::scenario::Scenario;
use crate::status::Operand;
use crate::table::{self, Effect, FlowAction, LockTable};

/// A question that this form does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The scenario has something that the actors do not have.
    #[error("the actor model has no {what}; {remedy}")]
    NotThere {
        /// What.
        what: &'static str,
        /// How to ask instead.
        remedy: &'static str,
    },
    /// A decision has a value that the actors do not have.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The lock table lacks a leaf.
    #[error("lock table {table} has no row for {leaf}, which {agent} issues")]
    MissingLeaf {
        /// The lock table.
        table: String,
        /// The leaf.
        leaf: &'static str,
        /// The actor.
        agent: &'static str,
    },
}

/// What the actors implement: everything but what only older kernels had, and M15, M18 and M30.
const IMPLEMENTED: Implemented = &[
    (
        "flag_raise",
        &["before-kick", "after-kick", "around-all-three", "never"],
    ),
    (
        "flag_clear",
        &["after-retry", "before-retry", "only-on-success"],
    ),
    (
        "kick",
        &["request-wait", "request-no-wait", "vcpu-kick", "none"],
    ),
    ("kick_mode_read", &["locked-cmpxchg", "plain-load"]),
    (
        "vcpu_flag_test",
        &[
            "in-tdx-vcpu-run",
            "first-lap-only",
            "before-mode-store",
            "before-irq-disable",
            "absent",
        ],
    ),
    (
        "vcpu_barrier",
        &[
            "srcu-unlock",
            "absent",
            "srcu-unlock-before-mode-store",
            "light-srcu",
        ],
    ),
    ("mode_outside", &["after-vp-enter", "before-vp-enter"]),
    ("irq_disable", &["before-mode-store", "after-flag-test"]),
    (
        "busy_predicate",
        &[
            "masked",
            "bit-test",
            "sept-busy",
            "sept-busy-track-masked",
            "unmasked",
            "masked-or-epoch-busy",
        ],
    ),
    (
        "on_busy",
        &["kick-and-retry", "give-up", "retry-without-kick"],
    ),
    ("track_kick", &["after-track", "absent"]),
    ("exit_request", &["mode-or-work", "work-only"]),
    (
        "flag_return",
        &["exit-handled", "reenter-guest", "sleep", "sleep-woken"],
    ),
    ("vp_enter_busy", &["exit-handled", "reenter-guest"]),
    ("exit_reason_on_flag", &["kept", "undefined"]),
];

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
    pub watched: u16,
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
        refuse(scenario)?;
        refuse_others(IMPLEMENTED, &decisions)?;
        let mut setup = Self {
            decisions,
            scenario: scenario.clone(),
            leaves: Vec::new(),
            keeps_host_priority: table.entry_store_keeps_host_priority,
            watched: u16::MAX,
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

    fn find_private(&mut self) {
        for user in 0..self.users.len() {
            let leaf = self.users[user].leaf;
            for at in 0..self.leaves[leaf].ops.len() {
                self.leaves[leaf].ops[at].private = self.is_private(&self.users[user], at);
            }
        }
    }

    fn is_private(&self, user: &User, at: usize) -> bool {
        let ops = &self.leaves[user.leaf].ops;
        let uncontended = |resource| {
            let mut own = user.acquires.iter().filter(|(own, _)| *own == resource);
            !own.any(|(_, mode)| self.rivals(user, resource, *mode).next().is_some())
        };
        match ops[at].action {
            Action::Try { resource, .. } | Action::Release(resource) => uncontended(resource),
            Action::SetTdel { .. } => uncontended(Resource::SeptEntry),
            // Only a host sets TDHP, and guests look at it with TDEL set, which the caller has.
            Action::ClearTdhp => !self
                .rivals(user, Resource::SeptEntry, Mode::Host)
                .any(|rival| rival.acquires.contains(&(Resource::SeptEntry, Mode::Host))),
            Action::TestTdhp { .. } => uncontended(Resource::SeptEntry),
            Action::Do(effect, _) => match effect {
                // Under the epoch lock, with its acquisition (docs/model.md, "The three merged checks").
                Effect::SampleEpoch | Effect::AdvanceEpoch => at > 0 && takes_epoch(ops[at - 1]),
                // Only the zapper reads or writes BEPOCH; the state is read under the entry's lock.
                Effect::RecordBepoch | Effect::CheckLeaf | Effect::AttrCheck => true,
                // The copy of TDHP that is made here counts only where it is stored back.
                Effect::AcceptCheck => self.keeps_host_priority,
                _ => false,
            },
        }
    }

    /// Who can hold `resource` against `user`'s taking it in `mode`, or the other way round.
    fn rivals<'a>(
        &'a self,
        user: &'a User,
        resource: Resource,
        mode: Mode,
    ) -> impl Iterator<Item = &'a User> + 'a {
        self.users.iter().filter(move |rival| {
            let other_cpu =
                user.by_zapper != rival.by_zapper || (!user.by_zapper && self.scenario.vcpus > 1);
            // A fault freezes the page's SPTE first: no two are in TDH.MEM.PAGE.AUG on one page.
            let frozen = user.leaf == usize::from(AUG)
                && rival.leaf == usize::from(AUG)
                && resource.is_per_page();
            other_cpu
                && !resource.is_per_vcpu()
                && !frozen
                && !user.locks.excludes(rival.locks)
                && rival
                    .acquires
                    .iter()
                    .any(|(other, held)| *other == resource && mode.conflicts(*held))
        })
    }
}

fn takes_epoch(op: Op) -> bool {
    matches!(
        op.action,
        Action::Try {
            resource: Resource::TdEpoch,
            ..
        }
    )
}

fn refuse(scenario: &Scenario) -> Result<(), SetupError> {
    let not_there = |what, remedy| Err(SetupError::NotThere { what, remedy });
    if scenario.vcpus == 0 || scenario.vcpus > MAX_VCPUS {
        return not_there("room for that many vCPUs", "ask for 1 to 4");
    }
    if scenario.pages != 1 {
        return not_there("second page", "ask for one page, or the packed model");
    }
    if !scenario.threads.is_empty() {
        return not_there("ioctl threads", "ask the packed model");
    }
    if !scenario.finalized {
        return not_there(
            "TD that is not finalized",
            "ask the packed model: no vCPU runs before TDH.MR.FINALIZE",
        );
    }
    let more = [
        (scenario.inodes != 1, "second inode"),
        (!scenario.zap.is_empty(), "other zapper than the profile's"),
        (scenario.migrate, "CPU that a vCPU could move to"),
        (scenario.late, "vCPU that is created later"),
    ];
    match more.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => not_there(what, "ask the packed model"),
        None => Ok(()),
    }
}
