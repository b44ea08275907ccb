//! `check triage`: from a line in a kernel log to what can have caused it.
//!
//! [`line`](mod@line) knows the formats, [`log`] reads a whole log, [`causes`] asks the lock tables and
//! [`search`] the model; [`changes`] and [`needs`] ask what would have to be otherwise; [`text`] and
//! [`json`] report.

pub mod causes;
pub mod changes;
mod goal;
pub mod json;
pub mod line;
pub mod log;
pub mod needs;
mod scenarios;
pub mod search;
pub mod text;

use crate::engine::{Clock, Cut};
use crate::exit::Exit;
use crate::question::{QuestionError, Source};
use crate::trace;
use causes::{Cause, Wanted};
use changes::Changes;
use line::LeafRef;
use log::{Log, Seen};
use needs::Needs;
use seamcheck_model::leaf_number::{LeafNumber, number_of};
use seamcheck_model::property::Property;
use seamcheck_model::resource::Evidence;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::status::StatusWord;
use seamcheck_traces::Trace;
use search::{Effort, Found, Pair, Sighting, Silence};

/// What was found out about a log.
#[derive(Debug)]
pub struct Triage {
    /// What it was read from.
    pub file: String,
    /// The log.
    pub log: Log,
    /// The failures, in order of their first line.
    pub answers: Vec<Answer>,
}

/// What was found out about a failure.
#[derive(Debug)]
pub struct Answer {
    /// The failure.
    pub seen: Seen,
    /// The leaf by name, if it has one.
    pub leaf: Option<String>,
    /// Its version, if the line gives it.
    pub version: Option<u64>,
    /// What the lock tables say: causes, and the modules that have them.
    pub causes: Vec<(Cause, Vec<String>)>,
    /// What each kernel on each module can do.
    pub pairs: Vec<Pair>,
    /// What would have to be otherwise in a kernel, when no kernel here can log it.
    pub changes: Option<Changes>,
    /// What it would take, when no kernel here can have the leaf return it.
    pub needs: Option<Needs>,
    /// The shortest trace that ends in this failure; where no kernel logs it, one that ends where the
    /// leaf comes to return it.
    pub trace: Option<Trace>,
}

impl Answer {
    /// The leaf as it is shown: `TDH.VP.INIT@1`.
    #[must_use]
    pub fn leaf_text(&self) -> String {
        match (&self.leaf, &self.seen.failure.leaf) {
            (Some(leaf), _) => match self.version {
                Some(version) => format!("{leaf}@{version}"),
                None => leaf.clone(),
            },
            (None, LeafRef::Loader(number)) => format!("SEAM loader call {number}"),
            (None, LeafRef::Number(number)) => format!("unknown leaf {number}"),
            (None, LeafRef::Odd(name) | LeafRef::Name(name)) => format!("unknown leaf `{name}`"),
        }
    }

    /// The number of the leaf, if it is known.
    #[must_use]
    pub fn leaf_number(&self) -> Option<LeafNumber> {
        match &self.seen.failure.leaf {
            LeafRef::Number(number) => Some(*number),
            _ => number_of(self.leaf.as_deref()?).map(|number| LeafNumber(number.into())),
        }
    }

    /// True when a kernel of KVM's own code can log it.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.pairs
            .iter()
            .any(|pair| matches!(&pair.found, Found::Logged(found) if !found.is_hypothetical))
    }

    fn is_interrupted(&self) -> bool {
        self.pairs.iter().any(|pair| match &pair.found {
            Found::Unknown(cut) => *cut == Cut::Interrupted,
            Found::Silent(silence) => silence.cut == Some(Cut::Interrupted),
            _ => false,
        })
    }
}

impl Triage {
    /// Asks tables and model about every failure of a log.
    ///
    /// # Errors
    /// When a table or a profile is not understood; when a trace can not be executed again.
    pub fn new(
        file: String,
        log: Log,
        kernels: &[Source],
        modules: &[Source],
        effort: Effort<'_>,
    ) -> Result<Self, TriageError> {
        let answers: Result<Vec<Answer>, TriageError> = log
            .failures
            .iter()
            .map(|seen| answer(seen.clone(), kernels, modules, effort))
            .collect();
        Ok(Self {
            file,
            answers: answers?,
            log,
        })
    }

