//! What is asked of the code.

use super::beside::BesideText;
use super::version::version;
use super::{by_key, guest, zappers};
use crate::question::{Question, QuestionError, Source};
use crate::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::{Decisions, KernelProfile};
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::threads::{
    Bounds, FirstCall, Guest, Memory, Order, Scenario, Scripted, Version, Window, Zappers,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What runs the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Every interleaving and every outcome of a weak memory, up to the bounds.
    Loom,
    /// A number of schedules, sequentially consistent.
    Shuttle,
    /// Real threads: a smoke test.
    Std,
}

impl Engine {
    /// What it counts.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Loom => "executions",
            Self::Shuttle => "schedules",
            Self::Std => "rounds",
        }
    }
}

/// The properties that are watched: by the code's threads, and the first two on the journal of an
/// execution, which real threads do not write.
pub const WATCHED: [Property; 10] = [
    Property::NoVcpuInside,
    Property::FlagUnderMmuLock,
    Property::NoSecondBusy,
    Property::FlagTested,
    Property::EpochEmpty,
    Property::TrackedRemove,
    Property::InterruptOnce,
    Property::NoMarkLeft,
    Property::KickOnlyWhenBusy,
    Property::NoBugOn,
];

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// What runs the code.
    pub engine: Engine,
    /// loom's memory.
    #[serde(with = "by_key")]
    pub memory: Memory,
    /// The kernel profile's name; the decisions say what it is.
    pub kernel: String,
    /// Every decision and its value.
    pub decisions: BTreeMap<String, String>,
    /// The TDX module's version.
    #[serde(with = "by_key")]
    pub module: Version,
    /// What must never happen.
    #[serde(with = "by_key")]
    pub property: Property,
    /// What the zapper does.
    #[serde(with = "by_key")]
    pub window: Window,
    /// How many zappers, each with a page of its own.
    pub zappers: usize,
    /// The KVM locks around a removal, outermost first.
    pub zap_locks: Vec<String>,
    /// How many vCPUs.
    pub vcpus: usize,
    /// How often each goes round.
    pub laps: usize,
    /// What the guests do under loom; elsewhere they do whatever they can.
    #[serde(with = "by_key", default = "guest::unsaid")]
    pub guest: Scripted,
    /// loom: they do it on their first lap only.
    #[serde(default)]
    pub guest_once: bool,
    /// loom: vCPUs are in their guests when the zapper begins.
    #[serde(default)]
    pub in_guest: bool,
    /// 0-step is armed at the start.
    pub zero_step_armed: bool,
    /// loom: a window is entered with TDHP set, from a first call that was busy on the S-EPT entry.
    #[serde(default)]
    pub marked: bool,
    /// loom: the module's lock words are full barriers, as on x86; else they order nothing.
    #[serde(default)]
    pub barriers_in_locks: bool,
    /// vCPUs come back on another CPU.
    pub migrate: bool,
    /// vCPUs are created after the start.
    pub late: bool,
    /// Who else there is, and with which KVM locks.
    #[serde(default, skip_serializing_if = "BesideText::is_nobody")]
    pub beside: BesideText,
    /// Somebody else kicks vCPUs, too.
    #[serde(default)]
    pub foreign_kick: bool,
    /// loom: the most preemptions of an execution; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<usize>,
    /// loom: look for the fewest preemptions that violate, bound after bound.
    pub fewest: bool,
    /// loom: the most executions.
    pub executions: usize,
    /// shuttle: how many schedules; std: how many rounds.
    pub schedules: usize,
    /// shuttle: the depth of PCT; none for random schedules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pct: Option<usize>,
    /// shuttle: where the choice of schedules begins.
    pub seed: u64,
    /// Hold every execution or schedule against the packed model.
    pub conformance: bool,
    /// Decisions of the model that are others than the code's: what conformance then finds is no bug.
    #[serde(default)]
    pub against: BTreeMap<String, String>,
}

/// More executions than any window of one vCPU needs.
pub const EXECUTIONS: usize = 200_000;

