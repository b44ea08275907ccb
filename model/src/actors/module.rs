//! The TDX module: lock words, the S-EPT entry, epochs, and the calls under way.
//!
//! A call advances by one step per message from the CPU that makes it, so calls of different CPUs
//! interleave at every lock that they can contend. Every acquisition is a try. A call that fails
//! gives back what it took, latest first, and returns its status.
//!
//! Left out, because no configured call can tell: TDVPR (each vCPU takes its own), the priority bit of
//! host-priority sharex locks (it turns guests away, and no TDCALL takes one), and the count that a
//! failed shared attempt leaves behind (the exclusive release that ends the conflict erases it).

mod call;
mod effects;

use super::message::{Cpu, ExitReason, GuestStep, MAX_CPUS, MAX_VCPUS, Msg, Standing};
use super::setup::{ENTER, Setup};
use super::{Agent, Id, Out};
use crate::resource::{Mode, Resource};
use arrayvec::ArrayVec;
pub use call::{Call, Phase};

/// A sharex lock word (src/common/helpers/tdx_locks.h).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LockWord {
    /// Readers.
    pub shared: u8,
    /// The exclusive bit.
    pub exclusive: bool,
}

impl LockWord {
    fn try_acquire(&mut self, mode: Mode) -> bool {
        let shared = mode == Mode::Shared;
        let free = !self.exclusive && (shared || self.shared == 0);
        if free {
            self.shared += u8::from(shared);
            self.exclusive = !shared;
        }
        free
    }

    fn release(&mut self) {
        if self.exclusive {
            self.exclusive = false;
        } else {
            self.shared -= 1;
        }
    }
}

/// The state of a leaf S-EPT entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum EntryState {
    Free,
    Pending,
    Mapped,
    Blocked,
    PendingBlocked,
}

/// The page's leaf S-EPT entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Its state.
    pub state: EntryState,
    /// Bit 11: locked.
    pub tdel: bool,
    /// Bit 52: a host has failed to lock it.
    pub tdhp: bool,
}

/// An epoch relative to TD_EPOCH. TDH.MEM.TRACK insists that nobody is in the previous one, so no
/// vCPU is ever in an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Epoch {
    Current,
    Previous,
    Older,
}

/// What the module keeps of a vCPU (TDVPS).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tdvps {
    /// Counted in the REFCOUNT of this epoch.
    pub inside: Option<Epoch>,
    /// LAST_EPF_GPA_LIST names the page: 0-step mitigation is armed.
    pub armed: bool,
    /// Why the guest was left.
    pub exit: ExitReason,
    /// The guest's TDCALL; TDH.VP.ENTER stands where the guest runs meanwhile.
    pub tdcall: Option<Call>,
}

/// The module's state.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ModuleState {
    /// Lock words, by [`Resource`]; the entry's is in the entry.
    pub locks: [LockWord; 7],
    /// The page's S-EPT entry.
    pub entry: Entry,
    /// The page's PAMT.BEPOCH; meaningful while the entry is blocked.
    pub bepoch: Epoch,
    /// SEAMCALLs under way, per CPU.
    pub calls: ArrayVec<Option<Call>, MAX_CPUS>,
    /// Per vCPU.
    pub tdvps: ArrayVec<Tdvps, MAX_VCPUS>,
}

impl ModuleState {
    pub(super) fn new(vcpus: usize) -> Self {
        Self {
            locks: [LockWord::default(); 7],
            entry: Entry {
                state: EntryState::Mapped,
                tdel: false,
                tdhp: false,
            },
            bepoch: Epoch::Older,
            calls: std::iter::repeat_n(None, vcpus + 1).collect(),
            tdvps: std::iter::repeat_n(Tdvps::default(), vcpus).collect(),
        }
    }

