//! Properties (what must never happen, or must happen in the end) and witnesses (what must be seen
//! to happen).
//!
//! Both are read off steps and states from outside: no step knows of them, and only
//! `Vcpu::flag_seen_down` exists for one of them (I4).

use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::kvm::Line;
use crate::kvm::instr::{CallSite, Instr};
use crate::module::LeafId;
use crate::resource::{KvmLock, KvmMode, Mode, Resource};
use crate::system::labels::{Part, StepId};
use crate::system::state::{Shared, State, Vcpu};
use crate::system::{Agent, Event, System};

closed_enum! { "property",
    /// What must never happen, and behind that what must happen in the end. I1 … I10 are those of
    /// docs/protocol.md.
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
        NoInternalError = "no-internal-error": "KVM_RUN never returns KVM_EXIT_INTERNAL_ERROR because TDH.VP.ENTER returned TDX_HOST_PRIORITY_BUSY_TIMEOUT",
        ZapFinishes = "zap-finishes": "I5, liveness: a page removal that has begun ends",
        FlagComesDown = "flag-comes-down": "I5, liveness: wait_for_sept_zap, once up, comes down again",
        VcpuEnters = "vcpu-enters": "I5, liveness: once no page is removed any more, a vCPU that wants to run calls TDH.VP.ENTER",
        GuestRuns = "guest-runs": "liveness: once no page is removed any more, a vCPU that wants to run has its guest run",
        NoStarvation = "no-starvation": "liveness: a vCPU that wants to run calls TDH.VP.ENTER, however many pages are removed meanwhile",
        NobodyWaits = "nobody-waits": "liveness: a thread that waits for a KVM lock gets it",
        MarkGoesAway = "mark-goes-away": "liveness: once no page is removed any more, a guest's TDCALLs are not refused for ever because of a host-priority mark",
    }
}

/// A set of [`Property::bit`]s.
pub type PropertySet = u32;

impl Property {
    /// Its bit in a set of properties.
    #[must_use]
    pub const fn bit(self) -> PropertySet {
        1 << self as u8
    }

    /// True when it is about what happens in the end, so that only an endless execution breaks it.
    #[must_use]
    pub const fn is_liveness(self) -> bool {
        matches!(
            self,
            Self::ZapFinishes
                | Self::FlagComesDown
                | Self::VcpuEnters
                | Self::GuestRuns
                | Self::NoStarvation
                | Self::NobodyWaits
                | Self::MarkGoesAway
        )
    }

    /// True when a SEAMCALL status decides it, so that a trace has a status word at its end.
    #[must_use]
    pub const fn is_about_status(self) -> bool {
        matches!(
            self,
            Self::NoSecondBusy | Self::EpochEmpty | Self::TrackedRemove | Self::NoBugOn
        )
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
    /// This SEAMCALL was issued where KVM can no longer handle its result.
    NoFailCall(LeafId),
    /// The flag turned a vCPU back.
    TurnedBack,
    /// A kick's IPI interrupted a running guest.
    KickedGuest,
    /// A kick found a vCPU that somebody else had kicked.
    FoundExiting,
    /// A try-lock failed against this holder.
    Busy(BusyPair),
}

impl Witness {
    /// In words.
    #[must_use]
    pub fn text(self, system: &System) -> String {
        let name = |leaf: LeafId| system.code.leaves[usize::from(leaf.0)].key.clone();
        match self {
            Self::NoFailCall(leaf) => {
                format!("{} issued where KVM can not let it fail", name(leaf))
            }
            Self::TurnedBack => "wait_for_sept_zap turned a vCPU back".into(),
            Self::KickedGuest => "a kick's IPI interrupted a running guest".into(),
            Self::FoundExiting => "a kick found a vCPU in EXITING_GUEST_MODE already".into(),
            Self::Busy(pair) => {
                format!(
                    "{} BUSY on {} held by {}",
                    name(pair.loser),
                    pair.resource.key(),
                    name(pair.holder)
                )
            }
        }
    }
}

impl System {
    /// The properties that a transition breaks, as a set of [`Property::bit`]s.
    #[must_use]
    pub fn broken(&self, before: &State, event: &Event, after: &State) -> PropertySet {
        self.broken_by_state(after)
            | self.broken_by_steps(&before.shared, &event.trail, &after.shared)
    }

