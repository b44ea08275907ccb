//! The whole trace as plain text: for pipes, and for terminals that can not be drawn on.

use crate::brief::brief;
use crate::clean::clean;
use crate::links::{Link, is_busy, links};
use crate::moment::{agent_name, fields};
use crate::schema::{Held, Step, Trace};

/// Every step with what it changes; in front what it comes to, behind it locks and stores.
#[must_use]
pub fn text(trace: &Trace) -> String {
    let blocks = [
        heading(trace),
        in_brief(trace),
        steps(trace),
        locks(trace),
        stores(trace),
    ];
    let blocks: Vec<String> = blocks.iter().map(|lines| lines.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

/// What was asked, in lines of a name and a value.
pub(crate) fn question(trace: &Trace) -> Vec<(&'static str, String)> {
    let question = &trace.question;
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        let pairs: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v}")).collect();
        clean(&pairs.join(" "))
    };
    let mut lines = vec![
        ("property", {
            let (name, about) = (&question.property, &question.property_text);
            clean(&format!("{name}: {about}"))
        }),
        ("kernel", clean(&question.kernel.name)),
    ];
    if !question.set.is_empty() {
        lines.push(("changed", pairs(&question.set)));
    }
    lines.push(("module", clean(&question.module.name)));
    lines.push(("memory", memory(&question.memory)));
    lines.push(("scenario", pairs(&question.scenario)));
    lines.push(("written by", clean(&trace.tool)));
    lines
}

fn memory(key: &str) -> String {
    match key {
        "tso" => "x86-TSO".into(),
        "sc" => "sequential consistency".into(),
        other => clean(other),
    }
}

/// `M06/tso: violated`.
pub(crate) fn title(trace: &Trace) -> String {
    let check = trace.check.as_deref().unwrap_or("a question");
    clean(&format!("{check}: {}", trace.verdict.result))
}

fn heading(trace: &Trace) -> Vec<String> {
    let mut lines = vec![title(trace)];
    let question = question(trace);
    lines.extend(
        question
            .iter()
            .map(|(name, value)| format!("  {name:10}  {value}")),
    );
    lines
}

fn in_brief(trace: &Trace) -> Vec<String> {
    let mut lines = vec!["In brief".to_owned()];
    let sentences = brief(trace).into_iter();
    lines.extend(sentences.map(|said| format!("  step {:4}  {}", said.step, clean(&said.text))));
    lines
}

fn steps(trace: &Trace) -> Vec<String> {
    let links = links(trace);
    let names = trace
        .agents
        .iter()
        .map(|agent| clean(&agent.name).chars().count());
    let width = names.max().unwrap_or(0);
    let mut lines = vec![format!("Steps ({})", trace.steps.len())];
    for (step, number) in trace.steps.iter().zip(1..) {
        if trace.loop_starts_at == Some(number) {
            lines.push("  -- from here on again and again, for ever: --".to_owned());
        }
        let mark = if is_busy(step) { '!' } else { ' ' };
        let (who, what) = (clean(agent_name(trace, &step.agent)), happened(step));
        lines.push(format!("  {number:4} {mark} {who:width$}  {what}"));
        let notes = notes(trace, &links, step, number);
        let margin = " ".repeat(width + 11);
        lines.extend(notes.iter().map(|note| format!("{margin}{note}")));
    }
    match trace.loop_starts_at {
        Some(start) if start > trace.steps.len() => {
            lines.push("  -- nobody has to do anything more --".to_owned());
        }
        Some(start) => lines.push(format!("  -- and back to step {start} --")),
        None => {}
    }
    lines
}

/// `tdx_track: busy? yes`.
pub(crate) fn happened(step: &Step) -> String {
    let function = &step.anchor.function;
    if function.is_empty() || *function == step.name {
        clean(&step.name)
    } else {
        clean(&format!("{function}: {}", step.name))
    }
}

/// What a step says besides what happened: status, changes, what it follows from.
fn notes(trace: &Trace, links: &[Link], step: &Step, number: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(status) = &step.status {
        let name = step.status_name.as_deref().unwrap_or_default();
        notes.push(clean(&format!("-> {status} ({name})")));
    }
    let changes = step.changed.iter();
    notes.extend(changes.map(|change| {
        clean(&format!(
            "{}: {} -> {}",
            change.field, change.from, change.to
        ))
    }));
    let causes = links.iter().filter(|link| link.to == number);
    notes.extend(causes.map(|link| clean(&follows_from(trace, link))));
    notes
}

/// What a link says at its later end.
pub(crate) fn follows_from(trace: &Trace, link: &Link) -> String {
    use crate::links::LinkKind;
    let who = agent_name(trace, &trace.steps[link.from - 1].agent);
    let (from, what) = (link.from, &link.what);
    match link.kind {
        LinkKind::Store => format!("stored at step {from}: {what}"),
        LinkKind::Kick => format!("{what}, sent by {who} at step {from}"),
        LinkKind::Busy => format!("{what}, held by {who} since step {from}"),
    }
}

fn locks(trace: &Trace) -> Vec<String> {
    let held = trace.steps.last().map_or(&[][..], |step| &step.locks);
    let mut lines = vec!["Locks held at the end".to_owned()];
    let row = |held: &Held| {
        let who = agent_name(trace, &held.agent);
        clean(&format!(
            "  {:22}  {:9}  {who}, {}",
            held.lock, held.mode, held.by
        ))
    };
    lines.extend(held.iter().map(row));
    if held.is_empty() {
        lines.push("  none".to_owned());
    }
    lines
}

fn stores(trace: &Trace) -> Vec<String> {
    use crate::moment::BUFFER;
    let mut lines = vec!["Store buffers at the end".to_owned()];
    let all = fields(trace, trace.steps.len());
    let buffers = all
        .iter()
        .filter_map(|(field, value)| Some((field.strip_suffix(BUFFER)?, value)));
    lines.extend(
        buffers.map(|(id, value)| clean(&format!("  {:22}  {value}", agent_name(trace, id)))),
    );
    if lines.len() == 1 {
        lines.push("  none".to_owned());
    }
    lines
}
