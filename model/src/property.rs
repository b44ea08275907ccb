//! Properties (what must never happen) and witnesses (what must be seen to happen).
//!
//! Both are read off steps and states from outside: no step knows of them, and only
//! `Vcpu::flag_seen_down` exists for one of them (I4).

use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::{LeafId, OpKind};
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::system::labels::{OUTCOMES, Part, StepId, guest, op_outcomes, outcomes, returned};
use crate::system::state::State;
use crate::system::{Agent, Event, System};
use crate::table::Effect;

closed_enum! { "property",
    /// What must never happen. I1 … I10 are the invariants of docs/protocol.md.
    pub enum Property {
        NoSecondBusy = "no-second-busy": "I2, the claim: a SEAMCALL whose result KVM can no longer handle never returns TDX_OPERAND_BUSY",
        NoVcpuInside = "no-vcpu-inside": "I1: no vCPU is between the start and the return of TDH.VP.ENTER while such a SEAMCALL runs",
        FlagUnderMmuLock = "flag-under-mmu-lock": "I3: wait_for_sept_zap is up only while its setter holds mmu_lock for write and is in the retry window",
        FlagTested = "flag-tested": "I4: every TDH.VP.ENTER is preceded, in the same IRQs-off window, by a load of the flag that returned false",
        EpochEmpty = "epoch-empty": "I6: TDH.MEM.TRACK finds nobody left in the previous epoch",
        TrackedRemove = "tracked-remove": "I7: TDH.MEM.PAGE.REMOVE is issued only when the page is blocked and tracked",
        InterruptOnce = "interrupt-once": "I8: an external interrupt is dispatched once",
        NoMarkLeft = "no-mark-left": "I9: the zapper leaves no host-priority mark on the entry",
        KickOnlyWhenBusy = "kick-only-when-busy": "I10: vCPUs are kicked for TDX_OPERAND_BUSY only",
        NoBugOn = "no-bug-on": "no KVM_BUG_ON fires",
    }
}

impl Property {
    /// Its bit in a set of properties.
    #[must_use]
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }

    /// True when a SEAMCALL status decides it, so that a trace has a status word at its end.
    #[must_use]
    pub const fn is_about_status(self) -> bool {
        matches!(self, Self::NoSecondBusy | Self::EpochEmpty | Self::TrackedRemove | Self::NoBugOn)
    }
}

/// A loser and a holder that can meet on a lock: a BUSY that must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BusyPair {
    /// The leaf that gets BUSY.
    pub loser: LeafId,
    /// On which lock.
    pub resource: Resource,
    /// The leaf that holds it.
    pub holder: LeafId,
}

/// Something a run that holds must have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Witness {
    /// A SEAMCALL whose result KVM can no longer handle was issued.
    NoFailCall,
    /// The flag turned a vCPU back.
    TurnedBack,
    /// A kick's IPI interrupted a running guest.
    KickedGuest,
    /// A try-lock failed against this holder.
    Busy(BusyPair),
}

impl Witness {
    /// In words.
    #[must_use]
    pub fn text(self, system: &System) -> String {
        let name = |leaf: LeafId| system.code.leaves[usize::from(leaf.0)].key.clone();
        match self {
            Self::NoFailCall => "a SEAMCALL whose result KVM can no longer handle was issued".into(),
            Self::TurnedBack => "wait_for_sept_zap turned a vCPU back".into(),
            Self::KickedGuest => "a kick's IPI interrupted a running guest".into(),
            Self::Busy(pair) => {
                format!("{} BUSY on {} held by {}", name(pair.loser), pair.resource.key(), name(pair.holder))
            }
        }
    }
}