    pub(super) fn on_msg(&mut self, setup: &Setup, src: Id, msg: Msg, o: &mut Out<Agent>) {
        let cpu = Cpu::of(src);
        let reply = match msg {
            Msg::Seamcall(leaf) => self.run(setup, cpu, Call::new(leaf), false),
            Msg::Step => self.step(setup, cpu),
            Msg::Guest(step) => self.guest(setup, cpu, step),
            other => unreachable!("the module is sent {other:?} by nobody"),
        };
        o.send(src, reply);
    }

    /// The next step of the CPU's call, or of the TDCALL in it.
    fn step(&mut self, setup: &Setup, cpu: Cpu) -> Msg {
        let tdcall = cpu.vcpu().and_then(|vcpu| self.tdvps[vcpu].tdcall.take());
        match tdcall.or_else(|| self.calls[cpu.index()].take()) {
            Some(call) => self.run(setup, cpu, call, true),
            None => unreachable!("{cpu:?} has no call under way"),
        }
    }

    /// What the guest does, with the module's first reaction to it.
    fn guest(&mut self, setup: &Setup, cpu: Cpu, step: GuestStep) -> Msg {
        let Some(vcpu) = cpu.vcpu() else {
            unreachable!("the zapper has no guest")
        };
        let (exit, empties) = match step {
            GuestStep::Tdcall(leaf) => {
                return self.run(setup, cpu, Call::new(leaf), true);
            }
            GuestStep::Touch { .. } if !self.faults() => return Msg::GuestRuns,
            GuestStep::Touch { arms } => {
                self.tdvps[vcpu].armed = arms;
                // That it faults depends on the entry; what follows is a step of its own.
                self.leave_guest(setup, cpu, ExitReason::EptViolation);
                return Msg::Running;
            }
            GuestStep::Interrupted { progress } => (ExitReason::Interrupt, progress),
            GuestStep::Vmcall { progress } => (ExitReason::Vmcall, progress),
        };
        self.tdvps[vcpu].armed &= !empties;
        let tracked = setup.scenario.exit_reason;
        self.leave_guest(setup, cpu, if tracked { exit } else { ExitReason::None });
        self.step(setup, cpu)
    }

    /// TDH.VP.ENTER goes on behind the place where the guest runs: the TD exit.
    fn leave_guest(&mut self, setup: &Setup, cpu: Cpu, exit: ExitReason) {
        let behind = setup.leaves[usize::from(ENTER)].after_guest();
        let (Some(call), Some(vcpu)) = (&mut self.calls[cpu.index()], cpu.vcpu()) else {
            unreachable!("{cpu:?} runs no guest")
        };
        call.at = behind;
        self.tdvps[vcpu].exit = exit;
    }

    /// An access to the page ends in a TD exit. One to a PENDING page is the guest's own affair (#VE).
    fn faults(&self) -> bool {
        matches!(
            self.entry.state,
            EntryState::Free | EntryState::Blocked | EntryState::PendingBlocked
        )
    }

    /// The calls under way that are not TDCALLs', and the TDCALLs: with the CPU.
    pub fn under_way(&self) -> impl Iterator<Item = (Cpu, &Call)> {
        let calls = self.calls.iter().enumerate();
        let calls = calls.filter_map(|(cpu, call)| Some((Cpu(cpu as u8), call.as_ref()?)));
        let tdcalls = self.tdvps.iter().enumerate();
        let tdcalls =
            tdcalls.filter_map(|(vcpu, tdvps)| Some((Cpu::of_vcpu(vcpu), tdvps.tdcall.as_ref()?)));
        calls.chain(tdcalls)
    }

    /// What the CPU's call, or the TDCALL in it, does next.
    pub(super) fn standing(&self, setup: &Setup, cpu: Cpu) -> Option<Standing> {
        let tdcall = cpu.vcpu().and_then(|vcpu| self.tdvps[vcpu].tdcall);
        tdcall
            .or(self.calls[cpu.index()])
            .map(|call| self.describe(setup, cpu, call))
    }

    fn lock(&mut self, resource: Resource) -> &mut LockWord {
        &mut self.locks[resource as usize]
    }
}
