//! From a state of the actors to the state of the packed model that it stands for.
//!
//! Places are found by what they do, not by number: the line that holds the same instruction, the
//! module step of the same kind with the same locks held.

use seamcheck_model::actors::message::{Cpu, ExitReason as Exit, Mode};
use seamcheck_model::actors::module::{EntryState as Entry, Epoch};
use seamcheck_model::actors::vcpu::{Place, Stage as VcpuStage};
use seamcheck_model::actors::zapper::{Deed, Stage};
use seamcheck_model::actors::{
    LEAVES, Protocol, Snapshot, memory::MirrorSpte as Spte, memory::Store,
};
use seamcheck_model::kernel::decisions::{FlagReturn, IrqDisable, ModeOutside, VcpuBarrier};
use seamcheck_model::kvm::instr::{CallSite, Instr, KickStep};
use seamcheck_model::module::LeafId;
use seamcheck_model::system::state::{
    BlockEpoch, Control, EntryState, ExitReason, Ipi, KickPhase, MirrorSpte, Page, StoreBuffer,
    Vcpu, VcpuEpoch, VcpuMode,
};
use seamcheck_model::system::{State, System};

/// The map, for one question.
pub(crate) struct Map<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) system: &'a System,
    /// The zapper's deeds as lines.
    deeds: Vec<u8>,
}

impl<'a> Map<'a> {
    pub(crate) fn new(protocol: &'a Protocol, system: &'a System) -> Self {
        let mut map = Self {
            protocol,
            system,
            deeds: Vec::new(),
        };
        let mut line = 0;
        for deed in &protocol.zapper().program {
            if matches!(deed, Deed::Goto(_)) {
                map.deeds.push(u8::MAX);
                continue;
            }
            let same = |instr: Instr| map.is_deed(*deed, instr);
            line += system.zap[line..]
                .iter()
                .position(|text| same(text.instr))
                .unwrap_or_else(|| panic!("no line does {deed:?}"));
            map.deeds.push(line as u8);
            line += 1;
        }
        map
    }

    fn is_deed(&self, deed: Deed, instr: Instr) -> bool {
        match (deed, instr) {
            (Deed::Lock, Instr::BeginZap { .. })
            | (Deed::BugOn, Instr::BugOn)
            | (Deed::Unlock, Instr::Unlock { .. })
            | (Deed::UnlessError { .. }, Instr::IfError { .. })
            | (
                Deed::Kick,
                Instr::Kick {
                    step: KickStep::Visit,
                },
            ) => true,
            (Deed::WriteFlag(value), Instr::StoreFlag { value: stored }) => value == stored,
            (Deed::Attempt { leaf, .. }, Instr::Call { leaf: called, site }) => {
                site == CallSite::Attempt && self.leaf(leaf) == called
            }
            (Deed::LastCall(leaf), Instr::Call { leaf: called, site }) => {
                site == CallSite::NoFail && self.leaf(leaf) == called
            }
            _ => false,
        }
    }

    pub(crate) fn leaf(&self, leaf: u8) -> LeafId {
        let key = LEAVES[usize::from(leaf)];
        let leaves = &self.system.code.leaves;
        let index = leaves.iter().position(|known| known.key == key);
        LeafId(index.unwrap_or_else(|| panic!("no {key}")) as u8)
    }

    /// The packed state.
    pub(crate) fn state(&self, actors: &Snapshot) -> State {
        let (memory, module) = (actors.memory(), actors.module());
        let mut state = self.system.initial();
        state.shared.zapper = self.zapper(actors);
        state.shared.flag = memory.wait_for_sept_zap;
        state.shared.flag_stores = buffer(&memory.queues[0]);
        state.shared.bugged = memory.vm_bugged;
        state.shared.pages[0] = Page {
            entry: match module.entry.state {
                Entry::Free => EntryState::Free,
                Entry::Pending => EntryState::Pending,
                Entry::Mapped => EntryState::Mapped,
                Entry::Blocked => EntryState::Blocked,
                Entry::PendingBlocked => EntryState::PendingBlocked,
            },
            host_priority: module.entry.tdhp,
            bepoch: match module.bepoch {
                Epoch::Current => BlockEpoch::Current,
                Epoch::Previous => BlockEpoch::Previous,
                Epoch::Older => BlockEpoch::Older,
            },
            mirror: match memory.mirror {
                Spte::None => MirrorSpte::None,
                Spte::Frozen => MirrorSpte::Frozen,
                Spte::Present => MirrorSpte::Present,
            },
        };
        for index in 0..actors.vcpus().count() {
            state.vcpus[index] = self.vcpu(actors, index);
        }
        state
    }