/// What to look for, per step number.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Properties a step breaks, as a set of [`Property::bit`]s.
    pub breaks: Vec<u16>,
    /// Steps (first outcome of each line) that can be reached at all.
    pub possible: Vec<bool>,
    /// Steps at which a try-lock fails.
    pub busy: Vec<Option<(LeafId, Resource, Mode)>>,
    /// Steps that are a witness by themselves.
    pub shows: Vec<Option<Witness>>,
    /// The witnesses a run that holds must have seen.
    pub required: Vec<Witness>,
    /// The zapper's last step: property I9 is read there.
    pub unlock: Option<StepId>,
}

impl Observations {
    /// Nothing to look for yet.
    #[must_use]
    pub fn new(steps: usize) -> Self {
        Self {
            breaks: vec![0; steps],
            possible: vec![false; steps],
            busy: vec![None; steps],
            shows: vec![None; steps],
            required: Vec::new(),
            unlock: None,
        }
    }

    /// What to look for in a system.
    #[must_use]
    pub fn of(system: &System) -> Self {
        let mut all = Self::new(system.labels.len());
        for (part, program) in programs(system) {
            for (line, text) in program.iter().enumerate() {
                all.line(system, part, line as u8, text.instr);
            }
        }
        all.ops(system);
        all.required = required(system);
        all
    }

    fn breaks(&mut self, step: StepId, property: Property) {
        self.breaks[usize::from(step.0)] |= property.bit();
    }

    fn line(&mut self, system: &System, part: Part, line: u8, instr: Instr) {
        let id = |outcome| system.labels.id(part, line, outcome);
        if system.is_active(part) {
            self.possible[usize::from(id(0).0)] = true;
        }
        let last = outcomes(instr).len().saturating_sub(1) as u8;
        match instr {
            Instr::Call { site: CallSite::NoFail, .. } => {
                self.breaks(id(returned::BUSY), Property::NoSecondBusy);
                self.shows[usize::from(id(returned::CALLED).0)] = Some(Witness::NoFailCall);
            }
            Instr::Call { leaf, .. } if leaf == system.enter => {
                self.breaks(id(returned::CALLED_UNTESTED), Property::FlagTested);
            }
            Instr::UnlessBusy { .. } => self.breaks(id(2), Property::KickOnlyWhenBusy),
            Instr::BugOn | Instr::AugStatus | Instr::IoctlStatus { .. } => self.breaks(id(last), Property::NoBugOn),
            Instr::HandleExitIrqoff => self.breaks(id(2), Property::InterruptOnce),
            Instr::TestFlag { .. } => self.shows[usize::from(id(1).0)] = Some(Witness::TurnedBack),
            Instr::Unlock { .. } if part == Part::Zapper => self.unlock = Some(id(0)),
            _ => {}
        }
    }

    fn ops(&mut self, system: &System) {
        for address in reachable_ops(system) {
            let op = &system.code.ops[usize::from(address)];
            let id = |outcome| system.labels.id(Part::Module, address, outcome);
            self.possible[usize::from(id(0).0)] = true;
            debug_assert!(op_outcomes(op).len() <= usize::from(OUTCOMES));
            match op.kind {
                OpKind::Acquire { resource, mode } => {
                    self.busy[usize::from(id(1).0)] = Some((op.leaf, resource, mode));
                }
                OpKind::SetTdel { mode } => {
                    self.busy[usize::from(id(1).0)] = Some((op.leaf, Resource::SeptEntry, mode));
                }
                OpKind::Effect { effect: Effect::AdvanceEpoch, .. } => self.breaks(id(1), Property::EpochEmpty),
                OpKind::Effect { effect: Effect::CheckTracked, .. } => {
                    self.breaks(id(1), Property::TrackedRemove);
                    self.breaks(id(2), Property::TrackedRemove);
                }
                OpKind::Effect { effect: Effect::RunGuest, .. } => {
                    self.shows[usize::from(id(guest::KICKED).0)] = Some(Witness::KickedGuest);
                }
                _ => {}
            }
        }
    }
}

fn programs(system: &System) -> Vec<(Part, &crate::kvm::Program)> {
    let mut all = vec![(Part::Zapper, &system.zap), (Part::Vcpu, &system.vcpu)];
    all.extend(system.threads.iter().enumerate().map(|(index, program)| (Part::thread(index), program)));
    all
}

