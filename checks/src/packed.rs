//! What is known of one question about the packed model, from each search that was made.

use crate::engine::exact::{self, Until};
use crate::engine::stateright::Opinion;
use crate::engine::{Cut, Limits, Report, Violation, Watch};
use crate::liveness::{self, Found};
use crate::prove::answer::{Proof, Unproved};
use crate::question::{Question, QuestionError};
use crate::trace::{self, endless};
use crate::verdict::{self, Verdict};
use seamcheck_model::property::Property;
use seamcheck_model::system::{Reductions, System};
use seamcheck_traces::Trace;
use std::sync::Arc;

/// Searches of the packed model.
#[derive(Debug)]
pub struct Packed {
    /// The question.
    pub question: Question,
    /// The system.
    pub system: Arc<System>,
    /// The exact engine's report.
    pub report: Report,
    /// What was found about liveness properties, when one was asked about.
    pub liveness: Option<liveness::Report>,
    /// stateright's opinion, when it was asked, or the limit that kept it from one.
    pub stateright: Option<Result<Opinion, Cut>>,
    /// The proof for every number of vCPUs of what is expected to hold, when one is expected.
    pub proof: Option<Result<Proof, Unproved>>,
}

impl Packed {
    /// Searches for `wanted`: the exact engine until `until`, and the liveness search if need be.
    ///
    /// # Errors
    /// When the question makes no system.
    pub fn search(
        question: Question,
        wanted: &[Property],
        until: Until,
        limits: Limits,
        watch: &Watch,
    ) -> Result<Self, QuestionError> {
        let system = Arc::new(question.system(Reductions::ALL)?);
        let report = exact::search(&system, until, limits, watch);
        let endless = wanted
            .iter()
            .copied()
            .filter(|property| property.is_liveness());
        let endless: Vec<Property> = endless.collect();
        let liveness =
            (!endless.is_empty()).then(|| liveness::search(&system, &endless, limits, watch));
        Ok(Self {
            question,
            system,
            report,
            liveness,
            stateright: None,
            proof: None,
        })
    }

    /// stateright's opinion, if it came to one.
    #[must_use]
    pub fn opinion(&self) -> Option<Opinion> {
        self.stateright?.ok()
    }

    /// What the searches say about a property.
    #[must_use]
    pub fn verdict(&self, property: Property) -> Verdict {
        match &self.liveness {
            Some(report) if property.is_liveness() => match report.of(property) {
                Ok(Found::Holds) => Verdict::Holds,
                Ok(Found::Vacuous) => Verdict::Vacuous,
                Ok(Found::Violated(lasso)) => Verdict::Violated(lasso.len() as u64),
                Err(cut) => Verdict::Unknown(cut),
            },
            _ => verdict::judge(&self.system, &self.report, property),
        }
    }

    /// When a safety property is not broken because a KVM_BUG_ON ends everything first: the number of
    /// transitions after which the first one fires.
    #[must_use]
    pub fn up_to_bug_on(&self, property: Property) -> Option<u64> {
        let asked = property == Property::NoBugOn || property.is_liveness();
        if asked || matches!(self.verdict(property), Verdict::Violated(_)) {
            return None;
        }
        self.report
            .violation(Property::NoBugOn)
            .map(Violation::length)
    }

    /// Whether anything that the property is about was seen to happen.
    #[must_use]
    pub fn has_happened(&self, property: Property) -> bool {
        if property.is_liveness() {
            self.verdict(property) != Verdict::Vacuous
        } else {
            verdict::has_happened(&self.system, &self.report, property)
        }
    }

    /// The trace of a violated property, executed again; `None` when it is not violated.
    ///
    /// # Errors
    /// When it can not be executed again, or does not show what it should: a bug of ours.
    pub fn trace(&self, property: Property, check: Option<&str>) -> Option<Result<Trace, String>> {
        let trace = if property.is_liveness() {
            let report = self.liveness.as_ref()?;
            let Ok(Found::Violated(lasso)) = report.of(property) else {
                return None;
            };
            endless::build(&self.question, &report.system, property, lasso, check)
        } else {
            let violation = self.report.violation(property)?;
            trace::build(&self.question, &self.system, violation, check)
        };
        let trace = trace.ok_or_else(|| "the violation can not be executed again".to_owned());
        Some(trace.and_then(|trace| match trace::verify(&trace) {
            Ok(_) => Ok(trace),
            Err(error) => Err(error.to_string()),
        }))
    }
}
