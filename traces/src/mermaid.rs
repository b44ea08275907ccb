//! A Mermaid sequence diagram: one participant an agent, and the TDX module.

use crate::clean::clean;
use crate::format::Evidence;
use crate::links::{LinkKind, is_busy, links};
use crate::moment::in_module;
use crate::outline::{self, Row, outline};
use crate::schema::{CallEdge, Trace};
use std::collections::BTreeMap;

/// The participant that stands for the TDX module.
const MODULE: &str = "tdx_module";

/// The trace in short as a sequence diagram; every message begins with its step's number.
#[must_use]
pub fn mermaid(trace: &Trace, evidence: Evidence) -> String {
    let names: BTreeMap<&str, String> = trace
        .agents
        .iter()
        .zip(0..)
        .map(|(agent, index)| (agent.id.as_str(), format!("agent{index}")))
        .collect();
    let mut lines = vec!["sequenceDiagram".to_owned()];
    for agent in &trace.agents {
        let name = escape(&agent.name);
        lines.push(format!(
            "  participant {} as {name}",
            names[agent.id.as_str()]
        ));
    }
    lines.push(format!("  participant {MODULE} as TDX module"));
    if let (Some(warning), Some(first)) = (evidence.warning(), trace.agents.first()) {
        let first = &names[first.id.as_str()];
        lines.push(format!("  Note over {first},{MODULE}: {}", escape(warning)));
    }
    lines.extend(messages(trace, &names));
    if let Some(first) = trace.agents.first() {
        let (first, reason) = (&names[first.id.as_str()], escape(&trace.verdict.reason));
        lines.push(format!("  Note over {first},{MODULE}: {reason}"));
    }
    lines.join("\n") + "\n"
}

fn messages(trace: &Trace, names: &BTreeMap<&str, String>) -> Vec<String> {
    let (inside, sent) = (in_module(trace), sent(trace));
    let mut lines = Vec::new();
    let mut looping = false;
    for row in rows(trace) {
        if !looping && trace.loop_starts_at.is_some_and(|start| row.first >= start) {
            looping = true;
            lines.push("  loop for ever".to_owned());
        }
        let step = &trace.steps[row.first - 1];
        let Some(agent) = names.get(step.agent.as_str()) else {
            continue;
        };
        let what = escape(&outline::name(trace, row));
        let number = row.first;
        lines.push(match step.seamcall {
            Some(CallEdge::Called) => format!("  {agent}->>{MODULE}: {number} {what}"),
            Some(CallEdge::Returned) => {
                let status = step.status_name.as_deref().unwrap_or(&step.name);
                format!("  {MODULE}-->>{agent}: {number} {}", escape(status))
            }
            None if is_busy(step) => {
                let status = step.status_name.as_deref().unwrap_or_default();
                format!(
                    "  Note over {agent},{MODULE}: {number} {what} ({})",
                    escape(status)
                )
            }
            None if inside[number - 1] => format!("  {agent}->>{MODULE}: {number} {what}"),
            None => format!("  {agent}->>{agent}: {number} {what}"),
        });
        for target in sent.get(&number).into_iter().flatten() {
            if let Some(target) = names.get(target.as_str()) {
                lines.push(format!("  {agent}-){target}: IPI"));
            }
        }
    }
    if looping {
        lines.push("  end".to_owned());
    }
    lines
}

/// The trace in short, and where SEAMCALLs that are not one row return.
fn rows(trace: &Trace) -> Vec<Row> {
    let mut rows = outline(trace);
    let whole = |step: usize| rows.iter().any(|row| row.first <= step && step <= row.last);
    let returns: Vec<Row> = (1..=trace.steps.len())
        .filter(|&step| trace.steps[step - 1].seamcall == Some(CallEdge::Returned) && !whole(step))
        .map(|step| Row {
            first: step,
            last: step,
        })
        .collect();
    rows.extend(returns);
    rows.sort_by_key(|row| row.first);
    rows
}

/// The agents that a step sends an interrupt to.
fn sent(trace: &Trace) -> BTreeMap<usize, Vec<String>> {
    let mut sent: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for link in links(trace) {
        if let (LinkKind::Kick, Some(target)) = (link.kind, link.what.strip_prefix("IPI to ")) {
            sent.entry(link.from).or_default().push(target.to_owned());
        }
    }
    sent
}

/// Text in which no character ends a message or starts an entity.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in clean(text).chars() {
        match character {
            '#' | ';' | '<' | '>' | '&' | '"' | '%' | '{' | '}' => {
                out.push_str(&format!("#{};", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, generated};

    #[test]
    fn a_trace_as_a_sequence_diagram_is_this_one() {
        let trace = fixtures::vp_init_takes_tdr();
        insta::assert_snapshot!(mermaid(&trace, Evidence::Executed));
    }

    #[test]
    fn a_loop_is_closed() {
        for seed in 0..50 {
            let mut trace = generated(seed);
            trace.loop_starts_at = Some(1 + seed as usize % (trace.steps.len() + 1));
            let drawn = mermaid(&trace, Evidence::Executed);
            let count = |wanted: &str| drawn.lines().filter(|line| *line == wanted).count();
            assert_eq!(count("  loop for ever"), count("  end"));
        }
    }

    #[test]
    fn no_text_ends_its_message() {
        assert_eq!(escape("a; b #1 <c>"), "a#59; b #35;1 #60;c#62;");
    }
}