/// Addresses that a configured agent can reach, contention considered.
fn reachable_ops(system: &System) -> Vec<u8> {
    let users = system.users().iter().filter(|user| system.is_active(user.part));
    let mut open: Vec<u8> = users.map(|user| system.code.leaves[usize::from(user.leaf.0)].start).collect();
    let mut seen = vec![false; system.code.ops.len()];
    let mut reached = Vec::new();
    while let Some(address) = open.pop() {
        if address == 0 || std::mem::replace(&mut seen[usize::from(address)], true) {
            continue;
        }
        reached.push(address);
        let op = &system.code.ops[usize::from(address)];
        let armed = system.scenario.zero_step;
        match op.kind {
            OpKind::Return => {}
            OpKind::BranchZeroStep if !armed => open.push(op.fail),
            OpKind::Acquire { .. } | OpKind::SetTdel { .. } | OpKind::LookHostPriority if op.uncontended => open.push(op.next),
            OpKind::Acquire { .. } | OpKind::SetTdel { .. } | OpKind::LookHostPriority | OpKind::BranchZeroStep => {
                open.extend([op.next, op.fail]);
            }
            OpKind::Effect { effect, .. } if can_fail(effect) => open.extend([op.next, op.fail]),
            _ => open.push(op.next),
        }
    }
    reached.sort_unstable();
    reached
}

const fn can_fail(effect: Effect) -> bool {
    matches!(effect, Effect::WouldFault | Effect::AcceptCheck | Effect::AttrCheck)
}

/// The witnesses of a system: what its agents can bring about, derived from their lock-table rows.
fn required(system: &System) -> Vec<Witness> {
    let instrs = || system.zap.iter().map(|line| line.instr);
    let vcpus = system.is_active(Part::Vcpu);
    let attempts: Vec<LeafId> = instrs()
        .filter_map(|instr| match instr {
            Instr::Call { leaf, site: CallSite::Attempt } => Some(leaf),
            _ => None,
        })
        .collect();
    let mut pairs: Vec<Witness> = Vec::new();
    for user in system.users() {
        for rival in system.users() {
            let zapper = if user.part == Part::Zapper { Some(user) } else { Some(rival).filter(|rival| rival.part == Part::Zapper) };
            // A zapper without a first attempt meets no vCPU: that is what its flag is for.
            if zapper.is_some_and(|zapper| !attempts.contains(&zapper.leaf) && (user.part == Part::Vcpu || rival.part == Part::Vcpu)) {
                continue;
            }
            for (resource, mode) in &user.acquisitions {
                if system.can_meet(user, rival, *resource, *mode) && happens(system, user.leaf) && happens(system, rival.leaf) {
                    pairs.push(Witness::Busy(BusyPair { loser: user.leaf, resource: *resource, holder: rival.leaf }));
                }
            }
        }
    }
    let zapper_loses = pairs.iter().any(|pair| matches!(pair, Witness::Busy(pair) if attempts.contains(&pair.loser)));
    let no_fail_calls = instrs().any(|instr| matches!(instr, Instr::Call { site: CallSite::NoFail, .. }));
    let mut all = Vec::new();
    if no_fail_calls && (zapper_loses || attempts.is_empty()) {
        all.push(Witness::NoFailCall);
        let flag = instrs().any(|instr| instr == Instr::StoreFlag { value: true });
        let tested = system.vcpu.iter().any(|line| matches!(line.instr, Instr::TestFlag { .. }));
        if vcpus && flag && tested {
            all.push(Witness::TurnedBack);
        }
    }
    if vcpus && instrs().any(|instr| instr == Instr::Kick { step: KickStep::Send }) {
        all.push(Witness::KickedGuest);
    }
    pairs.sort_unstable();
    pairs.dedup();
    all.extend(pairs);
    all
}

