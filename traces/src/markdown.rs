//! Markdown, for mails and trackers that render it.

use crate::brief::brief;
use crate::clean::clean;
use crate::format::Evidence;
use crate::links::is_busy;
use crate::moment::agent_name;
use crate::outline::{self, Row, outline};
use crate::race::race;
use crate::schema::Trace;
use crate::text::{question, title};

/// Heading, question, what it comes to, the race, and a table of the steps in short.
#[must_use]
pub fn markdown(trace: &Trace, evidence: Evidence) -> String {
    let mut blocks = vec![format!("## {}", escape(&title(trace)))];
    blocks.extend(evidence.warning().map(|warning| format!("**{warning}**")));
    let about = question(trace);
    let about: Vec<String> = about
        .iter()
        .map(|(name, value)| format!("- {name}: {}", escape(value)))
        .collect();
    blocks.push(about.join("\n"));
    blocks.push("### In brief".to_owned());
    let said: Vec<String> = brief(trace)
        .iter()
        .map(|said| format!("- step {}: {}", said.step, escape(&said.text)))
        .collect();
    blocks.push(said.join("\n"));
    blocks.push("### The race".to_owned());
    blocks.push(fenced(&race(trace)));
    blocks.push("### The steps".to_owned());
    blocks.push(steps(trace));
    blocks.join("\n\n") + "\n"
}

fn steps(trace: &Trace) -> String {
    let mut lines = vec![
        "| step | who | where | what | changes |".to_owned(),
        "| ---: | --- | --- | --- | --- |".to_owned(),
    ];
    let rows = outline(trace);
    lines.extend(rows.iter().map(|row| line(trace, *row)));
    lines.join("\n")
}

fn line(trace: &Trace, row: Row) -> String {
    let step = &trace.steps[row.first - 1];
    let starts = trace.loop_starts_at.is_some_and(|start| start == row.first);
    let number = match (row.is_whole_call(), starts) {
        (true, _) => format!("{}–{}", row.first, row.last),
        (false, true) => format!("{} (loop)", row.first),
        (false, false) => row.first.to_string(),
    };
    let mut what = cell(&outline::name(trace, row));
    if is_busy(step) {
        what = format!("**{what}**");
    }
    let changed = trace.steps[row.first - 1..row.last]
        .iter()
        .flat_map(|step| &step.changed);
    let changes: Vec<String> = changed
        .map(|change| {
            let text = format!("{}: {} → {}", change.field, change.from, change.to);
            cell(&text)
        })
        .collect();
    format!(
        "| {number} | {} | {} | {what} | {} |",
        cell(agent_name(trace, &step.agent)),
        cell(&step.anchor.function),
        changes.join("; ")
    )
}

/// Text in which no character means anything to Markdown or HTML. An underscore within a word means
/// nothing anyway.
fn escape(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut in_word = false;
    while let Some(character) = characters.next() {
        let joins = in_word && characters.peek().is_some_and(|next| next.is_alphanumeric());
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Someone may be notified of `@name`, something closed by `#1`.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '_' if joins => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
        in_word = character.is_alphanumeric();
    }
    out
}

/// The same for a cell of a table.
fn cell(text: &str) -> String {
    escape(text).replace('|', "\\|")
}

/// A block in a fence that nothing in it can close.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn a_trace_in_markdown_is_this_one() {
        let trace = fixtures::second_block_is_busy();
        insta::assert_snapshot!(markdown(&trace, Evidence::Executed));
    }

    #[test]
    fn nothing_in_a_trace_is_taken_for_markup() {
        assert_eq!(cell("<b>|`x`_@me"), "&lt;b&gt;\\|\\`x\\`\\_&#64;me");
        assert_eq!(escape("local_irq_enable _x_"), "local_irq_enable \\_x\\_");
        assert_eq!(fenced("a ``` b\n"), "````text\na ``` b\n````");
    }
}
