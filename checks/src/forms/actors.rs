//! The stateright actor model: one search of all states for verdicts and witnesses, then, for each
//! property that is broken, one for the shortest way there.

use super::{FormReport, TraceStep};
use crate::engine::supervised::supervise;
use crate::engine::{Clock, Cut, Limits, Watch};
use crate::question::{Question, QuestionError};
use crate::verdict::Verdict;
use seamcheck_model::actors::observe::Witness;
use seamcheck_model::actors::{Delivery, Protocol, Setup, Snapshot, Step};
use seamcheck_model::property::{Property, PropertySet};
use stateright::{Checker, Model, Property as Asked};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Searches the actors of a question.
///
/// # Errors
/// When the scenario has what the actors have not.
pub fn search(
    question: &Question,
    wanted: &[Property],
    limits: Limits,
    watch: &Watch,
) -> Result<FormReport, QuestionError> {
    let clock = Clock::start();
    let found = look_everywhere(&setup(question)?, limits, watch);
    let mut verdicts = Vec::new();
    let mut trace = Vec::new();
    for property in wanted {
        let verdict = if found.broken & property.bit() != 0 {
            match shortest(setup(question)?, *property, limits, watch) {
                Ok(steps) => {
                    let length = steps.len() as u64;
                    if trace.is_empty() {
                        trace = steps;
                    }
                    Verdict::Violated(length)
                }
                Err(Cut::Interrupted) => Verdict::Unknown(Cut::Interrupted),
                Err(_) => Verdict::Unknown(Cut::NoTrace),
            }
        } else if let Some(cut) = found.cut {
            Verdict::Unknown(cut)
        } else if found.says_nothing_about(*property) {
            Verdict::Vacuous
        } else {
            Verdict::Holds
        };
        verdicts.push((*property, verdict));
    }
    Ok(FormReport {
        verdicts,
        states: found.states,
        unit: "states",
        elapsed: clock.elapsed(),
        reach: None,
        preemptions: None,
        missing: found.missing.iter().map(|witness| witness.text()).collect(),
        trace,
        divergence: None,
        schedule: None,
        held: None,
    })
}

/// The actors' side of a question.
///
/// # Errors
/// When the scenario has what the actors have not.
pub fn setup(question: &Question) -> Result<Setup, QuestionError> {
    Setup::new(
        &question.table,
        &question.profile,
        question.decisions,
        &question.scenario,
    )
    .map_err(|error| QuestionError::Usage(error.to_string()))
}

/// What a search of all states found.
struct Found {
    states: u64,
    broken: PropertySet,
    /// The properties whose subject never happened, as a set of bits.
    untouched: PropertySet,
    missing: Vec<Witness>,
    cut: Option<Cut>,
}

impl Found {
    fn says_nothing_about(&self, property: Property) -> bool {
        let needs_witnesses = matches!(property, Property::NoSecondBusy | Property::NoVcpuInside);
        self.untouched & property.bit() != 0 || needs_witnesses && !self.missing.is_empty()
    }
}

/// The actors, and what is seen on the way through their states.
struct Observed {
    protocol: Protocol,
    required: Vec<Witness>,
    seen: AtomicU64,
    concerned: AtomicU32,
    broken: AtomicU32,
    overflowed: AtomicBool,
    /// Set to end the search: no state has successors any more.
    stopped: AtomicBool,
}

const SAFETY: [Property; 10] = [
    Property::NoSecondBusy,
    Property::NoVcpuInside,
    Property::FlagUnderMmuLock,
    Property::FlagTested,
    Property::EpochEmpty,
    Property::TrackedRemove,
    Property::InterruptOnce,
    Property::NoMarkLeft,
    Property::KickOnlyWhenBusy,
    Property::NoBugOn,
];

impl Observed {
    fn saw(&self, witness: Witness) {
        if let Some(index) = self.required.iter().position(|one| *one == witness) {
            self.seen.fetch_or(1 << index, Ordering::Relaxed);
        }
    }

    /// Looks at a state. Every state is looked at once: stateright asks each property of each.
    fn look(&self, state: &Snapshot) {
        if state.memory().overflowed {
            self.overflowed.store(true, Ordering::Relaxed);
        }
        self.broken
            .fetch_or(self.protocol.broken(state), Ordering::Relaxed);
        let seen = self.seen.load(Ordering::Relaxed);
        for (index, witness) in self.required.iter().enumerate() {
            if seen & 1 << index == 0 && self.protocol.shows(state, *witness) {
                self.seen.fetch_or(1 << index, Ordering::Relaxed);
            }
        }
        let concerned = self.concerned.load(Ordering::Relaxed);
        for property in SAFETY {
            if concerned & property.bit() == 0 && self.protocol.concerns(state, property) {
                self.concerned.fetch_or(property.bit(), Ordering::Relaxed);
            }
        }
    }
}

