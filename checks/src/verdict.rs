//! Verdicts, and what they were expected to be.

use crate::engine::{Cut, Report};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::module::OpKind;
use seamcheck_model::property::{Property, Witness};
use seamcheck_model::system::System;
use seamcheck_model::system::labels::{Part, StepId, returned};
use seamcheck_model::table::Effect;
use std::fmt;

/// What a search says about a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every reachable state was looked at, and what the property is about did happen.
    Holds,
    /// It is broken, at the earliest after this many transitions.
    Violated(u64),
    /// Not broken, but what it is about never happened.
    Vacuous,
    /// Not broken as far as the search came.
    Unknown(Cut),
}

impl Verdict {
    /// `holds`, `violated`, `vacuous` or `unknown`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated(_) => "violated",
            Self::Vacuous => "vacuous",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violated(length) => write!(f, "violated {length}"),
            _ => f.write_str(self.word()),
        }
    }
}

/// What the manifest expects of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// [`Verdict::Holds`].
    Holds,
    /// [`Verdict::Violated`] with this length.
    Violated(u64),
    /// [`Verdict::Vacuous`].
    Vacuous,
    /// [`Verdict::Unknown`] of a sample that was made to its end, or of an execution that has none: what no limit
    /// of the user's brings about.
    Unknown,
}

impl Expected {
    /// Reads `holds`, `vacuous`, `unknown` or `violated N`, N in transitions; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "holds" => Some(Self::Holds),
            "vacuous" => Some(Self::Vacuous),
            "unknown" => Some(Self::Unknown),
            _ => text
                .strip_prefix("violated ")?
                .parse()
                .ok()
                .map(Self::Violated),
        }
    }

    /// Whether a verdict is what was expected.
    #[must_use]
    pub fn is_met_by(self, verdict: Verdict) -> bool {
        match (self, verdict) {
            (Self::Holds, Verdict::Holds)
            | (Self::Vacuous, Verdict::Vacuous)
            | (Self::Unknown, Verdict::Unknown(Cut::Sample | Cut::Endless)) => true,
            (Self::Violated(expected), Verdict::Violated(length)) => expected == length,
            _ => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Violated(length) => write!(f, "violated {length}"),
            Self::Vacuous => f.write_str("vacuous"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// What a report says about a property.
#[must_use]
pub fn judge(system: &System, report: &Report, property: Property) -> Verdict {
    if let Some(violation) = report.violation(property) {
        return Verdict::Violated(violation.length());
    }
    if let Some(cut) = report.cut {
        return Verdict::Unknown(cut);
    }
    if !report.complete {
        // Stopped at the violation of another property: nothing is known about this one.
        return Verdict::Unknown(Cut::States);
    }
    let vacuous = !has_happened(system, report, property)
        || !missing_witnesses(system, report, property).is_empty();
    if vacuous {
        Verdict::Vacuous
    } else {
        Verdict::Holds
    }
}

/// The witnesses that a verdict on `property` needs and the search did not see. The claim and I1
/// need them all; other properties need only what they are about to happen.
#[must_use]
pub fn missing_witnesses(system: &System, report: &Report, property: Property) -> Vec<Witness> {
    if !matches!(property, Property::NoSecondBusy | Property::NoVcpuInside) {
        return Vec::new();
    }
    let required = system.observations.required.iter().copied();
    required
        .filter(|witness| !report.witnesses.contains(witness))
        .collect()
}

/// Whether any step that the property is about was taken.
#[must_use]
pub fn has_happened(system: &System, report: &Report, property: Property) -> bool {
    triggers(system, property)
        .into_iter()
        .any(|step| report.fired[usize::from(step.0)] > 0)
}

/// The steps a property is about: a run in which none of them happens says nothing about it.
#[must_use]
pub fn triggers(system: &System, property: Property) -> Vec<StepId> {
    let lines = |part: Part, wanted: &dyn Fn(Instr) -> Option<&'static [u8]>| {
        let program = system.program_of(part);
        let mut steps = Vec::new();
        for (line, text) in program.iter().enumerate() {
            for outcome in wanted(text.instr).unwrap_or_default() {
                steps.push(system.labels.id(part, line as u8, *outcome));
            }
        }
        steps
    };
    let ops = |wanted: &dyn Fn(OpKind) -> bool| -> Vec<StepId> {
        let ops = system
            .code
            .ops
            .iter()
            .enumerate()
            .filter(|(_, op)| wanted(op.kind));
        ops.map(|(address, _)| system.labels.id(Part::Module, address as u8, 0))
            .collect()
    };
    let effect = |effect: Effect| {
        ops(&|kind| matches!(kind, OpKind::Effect { effect: other, .. } if other == effect))
    };
    match property {
        Property::NoSecondBusy | Property::NoVcpuInside => lines(Part::Zapper, &|instr| {
            matches!(
                instr,
                Instr::Call {
                    site: CallSite::NoFail,
                    ..
                }
            )
            .then_some(&[returned::CALLED])
        }),
        Property::FlagUnderMmuLock => lines(Part::Zapper, &|instr| {
            matches!(instr, Instr::StoreFlag { value: true }).then_some(&[0])
        }),
        Property::FlagTested => lines(Part::Vcpu, &|instr| {
            matches!(instr, Instr::Call { leaf, .. } if leaf == system.enter_leaf())
                .then_some(&[returned::CALLED])
        }),
        Property::EpochEmpty => effect(Effect::AdvanceEpoch),
        Property::TrackedRemove => effect(Effect::CheckTracked),
        Property::InterruptOnce => lines(Part::Vcpu, &|instr| {
            matches!(instr, Instr::HandleExitIrqoff).then_some(&[1])
        }),
        Property::NoInternalError if !system.scenario.host_priority_timeout => Vec::new(),
        Property::NoInternalError => ops(&|kind| kind == OpKind::LookHostPriority),
        Property::NoMarkLeft => ops(&|kind| kind == OpKind::MarkHostPriority),
        Property::KickOnlyWhenBusy => lines(Part::Zapper, &|instr| {
            matches!(
                instr,
                Instr::Call {
                    site: CallSite::Attempt,
                    ..
                }
            )
            .then_some(&[returned::BUSY, returned::ERROR])
        }),
        Property::NoBugOn => {
            let checked = |instr: Instr| -> Option<&'static [u8]> {
                matches!(
                    instr,
                    Instr::BugOn | Instr::AugStatus | Instr::IoctlStatus { .. }
                )
                .then_some(&[0])
            };
            let parts = [Part::Zapper, Part::Vcpu, Part::Thread0, Part::Thread1];
            parts
                .into_iter()
                .take(2 + system.threads.len())
                .flat_map(|part| lines(part, &checked))
                .collect()
        }
        // What happens in the end is not seen in a step.
        Property::ZapFinishes
        | Property::FlagComesDown
        | Property::VcpuEnters
        | Property::GuestRuns
        | Property::NoStarvation
        | Property::NobodyWaits
        | Property::MarkGoesAway => Vec::new(),
    }
}

/// `no-second-busy` and so on, for error messages.
#[must_use]
pub fn property_names() -> Vec<&'static str> {
    Property::ALL
        .iter()
        .map(|property| property.key())
        .collect()
}
