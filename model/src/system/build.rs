//! From lock table, kernel profile and scenario to a system.

use super::config::{ConfigError, check_sizes, find_path, zap_locks};
use super::labels::{Environment, Labels, Part, StepId};
use super::reductions::Reductions;
use crate::kernel::renamed::rename;
use crate::kernel::{CodePath, Decisions, KernelProfile, KvmHeld};
use crate::kvm::{self, Line, Program, vcpu::VcpuLeaves, zap::ZapLeaves};
use crate::module::compile::TooLarge;
use crate::module::{Code, Compiler, LeafId};
use crate::observe::Observations;
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::scenario::Scenario;
use crate::status::{self, Operand, StatusWord};
use crate::table::{FlowAction, Leaf, LockTable};

/// Status indices of what the module's effects return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectStatus {
    pub(crate) already_blocked: u8,
    pub(crate) state_incorrect: u8,
    pub(crate) previous_epoch_busy: u8,
    pub(crate) not_blocked: u8,
    pub(crate) not_tracked: u8,
    pub(crate) op_state_incorrect: u8,
    pub(crate) already_accepted: u8,
    /// A TDCALL refused for a host's sake once too often; 0 where HP_LOCK_TIMEOUT does not run out.
    pub(crate) host_priority_timeout: u8,
    /// An EPT-violation TD exit: status 48, success class.
    pub(crate) ept_violation: u8,
}

/// The status word of an EPT-violation TD exit (tdh_vp_enter.c: exit reason 48, success class).
pub const EPT_VIOLATION_EXIT: StatusWord = StatusWord(48);

/// Everything that does not change during a run.
#[derive(Clone, Debug)]
pub struct System {
    /// The protocol.
    pub decisions: Decisions,
    /// Who takes part.
    pub scenario: Scenario,
    /// Which reductions are in force.
    pub reductions: Reductions,
    /// The TDX module's steps.
    pub code: Code,
    /// The zapper's program.
    pub zap: Program,
    /// The vCPUs' program.
    pub vcpu: Program,
    /// The ioctl threads' programs; the last is the second zapper's where there is one.
    pub threads: Vec<Program>,
    /// The second zapper's part.
    pub(crate) second_zapper: Option<Part>,
    /// The TDCALLs the guest may issue, distinct shapes only when R4 is on.
    pub tdcalls: Vec<LeafId>,
    /// TDCALLs that share another's steps (R4): (left out, stands for it).
    pub shared_shapes: Vec<(String, String)>,
    /// Numbers for steps.
    pub labels: Labels,
    /// What properties and witnesses look for, per step number.
    pub observations: Observations,
    /// Whether entry stores keep a host-priority mark.
    pub keeps_host_priority: bool,
    pub(crate) enter: LeafId,
    pub(crate) guest_held: crate::module::Held,
    pub(crate) status: EffectStatus,
    /// Two agents can lock the same S-EPT entry from the host side at the same time.
    pub(crate) host_rivals: bool,
    /// TD_EPOCH is advanced by the zapper alone.
    pub(crate) sole_tracker: bool,
    /// The KVM locks the zapper holds during a removal.
    pub(crate) zap_locks: KvmHeld,
    /// A thread may finalize the TD: `op_state` and `kvm_state` change.
    pub(crate) of_two_lives: bool,
    pub(super) users: Vec<User>,
}

/// A leaf, who issues it, and under which KVM locks.
#[derive(Clone, Debug)]
pub struct User {
    /// The leaf.
    pub leaf: LeafId,
    /// Who.
    pub part: Part,
    /// The KVM locks held around it.
    pub locks: KvmHeld,
    /// Its acquisitions, in order.
    pub acquisitions: Vec<(Resource, Mode)>,
    /// The vCPU's page-fault handler.
    pub is_fault: bool,
    /// It is issued while its page's mirror SPTE is frozen: two such never meet on one page.
    pub freezes: bool,
}

