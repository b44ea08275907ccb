//! A vCPU thread, round and round `vcpu_run()` and `vcpu_enter_guest()` (arch/x86/kvm/x86.c, 6.16),
//! with `tdx_vcpu_run()` inside (arch/x86/kvm/vmx/tdx.c), and the guest in that.
//!
//! An IPI that comes while interrupts are off, or in the module, is latched. It is taken at the first
//! instruction boundary at which they are on: the store queue drains, then `ack_kick()` runs.

mod program;

use super::message::{
    Access, Answer, ExitReason, GuestStep, MEMORY, MODULE, Mode, Move, Msg, ZAPPER,
};
use super::setup::{AUG, ENTER, WRITE};
use super::{Agent, Id, Out};
use crate::kernel::decisions::{
    ExitReasonOnFlag, ExitRequest, FlagReturn, ModeOutside, VcpuBarrier, VpEnterBusy,
};
use crate::property::{Property, PropertySet};
use crate::status::{SUCCESS, StatusWord};
pub use program::{Place, Vcpu};

/// How far the vCPU has come with the place it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has not begun.
    Ready,
    /// A request is under way; `work`: a request or thread work is pending (V9 only).
    Asked {
        /// See `kvm_vcpu_exit_request()`.
        work: bool,
    },
    /// A SEAMCALL waits for the store queue to drain.
    Draining,
    /// A SEAMCALL is under way, between two of its steps.
    InSeamcall,
    /// The same, in the middle of a step.
    InStep,
    /// An interrupt is being taken: the store queue drains first.
    Interrupt,
}

/// A vCPU's state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VcpuState {
    /// Where it is.
    pub place: Place,
    /// How far it has come there.
    pub stage: Stage,
    /// An IPI has arrived and is not taken.
    pub ipi_pending: bool,
    /// The cached exit reason.
    pub exit: ExitReason,
    /// The flag was seen down since interrupts were disabled (read by property I4 only).
    pub flag_seen_down: bool,
    /// The properties it has broken.
    pub broken: PropertySet,
}

impl VcpuState {
    pub(super) const fn start() -> Self {
        Self {
            place: Place::VcpuRun,
            stage: Stage::Ready,
            ipi_pending: false,
            exit: ExitReason::None,
            flag_seen_down: false,
            broken: 0,
        }
    }
}

impl Vcpu {
    /// What it may do by itself.
    pub(super) fn moves(&self, state: &VcpuState, moves: &mut Vec<Move>) {
        match (state.stage, state.place) {
            (Stage::InSeamcall, _) => moves.push(Move::Step(None)),
            (Stage::Ready, Place::VcpuRun) => {
                moves.push(Move::EnterGuest { push: false });
                if self.writes {
                    moves.push(Move::EnterGuest { push: true });
                }
            }
            (Stage::Ready, Place::ExitRequest | Place::ReenterRequest) => {
                moves.extend([false, true].map(|work| Move::ExitRequest { work }));
            }
            (Stage::Ready, Place::Guest) => self.guest_moves(moves),
            // Nobody wakes it (M33), unless lowering the flag does.
            (Stage::Ready, Place::Asleep) if self.decisions.flag_return == FlagReturn::Sleep => {}
            (Stage::Ready, Place::LocalIrqDisable) => moves.push(Move::LocalIrqDisable),
            (Stage::Ready, place) => moves.extend(access(place).map(Move::Access)),
            _ => {}
        }
    }

    fn guest_moves(&self, moves: &mut Vec<Move>) {
        let arms: &[bool] = if self.zero_step {
            &[false, true]
        } else {
            &[false]
        };
        moves.extend(
            self.tdcalls
                .iter()
                .map(|leaf| Move::Guest(GuestStep::Tdcall(*leaf))),
        );
        moves.extend(
            arms.iter()
                .map(|arms| Move::Guest(GuestStep::Touch { arms: *arms })),
        );
        for progress in arms.iter().copied() {
            moves.push(Move::Guest(GuestStep::Interrupted { progress }));
            moves.push(Move::Guest(GuestStep::Vmcall { progress }));
        }
    }

