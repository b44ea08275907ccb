//! The trace in a terminal: what is looked at, which key changes it, and how it is drawn.
//!
//! [`Viewer`] is the state; [`Viewer::press`] takes a key, [`Viewer::draw`] fills a frame. Neither
//! touches a terminal: that is the event loop's part.

mod details;
mod draw;
mod key;
mod list;

use crate::format::Evidence;
use crate::links::{Link, links};
use crate::moment::{agent_name, busy_steps, in_module, lock_events};
use crate::outline::{Row, every_step, outline};
use crate::schema::Trace;
use std::collections::BTreeSet;

pub use key::{Flow, Key};

/// Signs to draw with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// For terminals that show Unicode.
    Unicode,
    /// For all others.
    Ascii,
}

/// What the keys act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The steps.
    Steps,
    /// The line at the bottom, where a search is typed.
    Search(String),
    /// The keys.
    Help,
    /// Everything about one step, scrolled down by so many lines.
    Enlarged(usize),
}

/// A trace being looked at.
#[derive(Debug)]
pub struct Viewer<'a> {
    trace: &'a Trace,
    evidence: Evidence,
    signs: Signs,
    links: Vec<Link>,
    inside: Vec<bool>,
    busy: Vec<usize>,
    short: Vec<Row>,
    /// Counted from 1.
    selected: usize,
    every: bool,
    hidden: BTreeSet<usize>,
    query: String,
    mode: Mode,
    /// A number typed before a key.
    count: Option<usize>,
    /// Said once, at the bottom.
    message: Option<String>,
    /// Columns and rows of the terminal.
    size: (u16, u16),
}

impl<'a> Viewer<'a> {
    /// A viewer at the last BUSY, or at the verdict when there is none.
    #[must_use]
    pub fn new(trace: &'a Trace, evidence: Evidence, signs: Signs) -> Self {
        let busy = busy_steps(trace);
        Self {
            trace,
            evidence,
            signs,
            links: links(trace),
            inside: in_module(trace),
            short: outline(trace),
            selected: busy.last().copied().unwrap_or(trace.steps.len()),
            busy,
            every: false,
            hidden: BTreeSet::new(),
            query: String::new(),
            mode: Mode::Steps,
            count: None,
            message: None,
            size: (80, 24),
        }
    }

    /// Tells the size of the terminal.
    pub const fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
    }

    /// Goes to a step, counted from 1; every step is shown if it is none of the trace in short.
    pub fn select(&mut self, step: usize) {
        let step = step.clamp(1, self.trace.steps.len());
        self.every |= !self.short.iter().any(|row| row.first == step);
        if !self.rows().iter().any(|row| row.first == step) {
            self.hidden.clear();
        }
        self.selected = step;
    }

    /// The selected step, counted from 1.
    #[must_use]
    pub const fn selected(&self) -> usize {
        self.selected
    }

    /// The rows that pass the filter.
    fn rows(&self) -> Vec<Row> {
        let rows = if self.every {
            every_step(self.trace)
        } else {
            self.short.clone()
        };
        let shown = |row: &Row| !self.hidden.contains(&self.agent_of(row.first));
        rows.into_iter().filter(shown).collect()
    }

    /// An agent's place in the list.
    fn agent_of(&self, step: usize) -> usize {
        let id = &self.trace.steps[step - 1].agent;
        let mut agents = self.trace.agents.iter();
        agents.position(|agent| agent.id == *id).unwrap_or(0)
    }

    /// The steps among the rows that the search finds.
    fn matches(&self) -> Vec<usize> {
        let query = self.query.to_lowercase();
        if query.is_empty() {
            return Vec::new();
        }
        let found = |row: &Row| (row.first..=row.last).any(|step| self.says(step, &query));
        let rows = self.rows().into_iter();
        rows.filter(found).map(|row| row.first).collect()
    }

    /// Whether anything a step says contains a text in lower case.
    fn says(&self, number: usize, query: &str) -> bool {
        let step = &self.trace.steps[number - 1];
        let mut texts = vec![
            agent_name(self.trace, &step.agent),
            &step.anchor.function,
            &step.anchor.file,
            &step.name,
        ];
        texts.extend(step.status.as_deref());
        texts.extend(step.status_name.as_deref());
        for change in &step.changed {
            texts.extend([&change.field, &change.from, &change.to].map(String::as_str));
        }
        let acquired = lock_events(self.trace, number).acquired;
        texts.extend(acquired.iter().map(|held| held.lock.as_str()));
        texts.iter().any(|text| text.to_lowercase().contains(query))
    }

    const fn in_unicode(&self) -> bool {
        matches!(self.signs, Signs::Unicode)
    }
}

#[cfg(test)]
mod tests;
