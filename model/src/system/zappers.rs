//! Who removes pages: the zapper, and where the scenario asks for two a second one.
//!
//! The second zapper runs the same program. It stands last among the ioctl threads, has a store
//! buffer of its own, and its kicks walk the vCPUs on their own ([`Walker`]).

use super::System;
use super::labels::Part;
use super::run::Agent;
use super::state::{Control, Ipi, KickPhase, Shared, Vcpu};
use crate::kvm::Line;
use crate::kvm::instr::{Instr, KickStep};

/// Whose kick it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Walker {
    /// The zapper's.
    First,
    /// The second zapper's.
    Second,
}

impl Vcpu {
    /// Where a zapper's kick stands with it.
    #[must_use]
    pub const fn kick_of(&self, walker: Walker) -> KickPhase {
        match walker {
            Walker::First => self.kick,
            Walker::Second => self.second_kick,
        }
    }

    /// A zapper's IPI to its CPU.
    #[must_use]
    pub const fn ipi_of(&self, walker: Walker) -> Ipi {
        match walker {
            Walker::First => self.ipi,
            Walker::Second => self.second_ipi,
        }
    }

    /// An IPI has arrived and waits for interrupts to open.
    #[must_use]
    pub fn has_pending_ipi(&self) -> bool {
        self.ipi == Ipi::Pending || self.second_ipi == Ipi::Pending
    }

    pub(super) const fn set_kick(&mut self, walker: Walker, phase: KickPhase) {
        match walker {
            Walker::First => self.kick = phase,
            Walker::Second => self.second_kick = phase,
        }
    }

    pub(super) const fn set_ipi(&mut self, walker: Walker, ipi: Ipi) {
        match walker {
            Walker::First => self.ipi = ipi,
            Walker::Second => self.second_ipi = ipi,
        }
    }
}

impl System {
    /// Whether a part is a zapper's.
    #[must_use]
    pub fn is_zapper(&self, part: Part) -> bool {
        part == Part::Zapper || self.second_zapper == Some(part)
    }

    /// The zappers, one or two.
    pub fn zappers(&self) -> impl Iterator<Item = Part> + use<> {
        std::iter::once(Part::Zapper).chain(self.second_zapper)
    }

    /// Whose kick a zapper's is.
    #[must_use]
    pub fn walker(&self, part: Part) -> Walker {
        if self.second_zapper == Some(part) {
            Walker::Second
        } else {
            Walker::First
        }
    }

    /// The zappers whose next step is about one vCPU: they stand at a loop of the kick.
    pub fn kickers<'a>(&'a self, shared: &'a Shared) -> impl Iterator<Item = Part> + 'a {
        self.zappers().filter(|part| {
            let wants = |line: &Line| {
                matches!(
                    line.instr,
                    Instr::Kick {
                        step: KickStep::Visit | KickStep::Send
                    }
                )
            };
            let control = shared.control(*part);
            control.op == 0 && wants(&self.zap_program(*part)[usize::from(control.line)])
        })
    }

    /// A zapper's program.
    pub(crate) fn zap_program(&self, part: Part) -> &[Line] {
        self.program(part)
    }
}

impl Shared {
    /// Where a thread that is not a vCPU's stands.
    #[must_use]
    pub const fn control(&self, part: Part) -> Control {
        match part {
            Part::Thread0 => self.threads[0],
            Part::Thread1 => self.threads[1],
            _ => self.zapper,
        }
    }

    /// Its stores to the flag that have not reached memory.
    #[must_use]
    pub const fn flag_stores_of(&self, part: Part) -> super::state::StoreBuffer {
        match part {
            Part::Thread0 => self.thread_stores[0],
            Part::Thread1 => self.thread_stores[1],
            _ => self.flag_stores,
        }
    }

    pub(super) const fn set_flag_stores(&mut self, part: Part, stores: super::state::StoreBuffer) {
        match part {
            Part::Thread0 => self.thread_stores[0] = stores,
            Part::Thread1 => self.thread_stores[1] = stores,
            _ => self.flag_stores = stores,
        }
    }
}

impl Part {
    /// The agent of a part that is not a vCPU's.
    #[must_use]
    pub const fn agent(self) -> Agent {
        match self {
            Self::Thread0 => Agent::Thread(0),
            Self::Thread1 => Agent::Thread(1),
            _ => Agent::Zapper,
        }
    }
}