    pub(super) fn act(&self, state: &mut VcpuState, act: Move, o: &mut Out<Agent>) {
        match act {
            Move::Step(_) => {
                state.stage = Stage::InStep;
                o.send(Id::from(MODULE), Msg::Step);
            }
            Move::Access(_) | Move::LocalIrqDisable => self.begin(state, o),
            Move::EnterGuest { push: false } => {
                self.go(state, self.behind(Place::VcpuRun), o);
            }
            Move::EnterGuest { push: true } => self.go(state, Place::VpWr, o),
            Move::ExitRequest { work } => self.exit_request(state, work, o),
            Move::Guest(step) => {
                (state.place, state.stage) = (Place::VpEnter, Stage::InStep);
                o.send(Id::from(MODULE), Msg::Guest(step));
            }
            Move::Drain(_) | Move::ForeignKick(_) => {
                unreachable!("memory drains store queues, and is what a kick is to")
            }
        }
    }

    /// Comes to a place. An interrupt that is pending comes first; what is private follows at once.
    fn go(&self, state: &mut VcpuState, place: Place, o: &mut Out<Agent>) {
        (state.place, state.stage) = (place, Stage::Ready);
        // A barrier drains the queue, and so does an interrupt: which of them waits for it is all one,
        // and the interrupt is taken behind it.
        let drains = access(place) == Some(Access::FullBarrier)
            && self.decisions.vcpu_barrier != VcpuBarrier::LightSrcu;
        if state.ipi_pending && !self.irqs_off(place) && !drains {
            self.take_interrupt(state, o);
        } else if self.is_private(place) {
            self.begin(state, o);
        }
    }

    /// Begins what is to be done at the place.
    fn begin(&self, state: &mut VcpuState, o: &mut Out<Agent>) {
        let light = self.decisions.vcpu_barrier == VcpuBarrier::LightSrcu;
        match (state.place, access(state.place)) {
            // A light SRCU has no smp_mb() in it (M08).
            (_, Some(Access::FullBarrier)) if light => {
                self.answered(state, Answer::Done, false, o);
            }
            (_, Some(access)) => self.ask(state, access, o),
            (Place::LocalIrqDisable, _) => self.go(state, self.behind(state.place), o),
            (Place::VpEnter | Place::Aug | Place::VpWr, _) => {
                if state.place == Place::VpEnter && !state.flag_seen_down {
                    state.broken |= Property::FlagTested.bit() & self.watched;
                }
                state.stage = Stage::Draining;
                o.send(Id::from(MEMORY), Msg::Access(Access::FullBarrier));
            }
            (place, None) => unreachable!("{place:?} begins with a choice"),
        }
    }

    fn ask(&self, state: &mut VcpuState, access: Access, o: &mut Out<Agent>) {
        state.stage = Stage::Asked { work: false };
        o.send(Id::from(MEMORY), Msg::Access(access));
    }

    /// V9, V15. Without a look at the mode, requests and thread work alone decide.
    fn exit_request(&self, state: &mut VcpuState, work: bool, o: &mut Out<Agent>) {
        if self.decisions.exit_request == ExitRequest::WorkOnly {
            return self.exit_requested(state, work, o);
        }
        state.stage = Stage::Asked { work };
        o.send(
            Id::from(MEMORY),
            Msg::Access(Access::ReadMode(self.index as u8)),
        );
    }

    fn exit_requested(&self, state: &mut VcpuState, yes: bool, o: &mut Out<Agent>) {
        let to = match (state.place, yes) {
            (Place::ExitRequest, true) => Place::StoreOutsideCancel,
            (Place::ExitRequest, false) => self.behind(Place::ExitRequest),
            (place, true) if self.irqs_off(place) => Place::StoreOutside,
            (_, true) => Place::StoreOutsideTurnedBack,
            (_, false) => self.top_of_fastpath(),
        };
        self.go(state, to, o);
    }

