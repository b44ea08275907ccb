//! What `check code` prints for people.

use crate::forms::code::{CodeAnswer, CodeRequest, Engine};
use crate::report::{grouped, rests_on_text};
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use std::fmt::Write;

fn fewest_text(answer: &CodeAnswer, is_decided: bool) -> String {
    let without = answer.without.iter().enumerate();
    let without: Vec<String> = without
        .map(|(bound, executions)| format!("none of {} with {bound}", grouped(*executions)))
        .collect();
    let found = match answer.preemptions {
        None if !is_decided => "none is known to violate".to_owned(),
        Some(1) => "1 preemption violates".to_owned(),
        Some(bound) => format!("{bound} preemptions violate"),
        None => "no number of preemptions violates".to_owned(),
    };
    if without.is_empty() {
        return found;
    }
    format!("{found}; {}", without.join(", "))
}

/// What came of holding the code against the model, as lines of the report.
fn conformance(request: &CodeRequest, answer: &CodeAnswer) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !request.conformance {
        if let Some(why) = request
            .why_not_held()
            .filter(|_| request.engine != Engine::Std)
        {
            lines.push(("conformance", format!("not held: {why}")));
        }
        return lines;
    }
    match (&answer.held, &answer.not_held) {
        (Some(held), _) => {
            lines.push(("conformance", held.text()));
            if !held.start_is_reached {
                let unreached = "no search shows that the model comes to where this begins";
                lines.push(("beginning", unreached.to_owned()));
            }
            if let Some(count) = held.outcomes {
                lines.push((
                    "outcomes",
                    format!("{}, held against the model's", grouped(count)),
                ));
            }
            if held.violation_is_on_x86 == Some(false) {
                let weaker = "is weaker than x86: try --barriers-in-locks";
                lines.push(("violation", weaker.to_owned()));
            }
        }
        (None, Some(why)) => lines.push(("conformance", format!("not held: {why}"))),
        (None, None) if request.engine == Engine::Loom => {}
        (None, None) => lines.push(match answer.conforming {
            1 => ("conformance", "1 schedule is inside the model".to_owned()),
            many => (
                "conformance",
                format!("{} schedules are inside the model", grouped(many)),
            ),
        }),
    }
    if let Some(divergence) = &answer.divergence {
        lines.push(("diverges", divergence.clone()));
    }
    lines
}

pub(super) fn text(
    request: &CodeRequest,
    answer: &CodeAnswer,
    verdict: Verdict,
    rests_on: &[u64],
) -> String {
    let mut out = String::new();
    let engine = match request.engine {
        Engine::Loom => format!("loom, {} memory", request.memory.key()),
        Engine::Shuttle => "shuttle".to_owned(),
        Engine::Std => "std".to_owned(),
    };
    let _ = writeln!(out, "{} {}", verdict.word(), request.property.key());
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<12} {value}");
    };
    line("engine", &engine);
    line("bounds", &request.bounds_text());
    let (kernel, module) = (&request.kernel, request.module.key());
    line("protocol", &format!("kernel {kernel}, module {module}"));
    line(
        "ran",
        &format!(
            "{} {}, {} with a second call, {} with a vCPU turned back",
            grouped(answer.executions),
            match answer.executions {
                1 => request.engine.unit().trim_end_matches('s'),
                _ => request.engine.unit(),
            },
            grouped(answer.second_calls),
            grouped(answer.turned_back)
        ),
    );
    if request.fewest {
        line(
            "fewest",
            &fewest_text(answer, !matches!(verdict, Verdict::Unknown(_))),
        );
    }
    for (name, value) in conformance(request, answer) {
        line(name, &value);
    }
    if let Some(gave_up) = &answer.gave_up {
        line("gave up", gave_up);
    }
    if let Some(failed) = &answer.failed {
        line("failed", failed);
    }
    if let Verdict::Unknown(cut) = verdict {
        line("because", cut.text());
    }
    line("rests on", &rests_on_text(rests_on));
    let asked = request.property.key();
    let others: Vec<&str> = answer
        .seen_violated
        .iter()
        .map(String::as_str)
        .filter(|name| *name != asked)
        .collect();
    if !others.is_empty() {
        line("also violated", &others.join(", "));
    }
    if !answer.events.is_empty() {
        let _ = writeln!(out, "\n  the execution:");
        let parted = answer.held.as_ref().and_then(|held| held.diverges_at);
        for (at, event) in (0..).zip(&answer.events) {
            let mark = if parted == Some(at) { ">" } else { " " };
            let _ = writeln!(out, "  {mark} {event}");
        }
    }
    out
}
