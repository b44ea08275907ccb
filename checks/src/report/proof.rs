//! Answers for every number of vCPUs, for people and as `seamcheck.proof.v1`.

use super::json::{ProofText, QuestionText};
use super::{grouped, human};
use crate::assumptions::{self, Kind};
use crate::exit::Exit;
use crate::prove::answer::{Answer, SEARCHED, system};
use crate::prove::fixpoint::{Bad, Who};
use crate::question::{Question, QuestionError};
use crate::suite::Run;
use crate::verdict::{Verdict, judge};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::system::System;
use serde::Serialize;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.proof.v1";

/// An answer, as JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    question: QuestionText,
    property: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcpus: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    up_to_bug_on: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rests_on: Vec<u64>,
}

/// `holds`, `violated`, `vacuous` or `unknown`.
const fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Holds(_) => "holds",
        Answer::Violated(_) => "violated",
        Answer::Vacuous => "vacuous",
        Answer::Unproved(_) | Answer::Cut(_) | Answer::Flaw(_) => "unknown",
    }
}

fn because(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Holds(_) | Answer::Violated(_) => None,
        Answer::Vacuous => {
            Some("nothing that the property is about happens with 1 or 2 vCPUs".into())
        }
        Answer::Unproved(_) => Some(format!(
            "the views do not prove it, and up to {SEARCHED} vCPUs do not break it"
        )),
        Answer::Cut(cut) => Some(cut.text().into()),
        Answer::Flaw(flaw) => Some(format!("the proof fails its second check: {flaw}")),
    }
}

/// The answer as JSON.
///
/// # Errors
/// When the scenario does not fit the table or the profile.
pub fn json(
    question: &Question,
    run: &Run,
    property: Property,
    answer: &Answer,
    exit: Exit,
) -> Result<Report, QuestionError> {
    let found = if let Answer::Violated(found) = answer {
        Some(found)
    } else {
        None
    };
    Ok(Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        question: QuestionText::of_every_number(run),
        property: property.key(),
        verdict: word(answer),
        proof: if let Answer::Holds(proof) = answer {
            Some(proof.into())
        } else {
            None
        },
        vcpus: found.map(|found| found.question.scenario.vcpus),
        length: found.and_then(|found| found.report.violation(property).map(|it| it.length())),
        because: because(answer),
        up_to_bug_on: matches!(answer, Answer::Holds(proof) if proof.up_to_bug_on),
        rests_on: rests_on(question, answer)?,
    })
}

/// A violation is one number of vCPUs' own; what else is said is said of every number.
fn rests_on(question: &Question, answer: &Answer) -> Result<Vec<u64>, QuestionError> {
    let kind = Kind {
        every_number: !matches!(answer, Answer::Violated(_)),
        ..Kind::packed(question.scenario.memory)
    };
    Ok(assumptions::of(question, &system(question)?, kind))
}

/// The answer for people.
///
/// # Errors
/// When the scenario does not fit the table or the profile.
pub fn human(
    question: &Question,
    run: &Run,
    property: Property,
    answer: &Answer,
) -> Result<String, QuestionError> {
    let verdict = match answer {
        Answer::Violated(found) => judge(&found.system, &found.report, property),
        Answer::Holds(_) => Verdict::Holds,
        Answer::Vacuous => Verdict::Vacuous,
        Answer::Cut(cut) => Verdict::Unknown(*cut),
        Answer::Unproved(_) | Answer::Flaw(_) => Verdict::Unknown(crate::engine::Cut::States),
    };
    let mut out = format!("{}\n", human::headline(verdict, property));
    let mut line = |head: &str, text: &str| human::wrapped(&mut out, head, text);
    line("property", property.about());
    let number = match answer {
        Answer::Violated(found) => match found.question.scenario.vcpus {
            1 => "1 vCPU, and not with none".to_owned(),
            0 => "no vCPU at all".to_owned(),
            vcpus => format!("{vcpus} vCPUs, and no fewer"),
        },
        _ => "every number of vCPUs".to_owned(),
    };
    line(
        "scope",
        &format!("{number}, {}", super::scope_beside_vcpus(run)),
    );
    if let Some(because) = because(answer) {
        line("because", &because);
    }
    if let Answer::Holds(proof) = answer {
        line(
            "proof",
            &format!(
                "{} views beside {} valuations of the singletons, {:.1} s; checked again in {} \
                 states, {:.1} s; without a vCPU by search",
                grouped(proof.views.len()),
                proof.views.shareds().len(),
                proof.collected_in.as_secs_f64(),
                grouped(proof.rechecked),
                proof.rechecked_in.as_secs_f64()
            ),
        );
        if proof.up_to_bug_on {
            line(
                "but",
                "only up to a KVM_BUG_ON, which the views reach: the VM is dead then, and nothing \
                 moves any more",
            );
        }
        let system = system(question)?;
        for assumption in super::assumed(question, &system) {
            line("assumes", &assumption);
        }
    }
    line(
        "rests on",
        &super::rests_on_text(&rests_on(question, answer)?),
    );
    if let Answer::Unproved(bad) = answer {
        out.push_str(&abstract_path(&system(question)?, bad));
    }
    Ok(out)
}

/// The moves that lead to a bad view. They need not be possible in any state.
fn abstract_path(system: &System, bad: &Bad) -> String {
    let mut out = String::from("\n  a path of views, which need not be one of states:\n");
    for (who, trail) in &bad.path {
        let who = match who {
            Who::Itself => "the vCPU".to_owned(),
            Who::Another => "another vCPU".to_owned(),
            Who::Zapper => "zapper".to_owned(),
            Who::Thread(index) => format!("thread {index}"),
        };
        let steps: Vec<String> = trail
            .iter()
            .map(|step| {
                let text = system.text(*step);
                let blank = if text.outcome.is_empty() { "" } else { " " };
                format!("{}{blank}{}", text.name, text.outcome)
            })
            .collect();
        human::wrapped(&mut out, &who, &steps.join("; "));
    }
    out
}
