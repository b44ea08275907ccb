//! What properties and witnesses look for, per step number; derived when a system is built.

use crate::kvm::Line;
use crate::kvm::instr::{CallSite, Instr, KickStep};
use crate::module::{LeafId, Op, OpKind};
use crate::property::{BusyPair, Property, PropertySet, Witness};
use crate::resource::{Mode, Resource};
use crate::system::labels::{
    Environment, OUTCOMES, Part, StepId, guest, op_outcomes, outcomes, returned,
};
use crate::system::{System, User};
use crate::table::Effect;

/// What to look for, per step number.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Properties a step breaks, as a set of [`Property::bit`]s.
    pub breaks: Vec<PropertySet>,
    /// Steps (first outcome of each line) that can be reached at all.
    pub possible: Vec<bool>,
    /// Steps at which a try-lock fails.
    pub busy: Vec<Option<(LeafId, Resource, Mode)>>,
    /// Steps that are a witness by themselves.
    pub shows: Vec<Option<Witness>>,
    /// The witnesses a run that holds must have seen.
    pub required: Vec<Witness>,
    /// Each zapper's last step: property I9 is read there.
    pub unlock: Vec<(StepId, Part)>,
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
            unlock: Vec::new(),
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
        all.foreign_kick(system);
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
            Instr::Call {
                leaf,
                site: CallSite::NoFail,
            } => {
                self.breaks(id(returned::BUSY), Property::NoSecondBusy);
                let called = id(returned::CALLED);
                self.shows[usize::from(called.0)] = Some(Witness::NoFailCall(leaf));
            }
            Instr::Call {
                site: CallSite::OrBug,
                ..
            } => {
                self.breaks(id(returned::BUSY), Property::NoBugOn);
                self.breaks(id(returned::ERROR), Property::NoBugOn);
            }
            Instr::Call { leaf, .. } if leaf == system.enter => {
                self.breaks(id(returned::CALLED_UNTESTED), Property::FlagTested);
            }
            // A kick without a first attempt is for nothing (M37).
            Instr::StoreFlag { value: true } if !has_attempt(system) => {
                self.breaks(id(0), Property::KickOnlyWhenBusy);
            }
            Instr::UnlessBusy { .. } => self.breaks(id(2), Property::KickOnlyWhenBusy),
            Instr::BugOn | Instr::AugStatus | Instr::IoctlStatus { .. } => {
                self.breaks(id(last), Property::NoBugOn)
            }
            Instr::HandleExit { .. } => self.breaks(id(2), Property::NoInternalError),
            Instr::HandleExitIrqoff => self.breaks(id(2), Property::InterruptOnce),
            Instr::TestFlag { .. } => self.shows[usize::from(id(1).0)] = Some(Witness::TurnedBack),
            Instr::Kick {
                step: KickStep::Visit,
            } => {
                for outcome in [2, 3] {
                    self.shows[usize::from(id(outcome).0)] = Some(Witness::FoundExiting);
                }
            }
            Instr::Unlock { .. } if system.is_zapper(part) => self.unlock.push((id(0), part)),
            _ => {}
        }
    }

    fn foreign_kick(&mut self, system: &System) {
        if system.scenario.foreign_kick && system.is_active(Part::Vcpu) {
            let kick = Environment::ForeignKick as u8;
            let step = system.labels.id(Part::Environment, kick, 0);
            self.possible[usize::from(step.0)] = true;
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
                OpKind::Effect {
                    effect: Effect::AdvanceEpoch,
                    ..
                } => self.breaks(id(1), Property::EpochEmpty),
                OpKind::Effect {
                    effect: Effect::CheckTracked,
                    ..
                } => {
                    self.breaks(id(1), Property::TrackedRemove);
                    self.breaks(id(2), Property::TrackedRemove);
                }
                OpKind::Effect {
                    effect: Effect::RunGuest,
                    ..
                } => {
                    self.shows[usize::from(id(guest::KICKED).0)] = Some(Witness::KickedGuest);
                }
                _ => {}
            }
        }
    }
}

/// Whether the zapper tries a SEAMCALL before it raises the flag.
fn has_attempt(system: &System) -> bool {
    system.zap.iter().any(|line| {
        matches!(
            line.instr,
            Instr::Call {
                site: CallSite::Attempt,
                ..
            }
        )
    })
}

fn programs(system: &System) -> Vec<(Part, &crate::kvm::Program)> {
    let mut all = vec![(Part::Zapper, &system.zap), (Part::Vcpu, &system.vcpu)];
    all.extend(
        system
            .threads
            .iter()
            .enumerate()
            .map(|(index, program)| (Part::thread(index), program)),
    );
    all
}

