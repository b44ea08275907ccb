//! Lines and columns.

use crate::verdict::Verdict;
use anstyle::{AnsiColor, Style};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use std::fmt::Write;

/// A verdict and what it is about.
pub(in crate::report) fn headline(found: Verdict, property: Property) -> String {
    format!("{} {}", verdict(found, true), bold(property.key()))
}

pub(in crate::report) fn wrapped(out: &mut String, head: &str, text: &str) {
    let mut first = true;
    for line in wrap(text, 64) {
        let _ = writeln!(
            out,
            "            {:<13} {line}",
            if first { head } else { "" }
        );
        first = false;
    }
}

pub(super) fn wrapped_at(out: &mut String, indent: usize, text: &str) {
    for line in wrap(text, 88 - indent) {
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > width
        {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

pub(super) fn bold(text: &str) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

/// A verdict in a column: a mark tells what differs from the suite, so that colour is not needed.
pub(super) fn verdict(found: Verdict, expected: bool) -> String {
    let colour = match found {
        _ if !expected => AnsiColor::Red,
        Verdict::Holds => AnsiColor::Green,
        Verdict::Violated(_) => AnsiColor::Yellow,
        Verdict::Vacuous | Verdict::Unknown(_) => AnsiColor::Magenta,
    };
    let style = colour.on_default();
    let mark = if expected { ' ' } else { '!' };
    let text = match found {
        Verdict::Violated(length) => format!("violated {length}"),
        _ => found.word().to_owned(),
    };
    format!("{style}{mark}{text:<12}{style:#}")
}
