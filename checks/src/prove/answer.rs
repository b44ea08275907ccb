//! From a question to a verdict for every number of vCPUs.

use super::fixpoint::{self, Bad};
use super::recheck::{Flaw, recheck};
use super::views::Views;
use crate::engine::exact::{self, Until};
use crate::engine::{Cut, Limits, Report, Watch};
use crate::question::{Question, QuestionError};
use crate::verdict::{Verdict, judge};
use seamcheck_model::property::{Property, PropertySet, properties};
use seamcheck_model::system::{Reductions, System};
use std::time::{Duration, Instant};

/// The most vCPUs of the concrete searches that decide when the views can not.
pub const SEARCHED: usize = 3;

/// A set of views that was checked again.
#[derive(Debug)]
pub struct Proof {
    /// The views.
    pub views: Views,
    /// States that the check looked at.
    pub rechecked: u64,
    /// Whether the views reach a KVM_BUG_ON, after which nothing moves.
    pub up_to_bug_on: bool,
    /// Time to collect the views.
    pub collected_in: Duration,
    /// Time to check them again.
    pub rechecked_in: Duration,
}

/// Why there is no proof.
#[derive(Debug)]
pub enum Unproved {
    /// Views break these; the first of them and how is given. It says nothing about real states.
    Bad(Vec<Bad>),
    /// Collecting them was cut short.
    Cut(Cut),
    /// The views do not pass the second check: one of the two is wrong.
    Flaw(Flaw),
}

/// Proves that no state or step of any number of vCPUs, from one on, breaks one of `claimed`, a
/// set of [`Property::bit`]s.
///
/// # Errors
/// When there is no proof. That does not mean that a property is broken.
pub fn prove(
    system: &System,
    claimed: PropertySet,
    limits: Limits,
    watch: &Watch,
) -> Result<Proof, Unproved> {
    let start = Instant::now();
    let found = fixpoint::collect(system, limits, watch);
    let collected_in = start.elapsed();
    if let Some(cut) = found.cut {
        return Err(Unproved::Cut(cut));
    }
    let bugs = |bad: &Bad| bad.property == Property::NoBugOn;
    let up_to_bug_on = claimed & Property::NoBugOn.bit() == 0 && found.bad.iter().any(bugs);
    let bad: Vec<Bad> = found
        .bad
        .into_iter()
        .filter(|bad| bad.property.bit() & claimed != 0)
        .collect();
    if !bad.is_empty() {
        return Err(Unproved::Bad(bad));
    }
    let start = Instant::now();
    let rechecked = recheck(system, &found.views, claimed).map_err(Unproved::Flaw)?;
    Ok(Proof {
        views: found.views,
        rechecked,
        up_to_bug_on,
        collected_in,
        rechecked_in: start.elapsed(),
    })
}

/// The question's system, as it is for two vCPUs or more: whom a lock is contended by does not
/// depend on more.
///
/// # Errors
/// When the scenario does not fit the table or the profile.
pub fn system(question: &Question) -> Result<System, QuestionError> {
    of_size(question, 2)
}

fn of_size(question: &Question, vcpus: usize) -> Result<System, QuestionError> {
    let mut question = question.clone();
    question.scenario.vcpus = vcpus;
    question.system(Reductions::ALL)
}

/// A verdict for every number of vCPUs.
#[derive(Debug)]
pub enum Answer {
    /// For none by search, from one on by proof; and what the property is about was seen to happen.
    Holds(Proof),
    /// A search found it broken.
    Violated(Box<Counterexample>),
    /// Nothing that the property is about happens with one or two vCPUs.
    Vacuous,
    /// The views do not prove it, and searches up to [`SEARCHED`] vCPUs do not refute it.
    Unproved(Bad),
    /// Something was cut short.
    Cut(Cut),
    /// The proof does not pass its second check.
    Flaw(Flaw),
}

/// A violation, with the system it is one of.
#[derive(Debug)]
pub struct Counterexample {
    /// With this many vCPUs, and with no fewer.
    pub question: Question,
    /// Its system.
    pub system: System,
    /// The search.
    pub report: Report,
}

/// Answers a question for every number of vCPUs.
///
/// # Errors
/// When the scenario does not fit the table or the profile.
pub fn answer(
    question: &Question,
    property: Property,
    limits: Limits,
    watch: &Watch,
) -> Result<Answer, QuestionError> {
    let proof = prove(&system(question)?, property.bit(), limits, watch);
    // No views where there is no vCPU; and where views are bad, searches decide.
    let up_to = match &proof {
        Ok(_) => 2,
        Err(Unproved::Bad(_)) => SEARCHED,
        Err(_) => 0,
    };
    let mut happened = false;
    for vcpus in 0..=up_to {
        if happened && proof.is_ok() {
            break;
        }
        let mut question = question.clone();
        question.scenario.vcpus = vcpus;
        let system = question.system(Reductions::ALL)?;
        let report = exact::search(&system, Until::Violates(property), limits, watch);
        match judge(&system, &report, property) {
            Verdict::Violated(_) => {
                let found = Counterexample {
                    question,
                    system,
                    report,
                };
                return Ok(Answer::Violated(Box::new(found)));
            }
            Verdict::Unknown(cut) => return Ok(Answer::Cut(cut)),
            Verdict::Holds => happened |= vcpus > 0,
            Verdict::Vacuous => {}
        }
    }
    Ok(match proof {
        Ok(proof) if happened => Answer::Holds(proof),
        Ok(_) => Answer::Vacuous,
        Err(Unproved::Cut(cut)) => Answer::Cut(cut),
        Err(Unproved::Flaw(flaw)) => Answer::Flaw(flaw),
        Err(Unproved::Bad(mut bad)) => Answer::Unproved(bad.swap_remove(0)),
    })
}

/// Every property whose bit is set, by name.
#[must_use]
pub fn names(claimed: PropertySet) -> Vec<&'static str> {
    use seamcheck_model::closed_enum::ClosedEnum;
    properties(claimed).map(|property| property.key()).collect()
}