/// Addresses that a configured agent can reach, contention considered.
fn reachable_ops(system: &System) -> Vec<u8> {
    let users = system
        .users()
        .iter()
        .filter(|user| system.is_active(user.part));
    let mut open: Vec<u8> = users
        .map(|user| system.code.leaves[usize::from(user.leaf.0)].start)
        .collect();
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
            OpKind::Acquire { .. } | OpKind::SetTdel { .. } | OpKind::LookHostPriority
                if op.uncontended =>
            {
                open.push(op.next)
            }
            OpKind::Acquire { .. }
            | OpKind::SetTdel { .. }
            | OpKind::LookHostPriority
            | OpKind::BranchZeroStep => {
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
    matches!(
        effect,
        Effect::WouldFault | Effect::AcceptCheck | Effect::AttrCheck
    )
}

/// The witnesses of a system: what its agents can bring about, derived from their lock-table rows.
fn required(system: &System) -> Vec<Witness> {
    let instrs = || system.zap.iter().map(|line| line.instr);
    let vcpus = system.is_active(Part::Vcpu);
    let attempts: Vec<LeafId> = instrs()
        .filter_map(|instr| match instr {
            Instr::Call {
                leaf,
                site: CallSite::Attempt,
            } => Some(leaf),
            _ => None,
        })
        .collect();
    let mut pairs: Vec<Witness> = Vec::new();
    for user in system.users() {
        for rival in system.users() {
            let zapper = if system.is_zapper(user.part) {
                Some(user)
            } else {
                Some(rival).filter(|rival| system.is_zapper(rival.part))
            };
            // A zapper without a first attempt meets no vCPU: that is what its flag is for.
            if zapper.is_some_and(|zapper| {
                !attempts.contains(&zapper.leaf)
                    && (user.part == Part::Vcpu || rival.part == Part::Vcpu)
            }) {
                continue;
            }
            if keeps_apart(system, user, rival) || keeps_apart(system, rival, user) {
                continue;
            }
            for (resource, mode) in &user.acquisitions {
                if system.can_meet(user, rival, *resource, *mode)
                    && happens(system, user.leaf)
                    && happens(system, rival.leaf)
                {
                    pairs.push(Witness::Busy(BusyPair {
                        loser: user.leaf,
                        resource: *resource,
                        holder: rival.leaf,
                    }));
                }
            }
        }
    }
    let loses = |leaf: LeafId| {
        pairs
            .iter()
            .any(|pair| matches!(pair, Witness::Busy(pair) if pair.loser == leaf))
    };
    // A call without a first attempt is made whatever happens.
    let no_fail = instrs().filter_map(|instr| match instr {
        Instr::Call {
            leaf,
            site: CallSite::NoFail,
        } if loses(leaf) || attempts.is_empty() && happens(system, leaf) => {
            Some(Witness::NoFailCall(leaf))
        }
        _ => None,
    });
    let mut all: Vec<Witness> = no_fail.collect();
    if !all.is_empty() {
        let flag = instrs().any(|instr| instr == Instr::StoreFlag { value: true });
        let tested = system
            .vcpu
            .iter()
            .any(|line| matches!(line.instr, Instr::TestFlag { .. }));
        if vcpus && flag && tested {
            all.push(Witness::TurnedBack);
        }
    }
    let kicks = instrs().any(|instr| {
        instr
            == Instr::Kick {
                step: KickStep::Send,
            }
    });
    if vcpus && kicks {
        all.push(Witness::KickedGuest);
        if system.scenario.foreign_kick {
            all.push(Witness::FoundExiting);
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    all.extend(pairs);
    all
}

/// KVM issues the one leaf only once `kvm_tdx->state` says so, and the other's thread makes it say so
/// when it is done.
fn keeps_apart(system: &System, later: &User, finalizer: &User) -> bool {
    let finalizes = |line: &Line| line.instr == Instr::SetRunnable;
    let threads = system.threads.iter().enumerate();
    let mut makers = threads.filter(|(_, program)| program.iter().any(finalizes));
    let is_maker = makers.any(|(index, _)| finalizer.part == Part::thread(index));
    let tracks = system.code.leaves[usize::from(later.leaf.0)].key == "TDH.MEM.TRACK";
    system.of_two_lives && is_maker && (later.part == Part::Vcpu || tracks)
}

/// Before the TD is finalized TDH.MEM.TRACK is not issued, and pages exist only where a configured
/// thread maps or adds them.
fn happens(system: &System, leaf: LeafId) -> bool {
    if system.scenario.finalized {
        return true;
    }
    let tracks = system.code.leaves[usize::from(leaf.0)].key == "TDH.MEM.TRACK";
    if system.scenario.populated {
        return !tracks || system.of_two_lives;
    }
    let lines = || system.threads.iter().flatten();
    let maps = |line: &Line| matches!(line.instr, Instr::Premap | Instr::SetPresent);
    let premaps = lines().any(maps);
    let adds = |op: &Op| {
        matches!(
            op.kind,
            OpKind::Effect {
                effect: Effect::AddEntry,
                ..
            }
        )
    };
    match system.code.leaves[usize::from(leaf.0)].key.as_str() {
        "TDH.MEM.TRACK" => false,
        "TDH.MEM.RANGE.BLOCK" => premaps,
        "TDH.MEM.PAGE.REMOVE" => premaps && system.code.ops.iter().any(adds),
        _ => true,
    }
}