impl System {
    /// Builds a system.
    ///
    /// # Errors
    /// When the scenario asks for what the table or the profile does not have.
    pub fn new(
        table: &LockTable,
        kernel: &KernelProfile,
        decisions: Decisions,
        scenario: Scenario,
        reductions: Reductions,
    ) -> Result<Self, ConfigError> {
        check_sizes(&scenario)?;
        let mut paths = Vec::new();
        for name in &scenario.threads {
            paths.push(find_path(kernel, name, scenario.finalized)?);
        }
        let of_two_lives = !scenario.finalized && paths.iter().any(|path| path.finalizes());
        let too_early = |path: &&&CodePath| path.after_finalize;
        if let Some(path) = paths.iter().find(too_early)
            && !scenario.finalized
            && !of_two_lives
        {
            let name = path.name.clone();
            return Err(ConfigError::OnlyAfterFinalize { name });
        }
        let mut compiler = Compiler::asking_op_state(of_two_lives);
        let mut users = Vec::new();
        let zap_locks = zap_locks(kernel, &scenario)?;
        let zap_freezes = kvm::zap::freezes(zap_locks);
        let mut add =
            |key: &str, part: Part, agent: &str, locks: KvmHeld| -> Result<LeafId, ConfigError> {
                let leaf = table.leaf(key).ok_or_else(|| ConfigError::MissingLeaf {
                    table: table.name.clone(),
                    leaf: key.to_owned(),
                    agent: agent.to_owned(),
                })?;
                let id = compiler.add(leaf)?;
                let acquisitions = acquisitions(leaf, &scenario);
                let is_fault = part == Part::Vcpu && key == "TDH.MEM.PAGE.AUG";
                users.push(User {
                    leaf: id,
                    part,
                    locks,
                    acquisitions,
                    is_fault,
                    freezes: is_fault || part == Part::Zapper && zap_freezes,
                });
                Ok(id)
            };
        let zap_leaves = ZapLeaves {
            block: add("TDH.MEM.RANGE.BLOCK", Part::Zapper, "the zapper", zap_locks)?,
            track: add("TDH.MEM.TRACK", Part::Zapper, "the zapper", zap_locks)?,
            remove: add("TDH.MEM.PAGE.REMOVE", Part::Zapper, "the zapper", zap_locks)?,
        };
        let fault_locks = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        let vcpu_leaves = VcpuLeaves {
            enter: add("TDH.VP.ENTER", Part::Vcpu, "a vCPU", KvmHeld::default())?,
            aug: add("TDH.MEM.PAGE.AUG", Part::Vcpu, "a vCPU", fault_locks)?,
            write: match table.leaf("TDH.VP.WR") {
                Some(_) => Some(add("TDH.VP.WR", Part::Vcpu, "a vCPU", KvmHeld::default())?),
                None => None,
            },
        };
        let (mut tdcalls, mut shared_shapes) = (Vec::new(), Vec::new());
        for name in guest_leaves(&scenario) {
            let twin = reductions
                .share_equal
                .then(|| equal_shape(table, name))
                .flatten();
            if let Some(twin) = twin {
                shared_shapes.push((name.to_owned(), twin.to_owned()));
            } else {
                tdcalls.push(add(name, Part::Vcpu, "the guest", KvmHeld::default())?);
            }
        }
        let mut threads = Vec::new();
        for (index, path) in paths.into_iter().enumerate() {
            let mut leaves = Vec::new();
            for (key, held) in path.seamcalls() {
                leaves.push(add(key, Part::thread(index), &path.name, held)?);
            }
            threads.push(kvm::ioctl::program(path, &leaves, of_two_lives));
        }
        let mut zap = kvm::zap::program(&decisions, zap_leaves, zap_locks, kernel.premaps());
        rename(&kernel.renamed, &mut zap);
        let second_zapper = (scenario.zappers > 1).then(|| Part::thread(threads.len()));
        if let Some(part) = second_zapper {
            threads.push(zap.clone());
            let first = users.iter().filter(|user| user.part == Part::Zapper);
            let second = first.map(|user| User {
                part,
                ..user.clone()
            });
            let second: Vec<User> = second.collect();
            users.extend(second);
        }
        let effects = EffectStatus {
            already_blocked: compiler
                .status(status::GPA_RANGE_ALREADY_BLOCKED.with(Operand::Rcx))?,
            state_incorrect: compiler
                .status(status::EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx))?,
            previous_epoch_busy: compiler.status(status::PREVIOUS_TLB_EPOCH_BUSY)?,
            not_blocked: compiler.status(status::GPA_RANGE_NOT_BLOCKED.with(Operand::Rcx))?,
            not_tracked: compiler.status(status::TLB_TRACKING_NOT_DONE.with(Operand::Rcx))?,
            op_state_incorrect: if of_two_lives {
                compiler.status(status::OP_STATE_INCORRECT)?
            } else {
                0
            },
            already_accepted: compiler.status(status::PAGE_ALREADY_ACCEPTED.with(Operand::Rcx))?,
            host_priority_timeout: if scenario.host_priority_timeout {
                compiler.status(status::HOST_PRIORITY_BUSY_TIMEOUT)?
            } else {
                0
            },
            ept_violation: compiler.status(EPT_VIOLATION_EXIT)?,
        };
        let code = compiler.finish();
        let mut vcpu = kvm::vcpu::program(&decisions, vcpu_leaves);
        rename(&kernel.renamed, &mut vcpu);
        let thread_lines = |index: usize| threads.get(index).map_or(0, Vec::len);
        let labels = Labels::new([
            zap.len(),
            vcpu.len(),
            thread_lines(0),
            thread_lines(1),
            code.ops.len(),
            Environment::NAMES.len(),
        ]);
        let guest = code.leaves[usize::from(vcpu_leaves.enter.0)]
            .guest
            .unwrap_or_default();
        let mut system = Self {
            guest_held: code.ops[usize::from(guest)].held,
            observations: Observations::new(labels.len()),
            keeps_host_priority: table.entry_store_keeps_host_priority,
            enter: vcpu_leaves.enter,
            status: effects,
            host_rivals: false,
            sole_tracker: false,
            decisions,
            scenario,
            reductions,
            code,
            zap,
            vcpu,
            threads,
            second_zapper,
            tdcalls,
            shared_shapes,
            labels,
            zap_locks,
            of_two_lives,
            users,
        };
        system.check_programs()?;
        system.find_contention();
        system.observations = Observations::of(&system);
        Ok(system)
    }

    /// TDH.VP.ENTER.
    #[must_use]
    pub const fn enter_leaf(&self) -> LeafId {
        self.enter
    }

    /// The leaves that configured agents issue.
    #[must_use]
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// The line of its program a vCPU stands at.
    #[must_use]
    pub fn vcpu_line(&self, vcpu: &super::state::Vcpu) -> &Line {
        &self.vcpu[usize::from(vcpu.control.line)]
    }

    /// Every step number that can occur, statically: for the list of steps that never fired.
    pub fn possible_steps(&self) -> impl Iterator<Item = StepId> + '_ {
        self.observations
            .possible
            .iter()
            .enumerate()
            .filter(|(_, possible)| **possible)
            .map(|(id, _)| StepId(id as u16))
    }
}