    pub(super) fn on_msg(&self, state: &mut VcpuState, msg: Msg, o: &mut Out<Agent>) {
        match (msg, state.stage) {
            (Msg::Ipi, stage) => {
                state.ipi_pending = true;
                if stage == Stage::Ready && !self.irqs_off(state.place) {
                    self.take_interrupt(state, o);
                }
            }
            (Msg::Answer(_), Stage::Interrupt) => {
                state.ipi_pending = false;
                o.send(Id::from(ZAPPER), Msg::Acknowledged);
                self.go(state, state.place, o);
            }
            (Msg::Answer(_), Stage::Draining) => {
                state.stage = Stage::InStep;
                let leaf = match state.place {
                    Place::VpEnter => ENTER,
                    Place::Aug => AUG,
                    _ => WRITE,
                };
                o.send(Id::from(MODULE), Msg::Seamcall(leaf));
            }
            (Msg::Answer(answer), Stage::Asked { work }) => self.answered(state, answer, work, o),
            (Msg::Running, Stage::InStep) => state.stage = Stage::InSeamcall,
            (Msg::GuestRuns, Stage::InStep) => {
                (state.place, state.stage) = (Place::Guest, Stage::Ready);
            }
            (Msg::Return { status, exit }, Stage::InStep) => self.returned(state, status, exit, o),
            (msg, stage) => unreachable!("a vCPU at {stage:?} is sent {msg:?} by nobody"),
        }
    }

    /// The IPI's handler is `ack_kick()`, which does nothing: it is the acknowledgement that counts.
    fn take_interrupt(&self, state: &mut VcpuState, o: &mut Out<Agent>) {
        // Taking an interrupt drains the store queue first (SDM volume 3A, "Store Buffer").
        state.stage = Stage::Interrupt;
        o.send(Id::from(MEMORY), Msg::Access(Access::FullBarrier));
    }

    fn answered(&self, state: &mut VcpuState, answer: Answer, work: bool, o: &mut Out<Agent>) {
        let place = state.place;
        match (place, answer) {
            (Place::ExitRequest | Place::ReenterRequest, Answer::Mode(mode)) => {
                self.exit_requested(state, work || mode == Mode::ExitingGuestMode, o);
            }
            (Place::HoistedFlagTest | Place::FlagTest, Answer::Flag(false)) => {
                state.flag_seen_down |= self.irqs_off(place);
                self.go(state, self.behind(place), o);
            }
            (Place::HoistedFlagTest | Place::FlagTest, _) => {
                if self.decisions.exit_reason_on_flag == ExitReasonOnFlag::Undefined {
                    state.exit = ExitReason::None;
                }
                self.go(state, self.turned_back(), o);
            }
            (Place::Asleep, Answer::Flag(false)) => self.go(state, Place::VcpuRun, o),
            (Place::Asleep, _) | (Place::LockAndFreeze, Answer::Contended) => {
                self.go(state, place, o);
            }
            (Place::StoreOutside, _) => self.irqs_on(state, Place::SrcuReadLock, o),
            (Place::StoreOutsideTurnedBack, _) => {
                self.irqs_on(state, Place::SrcuReadLockTurnedBack, o);
            }
            (Place::StoreOutsideSleep, _) => self.irqs_on(state, Place::SrcuReadLockSleep, o),
            (Place::StoreOutsideCancel, _) => self.open(state, Place::SrcuReadLockCancel, o),
            (Place::SrcuReadLock | Place::SrcuReadLockTurnedBack, _) => self.handle_exit(state, o),
            (Place::SrcuReadLockCancel, _) => self.go(state, Place::VcpuRun, o),
            (Place::SrcuReadLockSleep, _) => self.go(state, Place::Asleep, o),
            (Place::LockAndFreeze, Answer::Locked) => self.go(state, Place::Aug, o),
            (Place::LockAndFreeze | Place::AugStatus { .. }, _) => {
                self.go(state, Place::VcpuRun, o);
            }
            _ => self.go(state, self.behind(place), o),
        }
    }