/// Enough for every mutant that needs no weak memory, several times over.
pub const SCHEDULES: usize = 20_000;

impl CodeRequest {
    /// One vCPU that goes round twice, every execution there is. Of the profile count the locks around a
    /// page removal.
    #[must_use]
    pub fn new(
        engine: Engine,
        kernel: &str,
        decisions: &Decisions,
        profile: &KernelProfile,
    ) -> Self {
        let window = match engine {
            Engine::Loom | Engine::Std => Window::Block,
            Engine::Shuttle => Window::Whole,
        };
        let pairs = Decisions::NAMES.iter().filter_map(|name| {
            let value = decisions.get(name)?;
            Some(((*name).to_owned(), value.to_owned()))
        });
        Self {
            engine,
            memory: Memory::Weak,
            kernel: kernel.to_owned(),
            decisions: pairs.collect(),
            module: Version::V1_5_05,
            property: Property::NoSecondBusy,
            window,
            zappers: 1,
            zap_locks: zappers::locks_of(profile),
            vcpus: match engine {
                Engine::Loom => 1,
                Engine::Shuttle | Engine::Std => 4,
            },
            laps: match engine {
                Engine::Loom => 2,
                Engine::Shuttle | Engine::Std => 3,
            },
            guest: Scripted::of_window(window),
            guest_once: false,
            in_guest: false,
            zero_step_armed: false,
            marked: false,
            barriers_in_locks: false,
            migrate: false,
            late: false,
            beside: BesideText::default(),
            foreign_kick: false,
            preemptions: None,
            fewest: false,
            executions: EXECUTIONS,
            schedules: SCHEDULES,
            pct: None,
            seed: 1,
            conformance: false,
            against: BTreeMap::new(),
        }
    }

    /// What a run of the suite asks.
    ///
    /// # Errors
    /// When the run's question is wrong, or the code has no such module version.
    pub fn of(run: &Run) -> Result<Self, QuestionError> {
        let engine = match run.form {
            Form::Loom => Engine::Loom,
            _ => Engine::Shuttle,
        };
        let question = run.question()?;
        let settings = run.code;
        let base = Self::new(engine, &run.kernel, &question.decisions, &question.profile);
        let usage = |text: String| QuestionError::Usage(format!("{}: {text}", run.name));
        let usual = if run.scenario.threads.is_empty() {
            base.window
        } else {
            Window::Whole
        };
        let window = settings.window.unwrap_or(usual);
        Ok(Self {
            memory: if run.name.ends_with("/weak") {
                Memory::Weak
            } else {
                Memory::SequentiallyConsistent
            },
            module: version(&run.module).map_err(usage)?,
            property: run
                .expect
                .first()
                .map_or(base.property, |(property, _)| *property),
            window,
            zappers: run.scenario.zappers,
            vcpus: run.scenario.vcpus,
            laps: settings.laps.unwrap_or(base.laps),
            guest: settings
                .guest
                .unwrap_or(guest::guest_of(window, run.scenario.zappers)),
            guest_once: settings.guest_once,
            in_guest: settings.in_guest,
            zero_step_armed: settings.zero_step_armed,
            marked: settings.marked,
            barriers_in_locks: settings.barriers_in_locks,
            migrate: run.scenario.migrate,
            late: run.scenario.late,
            beside: BesideText::of(run),
            foreign_kick: run.scenario.foreign_kick,
            preemptions: settings.preemptions,
            fewest: settings.fewest.is_some(),
            executions: settings.executions.unwrap_or(base.executions),
            schedules: settings.schedules.unwrap_or(base.schedules),
            pct: settings.pct,
            seed: settings.seed.unwrap_or(base.seed),
            conformance: settings.conformance,
            ..base
        })
    }

    /// With no more executions or schedules than this.
    #[must_use]
    pub fn at_most(self, most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self {
            executions: self.executions.min(most),
            schedules: self.schedules.min(most),
            ..self
        }
    }

