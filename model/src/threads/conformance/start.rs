//! Where a scenario of loom's begins in the model.
//!
//! The code prepares a window by writing its state down. Here the same state is written down as one of the
//! model's, and a search shows that the model comes to it: the zapper behind a first call that was busy,
//! each vCPU about to go round. Other vCPUs than the code's may have been in the first call's way: they are out
//! of the way when the window begins, and nobody notices them from then on.

use crate::closed_enum::ClosedEnum;
use crate::kernel::KernelProfile;
use crate::kernel::decisions::OnBusy;
use crate::kvm::instr::{CallSite, Instr};
use crate::module::LeafId;
use crate::scenario;
use crate::system::state::{BlockEpoch, Control, MirrorSpte, Page, Vcpu};
use crate::system::{Agent, ConfigError, Reductions, State, System, pack};
use crate::table::LockTable;
use crate::threads::event::Leaf;
use crate::threads::scenario::{FirstCall, Scenario, Window};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;

/// A scenario that has no beginning in the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("by these decisions the model makes no second {leaf}: it has no such window")]
pub struct NoStart {
    leaf: &'static str,
}

/// Where a scenario begins.
pub(super) struct Start {
    pub(super) state: State,
    /// The model comes there; else the searches ended, or were cut short, without it.
    pub(super) is_reached: bool,
}

/// The states of one search; two vCPUs come to fewer (585 000 on 1.5.05).
const STATES: usize = 1_000_000;

/// The call a window is about.
pub(super) const fn leaf_of(window: Window) -> Option<Leaf> {
    match window {
        Window::Block => Some(Leaf::Block),
        Window::Track => Some(Leaf::Track),
        Window::Remove => Some(Leaf::Remove),
        Window::Whole => None,
    }
}

/// The state a scenario begins in, in a model of as many vCPUs.
///
/// # Errors
/// When the model has no such state, or can not be built.
pub(super) fn find(
    table: &LockTable,
    kernel: &KernelProfile,
    scenario: &Scenario,
    system: &System,
) -> Result<Result<Start, NoStart>, ConfigError> {
    let Some(leaf) = leaf_of(scenario.window) else {
        if scenario.first_call != FirstCall::Made {
            return Ok(Err(NoStart {
                leaf: "call of a whole removal",
            }));
        }
        return Ok(Ok(whole(system, scenario)));
    };
    let leaf = leaf.key();
    let Some(line) = line(system, scenario, leaf) else {
        return Ok(Err(NoStart { leaf }));
    };
    let state = written_down(system, scenario, line);
    let mut is_reached = false;
    for vcpus in [1, 2] {
        let about = scenario::Scenario {
            vcpus,
            ..model(scenario)
        };
        let about = System::new(table, kernel, scenario.decisions, about, Reductions::ALL)?;
        is_reached = is_reached || comes_to(&about, &state, scenario);
    }
    Ok(Ok(Start { state, is_reached }))
}

/// Before the first call; where vCPUs are in their guests, each has gone there by the shortest way.
fn whole(system: &System, scenario: &Scenario) -> Start {
    let outside = armed(system.initial(), scenario);
    let mut vcpus = 0..scenario.vcpus as u8;
    let inside = match scenario.in_guest {
        true => vcpus.try_fold(outside, |state, vcpu| into_guest(system, state, vcpu)),
        false => Some(outside),
    };
    Start {
        state: inside.unwrap_or(outside),
        is_reached: inside.is_some() && !scenario.zero_step_armed,
    }
}

/// Where a vCPU comes to its guest while nobody else moves.
fn into_guest(system: &System, from: State, vcpu: u8) -> Option<State> {
    let is_inside = |state: &State| {
        let op = state.vcpus[usize::from(vcpu)].control.op;
        op != 0 && system.runs_guest(op)
    };
    let mut seen = FxHashSet::from_iter([from]);
    let mut queue = VecDeque::from([from]);
    while let Some(state) = queue.pop_front() {
        if is_inside(&state) {
            return Some(state);
        }
        system.successors(&state, |step, next| {
            if step.agent == Agent::Vcpu(vcpu) && seen.insert(next) {
                queue.push_back(next);
            }
        });
    }
    None
}

/// The model's side of a scenario of the code, sequentially consistent.
#[must_use]
pub fn model(scenario: &Scenario) -> scenario::Scenario {
    let beside = scenario.beside;
    let names = beside.ioctls().map(|(_, thread)| thread.ioctl.key());
    scenario::Scenario {
        vcpus: scenario.vcpus,
        zappers: scenario.zappers.count(),
        pages: scenario.zappers.count(),
        inodes: scenario.zappers.count(),
        exit_reason: true,
        threads: names.map(str::to_owned).collect(),
        finalized: beside.finalized,
        populated: beside.populated && !beside.finalized,
        migrate: scenario.migrate,
        late: scenario.late,
        foreign_kick: scenario.foreign_kick,
        ..scenario::Scenario::default()
    }
}