/// TDH.MEM.TRACK is not issued before the TD is finalized.
fn happens(system: &System, leaf: LeafId) -> bool {
    system.scenario.finalized || system.code.leaves[usize::from(leaf.0)].key != "TDH.MEM.TRACK"
}

impl System {
    /// The properties that a transition breaks, as a set of [`Property::bit`]s.
    #[must_use]
    pub fn broken(&self, before: &State, event: &Event, after: &State) -> u16 {
        let mut broken = self.broken_by_state(after);
        for step in &event.trail {
            broken |= self.observations.breaks[usize::from(step.0)];
            if Some(*step) == self.observations.unlock {
                let page = usize::from(before.shared.zapper.page);
                broken |= if after.shared.pages[page].host_priority { Property::NoMarkLeft.bit() } else { 0 };
            }
        }
        broken
    }

    /// The properties that a state breaks by itself.
    #[must_use]
    pub fn broken_by_state(&self, state: &State) -> u16 {
        let shared = &state.shared;
        let line = &self.zap[usize::from(shared.zapper.line)];
        let mut broken = 0;
        let no_fail = shared.zapper.op != 0 && matches!(line.instr, Instr::Call { site: CallSite::NoFail, .. });
        if no_fail && state.vcpus[..self.scenario.vcpus].iter().any(|vcpu| self.is_in_vp_enter(vcpu)) {
            broken |= Property::NoVcpuInside.bit();
        }
        let write_held = line.held.iter().any(|held| held == (KvmLock::MmuLock, KvmMode::Write));
        let lowering = shared.flag_stores.newest() == Some(false);
        if shared.flag && !(write_held && (line.flag_window || lowering)) {
            broken |= Property::FlagUnderMmuLock.bit();
        }
        broken
    }

    /// The witnesses that a transition shows; `show` is called with each.
    pub fn witnesses(&self, before: &State, event: &Event, mut show: impl FnMut(Witness)) {
        for step in &event.trail {
            if let Some(witness) = self.observations.shows[usize::from(step.0)] {
                show(witness);
            }
            if let Some((loser, resource, mode)) = self.observations.busy[usize::from(step.0)] {
                for holder in self.holders(before, event.agent, resource, mode) {
                    show(Witness::Busy(BusyPair { loser, resource, holder }));
                }
            }
        }
    }

    /// The leaves under which agents other than `agent` hold `resource` against `mode`.
    #[must_use]
    pub fn holders(&self, state: &State, agent: Agent, resource: Resource, mode: Mode) -> Vec<LeafId> {
        let singletons = [(Agent::Zapper, state.shared.zapper)]
            .into_iter()
            .chain((0..self.threads.len()).map(|index| (Agent::Thread(index as u8), state.shared.threads[index])));
        let by_singletons = singletons
            .filter(|(other, control)| *other != agent && self.held_by(*control).conflicts(resource, mode))
            .map(|(_, control)| self.code.ops[usize::from(control.op)].leaf);
        let vcpus = state.vcpus[..self.scenario.vcpus].iter().enumerate();
        let by_vcpus = vcpus
            .filter(|(index, vcpu)| {
                Agent::Vcpu(*index as u8) != agent && self.held_by_vcpu(vcpu).conflicts(resource, mode)
            })
            .map(|(_, vcpu)| self.leaf_that_holds(vcpu.control.op, resource));
        by_singletons.chain(by_vcpus).collect()
    }

    /// A guest in a TDCALL holds some locks for its TDH.VP.ENTER.
    #[must_use]
    pub fn leaf_that_holds(&self, op: u8, resource: Resource) -> LeafId {
        let op = &self.code.ops[usize::from(op)];
        if op.held.has(resource) { op.leaf } else { self.enter }
    }
}

/// Every property whose bit is set.
pub fn properties(set: u16) -> impl Iterator<Item = Property> {
    Property::ALL.iter().copied().filter(move |property| set & property.bit() != 0)
}
