//! `check prove` and `check recheck`.

use super::{Failure, ask, explain, limits, output};
use crate::cli::{ProveArgs, RecheckArgs};
use crate::engine::Watch;
use crate::exit::Exit;
use crate::prove::answer::{self, Answer};
use crate::prove::certificate::{Certificate, CertificateError, MAX_BYTES};
use crate::prove::recheck::recheck;
use crate::question::QuestionError;
use crate::report::proof;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use std::io::Read;

pub(super) fn prove(args: &ProveArgs, watch: &Watch) -> Result<Exit, Failure> {
    let property = explain::property(&args.question.property)?;
    if property.is_liveness() {
        return Err(QuestionError::Usage(format!(
            "{} is about what happens in the end, and the proof for every number of vCPUs is not; \
             `check what-if --property {0} --vcpus N` asks for N of them",
            property.key()
        ))
        .into());
    }
    // The number is of no account: the question is about every number.
    let question = ask::question(&args.question, 2, property)?;
    let answer = answer::answer(&question, property, limits(args.limits), watch)?;
    let trace = match &answer {
        Answer::Violated(found) => match found.report.violation(property) {
            Some(violation) => Some(ask::traced(&found.question, &found.system, violation)?),
            None => None,
        },
        _ => None,
    };
    let exit = exit_of(&answer);
    let run = ask::as_run(&question, property);
    if args.json {
        output::print_json(&proof::json(&question, &run, property, &answer, exit)?)?;
    } else {
        let text = proof::human(&question, &run, property, &answer)?;
        let drawn = trace.as_ref().map_or_else(String::new, |trace| {
            format!("\n{}", seamcheck_traces::race(trace))
        });
        output::print(&format!("{text}{drawn}"))?;
    }
    if let Some(path) = &args.trace {
        output::write_trace(path, trace.as_ref())?;
    }
    if let Some(path) = &args.certificate {
        match &answer {
            Answer::Holds(proof) => {
                let certificate = Certificate::new(&question, property, &proof.views).to_json();
                let text = certificate.map_err(|error| Failure::Internal(error.to_string()))?;
                output::write(path, &text)?;
            }
            _ => output::note(&format!(
                "{}: not written, there is no proof",
                path.display()
            )),
        }
    }
    Ok(exit)
}

fn exit_of(answer: &Answer) -> Exit {
    match answer {
        Answer::Holds(_) => Exit::AsExpected,
        Answer::Violated(_) => Exit::Violated,
        Answer::Vacuous => Exit::Vacuous,
        Answer::Unproved(_) => Exit::Unknown,
        Answer::Cut(cut) => super::cut_short(*cut),
        Answer::Flaw(_) => Exit::Disagreement,
    }
}

/// Reads a certificate and checks it, with no look at how its views were found.
pub(super) fn again(args: &RecheckArgs) -> Result<Exit, Failure> {
    let failure = |error: String| Failure::Certificate {
        path: args.file.clone(),
        error,
    };
    let mut text = String::new();
    std::fs::File::open(&args.file)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(|error| failure(error.to_string()))?;
    let refused = |error: CertificateError| failure(error.to_string());
    let certificate = Certificate::from_json(&text).map_err(refused)?;
    let (question, property) = certificate.question().map_err(refused)?;
    let views = certificate.views().map_err(refused)?;
    let system = answer::system(&question)?;
    let states = recheck(&system, &views, property.bit())
        .map_err(|flaw| failure(format!("it proves nothing: {flaw}")))?;
    // The set is closed; what else its views show is a KVM_BUG_ON or nothing.
    let dies = recheck(&system, &views, Property::NoBugOn.bit()).is_err();
    let but = if dies && property != Property::NoBugOn {
        ", up to a KVM_BUG_ON, which they reach"
    } else {
        ""
    };
    output::print(&format!(
        "{}: {} holds for every number of vCPUs from one on{but}; {} views checked in {} states\n",
        args.file.display(),
        property.key(),
        crate::report::grouped(views.len()),
        crate::report::grouped(states),
    ))?;
    Ok(Exit::AsExpected)
}