    fn zapper(&self, actors: &Snapshot) -> Control {
        let zapper = actors.zapper();
        let mut line = self.deeds[usize::from(zapper.at)];
        if self.protocol.zapper().program[usize::from(zapper.at)] == Deed::Kick {
            // Visit, send and wait are lines one after the other.
            line += match (zapper.stage, zapper.mask) {
                (Stage::Ready | Stage::InSeamcall, _) => 0,
                (Stage::Draining, _) | (Stage::Waiting, 1..) => 1,
                (Stage::Waiting, 0) => 2,
            };
        }
        let call = actors.module().calls[0];
        match call.filter(|_| zapper.stage == Stage::InSeamcall) {
            Some(call) => self.in_call(line, &call),
            None => Control {
                line,
                op: 0,
                status: self.status(zapper.status),
                page: 0,
            },
        }
    }

    fn kick(&self, actors: &Snapshot, index: usize) -> KickPhase {
        let zapper = actors.zapper();
        let bit = 1 << index;
        if self.protocol.zapper().program[usize::from(zapper.at)] != Deed::Kick {
            KickPhase::Unvisited
        } else if zapper.mask & bit != 0 {
            KickPhase::Queued
        } else if zapper.stage == Stage::Waiting && zapper.unacknowledged & bit != 0 {
            KickPhase::Awaited
        } else if usize::from(zapper.visiting) > index {
            KickPhase::Visited
        } else {
            KickPhase::Unvisited
        }
    }

    fn vcpu(&self, actors: &Snapshot, index: usize) -> Vcpu {
        let Some(vcpu) = actors.vcpus().nth(index) else {
            panic!("there is a vCPU {index}")
        };
        let (memory, module) = (actors.memory(), actors.module());
        let tdvps = module.tdvps[index];
        let call = module.calls[Cpu::of_vcpu(index).0 as usize];
        let line = self.line(vcpu.place);
        let enter = self.system.enter_leaf();
        let guest = self.system.code.leaves[usize::from(enter.0)].guest;
        let control = match (call, tdvps.tdcall) {
            (_, Some(tdcall)) => self.in_call(line, &tdcall),
            _ if vcpu.place == Place::Guest => Control {
                line,
                op: guest.unwrap_or_default(),
                status: 0,
                page: 0,
            },
            (Some(call), _) if vcpu.stage == VcpuStage::InSeamcall => self.in_call(line, &call),
            _ => Control {
                line,
                op: 0,
                status: match vcpu.place {
                    Place::AugStatus { status } => self.status(status),
                    _ => 0,
                },
                page: 0,
            },
        };
        // The module keeps what the exit will be until it is made.
        let exit = if tdvps.exit == Exit::None {
            vcpu.exit
        } else {
            tdvps.exit
        };
        Vcpu {
            control,
            mode: match memory.mode[index] {
                Mode::OutsideGuestMode => VcpuMode::Outside,
                Mode::InGuestMode => VcpuMode::InGuest,
                Mode::ExitingGuestMode => VcpuMode::Exiting,
            },
            stores: buffer(&memory.queues[Cpu::of_vcpu(index).0 as usize]),
            kick: self.kick(actors, index),
            ipi: if vcpu.ipi_pending {
                Ipi::Pending
            } else if actors.ipi_on_its_way(index) {
                Ipi::Sent
            } else {
                Ipi::None
            },
            epoch: if tdvps.inside == Some(Epoch::Previous) {
                VcpuEpoch::Previous
            } else {
                VcpuEpoch::Current
            },
            zero_step: u8::from(tdvps.armed),
            exit: match exit {
                Exit::None => ExitReason::None,
                Exit::EptViolation => ExitReason::EptViolation,
                Exit::Vmcall => ExitReason::Other,
                Exit::Interrupt => ExitReason::Interrupt,
                Exit::InterruptDispatched => ExitReason::InterruptDispatched,
            },
            flag_seen_down: vcpu.flag_seen_down,
            entry_copy_hp: tdvps.tdcall.is_some_and(|tdcall| tdcall.copied_tdhp),
            // What actors do not have: a request bit, migration, vCPUs that come later.
            ..Vcpu::default()
        }
    }

