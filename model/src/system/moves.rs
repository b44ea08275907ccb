//! A move: what one agent's step does to the singletons, to the vCPU it is about, and to every
//! other vCPU. It names no vCPU by number, so it means the same however many there are.

use super::System;
use super::forget::{forget_shared, forget_vcpu};
use super::labels::Part;
use super::others::Others;
use super::run::{Frame, Overflow, Trail};
use super::state::{BlockEpoch, KickPhase, Shared, Vcpu, VcpuEpoch};
use super::zappers::Walker;

/// Whose step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mover {
    /// This vCPU's: its thread, guest or CPU.
    Vcpu(Vcpu),
    /// The zapper's, about no vCPU in particular.
    Zapper,
    /// A zapper's, in a loop of its kick, about this vCPU.
    Kick(Part, Vcpu),
    /// An ioctl thread's, or the second zapper's, about no vCPU in particular.
    Thread(u8),
}

/// What a step leads to.
#[derive(Clone, Debug)]
pub struct Move {
    /// The singletons.
    pub shared: Shared,
    /// The vCPU the step was about.
    pub own: Option<Vcpu>,
    /// See [`super::Event::choice`].
    pub choice: u8,
    /// The steps.
    pub trail: Trail,
    broadcast: Broadcast,
}

/// Effects on every vCPU, applied when the move is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Broadcast {
    /// TD_EPOCH++: current becomes previous.
    pub(super) epoch_advanced: bool,
    /// This zapper's kick is over.
    pub(super) kick_ended: Option<Walker>,
    /// Request bits are cleared.
    pub(super) requests_cleared: bool,
}

impl Move {
    /// What becomes of a vCPU that the step was not about.
    #[must_use]
    pub fn bystander(&self, system: &System, mut vcpu: Vcpu) -> Vcpu {
        self.broadcast.reach(&mut vcpu);
        if system.reductions.forget_dead {
            forget_vcpu(system, &mut vcpu);
        }
        vcpu
    }

    /// Whether vCPUs that the step was not about are changed too: TD_EPOCH advanced, or a kick ended.
    #[must_use]
    pub fn reaches_bystanders(&self) -> bool {
        self.broadcast != Broadcast::default()
    }

    fn of<O: Others>(system: &System, done: Frame<'_, O>) -> Self {
        let (broadcast, mut shared, mut own) = (done.broadcast, done.shared, done.own);
        if broadcast.epoch_advanced {
            for page in &mut shared.pages {
                page.bepoch = match page.bepoch {
                    BlockEpoch::Current => BlockEpoch::Previous,
                    BlockEpoch::Previous | BlockEpoch::Older => BlockEpoch::Older,
                };
            }
        }
        if let Some(vcpu) = &mut own {
            broadcast.reach(vcpu);
        }
        if system.reductions.forget_dead {
            forget_shared(&mut shared);
            if let Some(vcpu) = &mut own {
                forget_vcpu(system, vcpu);
            }
        }
        Self {
            shared,
            own,
            choice: done.choice,
            trail: done.trail,
            broadcast,
        }
    }
}

impl Broadcast {
    fn reach(self, vcpu: &mut Vcpu) {
        if self.epoch_advanced {
            vcpu.epoch = VcpuEpoch::Previous;
        }
        // An IPI that nobody waits for (M03, M04) stays on its way.
        if let Some(walker) = self.kick_ended {
            vcpu.set_kick(walker, KickPhase::Unvisited);
            (vcpu.cpu_read, vcpu.cpu_stale) = (false, false);
        }
        if self.requests_cleared {
            vcpu.request = false;
        }
    }
}

impl System {
    /// Calls `emit` with every move that `mover` can make among `others`. Once a KVM_BUG_ON has
    /// fired there is none.
    ///
    /// Returns whether a store found its buffer full: that move is missing then.
    pub fn moves<O: Others>(
        &self,
        shared: &Shared,
        mover: Mover,
        others: &O,
        mut emit: impl FnMut(Move),
    ) -> Overflow {
        if shared.bugged {
            return Overflow::default();
        }
        let (part, own) = match mover {
            Mover::Vcpu(vcpu) => (Part::Vcpu, Some(vcpu)),
            Mover::Zapper => (Part::Zapper, None),
            Mover::Kick(part, vcpu) => (part, Some(vcpu)),
            Mover::Thread(index) => (Part::thread(index.into()), None),
        };
        let frame = Frame {
            others,
            part,
            shared: *shared,
            own,
            broadcast: Broadcast::default(),
            choice: 0,
            trail: Trail::EMPTY,
        };
        let emit = |done| emit(Move::of(self, done));
        match mover {
            Mover::Vcpu(_) => self.step_vcpu(&frame, emit),
            Mover::Zapper | Mover::Thread(_) => self.step_singleton(&frame, emit),
            Mover::Kick(..) => {
                self.step_kick(&frame, emit);
                Overflow::default()
            }
        }
    }
}