impl System {
    /// A line number has six bits in a key.
    fn check_programs(&self) -> Result<(), TooLarge> {
        let programs = [&self.zap, &self.vcpu].into_iter().chain(&self.threads);
        match programs.map(Vec::len).max() {
            Some(lines) if lines > MAX_LINES => Err(TooLarge {
                what: "lines in one program",
                limit: MAX_LINES,
            }),
            _ => Ok(()),
        }
    }
}

/// See [`super::pack`].
const MAX_LINES: usize = 63;

/// What a leaf can acquire in this scenario: 0-step steps only where 0-step can be armed.
fn acquisitions(leaf: &Leaf, scenario: &Scenario) -> Vec<(Resource, Mode)> {
    let taken = leaf
        .flow
        .iter()
        .filter(|step| step.when.is_none() || scenario.zero_step);
    taken
        .filter_map(|step| match step.action {
            FlowAction::Acquire { resource, mode, .. } => Some((resource, mode)),
            _ => None,
        })
        .collect()
}

fn guest_leaves(scenario: &Scenario) -> Vec<&'static str> {
    let mut leaves = Vec::new();
    if scenario.accept {
        leaves.push("TDG.MEM.PAGE.ACCEPT");
    }
    if scenario.attr {
        leaves.extend(["TDG.MEM.PAGE.ATTR.RD", "TDG.MEM.PAGE.ATTR.WR"]);
    }
    leaves
}

/// ATTR.WR shares ATTR.RD's steps when the table gives both the same flow (R4). They then differ
/// only in what they write into attributes that nothing here reads.
fn equal_shape(table: &LockTable, name: &str) -> Option<&'static str> {
    let twin = "TDG.MEM.PAGE.ATTR.RD";
    let shape = |key: &str| table.leaf(key).map(|leaf| leaf.flow.clone());
    let no_store = |key: &str| {
        table.leaf(key).is_some_and(|leaf| {
            leaf.flow.iter().all(|step| {
                !matches!(
                    step.action,
                    FlowAction::Effect {
                        releases: Some(_),
                        ..
                    }
                )
            })
        })
    };
    (name == "TDG.MEM.PAGE.ATTR.WR" && shape(name) == shape(twin) && no_store(name)).then_some(twin)
}
