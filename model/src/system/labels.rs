//! Names for steps: one number per (program, line, outcome), for counters and for properties.

use crate::closed_enum::ClosedEnum;
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::{Op, OpKind};
use crate::table::Effect;

/// A step with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub u16);

/// Which program a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Part {
    /// The zapper's program.
    Zapper,
    /// The vCPUs' program.
    Vcpu,
    /// The first ioctl thread's, or the second zapper's.
    Thread0,
    /// The second ioctl thread's, or the second zapper's.
    Thread1,
    /// The TDX module's code.
    Module,
    /// Store buffers and interrupts.
    Environment,
}

impl Part {
    /// The part of ioctl thread `index`.
    #[must_use]
    pub const fn thread(index: usize) -> Self {
        if index == 0 {
            Self::Thread0
        } else {
            Self::Thread1
        }
    }
}

/// What is nobody's program here: the hardware's doing, and other threads' kicks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Environment {
    /// A zapper's oldest store reaches memory.
    DrainFlag,
    /// A vCPU's oldest store reaches memory.
    DrainMode,
    /// An IPI arrives at a vCPU's CPU; outcome 1 is the second zapper's.
    Deliver,
    /// The CPU runs `ack_kick()`.
    Acknowledge,
    /// Another CPU, no zapper's, kicks the vCPU.
    ForeignKick,
}

impl Environment {
    /// Names, in order.
    pub const NAMES: [&'static str; 5] = [
        "the store to wait_for_sept_zap reaches memory",
        "the store to vcpu->mode reaches memory",
        "the IPI arrives",
        "ack_kick(), csd_unlock()",
        "somebody else kicks it: EXITING_GUEST_MODE, an IPI that no zapper waits for",
    ];
}

/// The most outcomes one line has.
pub const OUTCOMES: u16 = 8;

/// Where each part's numbers begin.
#[derive(Clone, Debug)]
pub struct Labels {
    bases: [u16; 7],
}

impl Labels {
    /// Labels for parts of these many lines.
    #[must_use]
    pub fn new(lines: [usize; 6]) -> Self {
        let mut bases = [0; 7];
        for (part, count) in lines.into_iter().enumerate() {
            bases[part + 1] = bases[part] + count as u16 * OUTCOMES;
        }
        Self { bases }
    }

    /// How many numbers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.bases[6])
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a step.
    #[must_use]
    pub fn id(&self, part: Part, line: u8, outcome: u8) -> StepId {
        StepId(self.bases[part as usize] + u16::from(line) * OUTCOMES + u16::from(outcome))
    }

    /// The step with a number.
    #[must_use]
    pub fn parts(&self, id: StepId) -> (Part, u8, u8) {
        const PARTS: [Part; 6] = [
            Part::Zapper,
            Part::Vcpu,
            Part::Thread0,
            Part::Thread1,
            Part::Module,
            Part::Environment,
        ];
        let part = (0..6)
            .rev()
            .find(|part| self.bases[*part] <= id.0 && self.bases[*part] < self.bases[*part + 1]);
        let part = part.unwrap_or(0);
        let offset = id.0 - self.bases[part];
        (
            PARTS[part],
            (offset / OUTCOMES) as u8,
            (offset % OUTCOMES) as u8,
        )
    }
}

/// Outcomes of a SEAMCALL, as its caller sees them.
pub mod returned {
    /// Called.
    pub const CALLED: u8 = 0;
    /// Called without a flag test in this IRQs-off window (property I4).
    pub const CALLED_UNTESTED: u8 = 1;
    /// Returned success, or information.
    pub const SUCCESS: u8 = 2;
    /// Returned TDX_OPERAND_BUSY.
    pub const BUSY: u8 = 3;
    /// Returned another error.
    pub const ERROR: u8 = 4;
}