    /// The line of a place: its instruction, and which of those in the order of the program.
    fn line(&self, place: Place) -> u8 {
        let store = |in_guest| Instr::StoreMode { in_guest };
        let all = |wanted: &dyn Fn(Instr) -> bool| -> Vec<u8> {
            let lines = self.system.vcpu.iter().enumerate();
            lines
                .filter(|(_, line)| wanted(line.instr))
                .map(|(at, _)| at as u8)
                .collect()
        };
        let call = |leaf: &str| {
            let leaf = self.leaf(LEAVES.iter().position(|key| *key == leaf).unwrap_or(0) as u8);
            all(&|instr| matches!(instr, Instr::Call { leaf: called, .. } if called == leaf))
        };
        let requests = || all(&|instr| matches!(instr, Instr::ExitRequest { .. }));
        let light = self.system.decisions.vcpu_barrier == VcpuBarrier::LightSrcu;
        let barriers = || -> Vec<u8> {
            let lines = self.system.vcpu.iter().enumerate();
            let lock = |text: &str| light && text.starts_with("srcu_read_lock_fast");
            lines
                .filter(|(_, line)| line.instr == Instr::FullBarrier || lock(line.text))
                .map(|(at, _)| at as u8)
                .collect()
        };
        let outside = || all(&|instr| instr == store(false));
        // Decisions put stores and barriers before these, and so move them.
        let decisions = &self.system.decisions;
        let early = usize::from(decisions.mode_outside == ModeOutside::BeforeVpEnter);
        // A way out of its own for what the flag turns back.
        let turned_back = matches!(
            decisions.flag_return,
            FlagReturn::Sleep | FlagReturn::SleepWoken
        ) || decisions.irq_disable == IrqDisable::AfterFlagTest;
        let unlock = usize::from(matches!(
            decisions.vcpu_barrier,
            VcpuBarrier::SrcuUnlock | VcpuBarrier::SrcuUnlockBeforeModeStore
        ));
        let turned_back = usize::from(turned_back);
        let (lines, which) = match place {
            Place::VcpuRun => (all(&|instr| matches!(instr, Instr::RunLoop { .. })), 0),
            Place::VpWr => (call("TDH.VP.WR"), 0),
            Place::LocalIrqDisable => (all(&|instr| instr == Instr::IrqDisable), 0),
            Place::HoistedFlagTest | Place::FlagTest => {
                (all(&|instr| matches!(instr, Instr::TestFlag { .. })), 0)
            }
            Place::StoreInGuestMode => (all(&|instr| instr == store(true)), 0),
            Place::SrcuReadUnlock => (barriers(), 0),
            Place::ExitRequest => (requests(), 0),
            Place::ReenterRequest => (requests(), 1),
            Place::StoreOutsideEarly => (outside(), 0),
            Place::StoreOutside => (outside(), early),
            Place::StoreOutsideSleep | Place::StoreOutsideTurnedBack => (outside(), early + 1),
            Place::StoreOutsideCancel => (outside(), early + 1 + turned_back),
            Place::SrcuReadLock => (barriers(), unlock),
            Place::SrcuReadLockSleep | Place::SrcuReadLockTurnedBack => (barriers(), unlock + 1),
            Place::SrcuReadLockCancel => (barriers(), unlock + 1 + turned_back),
            Place::VpEnter | Place::Guest => (call("TDH.VP.ENTER"), 0),
            Place::Asleep => (all(&|instr| matches!(instr, Instr::SleepOnFlag { .. })), 0),
            Place::LockAndFreeze => (all(&|instr| matches!(instr, Instr::FaultLock { .. })), 0),
            Place::Aug => (call("TDH.MEM.PAGE.AUG"), 0),
            Place::AugStatus { .. } => (all(&|instr| instr == Instr::AugStatus), 0),
        };
        lines[which]
    }
}

fn buffer(queue: &[Store]) -> StoreBuffer {
    let bits = queue.iter().map(|store| match store {
        Store::Flag(value) => *value,
        Store::Mode(mode) => *mode == Mode::InGuestMode,
    });
    bits.fold(StoreBuffer::default(), |buffer, bit| {
        buffer
            .push(bit)
            .unwrap_or_else(|| panic!("no room for a store"))
    })
}
