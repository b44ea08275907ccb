//! Paths of the packed model, for the protocol's code to follow.

use super::{Key, Outcome, key, profile, table};
use rustc_hash::FxHashMap;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::kvm::Instr;
use seamcheck_model::module::OpKind;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::labels::{Environment, Part, guest};
use seamcheck_model::system::state::Ipi;
use seamcheck_model::system::{self, Agent, Reductions, State, System, pack};
use seamcheck_model::threads::conformance::entry_of;
use seamcheck_model::threads::guided::{Followed, follow};
use seamcheck_model::threads::{self, Entry, Event};
use std::collections::BTreeMap;

/// The packed model of the protocol that the code is.
pub(crate) fn model(module: &str, decisions: Decisions, vcpus: usize) -> Outcome<System> {
    let scenario = Scenario {
        vcpus,
        ..Scenario::default()
    };
    model_of(module, decisions, scenario)
}

/// The same in any scenario; without reductions, so that a transition is a step.
pub(crate) fn model_of(module: &str, decisions: Decisions, scenario: Scenario) -> Outcome<System> {
    let (table, kernel) = (table(module)?, profile("6.16")?);
    let scenario = Scenario {
        exit_reason: true,
        ..scenario
    };
    Ok(System::new(
        &table,
        &kernel,
        decisions,
        scenario,
        Reductions::NONE,
    )?)
}

/// Which part of the model is walked.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// How many page removals may begin.
    pub(crate) zaps: u8,
    /// An IPI that is sent arrives before anything else happens, as in the code.
    pub(crate) ipis_arrive: bool,
    /// A thread's hidden steps that nobody else sees are taken first and alone, and ways out of
    /// `vcpu_run()` that come back unchanged are not taken: the same sequences of events from fewer states.
    pub(crate) shortened: bool,
}

/// The states of a part of the model, each with the shortest way to it and the transitions from it.
pub(crate) struct Graph {
    pub(crate) system: System,
    scope: Scope,
    states: Vec<(Key, u8)>,
    from: Vec<(u32, Label)>,
    edges: Vec<(Label, u32)>,
    /// Where each state's edges end.
    ends: Vec<u32>,
    events: Vec<Entry>,
}

/// The number of an event; 0 for a hidden step.
type Label = u16;

/// A transition with its event, if it has one.
#[derive(Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) entry: Option<Entry>,
    pub(crate) to: u32,
}

type Step = (Option<Entry>, system::Event, State, u8);

impl Graph {
    /// Walks it, breadth first.
    pub(crate) fn of(system: System, scope: Scope) -> Self {
        let start = (key(&system, &system.initial()), 0);
        let mut graph = Self {
            system,
            scope,
            states: vec![start],
            from: vec![(0, 0)],
            edges: Vec::new(),
            ends: Vec::new(),
            events: Vec::new(),
        };
        let mut known = FxHashMap::default();
        let mut numbers = FxHashMap::default();
        known.insert(start, 0);
        while let Some(at) = (graph.ends.len() < graph.states.len()).then_some(graph.ends.len()) {
            for (entry, _, after, begun) in graph.steps(at as u32) {
                let label = entry.map_or(0, |entry| {
                    *numbers.entry(entry).or_insert_with(|| {
                        graph.events.push(entry);
                        graph.events.len() as Label
                    })
                });
                let reached = (key(&graph.system, &after), begun);
                let next = graph.states.len() as u32;
                let to = *known.entry(reached).or_insert(next);
                if to == next {
                    graph.states.push(reached);
                    graph.from.push((at as u32, label));
                }
                graph.edges.push((label, to));
            }
            graph.ends.push(graph.edges.len() as u32);
        }
        graph
    }

    pub(crate) fn len(&self) -> u32 {
        self.states.len() as u32
    }

    pub(crate) fn state(&self, at: u32) -> State {
        let words = pack::words(self.system.scenario.vcpus, 0);
        let (key, _) = &self.states[at as usize];
        pack::unpack(&key[..words], self.system.scenario.vcpus, 0)
    }

