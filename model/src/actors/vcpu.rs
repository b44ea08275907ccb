//! A vCPU thread, round and round `vcpu_run()` (arch/x86/kvm/x86.c, arch/x86/kvm/vmx/tdx.c, 6.16).
//!
//! Interrupts are off from before the mode store until after `mode = OUTSIDE_GUEST_MODE`; they are
//! then on for an instant, in which a pending IPI is acknowledged. An IPI that comes while they are
//! on is the same as one that comes just before.

use super::message::{
    Access, EXITING_GUEST_MODE, IN_GUEST_MODE, Instruction, Leaf, Location, MEMORY, MODULE, Msg,
    OUTSIDE_GUEST_MODE, Status, Word, ZAPPER, guest,
};
use super::{Agent, Id, Out};
use crate::kernel::decisions::{Decisions, VcpuFlagTest};

/// One thing `vcpu_enter_guest()` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Deed {
    /// `vcpu->mode = …`.
    StoreMode(Word),
    /// The `smp_mb()` in `srcu_read_unlock()`.
    FullBarrier,
    /// `kvm_vcpu_exit_request()`: has the kick changed the mode?
    ExitRequest,
    /// `READ_ONCE(wait_for_sept_zap)` in `tdx_vcpu_run()`.
    TestFlag,
    /// `tdh_vp_enter()`, and the guest, until it has exited.
    VpEnter,
}

/// A vCPU's program under given decisions. Its last deed is the way out; then it starts over.
#[derive(Clone, Debug)]
pub struct Vcpu {
    index: usize,
    program: Vec<Deed>,
}

/// Where a vCPU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// At this deed of its program.
    Host(usize),
    /// At the last deed, because the flag was up.
    TurnedBack,
    /// In the TD.
    Guest,
    /// In a TDCALL.
    Tdcall,
    /// On the way out of the TD.
    TdExit(Exit),
}

/// Why a guest exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Exit {
    Interrupt,
    EptViolation { arms: bool },
}

/// A vCPU's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VcpuState {
    stage: Stage,
    /// An IPI has come and is not acknowledged.
    ipi_pending: bool,
}

impl VcpuState {
    /// The flag has just turned this vCPU back.
    #[must_use]
    pub fn is_turned_back(&self) -> bool {
        self.stage == Stage::TurnedBack
    }

    /// An IPI has just interrupted this vCPU's guest.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.stage == Stage::TdExit(Exit::Interrupt)
    }
}

impl Vcpu {
    pub(super) fn new(decisions: &Decisions, index: usize) -> Self {
        let test_at = |place| (decisions.vcpu_flag_test == place).then_some(Deed::TestFlag);
        let program = [
            test_at(VcpuFlagTest::BeforeModeStore),
            Some(Deed::StoreMode(IN_GUEST_MODE)),
            Some(Deed::FullBarrier),
            Some(Deed::ExitRequest),
            test_at(VcpuFlagTest::InTdxVcpuRun),
            Some(Deed::VpEnter),
            Some(Deed::StoreMode(OUTSIDE_GUEST_MODE)),
        ];
        Self {
            index,
            program: program.into_iter().flatten().collect(),
        }
    }

    pub(super) fn start(&self, o: &mut Out<Agent>) -> VcpuState {
        let mut state = VcpuState {
            stage: Stage::Host(0),
            ipi_pending: false,
        };
        self.go(&mut state, Stage::Host(0), o);
        state
    }

    pub(super) fn on_msg(&self, state: &mut VcpuState, msg: Msg, o: &mut Out<Agent>) {
        match (msg, state.stage) {
            (Msg::Ipi, _) => state.ipi_pending = true,
            (Msg::Running, _) => o.send(Id::from(MODULE), Msg::Continue),
            (Msg::Value(value), Stage::Host(at)) => self.answered(state, at, value, o),
            (Msg::Value(_), Stage::TurnedBack) => self.irq_window(state, o),
            (Msg::Return(Status::Success), Stage::Host(_)) | (Msg::Return(_), Stage::Tdcall) => {
                self.go(state, Stage::Guest, o);
            }
            // EXIT_FASTPATH_EXIT_HANDLED on BUSY from TDH.VP.ENTER.
            (Msg::Return(_), Stage::Host(at)) => self.go(state, Stage::Host(at + 1), o),
            (Msg::Return(_), Stage::TdExit(_)) => self.go(state, self.way_out(), o),
            (Msg::Reached(instruction), Stage::Guest) => self.reached(state, instruction, o),
            (msg, stage) => unreachable!("a vCPU at {stage:?} is sent {msg:?} by nobody"),
        }
    }

    fn way_out(&self) -> Stage {
        Stage::Host(self.program.len() - 1)
    }

    /// Memory has answered the deed at `at`.
    fn answered(&self, state: &mut VcpuState, at: usize, value: Word, o: &mut Out<Agent>) {
        let next = match self.program[at] {
            Deed::StoreMode(OUTSIDE_GUEST_MODE) => return self.irq_window(state, o),
            Deed::ExitRequest if value == EXITING_GUEST_MODE => self.way_out(),
            Deed::TestFlag if value != 0 => Stage::TurnedBack,
            _ => Stage::Host(at + 1),
        };
        self.go(state, next, o);
    }

    /// Interrupts are on; then around the loop.
    fn irq_window(&self, state: &mut VcpuState, o: &mut Out<Agent>) {
        if state.ipi_pending {
            state.ipi_pending = false;
            o.send(Id::from(ZAPPER), Msg::Acknowledged);
        }
        self.go(state, Stage::Host(0), o);
    }

    /// The guest has come to an instruction. A pending IPI comes first: that the guest may go on
    /// for a while after an IPI has arrived (the module's stepping filter) is an IPI delivered later.
    fn reached(&self, state: &mut VcpuState, instruction: Instruction, o: &mut Out<Agent>) {
        let stage = match instruction {
            _ if state.ipi_pending => Stage::TdExit(Exit::Interrupt),
            Instruction::Accept => Stage::Tdcall,
            Instruction::Touch { arms } => Stage::TdExit(Exit::EptViolation { arms }),
        };
        self.go(state, stage, o);
    }

    /// Enters a stage; each begins with a request.
    fn go(&self, state: &mut VcpuState, stage: Stage, o: &mut Out<Agent>) {
        state.stage = stage;
        match stage {
            Stage::Host(at) => self.request(self.program[at], o),
            Stage::TurnedBack => self.request(Deed::StoreMode(OUTSIDE_GUEST_MODE), o),
            Stage::Guest => {
                o.send(guest(self.index), Msg::Resume);
                o.send(guest(self.index), Msg::Fetch);
            }
            Stage::Tdcall => o.send(Id::from(MODULE), Msg::Call(Leaf::MemPageAccept)),
            Stage::TdExit(cause) => {
                let arms = match cause {
                    Exit::Interrupt => None,
                    Exit::EptViolation { arms } => Some(arms),
                };
                o.send(Id::from(MODULE), Msg::TdExit { arms });
            }
        }
    }

    fn request(&self, deed: Deed, o: &mut Out<Agent>) {
        let mode = Location::Mode(self.index);
        let access = match deed {
            Deed::StoreMode(value) => Access::Store(mode, value),
            Deed::FullBarrier => Access::FullBarrier,
            Deed::ExitRequest => Access::Load(mode),
            Deed::TestFlag => Access::Load(Location::WaitForSeptZap),
            Deed::VpEnter => return o.send(Id::from(MODULE), Msg::Call(Leaf::VpEnter)),
        };
        o.send(Id::from(MEMORY), Msg::Access(access));
    }
}
