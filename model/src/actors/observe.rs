//! What must never happen, and what must be seen to happen: read off states from outside.

use super::message::{self, Cpu};
use super::module::{Call, Phase};
use super::setup::{Action, LEAVES, REMOVE};
use super::vcpu::{self, Place};
use super::zapper::{Deed, Stage};
use super::{ENTER, Protocol, Snapshot};
use crate::closed_enum::ClosedEnum;
use crate::property::{Property, PropertySet};
use crate::resource::{Mode, Resource};
use stateright::Property as Asked;

/// Something a search that holds must have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Witness {
    /// A SEAMCALL was made whose BUSY nobody can handle any more: its place in [`LEAVES`].
    LastCall(u8),
    /// The flag turned a vCPU back.
    TurnedBack,
    /// A kick's IPI found a guest running.
    KickedGuest,
    /// A kick found a vCPU that somebody else had kicked.
    FoundExiting,
    /// A try-lock failed: the loser's and the holder's places in [`LEAVES`].
    Busy {
        /// The leaf that gets BUSY.
        loser: u8,
        /// On which lock.
        resource: Resource,
        /// The leaf that holds it.
        holder: u8,
    },
}

impl Witness {
    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::LastCall(leaf) => format!(
                "{} issued where KVM can not let it fail",
                LEAVES[usize::from(leaf)]
            ),
            Self::TurnedBack => "wait_for_sept_zap turned a vCPU back".into(),
            Self::KickedGuest => "a kick's IPI interrupted a running guest".into(),
            Self::FoundExiting => "a kick found a vCPU in EXITING_GUEST_MODE already".into(),
            Self::Busy {
                loser,
                resource,
                holder,
            } => format!(
                "{} BUSY on {} held by {}",
                LEAVES[usize::from(loser)],
                resource.key(),
                LEAVES[usize::from(holder)]
            ),
        }
    }
}

/// A SEAMCALL that is made in a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its place in [`LEAVES`].
    pub leaf: u8,
    /// It is one whose BUSY nobody can handle any more.
    pub is_last: bool,
}

impl Protocol {
    /// The witnesses that the claim needs: every collision that two actors can bring about, and what
    /// follows from one.
    #[must_use]
    pub fn required(&self) -> Vec<Witness> {
        let program = &self.zapper().program;
        let attempts = |leaf| {
            program
                .iter()
                .any(|deed| matches!(deed, Deed::Attempt { leaf: tried, .. } if *tried == leaf))
        };
        // A zapper without a first attempt meets no vCPU: that is what its flag is for.
        let meets = |leaf: u8| leaf > REMOVE || attempts(leaf);
        let collisions = self.setup.collisions().into_iter();
        let busy: Vec<Witness> = collisions
            .filter(|(loser, _, holder)| meets(*loser) && meets(*holder))
            .map(|(loser, resource, holder)| Witness::Busy {
                loser,
                resource,
                holder,
            })
            .collect();
        let loses = |leaf: u8| {
            busy.iter()
                .any(|witness| matches!(witness, Witness::Busy { loser, .. } if *loser == leaf))
        };
        let tries = (0..=REMOVE).any(attempts);
        let has = |wanted: &dyn Fn(&Deed) -> bool| program.iter().any(wanted);
        let last_calls = program.iter().filter_map(|deed| match deed {
            Deed::LastCall(leaf) if loses(*leaf) || !tries => Some(Witness::LastCall(*leaf)),
            _ => None,
        });
        let mut all: Vec<Witness> = last_calls.collect();
        if !all.is_empty() {
            let way_in = &self.vcpu(0).way_in;
            let tests = [Place::FlagTest, Place::HoistedFlagTest];
            let tested = way_in.iter().any(|place| tests.contains(place));
            if tested && has(&|deed| *deed == Deed::WriteFlag(true)) {
                all.push(Witness::TurnedBack);
            }
        }
        if has(&|deed| *deed == Deed::Kick) {
            all.push(Witness::KickedGuest);
            if self.setup.scenario.foreign_kick {
                all.push(Witness::FoundExiting);
            }
        }
        all.extend(busy);
        all
    }

    /// Whether the state shows the witness: whether the step that is it can be taken there.
    #[must_use]
    pub fn shows(&self, state: &Snapshot, witness: Witness) -> bool {
        match witness {
            Witness::LastCall(leaf) => self.zapper().last_call(state.zapper()) == Some(leaf),
            Witness::TurnedBack => {
                let tests = [Place::FlagTest, Place::HoistedFlagTest];
                state.memory().wait_for_sept_zap
                    && state
                        .vcpus()
                        .any(|vcpu| tests.contains(&vcpu.place) && vcpu.stage == vcpu::Stage::Ready)
            }
            Witness::KickedGuest => state
                .vcpus()
                .any(|vcpu| vcpu.place == Place::Guest && vcpu.ipi_pending),
            Witness::FoundExiting => {
                let (zapper, memory) = (state.zapper(), state.memory());
                let visits = self.zapper().program[usize::from(zapper.at)] == Deed::Kick
                    && zapper.stage == Stage::Ready
                    && memory.queues[Cpu::ZAPPER.index()].is_empty();
                let mode = memory.mode.get(usize::from(zapper.visiting));
                visits && mode == Some(&message::Mode::ExitingGuestMode)
            }
            Witness::Busy {
                loser,
                resource,
                holder,
            } => self.collides(state, loser, resource, holder),
        }
    }

