//! For each property the states that break it, if nothing but them ever follows.

use super::fair::Terms;
use super::graph::Graph;
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::property::Property;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::state::{Control, Shared, Vcpu};
use seamcheck_model::system::{State, System};

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    waits_for: WaitsFor,
    /// What it means to wait for ever.
    pub terms: Terms,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    EndOfZap(Part),
    FlagDown,
    VpEnter,
    VpEnterAfterZaps,
    GuestAfterZaps,
    TdcallAfterZaps,
    LockOfVcpu,
    LockOfThread(u8),
}

/// What a property is about. vCPUs are all alike, so the first one stands for each of them.
#[must_use]
pub fn watches(system: &System, property: Property) -> Vec<Watch> {
    // Before TDH.MR.FINALIZE, KVM_RUN is refused: no vCPU can want to run.
    let vcpu = |waits_for| {
        let wants = system.scenario.finalized.then_some(waits_for);
        wants.map(|waits_for| Watch {
            waits_for,
            terms: Terms {
                willing: true,
                ..Terms::default()
            },
        })
    };
    let others = |waits_for| Watch {
        waits_for,
        terms: Terms::default(),
    };
    // A guest may as well do nothing: only one that is refused again and again waits.
    let refused = |waits_for| Watch {
        waits_for,
        terms: Terms {
            refused: true,
            ..Terms::default()
        },
    };
    match property {
        Property::ZapFinishes => system
            .zappers()
            .map(WaitsFor::EndOfZap)
            .map(others)
            .collect(),
        Property::FlagComesDown => vec![others(WaitsFor::FlagDown)],
        Property::VcpuEnters => vcpu(WaitsFor::VpEnterAfterZaps).into_iter().collect(),
        Property::GuestRuns => vcpu(WaitsFor::GuestAfterZaps).into_iter().collect(),
        Property::NoStarvation => vcpu(WaitsFor::VpEnter).into_iter().collect(),
        Property::NobodyWaits => (0..system.threads.len() as u8)
            .map(WaitsFor::LockOfThread)
            .chain([WaitsFor::LockOfVcpu])
            .map(others)
            .collect(),
        Property::MarkGoesAway if system.scenario.host_priority_timeout => {
            vec![refused(WaitsFor::TdcallAfterZaps)]
        }
        _ => Vec::new(),
    }
}

impl Watch {
    /// The states of a graph that break the property if nothing but them ever follows.
    #[must_use]
    pub fn states(self, system: &System, graph: &Graph) -> Vec<bool> {
        let all = 0..graph.len() as u32;
        all.map(|index| self.waits(system, &graph.state(system, index)))
            .collect()
    }

    /// Whether somebody waits in this state. In a VM that KVM has declared dead nobody does.
    #[must_use]
    pub fn waits(self, system: &System, state: &State) -> bool {
        let shared = &state.shared;
        let first = &state.vcpus[0];
        let is_between = |part| is_between_zaps(system, shared, part);
        let zaps_are_over = || system.zappers().all(is_between);
        let waits = match self.waits_for {
            WaitsFor::EndOfZap(part) => !is_between(part),
            WaitsFor::FlagDown => shared.flag,
            WaitsFor::VpEnter => !system.is_in_vp_enter(first),
            WaitsFor::VpEnterAfterZaps => zaps_are_over() && !system.is_in_vp_enter(first),
            WaitsFor::GuestAfterZaps => zaps_are_over() && !is_in_guest(system, first),
            WaitsFor::TdcallAfterZaps => zaps_are_over() && first.hp_lock_busy,
            WaitsFor::LockOfVcpu => wants_lock(system, Part::Vcpu, first.control),
            WaitsFor::LockOfThread(index) => {
                let index = usize::from(index);
                wants_lock(system, Part::thread(index), shared.threads[index])
            }
        };
        waits && !shared.bugged
    }
}

/// Where a zapper may rest: no page removal of its own is under way.
#[must_use]
pub fn is_between_zaps(system: &System, shared: &Shared, part: Part) -> bool {
    let zapper = shared.control(part);
    let instr = system.program_of(part)[usize::from(zapper.line)].instr;
    zapper.op == 0 && matches!(instr, Instr::BeginZap { .. })
}

/// Whether a thread stands before a KVM lock. An ioctl that has not begun does not want any.
#[must_use]
pub fn wants_lock(system: &System, part: Part, control: Control) -> bool {
    let instr = system.program_of(part)[usize::from(control.line)].instr;
    let locks = matches!(
        instr,
        Instr::FaultLock { .. } | Instr::Lock { .. } | Instr::Premap
    );
    control.op == 0 && locks
}

/// Whether a vCPU's guest runs, or is in a TDCALL.
fn is_in_guest(system: &System, vcpu: &Vcpu) -> bool {
    let op = vcpu.control.op;
    let leaf = system.code.ops[usize::from(op)].leaf;
    op != 0 && (system.runs_guest(op) || system.code.leaves[usize::from(leaf.0)].is_tdcall)
}
