//! One call under way, and how it advances.

use super::{ModuleState, Resource};
use crate::actors::message::{Cpu, Doing, ExitReason, Msg, Standing};
use crate::actors::setup::{Action, ENTER, FIRST_TDCALL, Leaf, Op, Setup};
use crate::resource::Mode;
use crate::status::{OPERAND_BUSY, OPERAND_BUSY_HOST_PRIORITY, SUCCESS, StatusWord};
use crate::system::EPT_VIOLATION_EXIT;
use crate::table::Effect;

/// Which way a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Through its flow.
    Forward,
    /// It has failed to lock the entry from the host side, and has TDHP to set.
    Mark,
    /// It has failed, and gives back.
    GiveBack,
}

/// A call under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// Which leaf, by its place in the setup.
    pub leaf: u8,
    /// The step it stands at.
    pub at: u8,
    /// The steps whose lock, or unit of REFCOUNT, it holds: a bit set.
    pub held: u32,
    /// Which way it goes.
    pub phase: Phase,
    /// What it will return.
    pub status: StatusWord,
    /// TDHP in the copy of the entry that TDG.MEM.PAGE.ACCEPT is going to store back.
    pub copied_tdhp: bool,
}

impl Call {
    pub(super) const fn new(leaf: u8) -> Self {
        Self {
            leaf,
            at: 0,
            held: 0,
            phase: Phase::Forward,
            status: SUCCESS,
            copied_tdhp: false,
        }
    }

    /// What it holds: resource and mode.
    pub fn holds<'a>(&'a self, setup: &'a Setup) -> impl Iterator<Item = (Resource, Mode)> + 'a {
        let ops = setup.leaves[usize::from(self.leaf)].ops.iter().enumerate();
        ops.filter(|(at, _)| self.held & 1 << at != 0)
            .filter_map(|(_, op)| match op.action {
                Action::Try { resource, mode, .. } => Some((resource, mode)),
                Action::SetTdel { mode, .. } => Some((Resource::SeptEntry, mode)),
                _ => None,
            })
    }

    pub(super) fn fail(&mut self, status: StatusWord) {
        (self.status, self.phase) = (status, Phase::GiveBack);
        (self.at, self.copied_tdhp) = (0, false);
    }

    fn drop_held(&mut self, leaf: &Leaf, resource: Resource) {
        for (at, op) in leaf.ops.iter().enumerate() {
            let acquired = match op.action {
                Action::Try { resource, .. } => Some(resource),
                Action::SetTdel { .. } => Some(Resource::SeptEntry),
                _ => None,
            };
            if acquired == Some(resource) {
                self.held &= !(1 << at);
            }
        }
    }
}

impl Leaf {
    /// The step behind the one where the guest runs.
    pub(super) fn after_guest(&self) -> u8 {
        let runs = self
            .ops
            .iter()
            .position(|op| matches!(op.action, Action::Do(Effect::RunGuest, _)));
        runs.map_or(0, |at| at as u8 + 1)
    }
}

/// Where a call stands.
enum Next {
    Do(Op),
    MarkTdhp,
    GiveBack(usize),
    Finished,
}

impl ModuleState {
    /// Makes one step (`first`), and every private one behind it; the call is kept unless it is over.
    pub(super) fn run(&mut self, setup: &Setup, cpu: Cpu, mut call: Call, first: bool) -> Msg {
        let leaf = &setup.leaves[usize::from(call.leaf)];
        let mut may_be_seen = first;
        loop {
            let next = self.next(leaf, cpu, &mut call);
            let private = match next {
                Next::Finished => return self.finish(setup, cpu, call),
                Next::Do(op) if matches!(op.action, Action::Do(Effect::RunGuest, _)) => {
                    self.calls[cpu.index()] = Some(call);
                    return Msg::GuestRuns;
                }
                Next::Do(op) => op.private,
                Next::MarkTdhp => false,
                Next::GiveBack(at) => leaf.ops[at].private && !samples(leaf.ops[at]),
            };
            if !private && !may_be_seen {
                self.keep(cpu, call);
                return Msg::Running;
            }
            may_be_seen &= private;
            match next {
                Next::Do(op) => self.perform(setup, cpu, &mut call, op),
                Next::MarkTdhp => {
                    self.entry.tdhp = true;
                    call.phase = Phase::GiveBack;
                }
                Next::GiveBack(at) => self.give_back(cpu, &mut call, at, leaf.ops[at]),
                Next::Finished => {}
            }
        }
    }

    fn keep(&mut self, cpu: Cpu, call: Call) {
        match cpu.vcpu() {
            Some(vcpu) if call.leaf >= FIRST_TDCALL => self.tdvps[vcpu].tdcall = Some(call),
            _ => self.calls[cpu.index()] = Some(call),
        }
    }