    /// The decisions.
    ///
    /// # Errors
    /// When a name or a value is unknown, or a decision is missing.
    pub fn parse_decisions(&self) -> Result<Decisions, QuestionError> {
        Ok(self.question(scenario::Scenario::default())?.decisions)
    }

    /// Who removes pages.
    ///
    /// # Errors
    /// When the code has no such zappers.
    pub fn parse_zappers(&self) -> Result<Zappers, QuestionError> {
        let locks = self
            .question(scenario::Scenario::default())?
            .profile
            .zap
            .locks;
        Zappers::new(self.zappers, locks).map_err(|error| QuestionError::Usage(error.to_string()))
    }

    /// The decisions of the model that the code is held against.
    ///
    /// # Errors
    /// As [`Self::parse_decisions`].
    pub fn model_decisions(&self) -> Result<Decisions, QuestionError> {
        let mut decisions = self.parse_decisions()?;
        for (name, value) in &self.against {
            decisions.set(name, value)?;
        }
        Ok(decisions)
    }

    /// The same question as the packed model is asked.
    ///
    /// # Errors
    /// When a decision is missing or unknown.
    pub fn question(&self, scenario: scenario::Scenario) -> Result<Question, QuestionError> {
        for name in Decisions::NAMES {
            if !self.decisions.contains_key(*name) {
                let missing = format!("the decision `{name}` is missing");
                return Err(QuestionError::Usage(missing));
            }
        }
        // Where nobody is beside the zapper, decisions and the locks around a removal are all that counts of a
        // profile, and one that was read from a file need not be there any more.
        let kernel = match self.beside.is_nobody() {
            true => "6.16",
            false => &self.kernel,
        };
        let (module, kernel) = (Source::module(self.module.key())?, Source::kernel(kernel)?);
        let decisions = self.decisions.clone().into_iter();
        let mut set: Vec<_> = decisions.chain(self.beside.changes()).collect();
        if self.beside.is_nobody() {
            set.extend(zappers::changes(&kernel.profile()?, &self.zap_locks));
        }
        Question::new(module, kernel, set, self.beside.in_the_model(scenario))
    }

    /// The scenario.
    ///
    /// # Errors
    /// When the decisions are wrong.
    pub fn scenario(&self) -> Result<Scenario, QuestionError> {
        let decisions = self.parse_decisions()?;
        let zappers = self.parse_zappers()?;
        let was_busy = match self.marked {
            true => FirstCall::WasBusyOnEntry,
            false => FirstCall::WasBusy,
        };
        let base = match (self.engine, self.window) {
            (Engine::Loom, Window::Whole) => Scenario {
                first_call: FirstCall::Made,
                ..Scenario::of_window(decisions, Window::Whole)
            },
            (Engine::Loom, window) => Scenario {
                first_call: was_busy,
                ..Scenario::of_window(decisions, window)
            },
            (_, Window::Whole) => Scenario::whole(decisions, self.vcpus, self.laps),
            (_, window) => Scenario {
                window,
                first_call: was_busy,
                ..Scenario::whole(decisions, self.vcpus, self.laps)
            },
        };
        Ok(Scenario {
            module: self.module,
            zappers,
            vcpus: self.vcpus,
            laps: self.laps,
            guest: match self.engine {
                Engine::Loom if self.guest_once => Guest::Once(self.guest.deeds()),
                Engine::Loom => Guest::Script(self.guest.deeds()),
                Engine::Shuttle | Engine::Std => base.guest,
            },
            in_guest: self.in_guest,
            zero_step_armed: self.zero_step_armed,
            lock_words: match self.barriers_in_locks {
                true => Order::FullBarrier,
                false => base.lock_words,
            },
            migrate: self.migrate,
            late: self.late,
            beside: self.beside.parse(&self.kernel)?,
            foreign_kick: self.foreign_kick,
            ..base
        })
    }

    /// loom's bounds.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            executions: self.executions,
            preemptions: self.preemptions,
        }
    }
}

pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