    /// V17 and V18: `handle_exit_irqoff()`, `local_irq_enable()`.
    fn irqs_on(&self, state: &mut VcpuState, srcu_read_lock: Place, o: &mut Out<Agent>) {
        match state.exit {
            ExitReason::Interrupt => state.exit = ExitReason::InterruptDispatched,
            ExitReason::InterruptDispatched => {
                state.broken |= Property::InterruptOnce.bit() & self.watched;
            }
            ExitReason::None | ExitReason::EptViolation | ExitReason::Vmcall => {}
        }
        self.open(state, srcu_read_lock, o);
    }

    /// V18: interrupts are open, and a pending one is taken before anything else.
    fn open(&self, state: &mut VcpuState, srcu_read_lock: Place, o: &mut Out<Agent>) {
        state.flag_seen_down = false;
        self.go(state, srcu_read_lock, o);
    }

    /// V19: a fault is handled; any other exit needs nothing from here.
    fn handle_exit(&self, state: &mut VcpuState, o: &mut Out<Agent>) {
        let fault = state.exit == ExitReason::EptViolation;
        if !(self.exit_reason && state.exit == ExitReason::InterruptDispatched) {
            state.exit = ExitReason::None;
        }
        let to = if fault {
            Place::LockAndFreeze
        } else {
            Place::VcpuRun
        };
        self.go(state, to, o);
    }

    /// A SEAMCALL comes back.
    fn returned(
        &self,
        state: &mut VcpuState,
        status: StatusWord,
        exit: ExitReason,
        o: &mut Out<Agent>,
    ) {
        match state.place {
            Place::VpEnter => self.left_guest(state, status, exit, o),
            Place::Aug => {
                if status != SUCCESS && !status.is_operand_busy() {
                    state.broken |= Property::NoBugOn.bit() & self.watched;
                }
                self.go(state, Place::AugStatus { status }, o);
            }
            _ => self.go(state, self.behind(Place::VcpuRun), o),
        }
    }

    /// V14: what `tdx_vcpu_run()` makes of TDH.VP.ENTER's status.
    fn left_guest(
        &self,
        state: &mut VcpuState,
        status: StatusWord,
        exit: ExitReason,
        o: &mut Out<Agent>,
    ) {
        let busy = status.is_operand_busy();
        let reenters = self.decisions.vp_enter_busy == VpEnterBusy::ReenterGuest;
        // A SEAMCALL that failed has written its own exit reason, which is no interrupt.
        state.exit = if busy { ExitReason::None } else { exit };
        let early = self.decisions.mode_outside == ModeOutside::BeforeVpEnter;
        if busy && reenters {
            self.go(state, Place::ReenterRequest, o);
        } else if early {
            self.irqs_on(state, Place::SrcuReadLock, o);
        } else {
            self.go(state, Place::StoreOutside, o);
        }
    }
}

/// The access to memory that a place consists of, if it is one.
const fn access(place: Place) -> Option<Access> {
    Some(match place {
        Place::HoistedFlagTest | Place::FlagTest | Place::Asleep => Access::ReadFlag,
        Place::StoreInGuestMode => Access::WriteMode(Mode::InGuestMode),
        Place::StoreOutsideEarly
        | Place::StoreOutside
        | Place::StoreOutsideCancel
        | Place::StoreOutsideTurnedBack
        | Place::StoreOutsideSleep => Access::WriteMode(Mode::OutsideGuestMode),
        Place::SrcuReadUnlock
        | Place::SrcuReadLock
        | Place::SrcuReadLockTurnedBack
        | Place::SrcuReadLockCancel
        | Place::SrcuReadLockSleep => Access::FullBarrier,
        Place::LockAndFreeze => Access::LockAndFreeze,
        Place::AugStatus { status } if status.0 == SUCCESS.0 || status.is_operand_busy() => {
            Access::UnlockAfterFault {
                mapped: status.0 == SUCCESS.0,
            }
        }
        Place::AugStatus { .. } => Access::BugOn,
        Place::VcpuRun
        | Place::VpWr
        | Place::LocalIrqDisable
        | Place::ExitRequest
        | Place::VpEnter
        | Place::Guest
        | Place::ReenterRequest
        | Place::Aug => return None,
    })
}