    pub(crate) fn edges(&self, at: u32) -> impl Iterator<Item = Edge> + '_ {
        let before = at
            .checked_sub(1)
            .map_or(0, |before| self.ends[before as usize]);
        let edges = &self.edges[before as usize..self.ends[at as usize] as usize];
        edges.iter().map(|(label, to)| Edge {
            entry: self.event(*label),
            to: *to,
        })
    }

    fn event(&self, label: Label) -> Option<Entry> {
        let index = usize::from(label).checked_sub(1)?;
        Some(self.events[index])
    }

    /// The shortest way to a state, as events.
    pub(crate) fn path(&self, mut at: u32) -> Vec<Entry> {
        let mut path = Vec::new();
        while at != 0 {
            let (from, label) = self.from[at as usize];
            path.extend(self.event(label));
            at = from;
        }
        path.reverse();
        path
    }

    fn steps(&self, at: u32) -> Vec<Step> {
        let (state, begun) = (self.state(at), self.states[at as usize].1);
        let mut steps = Vec::new();
        self.system.successors(&state, |step, after| {
            let entry = entry_of(&self.system, &state, &step, &after);
            let begins = entry.is_some_and(|entry| matches!(entry.event, Event::BeginZap { .. }));
            if !(begins && begun == self.scope.zaps) {
                steps.push((entry, step, after, begun + u8::from(begins)));
            }
        });
        // The kick's walk takes vCPUs in any order in the model, which names none, in theirs in the code.
        let first = steps.iter().filter_map(|(entry, ..)| kicked(*entry)).min();
        steps.retain(|(entry, ..)| kicked(*entry).is_none_or(|vcpu| Some(vcpu) == first));
        if self.scope.ipis_arrive && state.vcpus.iter().any(|vcpu| vcpu.ipi == Ipi::Sent) {
            steps.retain(|(_, step, ..)| self.delivers(step));
        }
        if self.scope.shortened {
            steps.retain(|(_, step, ..)| !self.is_detour(step));
            if let Some(own) = steps.iter().position(|step| self.is_own_affair(step)) {
                steps = vec![steps.swap_remove(own)];
            }
        }
        steps
    }

    fn delivers(&self, step: &system::Event) -> bool {
        let (part, line, _) = self.system.labels.parts(step.trail[0]);
        part == Part::Environment && line == Environment::Deliver as u8
    }

    /// To userspace, to sleep, off the CPU: back in `vcpu_run()` with nothing changed.
    fn is_detour(&self, step: &system::Event) -> bool {
        let (part, line, outcome) = self.system.labels.parts(step.trail[0]);
        part == Part::Vcpu
            && (1..=3).contains(&outcome)
            && matches!(
                self.system.program_of(part)[usize::from(line)].instr,
                Instr::RunLoop { .. }
            )
    }

    /// A hidden step that has no alternative and that nobody else sees.
    fn is_own_affair(&self, (entry, step, ..): &Step) -> bool {
        let (part, line, _) = self.system.labels.parts(step.trail[0]);
        if entry.is_some() {
            return false;
        }
        match part {
            Part::Environment => false,
            Part::Module => matches!(self.system.code.ops[usize::from(line)].kind, OpKind::Return),
            _ => matches!(
                self.system.program_of(part)[usize::from(line)].instr,
                Instr::Nop
                    | Instr::Jump { .. }
                    | Instr::FullBarrier
                    | Instr::UnlessBusy { .. }
                    | Instr::UnlessRunnable { .. }
                    | Instr::UnlessPremapError { .. }
                    | Instr::BugOn
                    | Instr::VpEnterStatus { .. }
                    | Instr::HandleExit { .. }
            ),
        }
    }
}

/// The vCPU a step of the kick is about.
fn kicked(entry: Option<Entry>) -> Option<u8> {
    match entry?.event {
        Event::Visited { vcpu, .. } | Event::Sent { vcpu } => Some(vcpu),
        _ => None,
    }
}

fn count(path: &[Entry], wanted: fn(Event) -> bool) -> usize {
    let events = path.iter().filter(|entry| wanted(entry.event));
    events.count()
}

/// Drives the code along every path, and gives back what it did with each, in their order.
pub(crate) fn drive(decisions: Decisions, vcpus: usize, paths: &[Vec<Entry>]) -> Vec<Followed> {
    let mut alike: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        let laps = 1 + count(path, |event| event == Event::IrqDisable);
        let zaps = count(path, |event| matches!(event, Event::BeginZap { .. })).max(1);
        alike.entry((laps, zaps)).or_default().push(index);
    }
    let mut driven = vec![None; paths.len()];
    for ((laps, zaps), indices) in alike {
        let code = threads::Scenario {
            zaps,
            ..threads::Scenario::whole(decisions, vcpus, laps)
        };
        let along = indices.iter().map(|index| paths[*index].clone()).collect();
        for (index, followed) in indices.into_iter().zip(follow(&code, along)) {
            driven[index] = Some(followed);
        }
    }
    driven.into_iter().flatten().collect()
}

/// The one difference in granularity: in the model an IPI that was sent can be on its way for a while, so
/// that another interrupt ends the guest first. The code's arrives at once, and ends that guest.
pub(crate) fn is_ipi_on_its_way(before: &State, wanted: Entry, made: Option<Entry>) -> bool {
    let Agent::Vcpu(vcpu) = wanted.agent else {
        return false;
    };
    let ends =
        |entry: Entry, by: u8| matches!(entry.event, Event::Guest { outcome, .. } if outcome == by);
    before.vcpus[usize::from(vcpu)].ipi == Ipi::Sent
        && ends(wanted, guest::INTERRUPT)
        && made.is_some_and(|made| made.agent == wanted.agent && ends(made, guest::KICKED))
}

/// A path for whoever reads a failure.
pub(crate) fn listed(path: &[Entry]) -> String {
    path.iter().map(|entry| format!("{entry}\n")).collect()
}