    fn collides(&self, state: &Snapshot, loser: u8, resource: Resource, holder: u8) -> bool {
        let setup = &self.setup;
        let holds = |cpu: Cpu, mode: Mode| {
            state.module().under_way().any(|(other, call)| {
                other != cpu
                    && call.leaf == holder
                    && call
                        .holds(setup)
                        .any(|(held, as_)| held == resource && mode.conflicts(as_))
            })
        };
        let tries = |call: &Call| {
            let op = setup.leaves[usize::from(call.leaf)]
                .ops
                .get(usize::from(call.at));
            op.filter(|_| call.leaf == loser && call.phase == Phase::Forward)
                .and_then(|op| mode_of_try(op.action, resource))
        };
        let under_way = state.module().under_way();
        let by_calls = under_way
            .filter_map(|(cpu, call)| Some((cpu, tries(call)?)))
            .any(|(cpu, mode)| holds(cpu, mode));
        // A TDCALL's first lock is tried in one step with the guest's choice to make it.
        let first = setup.leaves[usize::from(loser)].ops.first();
        let by_guests = || {
            let mode = first.and_then(|op| mode_of_try(op.action, resource));
            let running = state.vcpus().enumerate();
            running
                .filter(|(_, vcpu)| loser > super::WRITE && vcpu.place == Place::Guest)
                .any(|(index, _)| mode.is_some_and(|mode| holds(Cpu::of_vcpu(index), mode)))
        };
        by_calls || by_guests()
    }

    /// The properties that the state breaks, or that an actor has broken on the way there, as a set of
    /// [`Property::bit`]s.
    #[must_use]
    pub fn broken(&self, state: &Snapshot) -> PropertySet {
        let zapper = state.zapper();
        let memory = state.memory();
        let mut broken = zapper.broken;
        for vcpu in state.vcpus() {
            broken |= vcpu.broken;
        }
        let inside = |(cpu, call): (Cpu, &Call)| cpu != Cpu::ZAPPER && call.leaf == ENTER;
        if self.zapper().is_in_last_call(zapper) && state.module().under_way().any(inside) {
            broken |= Property::NoVcpuInside.bit();
        }
        if memory.wait_for_sept_zap && !memory.mmu_lock.writer {
            broken |= Property::FlagUnderMmuLock.bit();
        }
        let unlocks = self.zapper().program[usize::from(zapper.at)] == Deed::Unlock;
        if unlocks && zapper.stage == Stage::Ready && state.module().entry.tdhp {
            broken |= Property::NoMarkLeft.bit();
        }
        broken & self.setup.watched
    }

    /// The properties that a SEAMCALL is about, as a set of [`Property::bit`]s. Where nobody contends
    /// what it locks it is made in one transition, and no state shows it under way.
    #[must_use]
    pub fn concerned_by(&self, made: Made) -> PropertySet {
        let of_leaf = match made.leaf {
            super::TRACK => Property::EpochEmpty.bit(),
            REMOVE => Property::TrackedRemove.bit(),
            ENTER => Property::FlagTested.bit(),
            _ => 0,
        };
        let last = Property::NoSecondBusy.bit() | Property::NoVcpuInside.bit();
        of_leaf | if made.is_last { last } else { 0 }
    }

    /// Whether what the property is about happens in the state.
    #[must_use]
    pub fn concerns(&self, state: &Snapshot, property: Property) -> bool {
        let zapper = state.zapper();
        let deed = self.zapper().program[usize::from(zapper.at)];
        let calls = |leaf: u8| {
            state
                .module()
                .under_way()
                .any(|(_, call)| call.leaf == leaf)
        };
        match property {
            Property::NoSecondBusy | Property::NoVcpuInside => {
                self.zapper().is_in_last_call(zapper)
            }
            Property::FlagUnderMmuLock => state.memory().wait_for_sept_zap,
            Property::FlagTested => calls(ENTER),
            Property::EpochEmpty => calls(super::TRACK),
            Property::TrackedRemove => calls(REMOVE),
            Property::InterruptOnce => state
                .vcpus()
                .any(|vcpu| vcpu.exit == super::message::ExitReason::InterruptDispatched),
            Property::NoMarkLeft => state.module().entry.tdhp,
            Property::KickOnlyWhenBusy => matches!(deed, Deed::Kick | Deed::LastCall(_)),
            Property::NoBugOn => deed == Deed::Unlock,
            Property::NoInternalError
            | Property::ZapFinishes
            | Property::FlagComesDown
            | Property::VcpuEnters
            | Property::GuestRuns
            | Property::NoStarvation
            | Property::NobodyWaits
            | Property::MarkGoesAway => false,
        }
    }
}

fn mode_of_try(action: Action, wanted: Resource) -> Option<Mode> {
    match action {
        Action::Try { resource, mode, .. } if resource == wanted => Some(mode),
        Action::SetTdel { mode, .. } if wanted == Resource::SeptEntry => Some(mode),
        _ => None,
    }
}

/// The properties as stateright knows them.
pub(super) fn properties(watched: PropertySet) -> Vec<Asked<Protocol>> {
    let mut all = Vec::new();
    for property in Property::ALL {
        if watched & property.bit() != 0 && !property.is_liveness() {
            all.push(Asked::always(property.key(), holds_of(*property)));
        }
    }
    all
}

type Holds = fn(&Protocol, &Snapshot) -> bool;

fn keeps<const BIT: u32>(protocol: &Protocol, state: &Snapshot) -> bool {
    protocol.broken(state) & BIT == 0
}

/// stateright takes plain functions: one for each property.
fn holds_of(property: Property) -> Holds {
    macro_rules! each {
        ($( $name:ident )+) => {
            match property {
                $( Property::$name => keeps::<{ Property::$name.bit() }>, )+
                _ => |_, _| true,
            }
        };
    }
    each! { NoSecondBusy NoVcpuInside FlagUnderMmuLock FlagTested EpochEmpty TrackedRemove InterruptOnce NoMarkLeft KickOnlyWhenBusy NoBugOn }
}