/// Behind the first call that was busy; or at the first call.
fn line(system: &System, scenario: &Scenario, leaf: &str) -> Option<u8> {
    let is = |id: LeafId| system.code.leaves[usize::from(id.0)].key == leaf;
    let mut lines = system.zap.iter();
    let found = match scenario.first_call {
        FirstCall::Made => lines.position(
            |line| matches!(line.instr, Instr::Call { leaf, site: CallSite::Attempt } if is(leaf)),
        ),
        _ if system.decisions.on_busy != OnBusy::KickAndRetry => None,
        _ => lines
            .position(|line| matches!(line.instr, Instr::UnlessBusy { leaf, .. } if is(leaf)))
            .map(|line| line + 1),
    };
    found.map(|line| line as u8)
}

/// What `Scenario::prepared` is, as a state of the model's.
fn written_down(system: &System, scenario: &Scenario, line: u8) -> State {
    let mut state = system.initial();
    let prepared = scenario.prepared();
    state.shared.zapper = Control {
        line,
        ..Control::default()
    };
    if scenario.zappers.count() > 1 {
        let page = 1;
        state.shared.threads[0] = Control {
            page,
            ..state.shared.zapper
        };
    }
    let page = Page {
        entry: prepared.entry,
        bepoch: match prepared.td_epoch.saturating_sub(prepared.bepoch) {
            _ if prepared.bepoch == 0 => BlockEpoch::Older,
            0 => BlockEpoch::Current,
            1 => BlockEpoch::Previous,
            _ => BlockEpoch::Older,
        },
        mirror: if scenario.zappers.freeze() {
            MirrorSpte::Frozen
        } else {
            MirrorSpte::None
        },
        host_priority: prepared.marked,
    };
    state.shared.pages[..scenario.zappers.count()].fill(page);
    armed(state, scenario)
}

/// LAST_EPF_GPA_LIST as the scenario has it.
fn armed(mut state: State, scenario: &Scenario) -> State {
    for vcpu in &mut state.vcpus[..scenario.vcpus] {
        vcpu.zero_step = u8::from(scenario.zero_step_armed);
    }
    state
}

/// Whether a model comes to the state, apart from how many vCPUs rest in it.
fn comes_to(system: &System, wanted: &State, scenario: &Scenario) -> bool {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let key = |state: &State| {
        let mut words = [0; pack::words(2, 1)];
        let used = &mut words[..pack::words(vcpus, threads)];
        pack::pack(state, vcpus, threads, true, used);
        words
    };
    let mut seen = FxHashSet::from_iter([key(&system.initial())]);
    let mut queue = VecDeque::from([system.initial()]);
    while let Some(state) = queue.pop_front() {
        if is_there(system, &state.vcpus[..vcpus], scenario) && state.shared == wanted.shared {
            return true;
        }
        if seen.len() > STATES {
            break;
        }
        system.successors(&state, |_, next| {
            if seen.insert(key(&next)) {
                queue.push_back(next);
            }
        });
    }
    false
}

/// Every vCPU rests, or waits for mmu_lock, which the zapper holds: either way it is out of the way. The
/// code's vCPUs are added, as ones that never moved; armed ones have to be among these.
fn is_there(system: &System, vcpus: &[Vcpu], scenario: &Scenario) -> bool {
    let but_for = |vcpu: &Vcpu, like: Vcpu| {
        *vcpu
            == Vcpu {
                zero_step: vcpu.zero_step,
                offline: vcpu.offline,
                ..like
            }
    };
    let rests = |vcpu: &Vcpu| but_for(vcpu, Vcpu::default());
    let waits = |vcpu: &Vcpu| {
        matches!(system.vcpu_line(vcpu).instr, Instr::FaultLock { .. })
            && but_for(
                vcpu,
                Vcpu {
                    control: vcpu.control,
                    exit: vcpu.exit,
                    ..Vcpu::default()
                },
            )
    };
    let armed = |vcpu: &&Vcpu| rests(vcpu) && vcpu.zero_step != 0;
    let enough = !scenario.zero_step_armed || vcpus.iter().filter(armed).count() >= scenario.vcpus;
    enough && vcpus.iter().all(|vcpu| rests(vcpu) || waits(vcpu))
}