/// The outcomes a line of a KVM program can have, by name.
#[must_use]
pub fn outcomes(instr: Instr) -> &'static [&'static str] {
    match instr {
        Instr::Call {
            site: CallSite::Other,
            ..
        } => &[
            "called",
            "called, flag not tested",
            "returned",
            "returned BUSY",
            "returned an error",
        ],
        Instr::Call { .. } => &[
            "called",
            "",
            "returned",
            "returned BUSY",
            "returned an error",
        ],
        Instr::UnlessBusy { .. } => &["no", "yes", "yes, although it is not TDX_OPERAND_BUSY"],
        Instr::Kick {
            step: KickStep::Visit,
        } => &[
            "OUTSIDE_GUEST_MODE, skip",
            "IN_GUEST_MODE, needs an IPI",
            "EXITING_GUEST_MODE, needs an IPI",
            "EXITING_GUEST_MODE, skip",
            "all visited",
            "vcpu->cpu read",
        ],
        Instr::Kick {
            step: KickStep::Send,
        } => &["IPI sent", "all sent", "IPI sent to the CPU it has left"],
        Instr::Kick {
            step: KickStep::Wait,
        } => &["done"],
        Instr::IfError { .. } | Instr::UnlessPremapError { .. } | Instr::UnlessRunnable { .. } => {
            &["no", "yes"]
        }
        Instr::BugOn => &["no error", "KVM_BUG_ON fires"],
        Instr::RemoveMirrorSpte { .. } => &["done", "another removal has it"],
        Instr::RunLoop { .. } => &[
            "enter",
            "to userspace",
            "halt",
            "scheduled out",
            "push an event",
            "scheduled out, in again on another CPU",
            "comes online",
            "comes online, not seen by the kick under way",
        ],
        Instr::ExitRequest { .. } => &["no", "EXITING_GUEST_MODE", "request or work pending"],
        Instr::TestFlag { .. } => &["down", "raised: turn back"],
        Instr::VpEnterStatus { .. } => &[
            "exit",
            "BUSY: leave",
            "BUSY: re-enter",
            "HOST_PRIORITY_BUSY_TIMEOUT: no exit reason",
        ],
        Instr::HandleExitIrqoff => &[
            "nothing to dispatch",
            "dispatch the interrupt",
            "dispatch the same interrupt again",
        ],
        Instr::HandleExit { .. } => &[
            "no fault",
            "EPT violation",
            "KVM_EXIT_INTERNAL_ERROR to userspace",
        ],
        Instr::FaultLock { .. } => &["absent: freeze it", "present", "frozen by another vCPU"],
        Instr::AugStatus => &["mapped", "BUSY: RET_PF_RETRY", "KVM_BUG_ON fires"],
        Instr::Premap => &["mapped", "mapped already"],
        Instr::TestState { .. } => &["go on", "refused"],
        Instr::UnlessNonePremapped { .. } => &["0", "pages wait for TDH.MEM.PAGE.ADD: refused"],
        Instr::UnlessMapped { .. } => &["not present", "present"],
        Instr::IoctlStatus { .. } => &["success", "return the error", "KVM_BUG_ON fires"],
        _ => &["done"],
    }
}

/// The outcomes of RunGuest.
pub mod guest {
    /// The guest issues a TDCALL.
    pub const TDCALL: u8 = 0;
    /// An access to a private page faults.
    pub const EPT_VIOLATION: u8 = 1;
    /// The kick's IPI interrupts it.
    pub const KICKED: u8 = 2;
    /// Another interrupt does.
    pub const INTERRUPT: u8 = 3;
    /// TDG.VP.VMCALL.
    pub const VMCALL: u8 = 4;
}

