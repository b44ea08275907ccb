//! What all executions of a scenario together come to: each thread's list of events at its end.
//!
//! Two executions that differ only in the order of steps that do not touch each other come to the same, so
//! this is what loom's search, which makes one execution of each kind, can be asked to have all of. The
//! model's side is made here: every run of the model in which vCPUs go round as often, and guests do
//! as scripted, as in the code.

use super::order::{THREADS, slot};
use super::start::leaf_of;
use super::subsets::key;
use super::{View, environment_of};
use crate::kvm::instr::{Instr, KickStep};
use crate::system::labels::{Part, guest};
use crate::system::state::{EntryState, Ipi, KickPhase};
use crate::system::zappers::Walker;
use crate::system::{self, Agent, State, System};
use crate::threads::event::{Entry, Event, Leaf};
use crate::threads::guest::{Deed, Guest};
use crate::threads::scenario::Scenario;
use crate::threads::zappers::SECOND;
use rustc_hash::{FxHashMap, FxHashSet};

/// How far the model is walked.
const NODES: usize = 2_000_000;

/// Each thread's events: the zapper's, the vCPUs', those of threads beside them.
pub(super) type Outcome = Vec<Vec<Event>>;

/// Outcomes of the code beside those of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Outcomes of the code.
    pub code: usize,
    /// Outcomes of the model.
    pub model: usize,
    /// An outcome that only the code has, thread by thread.
    pub only_code: Option<Vec<Vec<Event>>>,
    /// An outcome that only the model has.
    pub only_model: Option<Vec<Vec<Event>>>,
}

impl Compared {
    pub(super) fn new(code: &FxHashSet<Outcome>, model: &FxHashSet<Outcome>) -> Self {
        // The least, so that the same one is shown every time.
        let least = |one: &FxHashSet<Outcome>, other: &FxHashSet<Outcome>| {
            let missing = one.difference(other);
            missing
                .min_by_key(|outcome| format!("{outcome:?}"))
                .cloned()
        };
        Self {
            code: code.len(),
            model: model.len(),
            only_code: least(code, model),
            only_model: least(model, code),
        }
    }

    /// The same outcomes on both sides.
    #[must_use]
    pub const fn agree(&self) -> bool {
        self.only_code.is_none() && self.only_model.is_none()
    }
}

/// The threads of a model, in the order of an outcome.
fn agents(system: &System) -> impl Iterator<Item = Agent> + use<> {
    let (vcpus, threads) = (system.scenario.vcpus as u8, system.threads.len() as u8);
    std::iter::once(Agent::Zapper)
        .chain((0..vcpus).map(Agent::Vcpu))
        .chain((0..threads).map(Agent::Thread))
}

/// The outcome of a journal.
pub(super) fn of(journal: &[Entry], system: &System) -> Outcome {
    let mut lists = vec![Vec::new(); THREADS];
    for entry in journal {
        if let Some(list) = lists.get_mut(slot(entry.agent)) {
            list.push(entry.event);
        }
    }
    let list = |agent| std::mem::take(&mut lists[slot(agent)]);
    agents(system).map(list).collect()
}

/// Every outcome of the model from `start`; `None` when the walk was cut short, or came to a dead VM, in
/// which the model stands still and the code does not.
pub(super) fn of_model(
    system: &System,
    view: View,
    start: &State,
    scenario: &Scenario,
) -> Option<FxHashSet<Outcome>> {
    let walk = Walk {
        system,
        view,
        scenario,
    };
    let (mut lists, mut found) = (Lists::default(), FxHashSet::default());
    let mut seen: FxHashSet<(Vec<u64>, Progress)> = FxHashSet::default();
    let mut open = vec![(*start, walk.at_start())];
    while let Some((state, progress)) = open.pop() {
        if !seen.insert((key(system, &state), progress)) {
            continue;
        }
        if seen.len() > NODES || state.shared.bugged {
            return None;
        }
        let mut is_over = true;
        for agent in walk.agents(&state) {
            walk.steps(state, progress, agent, |event, next, mut moved| {
                is_over = false;
                let list = &mut moved.lists[slot(agent)];
                *list = lists.longer(*list, event);
                open.push((next, moved));
            });
        }
        if is_over {
            let outcome = agents(system).map(|agent| progress.lists[slot(agent)]);
            found.insert(outcome.map(|list| lists.events(list)).collect());
        }
    }
    Some(found)
}

