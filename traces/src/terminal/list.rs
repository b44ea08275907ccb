//! The steps: a lane for each agent and one for the TDX module, time downwards.

use super::Viewer;
use crate::clean::clean;
use crate::outline::{self, Row};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Columns of a step's number and its mark.
const NUMBER: usize = 7;

impl Viewer<'_> {
    /// The names above the lanes, each ending over its lane: a letter there, the names in a legend.
    pub(super) fn heads(&self) -> Line<'static> {
        let mut letters = String::new();
        let mut legend = Vec::new();
        for (index, agent) in self.trace.agents.iter().enumerate() {
            let letter = lane_letter(index);
            letters.push_str(&format!("{letter} "));
            let mut name = clean(&agent.name);
            if self.hidden.contains(&index) {
                name.push_str(" (hidden)");
            }
            legend.push(format!("{letter} {name}"));
        }
        letters.push_str("m ");
        legend.push("m TDX module".into());
        let text = format!("{:>NUMBER$}{letters} {}", "step  ", legend.join(", "));
        Line::styled(text, Style::new().add_modifier(Modifier::DIM))
    }

    /// As many rows as fit, the selected one among them.
    pub(super) fn list(&self, height: usize) -> Vec<Line<'static>> {
        let rows = self.rows();
        let at = rows.iter().position(|row| row.first >= self.selected);
        let at = at.unwrap_or(rows.len().saturating_sub(1));
        let latest = rows.len().saturating_sub(height);
        let first = at.saturating_sub(height / 2).min(latest);
        let query = self.query.to_lowercase();
        let shown = rows.iter().enumerate().skip(first).take(height);
        shown
            .map(|(index, row)| {
                let before = index.checked_sub(1).map(|index| rows[index]);
                self.row(*row, before, &query, index == first)
            })
            .collect()
    }

    fn row(&self, row: Row, before: Option<Row>, query: &str, is_top: bool) -> Line<'static> {
        let step = &self.trace.steps[row.first - 1];
        let is_busy = self.busy.binary_search(&row.first).is_ok();
        let number = Span::raw(format!("{:>5} ", row.first));
        let mut style = Style::new();
        if is_busy {
            style = style.fg(Color::Red).add_modifier(Modifier::BOLD);
        }
        let mut spans = vec![number, Span::styled(self.mark(row, is_busy), style)];
        spans.push(Span::raw(self.lanes(row)));
        let same = before.is_some_and(|before| {
            let before = &self.trace.steps[before.first - 1];
            before.anchor.function == step.anchor.function && before.agent == step.agent
        });
        let function = &step.anchor.function;
        if !function.is_empty() && function != &step.name && (is_top || !same) {
            let dim = Style::new().add_modifier(Modifier::DIM);
            spans.push(Span::styled(format!("{}: ", clean(function)), dim));
        } else if !function.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(Span::styled(clean(&outline::name(self.trace, row)), style));
        let found = !query.is_empty() && (row.first..=row.last).any(|step| self.says(step, query));
        if found {
            spans.push(Span::raw(" <"));
        }
        let line = Line::from(spans);
        if row.first == self.selected {
            line.style(Style::new().add_modifier(Modifier::REVERSED))
        } else if found {
            line.style(Style::new().add_modifier(Modifier::UNDERLINED))
        } else {
            line
        }
    }

    /// One sign: BUSY, the verdict, the loop.
    fn mark(&self, row: Row, is_busy: bool) -> &'static str {
        let in_loop = self
            .trace
            .loop_starts_at
            .is_some_and(|start| row.first >= start);
        match (is_busy, row.last == self.trace.steps.len(), in_loop) {
            (true, ..) => "!",
            (false, true, _) => "V",
            (false, false, true) => "@",
            (false, false, false) => " ",
        }
    }

    /// A sign for each lane; whoever moved has a dot, and the module has one for steps inside it.
    fn lanes(&self, row: Row) -> String {
        let (dot, line, across) = if self.in_unicode() {
            ("●", "│", "─")
        } else {
            ("*", "|", "-")
        };
        let mover = self.agent_of(row.first);
        let agents = self.trace.agents.len();
        let module = self.inside[row.first - 1] || row.is_whole_call();
        let mut lanes = String::new();
        for lane in 0..=agents {
            let is_dot = lane == mover || (lane == agents && module);
            lanes.push_str(if is_dot { dot } else { line });
            let joined = module && (mover..agents).contains(&lane);
            lanes.push_str(if joined { across } else { " " });
        }
        lanes + " "
    }
}

/// The letter of an agent's lane: its number, for keys like `2a`.
fn lane_letter(index: usize) -> char {
    char::from_digit(index as u32 + 1, 36).unwrap_or('+')
}
