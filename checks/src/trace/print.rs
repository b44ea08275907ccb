//! What is printed of a trace.

use super::verify;
use crate::report::{of_counterexample, rests_on_text};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_traces::{Evidence, Format, Trace};

/// A trace in one of its forms. In those for a terminal the numbers of what it rests on stand below; the
/// others are documents of their own.
#[must_use]
pub fn text(format: Format, trace: &Trace, evidence: Evidence) -> String {
    let shown = format.render(trace, evidence);
    let is_document = !matches!(format, Format::Race | Format::Text);
    match rests_on(trace, evidence) {
        Some(numbers) if !is_document => format!("{shown}\nRests on {numbers}\n"),
        _ => shown,
    }
}

/// Of one that was executed: what its question says is understood then.
fn rests_on(trace: &Trace, evidence: Evidence) -> Option<String> {
    if evidence != Evidence::Executed {
        return None;
    }
    let question = verify::question(&trace.question).ok()?;
    let property = Property::from_key(&trace.question.property)?;
    Some(rests_on_text(&of_counterexample(&question, property)))
}