    fn next(&self, leaf: &Leaf, cpu: Cpu, call: &mut Call) -> Next {
        match call.phase {
            Phase::Mark => Next::MarkTdhp,
            Phase::GiveBack if call.held == 0 => Next::Finished,
            Phase::GiveBack => Next::GiveBack(31 - call.held.leading_zeros() as usize),
            Phase::Forward => {
                let armed = cpu.vcpu().is_some_and(|vcpu| self.tdvps[vcpu].armed);
                loop {
                    match leaf.ops.get(usize::from(call.at)) {
                        Some(op) if op.if_armed && !armed => call.at += 1,
                        Some(op) => return Next::Do(*op),
                        None => return Next::Finished,
                    }
                }
            }
        }
    }

    /// Where a call stands, for those who read along.
    pub(super) fn describe(&self, setup: &Setup, cpu: Cpu, mut call: Call) -> Standing {
        let leaf = &setup.leaves[usize::from(call.leaf)];
        let next = match self.next(leaf, cpu, &mut call) {
            Next::Do(op) => Doing::Action(op.action),
            Next::MarkTdhp => Doing::SetTdhp,
            Next::GiveBack(at) => match leaf.ops[at].action {
                Action::Try { resource, .. } => Doing::GiveBack(resource),
                Action::SetTdel { .. } => Doing::GiveBack(Resource::SeptEntry),
                _ => Doing::UndoRefcount,
            },
            Next::Finished => unreachable!("a call that is over is not kept"),
        };
        Standing {
            leaf: call.leaf,
            next,
        }
    }

    fn perform(&mut self, setup: &Setup, cpu: Cpu, call: &mut Call, op: Op) {
        match op.action {
            Action::Try {
                resource,
                mode,
                busy,
            } => {
                let free = resource.is_per_vcpu() || self.lock(resource).try_acquire(mode);
                if !free {
                    return call.fail(OPERAND_BUSY.with(busy));
                }
                call.held |= 1 << call.at;
            }
            Action::SetTdel { mode, busy } => {
                if self.entry.tdel {
                    call.fail(OPERAND_BUSY.with(busy));
                    if mode == Mode::Host {
                        call.phase = Phase::Mark;
                    }
                    return;
                }
                self.entry.tdel = true;
                call.held |= 1 << call.at;
            }
            Action::ClearTdhp => self.entry.tdhp = false,
            Action::TestTdhp { busy } => {
                if self.entry.tdhp {
                    return call.fail(OPERAND_BUSY_HOST_PRIORITY.with(busy));
                }
            }
            Action::Release(resource) => self.release(setup, call, resource),
            Action::Do(effect, releases) => {
                if !self.take_effect(setup, cpu, call, effect) {
                    return;
                }
                if let Some(resource) = releases {
                    self.release(setup, call, resource);
                }
            }
        }
        call.at += 1;
    }

    fn release(&mut self, setup: &Setup, call: &mut Call, resource: Resource) {
        call.drop_held(&setup.leaves[usize::from(call.leaf)], resource);
        self.free(resource);
    }

    fn free(&mut self, resource: Resource) {
        match resource {
            Resource::SeptEntry => self.entry.tdel = false,
            _ if resource.is_per_vcpu() => {}
            _ => self.lock(resource).release(),
        }
    }

    fn give_back(&mut self, cpu: Cpu, call: &mut Call, at: usize, op: Op) {
        call.held &= !(1 << at);
        match op.action {
            Action::Try { resource, .. } => self.free(resource),
            Action::SetTdel { .. } => self.entry.tdel = false,
            _ => {
                if let Some(vcpu) = cpu.vcpu() {
                    self.tdvps[vcpu].inside = None;
                }
            }
        }
    }

    /// SEAMRET, or back to the guest, or out of the TD.
    fn finish(&mut self, setup: &Setup, cpu: Cpu, call: Call) -> Msg {
        let exit = cpu.vcpu().map_or(ExitReason::None, |vcpu| {
            std::mem::take(&mut self.tdvps[vcpu].exit)
        });
        if call.leaf < FIRST_TDCALL {
            let exit = if call.leaf == ENTER {
                exit
            } else {
                ExitReason::None
            };
            return Msg::Return {
                status: call.status,
                exit,
            };
        }
        if call.status == EPT_VIOLATION_EXIT {
            self.leave_guest(setup, cpu, ExitReason::EptViolation);
            return Msg::Running;
        }
        // td_call() shows the guest a refusal as plain TDX_OPERAND_BUSY; it may try again.
        Msg::GuestRuns
    }
}

/// TDH.VP.ENTER's REFCOUNT++: everybody sees it undone.
fn samples(op: Op) -> bool {
    matches!(op.action, Action::Do(Effect::SampleEpoch, _))
}