impl Model for Observed {
    type State = Snapshot;
    type Action = Step;

    fn init_states(&self) -> Vec<Snapshot> {
        self.protocol.init_states()
    }

    fn actions(&self, state: &Snapshot, steps: &mut Vec<Step>) {
        if !self.stopped.load(Ordering::Relaxed) {
            self.protocol.actions(state, steps);
        }
    }

    fn next_state(&self, state: &Snapshot, step: Step) -> Option<Snapshot> {
        self.protocol.follow(state, step, |made| {
            let about = self.protocol.concerned_by(made);
            if about & !self.concerned.load(Ordering::Relaxed) != 0 {
                self.concerned.fetch_or(about, Ordering::Relaxed);
            }
            if made.is_last {
                self.saw(Witness::LastCall(made.leaf));
            }
        })
    }

    fn properties(&self) -> Vec<Asked<Self>> {
        // Never discovered, so the search does not end before every state was looked at.
        vec![Asked::always("every state is looked at", |model, state| {
            Self::look(model, state);
            true
        })]
    }
}

/// All states, depth first: that takes the least memory, and the order does not matter here.
fn look_everywhere(setup: &Setup, limits: Limits, watch: &Watch) -> Found {
    let protocol = Protocol::new(setup.clone(), Delivery::AtOnce);
    let observed = Observed {
        required: protocol.required(),
        protocol,
        seen: AtomicU64::new(0),
        concerned: AtomicU32::new(0),
        broken: AtomicU32::new(0),
        overflowed: AtomicBool::new(false),
        stopped: AtomicBool::new(false),
    };
    let checker = observed.checker().threads(limits.threads).spawn_dfs();
    let stop = |model: &Observed| model.stopped.store(true, Ordering::Relaxed);
    let cut = supervise(&checker, limits, watch, BYTES_PER_STATE, stop);
    let checker = checker.join();
    let model = checker.model();
    let seen = model.seen.load(Ordering::Relaxed);
    let missing = model.required.iter().enumerate();
    let overflowed = model.overflowed.load(Ordering::Relaxed);
    Found {
        states: checker.unique_state_count() as u64,
        broken: model.broken.load(Ordering::Relaxed),
        untouched: !model.concerned.load(Ordering::Relaxed),
        missing: missing
            .filter(|(index, _)| seen & 1 << index == 0)
            .map(|(_, witness)| *witness)
            .collect(),
        cut: cut.or(overflowed.then_some(Cut::StoreBuffer)),
    }
}

/// What a state takes, about. Not the eight bytes of its fingerprint count, but what waits in the depth
/// first search: stateright keeps with each waiting state the whole path to it. 250 bytes a state were
/// measured with two vCPUs, more than a kilobyte with three.
const BYTES_PER_STATE: u64 = 2048;

/// The actors, watched for one property.
struct Watched {
    protocol: Protocol,
    /// As in [`Observed`].
    stopped: AtomicBool,
}

impl Model for Watched {
    type State = Snapshot;
    type Action = Step;

    fn init_states(&self) -> Vec<Snapshot> {
        self.protocol.init_states()
    }

    fn actions(&self, state: &Snapshot, steps: &mut Vec<Step>) {
        if !self.stopped.load(Ordering::Relaxed) {
            self.protocol.actions(state, steps);
        }
    }

    fn next_state(&self, state: &Snapshot, step: Step) -> Option<Snapshot> {
        self.protocol.next_state(state, step)
    }

    fn properties(&self) -> Vec<Asked<Self>> {
        vec![Asked::always(CLAIM, |model, state| {
            model.protocol.broken(state) == 0
        })]
    }
}

const CLAIM: &str = "claim";

/// The shortest way to a violation, breadth first, on one thread and with one property: with more of
/// either stateright reports a longer one.
fn shortest(
    mut setup: Setup,
    property: Property,
    limits: Limits,
    watch: &Watch,
) -> Result<Vec<TraceStep>, Cut> {
    setup.watched = property.bit();
    let model = Watched {
        protocol: Protocol::new(setup, Delivery::AtOnce),
        stopped: AtomicBool::new(false),
    };
    let checker = model.checker().spawn_bfs();
    let stop = |model: &Watched| model.stopped.store(true, Ordering::Relaxed);
    let cut = supervise(&checker, limits, watch, BYTES_PER_STATE, stop);
    let checker = checker.join();
    let path = checker.discovery(CLAIM);
    match (path, cut) {
        (_, Some(cut)) => Err(cut),
        (path, None) => {
            let steps = path.map(stateright::Path::into_actions).unwrap_or_default();
            let text = |step| TraceStep(checker.model().protocol.format_action(step));
            Ok(steps.iter().map(text).collect())
        }
    }
}