/// How far each thread has come with what the model does not remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Progress {
    /// Its events so far, as a number of [`Lists`].
    lists: [u32; THREADS],
    /// How often a vCPU has gone round, or an ioctl has begun.
    laps: [u16; THREADS],
    /// What its guest has done since it was entered.
    deeds: [u16; THREADS],
}

/// Lists of events by number: each the longer of another by one event. 0 is empty.
#[derive(Default)]
struct Lists {
    parts: Vec<(u32, Event)>,
    numbers: FxHashMap<(u32, Event), u32>,
}

impl Lists {
    fn longer(&mut self, list: u32, event: Event) -> u32 {
        let parts = &mut self.parts;
        *self.numbers.entry((list, event)).or_insert_with(|| {
            parts.push((list, event));
            parts.len() as u32
        })
    }

    fn events(&self, mut list: u32) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(&(shorter, event)) = (list as usize)
            .checked_sub(1)
            .and_then(|index| self.parts.get(index))
        {
            events.push(event);
            list = shorter;
        }
        events.reverse();
        events
    }
}

struct Walk<'a> {
    system: &'a System,
    view: View,
    scenario: &'a Scenario,
}

impl Walk<'_> {
    /// vCPUs that are in their guests are on their first lap.
    fn at_start(&self) -> Progress {
        let mut progress = Progress::default();
        if self.scenario.in_guest {
            progress.laps[1..=self.scenario.vcpus].fill(1);
        }
        progress
    }

    /// Who has to be asked for a next step. A step that nobody can keep from its one outcome, and nobody
    /// notices, may as well be the next: whoever stands before one is asked alone.
    fn agents(&self, state: &State) -> Vec<Agent> {
        let control = |agent| match agent {
            Agent::Zapper => state.shared.zapper,
            Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
            Agent::Thread(index) => state.shared.threads[usize::from(index)],
        };
        let mut controls = agents(self.system).map(|agent| (agent, control(agent)));
        let alone = |control: system::state::Control| {
            control.op != 0 && self.system.code.ops[usize::from(control.op)].uncontended
        };
        match controls.find(|(_, control)| alone(*control)) {
            Some((agent, _)) => vec![agent],
            None => agents(self.system).collect(),
        }
    }

    /// Every next event of an agent, after the hidden steps that may precede it.
    fn steps(
        &self,
        state: State,
        progress: Progress,
        agent: Agent,
        mut emit: impl FnMut(Event, State, Progress),
    ) {
        let mut seen = FxHashSet::from_iter([(state, progress)]);
        let mut open = vec![(state, progress)];
        while let Some((state, progress)) = open.pop() {
            if let Some(skipped) = self.skipped_deed(&state, progress, agent)
                && seen.insert((state, skipped))
            {
                open.push((state, skipped));
            }
            self.system.successors(&state, |step, next| {
                let by_hardware = environment_of(self.system, &step).is_some();
                if step.agent != agent && !(by_hardware && self.waits_for_cpus(&state, agent)) {
                    return;
                }
                match self.view.event(self.system, &state, &step, &next) {
                    None => {
                        if let Some(moved) = self.hidden(&step, progress)
                            && seen.insert((next, moved))
                        {
                            open.push((next, moved));
                        }
                    }
                    Some(event) => {
                        if let Some(moved) = self.visible(&state, agent, event, progress) {
                            emit(event, next, moved);
                        }
                    }
                }
            });
        }
    }

    /// The end of a kick is where the zapper notices what CPUs do with its IPIs.
    fn waits_for_cpus(&self, state: &State, agent: Agent) -> bool {
        let mut own = self.system.zappers().filter(|part| part.agent() == agent);
        let steps = [KickStep::Send, KickStep::Wait];
        own.any(|part| {
            let line = state.shared.control(part).line;
            let line = &self.system.program_of(part)[usize::from(line)];
            matches!(line.instr, Instr::Kick { step } if steps.contains(&step))
        })
    }

    /// A vCPU of the code's does nothing but go round, a number of times; so does an ioctl thread.
    fn hidden(&self, step: &system::Event, mut progress: Progress) -> Option<Progress> {
        let (part, line, outcome) = self.system.labels.parts(*step.trail.first()?);
        let in_kvm = !matches!(part, Part::Module | Part::Environment);
        let goes_round = in_kvm
            && matches!(
                self.system.program_of(part)[usize::from(line)].instr,
                Instr::RunLoop { .. } | Instr::BeginIoctl
            );
        if goes_round {
            let laps = &mut progress.laps[slot(step.agent)];
            *laps += 1;
            if outcome != 0 || usize::from(*laps) > self.scenario.laps {
                return None;
            }
        }
        Some(progress)
    }

    /// What the code's threads do of what the model's may do.
    fn visible(
        &self,
        state: &State,
        agent: Agent,
        event: Event,
        mut progress: Progress,
    ) -> Option<Progress> {
        let window = leaf_of(self.scenario.window);
        let mut own = self.system.zappers().filter(|part| part.agent() == agent);
        let part = own.next();
        let removes = part.is_some();
        let walker = part.map_or(Walker::First, |part| self.system.walker(part));
        let before = |vcpu: u8| state.vcpus[..usize::from(vcpu)].iter();
        let is_made = match event {
            // A window is over before the next call.
            Event::Call { leaf, .. } if removes => window.is_none_or(|window| window == leaf),
            Event::Unlock | Event::EndZap if removes => window.is_none(),
            // Each zapper removes its own page, once.
            Event::BeginZap { page, .. } => {
                progress.lists[slot(agent)] == 0 && page == u8::from(agent == SECOND)
            }
            // The kick takes vCPUs in order.
            Event::Visited { vcpu, .. } => {
                before(vcpu).all(|vcpu| vcpu.kick_of(walker) != KickPhase::Unvisited)
            }
            Event::Sent { vcpu } => {
                before(vcpu).all(|vcpu| vcpu.kick_of(walker) != KickPhase::Queued)
            }
            // Requests and thread work are never pending.
            Event::ExitRequest(outcome) => outcome != 2,
            Event::Guest { .. } => return self.guest(state, agent, event, progress),
            _ => true,
        };
        if let Event::Call {
            leaf: Leaf::Enter, ..
        } = event
        {
            progress.deeds[slot(agent)] = 0;
        }
        is_made.then_some(progress)
    }

    fn deed(&self, agent: Agent, progress: Progress) -> Option<Deed> {
        let lap = usize::from(progress.laps[slot(agent)]).saturating_sub(1);
        let Guest::Script(deeds) = self.scenario.guest.on_lap(lap) else {
            return None;
        };
        let last = Deed::Vmcall { progress: false };
        let at = usize::from(progress.deeds[slot(agent)]);
        Some(deeds.get(at).copied().unwrap_or(last))
    }

    /// An access that does not fault is no event.
    fn skipped_deed(
        &self,
        state: &State,
        mut progress: Progress,
        agent: Agent,
    ) -> Option<Progress> {
        let Agent::Vcpu(index) = agent else {
            return None;
        };
        let vcpu = &state.vcpus[usize::from(index)];
        let entry = state.shared.pages[0].entry;
        let skips = vcpu.control.op != 0
            && self.system.runs_guest(vcpu.control.op)
            && matches!(self.deed(agent, progress), Some(Deed::Access { .. }))
            && matches!(entry, EntryState::Mapped | EntryState::Pending);
        progress.deeds[slot(agent)] += 1;
        skips.then_some(progress)
    }

    /// What the guest does, if it is the next of its script.
    fn guest(
        &self,
        state: &State,
        agent: Agent,
        event: Event,
        mut progress: Progress,
    ) -> Option<Progress> {
        let (
            Agent::Vcpu(index),
            Event::Guest {
                outcome,
                tdcall,
                armed,
                page,
            },
        ) = (agent, event)
        else {
            return None;
        };
        let vcpu = &state.vcpus[usize::from(index)];
        let was_armed = vcpu.zero_step != 0;
        let after = |progress: bool| armed == (was_armed && !progress);
        // Scripts are about the first page.
        if page != 0 {
            return None;
        }
        let is_next = match self.deed(agent, progress)? {
            Deed::Accept => tdcall == Some(Leaf::Accept),
            Deed::AttrRead => tdcall == Some(Leaf::AttrRead),
            Deed::AttrWrite => tdcall == Some(Leaf::AttrWrite),
            Deed::Access { arms } => outcome == guest::EPT_VIOLATION && armed == arms,
            Deed::Vmcall { progress } => outcome == guest::VMCALL && after(progress),
            // The code's IPIs arrive as they are sent.
            Deed::Interrupt { progress } => {
                let kicked = outcome == guest::KICKED;
                let nothing_sent = [vcpu.ipi, vcpu.second_ipi] == [Ipi::None; 2];
                after(progress) && (kicked || outcome == guest::INTERRUPT && nothing_sent)
            }
        };
        progress.deeds[slot(agent)] += 1;
        is_next.then_some(progress)
    }
}