    /// 0: every failure is explained. 11: there is none. 20: one is not explained, or a line could
    /// not be made out.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.answers.iter().any(Answer::is_interrupted) {
            return Exit::Interrupted;
        }
        let is_open = self.answers.iter().any(|answer| !answer.is_explained())
            || !self.log.unclear.is_empty()
            || self.log.more_failures > 0;
        match (is_open, self.answers.is_empty()) {
            (true, _) => Exit::Unknown,
            (false, true) => Exit::Vacuous,
            (false, false) => Exit::AsExpected,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    /// A table or a profile.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

fn answer(
    seen: Seen,
    kernels: &[Source],
    modules: &[Source],
    effort: Effort<'_>,
) -> Result<Answer, TriageError> {
    let clock = Clock::start();
    let (leaf, version) = match &seen.failure.leaf {
        LeafRef::Name(name) => (Some(name.clone()), None),
        LeafRef::Number(number) => {
            let name = number.name().map(str::to_owned);
            let version = name.is_some().then(|| u64::from(number.version()));
            (name, version)
        }
        LeafRef::Odd(_) | LeafRef::Loader(_) => (None, None),
    };
    let mut answer = Answer {
        seen,
        // Only a leaf with several versions needs its number.
        version: version.filter(|version| *version > 0),
        leaf,
        causes: Vec::new(),
        pairs: Vec::new(),
        changes: None,
        needs: None,
        trace: None,
    };
    let Some(leaf) = answer.leaf.clone() else {
        return Ok(answer);
    };
    let wanted = Wanted {
        leaf,
        version,
        status: answer.seen.failure.status,
    };
    answer.causes = causes_of(&wanted, modules)?;
    answer.pairs = search::search(&wanted, kernels, modules, clock, effort)?;
    let any = |is: fn(&Found) -> bool| answer.pairs.iter().any(|pair| is(&pair.found));
    let is_logged = any(|found| matches!(found, Found::Logged(_)));
    let is_silent = any(|found| matches!(found, Found::Silent(_)));
    let is_searched = any(|found| matches!(found, Found::Never { .. } | Found::Unknown(_)));
    if let (false, Some((kernel, module))) = (is_logged, newest(kernels, modules, &wanted)?) {
        if is_silent || is_searched {
            let changes = changes::changes(&wanted, kernel, module, clock, effort)?;
            answer.changes = Some(changes);
        }
        if !is_silent {
            let own = answer.causes.iter();
            let own = own.filter(|(_, modules)| modules.contains(&module.name));
            let own: Vec<Cause> = own.map(|(cause, _)| cause.clone()).collect();
            answer.needs = Some(needs::needs(&wanted, &own, kernel, module)?);
        }
    }
    answer.trace = trace_of(&answer)?;
    Ok(answer)
}

/// What every lock table says about a status, equal causes together.
fn causes_of(
    wanted: &Wanted,
    modules: &[Source],
) -> Result<Vec<(Cause, Vec<String>)>, TriageError> {
    let mut known: Vec<(Cause, Vec<String>)> = Vec::new();
    for module in modules {
        let found = causes::causes(&module.table()?, wanted);
        let found = found.map_err(|error| TriageError::Internal(error.to_string()))?;
        for cause in found.unwrap_or_default() {
            match known.iter_mut().find(|(other, _)| *other == cause) {
                Some((_, names)) => names.push(module.name.clone()),
                None => known.push((cause, vec![module.name.clone()])),
            }
        }
    }
    Ok(known)
}

/// The trace to show: of KVM's own code before that of code it does not have; of what is logged
/// before that of what is dealt with; else of a kernel with one decision taken otherwise.
fn trace_of(answer: &Answer) -> Result<Option<Trace>, TriageError> {
    let status = answer.seen.failure.status;
    let (logged, silent) = (shortest(&answer.pairs), quietest(&answer.pairs));
    match (logged, silent) {
        (Some(sighting), Some(silence)) if sighting.is_hypothetical && !silence.is_hypothetical => {
            witnessed(silence).map(Some)
        }
        (Some(sighting), _) => traced(sighting, status).map(Some),
        (None, Some(silence)) => witnessed(silence).map(Some),
        (None, None) => {
            let changes = answer.changes.iter().flat_map(|changes| &changes.found);
            let sightings = changes.map(|change| &change.sighting);
            let first = sightings.min_by_key(|sighting| sighting.violation.length());
            first.map(|sighting| traced(sighting, status)).transpose()
        }
    }
}

/// The last kernel, on the fullest lock table that has the leaf; on the fullest of all if none has.
fn newest<'a>(
    kernels: &'a [Source],
    modules: &'a [Source],
    wanted: &Wanted,
) -> Result<Option<(&'a Source, &'a Source)>, QuestionError> {
    let mut fullest: Option<((bool, usize), &Source)> = None;
    for module in modules {
        let leaves = module.table()?.leaves;
        let has_row = leaves.iter().any(|leaf| wanted.is(leaf));
        let rank = (has_row, leaves.len());
        if fullest.is_none_or(|(most, _)| rank > most) {
            fullest = Some((rank, module));
        }
    }
    Ok(kernels.last().zip(fullest.map(|(_, module)| module)))
}

