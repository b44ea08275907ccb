//! Running a suite: two runs at a time, results in the suite's order.

mod difference;
#[cfg(test)]
mod tests;

pub use difference::Difference;

use crate::engine::exact::Until;
use crate::engine::stateright;
use crate::engine::{Cut, Limits, Report, Watch};
use crate::exit::Exit;
use crate::forms;
use crate::packed::Packed;
use crate::prove::answer::{self, Unproved};
use crate::question::QuestionError;
use crate::suite::{Form, Run};
use crate::verdict::{Expected, Verdict};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::{Property, PropertySet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A run's outcome.
#[derive(Debug)]
pub struct Outcome {
    /// The run.
    pub run: Run,
    /// What was found, per property that something is expected of.
    pub verdicts: Vec<(Property, Expected, Verdict)>,
    /// What the packed model's search did; `None` for other forms.
    pub packed: Option<Packed>,
    /// What another form's search did.
    pub form: Option<forms::FormReport>,
    /// Everything that is not as the suite expects.
    pub differences: Vec<Difference>,
}

impl Outcome {
    /// The user interrupted it.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        let cut = Some(Cut::Interrupted);
        let packed = self.packed.as_ref();
        let mut found = self.verdicts.iter();
        packed.is_some_and(|packed| packed.report.cut == cut)
            || found.any(|(.., found)| *found == Verdict::Unknown(Cut::Interrupted))
    }
}

