//! The forms a trace can be written in.

use crate::schema::Trace;
use crate::{itf, markdown, mermaid, race, text};

/// Whether somebody has executed the trace on today's model before it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Every step was confirmed.
    Executed,
    /// Nobody has: it may show what can not happen.
    NotExecuted,
}

impl Evidence {
    /// What has to stand above a trace that nobody has executed.
    #[must_use]
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Executed => None,
            Self::NotExecuted => {
                Some("Not executed again: no step of this trace is confirmed by today's model.")
            }
        }
    }
}

/// A form to write a trace in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The columns of a commit message: [`race`](mod@race).
    Race,
    /// Every step with what it changes: [`text`].
    Text,
    /// For mails and trackers that render it: [`markdown`].
    Markdown,
    /// A sequence diagram: [`mermaid`].
    Mermaid,
    /// For the trace viewers of other model checkers: [`itf`].
    Itf,
    /// The trace itself.
    Json,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Race,
        Self::Text,
        Self::Markdown,
        Self::Mermaid,
        Self::Itf,
        Self::Json,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Mermaid => "mermaid",
            Self::Itf => "itf",
            Self::Json => "json",
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Race => "columns of CPUs for a commit message, at most 72 characters wide",
            Self::Text => "every step with what it changes, then locks and store buffers",
            Self::Markdown => "the same with tables, for mails and trackers that render it",
            Self::Mermaid => "a sequence diagram",
            Self::Itf => "Informal Trace Format, for the trace viewers of other model checkers",
            Self::Json => "the trace itself, seamcheck.trace.v1",
        }
    }

    /// The format called `key`, if there is one.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.key() == key)
    }

    /// The trace in this form. Forms read by people begin with a warning when nobody has executed
    /// the trace; the others have no place for one.
    #[must_use]
    pub fn render(self, trace: &Trace, evidence: Evidence) -> String {
        match self {
            Self::Race => with_warning(evidence, race(trace)),
            Self::Text => with_warning(evidence, text::text(trace)),
            Self::Markdown => markdown::markdown(trace, evidence),
            Self::Mermaid => mermaid::mermaid(trace, evidence),
            Self::Itf => itf::itf(trace),
            Self::Json => trace.to_json(),
        }
    }
}

fn with_warning(evidence: Evidence, drawn: String) -> String {
    match evidence.warning() {
        Some(warning) => format!("{warning}\n\n{drawn}"),
        None => drawn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn every_name_leads_back_to_its_format() {
        for format in Format::ALL {
            assert_eq!(Format::from_key(format.key()), Some(format));
        }
        assert_eq!(Format::from_key("pdf"), None);
    }

    #[test]
    fn what_people_read_says_that_nobody_has_executed_it() {
        let trace = fixtures::second_block_is_busy();
        for format in [
            Format::Race,
            Format::Text,
            Format::Markdown,
            Format::Mermaid,
        ] {
            let said = |evidence| {
                format
                    .render(&trace, evidence)
                    .contains("Not executed again")
            };
            assert!(said(Evidence::NotExecuted), "{format:?}");
            assert!(!said(Evidence::Executed), "{format:?}");
        }
    }

    #[test]
    fn no_form_for_people_lets_a_control_character_through() {
        let mut trace = fixtures::second_block_is_busy();
        let evil = "\u{1b}[31m\u{202e}";
        trace.tool = evil.into();
        trace.check = Some(evil.into());
        trace.question.module.name = evil.into();
        trace.question.set.insert(evil.into(), evil.into());
        trace.verdict.reason = evil.into();
        trace.agents[0].name = evil.into();
        for step in &mut trace.steps {
            (step.name, step.anchor.function) = (evil.into(), evil.into());
            step.status_name = Some(evil.into());
        }
        for format in [
            Format::Race,
            Format::Text,
            Format::Markdown,
            Format::Mermaid,
        ] {
            let drawn = format.render(&trace, Evidence::Executed);
            let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!drawn.contains(bad), "{format:?}");
        }
    }
}
