//! The report as JUnit XML: a test suite for each group, a test case for each run.

use super::{differences, rests_on, rests_on_text, scope};
use crate::runner::Outcome;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};
use seamcheck_model::closed_enum::ClosedEnum;
use std::time::Duration;

/// The XML text. `not_run` are the names of runs that an interruption kept from running.
///
/// # Errors
/// When the writer fails, which is a bug of ours: it writes to memory.
pub fn report(outcomes: &[Outcome], not_run: &[String]) -> Result<String, String> {
    let mut report = Report::new("seamcheck");
    for outcome in outcomes {
        let group = outcome.run.group.as_str();
        if report
            .test_suites
            .last()
            .is_none_or(|suite| suite.name.as_str() != group)
        {
            report.add_test_suite(TestSuite::new(group));
        }
        if let Some(suite) = report.test_suites.last_mut() {
            suite.add_test_case(case(outcome));
        }
    }
    if !not_run.is_empty() {
        let mut suite = TestSuite::new("not run");
        for name in not_run {
            let mut status = TestCaseStatus::skipped();
            status.set_message("interrupted");
            suite.add_test_case(TestCase::new(XmlString::new(name), status));
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|error| error.to_string())
}

fn case(outcome: &Outcome) -> TestCase {
    let differences = differences(outcome);
    let status = if differences.is_empty() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("differs");
        status.set_message(differences.join("; "));
        status.set_description(explained(outcome, &differences));
        status
    };
    let mut case = TestCase::new(outcome.run.name.as_str(), status);
    case.set_classname(outcome.run.group.as_str());
    case.set_time(searched_in(outcome));
    let mut said = Vec::new();
    for (property, _, found) in &outcome.verdicts {
        said.push(format!("{}: {found}", property.key()));
    }
    let rests = rests_on(outcome);
    if !rests.is_empty() {
        said.push(format!("rests on {}", rests_on_text(&rests)));
    }
    case.set_system_out(format!("{}\n{}", scope(outcome), said.join("\n")));
    case
}

fn explained(outcome: &Outcome, differences: &[String]) -> String {
    format!(
        "{}\n{}\n{}\nSee: check explain {}",
        outcome.run.about,
        scope(outcome),
        differences.join("\n"),
        outcome.run.name
    )
}

fn searched_in(outcome: &Outcome) -> Duration {
    let packed = outcome.packed.as_ref().map(|packed| packed.report.elapsed);
    let form = outcome.form.as_ref().map(|form| form.elapsed);
    packed.or(form).unwrap_or_default()
}