/// The outcomes a step of the module can have, by name.
#[must_use]
pub fn op_outcomes(op: &Op) -> &'static [&'static str] {
    match op.kind {
        OpKind::Acquire { .. } | OpKind::SetTdel { .. } if op.uncontended => &["taken"],
        OpKind::Acquire { .. } | OpKind::SetTdel { .. } => &["taken", "BUSY"],
        OpKind::LookHostPriority if op.uncontended => &["not marked"],
        OpKind::LookHostPriority => &["not marked", "marked: give way"],
        OpKind::BranchZeroStep => &["armed", "not armed"],
        OpKind::Return => &["done", "refused past HP_LOCK_TIMEOUT: TD exit"],
        OpKind::Effect { effect, .. } => match effect {
            Effect::BlockEntry => &[
                "done",
                "GPA_RANGE_ALREADY_BLOCKED",
                "EPT_ENTRY_STATE_INCORRECT",
            ],
            Effect::AdvanceEpoch => &["done", "PREVIOUS_TLB_EPOCH_BUSY"],
            Effect::CheckLeaf | Effect::AugEntry | Effect::AddEntry => {
                &["done", "EPT_ENTRY_STATE_INCORRECT"]
            }
            Effect::RequireInitialized | Effect::RequireRunnable => &["done", "OP_STATE_INCORRECT"],
            Effect::CheckTracked => &["done", "GPA_RANGE_NOT_BLOCKED", "TLB_TRACKING_NOT_DONE"],
            Effect::WouldFault => &["no", "would fault: TD exit"],
            Effect::RunGuest => &[
                "TDCALL",
                "EPT violation",
                "kick IPI",
                "other interrupt",
                "TDVMCALL",
            ],
            Effect::AcceptCheck => &["pending", "PAGE_ALREADY_ACCEPTED", "EPT violation: TD exit"],
            Effect::AttrCheck => &["done", "EPT violation: TD exit"],
            _ => &["done"],
        },
        _ => &["done"],
    }
}

/// How a step of the module reads in a trace.
#[must_use]
pub fn op_text(op: &Op) -> String {
    match op.kind {
        OpKind::Acquire { resource, mode } => format!("acquire {} {}", resource.key(), mode.key()),
        OpKind::SetTdel { mode } => format!("acquire SEPT_ENTRY {} (set TDEL)", mode.key()),
        OpKind::MarkHostPriority => "mark the entry host-priority (set TDHP)".into(),
        OpKind::ClearHostPriority => "clear TDHP".into(),
        OpKind::LookHostPriority => "look at TDHP".into(),
        OpKind::YieldTdel => "give way to the host (clear TDEL)".into(),
        OpKind::Release { resource } => format!("release {}", resource.key()),
        OpKind::UndoEpoch => "undo REFCOUNT++".into(),
        OpKind::BranchZeroStep => "LAST_EPF_GPA_LIST empty?".into(),
        OpKind::Return => "return".into(),
        OpKind::Effect { effect, .. } => match effect {
            Effect::BlockEntry => "store the entry blocked",
            Effect::RecordBepoch => "BEPOCH = TD_EPOCH",
            Effect::AdvanceEpoch => "REFCOUNT[previous] == 0? TD_EPOCH++",
            Effect::CheckLeaf => "is it a present leaf?",
            Effect::CheckTracked => "is it blocked and tracked?",
            Effect::FreeEntry => "store FREE, which unlocks the entry",
            Effect::SampleEpoch => "sample TD_EPOCH, REFCOUNT++",
            Effect::WouldFault => "0-step filter: would the listed GPA fault?",
            Effect::RunGuest => "guest runs",
            Effect::LeaveEpoch => "TD exit: REFCOUNT--",
            Effect::AcceptCheck => "re-read the entry",
            Effect::AcceptStore => "store the entry MAPPED",
            Effect::AttrCheck => "re-read the entry",
            Effect::AugEntry => "store PENDING, which unlocks the entry",
            Effect::AddEntry => "store the entry MAPPED",
            Effect::Finalize => "OP_STATE = RUNNABLE",
            Effect::RequireInitialized => "is OP_STATE INITIALIZED?",
            Effect::RequireRunnable => "is OP_STATE RUNNABLE?",
        }
        .into(),
    }
}