    /// The properties that taking these steps breaks, whatever vCPUs there are.
    #[must_use]
    pub fn broken_by_steps(
        &self,
        before: &Shared,
        trail: &[StepId],
        after: &Shared,
    ) -> PropertySet {
        let mut broken = 0;
        for step in trail {
            broken |= self.observations.breaks[usize::from(step.0)];
            let unlocks = self.observations.unlock.iter();
            for (_, part) in unlocks.filter(|(unlock, _)| unlock == step) {
                let page = usize::from(before.control(*part).page);
                broken |= if after.pages[page].host_priority {
                    Property::NoMarkLeft.bit()
                } else {
                    0
                };
            }
        }
        broken
    }

    /// The properties that a state breaks by itself.
    #[must_use]
    pub fn broken_by_state(&self, state: &State) -> PropertySet {
        self.broken_by_view(&state.shared, &state.vcpus[..self.scenario.vcpus])
    }

    /// The same, of the singletons and some of the vCPUs.
    #[must_use]
    pub fn broken_by_view(&self, shared: &Shared, vcpus: &[Vcpu]) -> PropertySet {
        let mut broken = 0;
        let no_fail = |part: Part| {
            let site = CallSite::NoFail;
            let instr = self.zap_line(shared, part).instr;
            shared.control(part).op != 0
                && matches!(instr, Instr::Call { site: at, .. } if at == site)
        };
        if self.zappers().any(no_fail) && vcpus.iter().any(|vcpu| self.is_in_vp_enter(vcpu)) {
            broken |= Property::NoVcpuInside.bit();
        }
        let may_have_it_up = |part: Part| {
            let line = self.zap_line(shared, part);
            let lowering = shared.flag_stores_of(part).newest() == Some(false);
            line.held.has_mode(KvmLock::MmuLock, KvmMode::Write) && (line.flag_window || lowering)
        };
        if shared.flag && !self.zappers().any(may_have_it_up) {
            broken |= Property::FlagUnderMmuLock.bit();
        }
        broken
    }

    fn zap_line(&self, shared: &Shared, part: Part) -> &Line {
        &self.zap_program(part)[usize::from(shared.control(part).line)]
    }

    /// The witnesses that a transition shows; `show` is called with each.
    pub fn witnesses(&self, before: &State, event: &Event, mut show: impl FnMut(Witness)) {
        for step in event.trail.iter() {
            if let Some(witness) = self.observations.shows[usize::from(step.0)] {
                show(witness);
            }
            if let Some((loser, resource, mode)) = self.observations.busy[usize::from(step.0)] {
                for holder in self.holders(before, event.agent, resource, mode) {
                    show(Witness::Busy(BusyPair {
                        loser,
                        resource,
                        holder,
                    }));
                }
            }
        }
    }

    /// The leaves under which agents other than `agent` hold `resource` against `mode`.
    pub fn holders<'a>(
        &'a self,
        state: &'a State,
        agent: Agent,
        resource: Resource,
        mode: Mode,
    ) -> impl Iterator<Item = LeafId> + 'a {
        let threads = (0..self.threads.len())
            .map(|index| (Agent::Thread(index as u8), state.shared.threads[index]));
        let by_singletons = std::iter::once((Agent::Zapper, state.shared.zapper))
            .chain(threads)
            .filter(move |(other, control)| {
                *other != agent && self.held_by(*control).conflicts(resource, mode)
            })
            .map(|(_, control)| self.code.ops[usize::from(control.op)].leaf);
        let vcpus = state.vcpus[..self.scenario.vcpus].iter().enumerate();
        let by_vcpus = vcpus
            .filter(move |(index, vcpu)| {
                Agent::Vcpu(*index as u8) != agent
                    && self.held_by_vcpu(vcpu).conflicts(resource, mode)
            })
            .map(move |(_, vcpu)| self.leaf_that_holds(vcpu.control.op, resource));
        by_singletons.chain(by_vcpus)
    }

    /// A guest in a TDCALL holds some locks for its TDH.VP.ENTER.
    #[must_use]
    pub fn leaf_that_holds(&self, op: u8, resource: Resource) -> LeafId {
        let op = &self.code.ops[usize::from(op)];
        if op.held.has(resource) {
            op.leaf
        } else {
            self.enter
        }
    }
}

/// Every property whose bit is set.
pub fn properties(set: PropertySet) -> impl Iterator<Item = Property> {
    Property::ALL
        .iter()
        .copied()
        .filter(move |property| set & property.bit() != 0)
}