/// The sighting to draw: of KVM's own code, few agents, few steps, little assumed.
fn shortest(pairs: &[Pair]) -> Option<&Sighting> {
    let logged = pairs.iter().filter_map(|pair| match &pair.found {
        Found::Logged(sighting) => Some(sighting.as_ref()),
        _ => None,
    });
    logged.min_by_key(|sighting| {
        let scenario = &sighting.question.scenario;
        let paths = scenario
            .threads
            .iter()
            .filter_map(|name| sighting.question.profile.path(name));
        let assumed = paths
            .filter(|path| path.evidence == Evidence::Assumed)
            .count();
        (
            sighting.is_hypothetical,
            agents(scenario),
            sighting.violation.length(),
            assumed,
        )
    })
}

/// The silence to draw: of KVM's own code, few agents, few steps.
fn quietest(pairs: &[Pair]) -> Option<&Silence> {
    let silent = pairs.iter().filter_map(|pair| match &pair.found {
        Found::Silent(silence) => Some(silence.as_ref()),
        _ => None,
    });
    silent.min_by_key(|silence| {
        let agents = agents(&silence.question.scenario);
        (silence.is_hypothetical, agents, silence.length())
    })
}

const fn agents(scenario: &Scenario) -> usize {
    scenario.vcpus + scenario.threads.len()
}

/// A trace, executed again, that ends where the leaf comes to return the status.
fn witnessed(silence: &Silence) -> Result<Trace, TriageError> {
    let Silence {
        question,
        system,
        path,
        last,
        returns,
        ..
    } = silence;
    let property = Property::NoBugOn;
    let trace = trace::render::witness(question, system, property, (path, last), returns);
    let trace = trace.ok_or_else(|| {
        TriageError::Internal("the status that was found can not be reached again".into())
    })?;
    trace::verify(&trace).map_err(|error| TriageError::Internal(error.to_string()))?;
    Ok(trace)
}

/// A trace, executed again, that ends in the failure.
fn traced(sighting: &Sighting, status: StatusWord) -> Result<Trace, TriageError> {
    let Sighting {
        question,
        system,
        violation,
        ..
    } = sighting;
    let trace = trace::build(question, system, violation, None);
    let trace = trace.ok_or_else(|| {
        TriageError::Internal("the failure that was found can not be executed again".into())
    })?;
    trace::verify(&trace).map_err(|error| TriageError::Internal(error.to_string()))?;
    if !trace.verdict.reason.contains(&status.to_string()) {
        return Err(TriageError::Internal(format!(
            "looked for {status}, found: {}",
            trace.verdict.reason
        )));
    }
    Ok(trace)
}