/// Runs everything. `done` is called as runs finish, in any order.
pub fn run_all(
    runs: Vec<Run>,
    limits: Limits,
    watch: &Watch,
    done: impl Fn(&Outcome) + Sync,
) -> Vec<Outcome> {
    // Longest first, so that the two workers end at about the same time.
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(runs[*index].states));
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if watch.is_stopped() {
                break;
            }
            let outcome = run_one(runs[*index].clone(), limits, watch);
            done(&outcome);
            if let Ok(mut results) = results.lock() {
                results.push((*index, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs one.
#[must_use]
pub fn run_one(run: Run, limits: Limits, watch: &Watch) -> Outcome {
    let result = match run.form {
        Form::Packed => packed(&run, limits, watch).map(|packed| {
            let verdicts = judge_all(&run, |property| packed.verdict(property));
            let mut differences = wrong_verdicts(&verdicts);
            differences.extend(wrong_states(&run, &packed.report));
            differences.extend(wrong_engines(&run, &packed));
            differences.extend(no_opinion(&run, &packed));
            differences.extend(wrong_proof(&run, &packed));
            differences.extend(wrong_lassos(&run, &packed));
            (verdicts, Some(packed), None, differences)
        }),
        Form::Actors | Form::Loom | Form::Shuttle => {
            forms::search(&run, limits, watch).map(|report| {
                let unasked = Verdict::Vacuous;
                let verdicts =
                    judge_all(&run, |property| report.verdict(property).unwrap_or(unasked));
                let mut differences = wrong_verdicts(&verdicts);
                let found = verdicts.iter().map(|(_, _, found)| *found);
                // A count is recorded for searches that come to an end with nothing to end them early.
                let counted = found
                    .clone()
                    .all(|found| matches!(found, Verdict::Holds | Verdict::Vacuous));
                if counted && run.states != Some(report.states) {
                    differences.push(Difference::States {
                        expected: run.states,
                        found: report.states,
                    });
                }
                // Counts of a search that was cut short say nothing.
                let complete = report.is_complete();
                if complete {
                    differences.extend(wrong_held(&run, &report));
                }
                if let Some(expected) = run.code.fewest.filter(|_| complete)
                    && report.preemptions != Some(expected)
                {
                    let found = report.preemptions;
                    differences.push(Difference::Preemptions { expected, found });
                }
                if let Some(divergence) = &report.divergence {
                    differences.push(Difference::Engines(format!(
                        "the code is not inside the model: {divergence}"
                    )));
                }
                (verdicts, None, Some(report), differences)
            })
        }
    };
    match result {
        Ok((verdicts, packed, form, differences)) => Outcome {
            run,
            verdicts,
            packed,
            form,
            differences,
        },
        Err(error) => {
            let differences = vec![Difference::Invalid(error.to_string())];
            Outcome {
                run,
                verdicts: Vec::new(),
                packed: None,
                form: None,
                differences,
            }
        }
    }
}

/// Every count of what the packed model says of executions is recorded, and met; and a violation is one that
/// x86 can come to.
fn wrong_held(run: &Run, report: &forms::FormReport) -> Vec<Difference> {
    let Some(held) = &report.held else {
        return Vec::new();
    };
    let expected = run.held;
    let mut found = report.verdicts.iter();
    let is_violated = found.any(|(_, verdict)| matches!(verdict, Verdict::Violated(_)));
    let counts = [
        ("executions in order", expected.in_order, held.in_order),
        (
            "executions by program order",
            expected.by_program_order,
            held.by_program_order,
        ),
        (
            "executions weaker than x86",
            expected.weaker_than_x86,
            held.weaker_than_x86,
        ),
        ("executions undecided", 0, held.undecided),
        (
            "violations that x86 shows",
            is_violated.into(),
            (held.violation_is_on_x86 == Some(true)).into(),
        ),
        (
            "outcomes compared",
            expected.outcomes.unwrap_or_default(),
            held.outcomes.unwrap_or_default(),
        ),
    ];
    let wrong = counts
        .into_iter()
        .filter(|(_, expected, found)| expected != found);
    wrong
        .map(|(what, expected, found)| Difference::Held {
            what,
            expected,
            found,
        })
        .collect()
}

fn packed(run: &Run, limits: Limits, watch: &Watch) -> Result<Packed, QuestionError> {
    let wanted: Vec<Property> = run.expect.iter().map(|(property, _)| *property).collect();
    let mut packed = Packed::search(run.question()?, &wanted, Until::Everything, limits, watch)?;
    if packed.report.cut.is_some() {
        return Ok(packed);
    }
    let fits = packed.report.states * stateright::BYTES_PER_STATE <= limits.memory;
    packed.stateright = subject(run)
        .filter(|_| run.stateright && fits)
        .map(|subject| stateright::search(&packed.system, subject, limits, watch));
    if run.views.is_some() {
        let system = answer::system(&packed.question)?;
        packed.proof = Some(answer::prove(&system, expected_to_hold(run), limits, watch));
    }
    Ok(packed)
}

/// What the second engine is asked about: the first property that it can decide.
fn subject(run: &Run) -> Option<Property> {
    let mut wanted = run.expect.iter().map(|(property, _)| *property);
    wanted.find(|property| !property.is_liveness())
}

fn expected_to_hold(run: &Run) -> PropertySet {
    run.expect
        .iter()
        .filter(|(property, expected)| *expected == Expected::Holds && !property.is_liveness())
        .fold(0, |set, (property, _)| set | property.bit())
}

fn judge_all(
    run: &Run,
    verdict: impl Fn(Property) -> Verdict,
) -> Vec<(Property, Expected, Verdict)> {
    run.expect
        .iter()
        .map(|(property, expected)| (*property, *expected, verdict(*property)))
        .collect()
}

fn wrong_verdicts(verdicts: &[(Property, Expected, Verdict)]) -> Vec<Difference> {
    let wrong = verdicts
        .iter()
        .filter(|(_, expected, found)| !expected.is_met_by(*found));
    wrong
        .map(|(property, expected, found)| Difference::Verdict {
            property: *property,
            expected: *expected,
            found: *found,
        })
        .collect()
}

/// A number that is recorded must be met, and a complete search must have one recorded.
fn wrong_states(run: &Run, report: &Report) -> Option<Difference> {
    let found = report.states;
    // Cut short by a limit, the count says where the limit was. A store buffer that overflowed
    // leaves steps out, but the same steps every time.
    if report.cut.is_some_and(|cut| cut != Cut::StoreBuffer) {
        return None;
    }
    let wrong = if report.complete {
        run.states != Some(found)
    } else {
        run.states.is_some_and(|states| states != found)
    };
    wrong.then_some(Difference::States {
        expected: run.states,
        found,
    })
}

/// An execution without end that was found is executed again, and judged without the graph.
fn wrong_lassos(run: &Run, packed: &Packed) -> Vec<Difference> {
    let endless = run.expect.iter().map(|(property, _)| *property);
    let endless = endless.filter(|property| property.is_liveness());
    let refused = endless.filter_map(|property| packed.trace(property, None)?.err());
    refused.map(Difference::Engines).collect()
}

/// A proof that is expected has to be there, with the number of views that is recorded.
fn wrong_proof(run: &Run, packed: &Packed) -> Option<Difference> {
    let (why, exit) = match packed.proof.as_ref()? {
        Ok(proof) => {
            let (expected, found) = (run.views?, proof.views.len());
            return (expected != found).then_some(Difference::Views { expected, found });
        }
        Err(Unproved::Cut(cut)) => (cut.text().to_owned(), Exit::Unknown),
        Err(Unproved::Flaw(flaw)) => (flaw.to_string(), Exit::Disagreement),
        Err(Unproved::Bad(bad)) => {
            let names = bad.iter().map(|bad| bad.property.key());
            let names: Vec<&str> = names.collect();
            (format!("views break {}", names.join(", ")), Exit::Violated)
        }
    };
    Some(Difference::Unproved { why, exit })
}

/// A run that is to have a second opinion and got none is not as expected.
fn no_opinion(run: &Run, packed: &Packed) -> Option<Difference> {
    if let Some(Err(cut)) = packed.stateright {
        return Some(Difference::NoOpinion(cut));
    }
    let wanted = run.stateright && subject(run).is_some();
    let is_missing = wanted && packed.report.complete && packed.stateright.is_none();
    is_missing.then(|| Difference::NotAsked {
        mebibytes: (packed.report.states * stateright::BYTES_PER_STATE) >> 20,
    })
}

/// Equal counts on completed runs, equal lengths of shortest counterexamples.
fn wrong_engines(run: &Run, packed: &Packed) -> Option<Difference> {
    let opinion = packed.opinion()?;
    let shortest = packed
        .report
        .violation(subject(run)?)
        .map(crate::engine::Violation::length);
    if opinion.violated_after != shortest {
        let text = |length: Option<u64>| {
            length.map_or_else(
                || "no violation".to_owned(),
                |length| format!("a violation after {length} transitions"),
            )
        };
        return Some(Difference::Engines(format!(
            "the exact engine finds {}, stateright {}",
            text(shortest),
            text(opinion.violated_after)
        )));
    }
    (shortest.is_none() && opinion.states != packed.report.states).then(|| {
        Difference::Engines(format!(
            "the exact engine finds {} states, stateright {}",
            packed.report.states, opinion.states
        ))
    })
}
