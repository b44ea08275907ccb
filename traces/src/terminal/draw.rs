//! Where everything stands on the screen.

use super::key::HELP;
use super::{Mode, Viewer};
use crate::clean::clean;
use crate::text::title;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

/// From this width on the step's details stand beside the steps.
const WIDE: u16 = 130;
/// From this width on the details stand in two columns.
const TWO_COLUMNS: u16 = 72;
/// Nothing can be read on less.
const SMALLEST: (u16, u16) = (40, 10);

const HINTS: &str = " j k  b BUSY  o origin  v verdict  d all  / search  Tab more  ? keys  q quit";

impl Viewer<'_> {
    /// Fills the frame.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let (columns, rows) = SMALLEST;
            let text = format!("At least {columns} columns and {rows} rows, please");
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
            return;
        }
        let [top, middle, bottom] = split(area, [1, 0, 1]);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        frame.render_widget(Line::styled(self.headline(top.width), reversed), top);
        if let Mode::Enlarged(scroll) = self.mode {
            self.draw_enlarged(frame, middle, scroll);
        } else if area.width >= WIDE {
            let beside = [Constraint::Fill(3), Constraint::Fill(2)];
            let [steps, details] = Layout::horizontal(beside).areas(middle);
            self.draw_steps(frame, steps);
            self.draw_details(frame, details, false);
        } else {
            let below = self.details_height(middle.height);
            let [steps, details] = split(middle, [0, below]);
            self.draw_steps(frame, steps);
            self.draw_details(frame, details, area.width >= TWO_COLUMNS);
        }
        frame.render_widget(self.bottom_line(), bottom);
        if self.mode == Mode::Help {
            draw_help(frame, area);
        }
    }

    /// How many steps are on the screen.
    pub(super) fn list_height(&self) -> usize {
        let middle = self.size.1.saturating_sub(2);
        let list = if self.size.0 >= WIDE {
            middle
        } else {
            middle - self.details_height(middle)
        };
        usize::from(list.saturating_sub(1)).max(1)
    }

    fn details_height(&self, middle: u16) -> u16 {
        middle / 2
    }

    /// How far down the enlarged details can be scrolled.
    pub(super) fn last_scroll(&self) -> usize {
        let height = usize::from(self.size.1.saturating_sub(3));
        self.everything().len().saturating_sub(height)
    }

    fn headline(&self, width: u16) -> String {
        let warning = match self.evidence.warning() {
            Some(_) => "NOT EXECUTED AGAIN  ",
            None => "",
        };
        let reason = clean(&self.trace.verdict.reason);
        let text = format!(" {warning}{}  {reason}", title(self.trace));
        format!("{text:width$}", width = usize::from(width))
    }

    fn draw_steps(&self, frame: &mut Frame<'_>, area: Rect) {
        let [head, list] = split(area, [1, 0]);
        frame.render_widget(self.heads(), head);
        let lines = self.list(usize::from(list.height));
        if lines.is_empty() {
            frame.render_widget("  No step passes the filter: a shows all.", list);
        }
        frame.render_widget(Paragraph::new(lines), list);
    }

    fn draw_details(&self, frame: &mut Frame<'_>, area: Rect, two_columns: bool) {
        let block = Block::new()
            .borders(Borders::TOP)
            .title(format!(" {} ", self.title()));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        if two_columns {
            let beside = [
                Constraint::Fill(11),
                Constraint::Length(1),
                Constraint::Fill(9),
            ];
            let [left, _, right] = Layout::horizontal(beside).areas(inner);
            draw_lines(frame, left, self.about_step());
            draw_lines(frame, right, self.locks_in_short());
        } else {
            draw_lines(frame, inner, self.everything());
        }
    }

    fn draw_enlarged(&self, frame: &mut Frame<'_>, area: Rect, scroll: usize) {
        let block = Block::new()
            .borders(Borders::TOP)
            .title(format!(" {} ", self.title()));
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let scroll = u16::try_from(scroll).unwrap_or(u16::MAX);
        let lines = Paragraph::new(self.everything()).scroll((scroll, 0));
        frame.render_widget(lines, inner);
    }

    /// The enlarged details: one line each, wrapped to the screen.
    pub(super) fn everything(&self) -> Vec<Line<'static>> {
        let mut lines = self.about_step();
        lines.push(Line::default());
        lines.extend(self.about_locks());
        lines.extend(self.about_stores());
        lines.push(Line::default());
        lines.extend(self.about_state());
        wrapped(lines, usize::from(self.size.0))
    }

    fn bottom_line(&self) -> Line<'static> {
        let found = self.matches();
        let text = match (&self.mode, &self.message, self.count) {
            (Mode::Search(typed), ..) => format!("/{}", clean(typed)),
            (Mode::Enlarged(_), ..) => " j k scroll  Tab back  ? keys".into(),
            (_, Some(message), _) => format!(" {}", clean(message)),
            (_, None, Some(count)) => format!(" {count}"),
            _ if !found.is_empty() => {
                let at = found.iter().position(|step| *step == self.selected);
                let at = at.map_or("-".into(), |at| (at + 1).to_string());
                let query = clean(&self.query);
                format!(
                    " /{query}: {at} of {}  n N next, previous  Esc forget",
                    found.len()
                )
            }
            _ => HINTS.into(),
        };
        Line::raw(text)
    }
}

/// Rows of an area: fixed heights, and one that takes the rest, given as 0.
fn split<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let constraint = |height| match height {
        0 => Constraint::Fill(1),
        height => Constraint::Length(height),
    };
    Layout::vertical(heights.map(constraint)).areas(area)
}

/// Lines wrapped to an area; the last row says how many did not fit.
fn draw_lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    let mut lines = wrapped(lines, usize::from(area.width));
    let height = usize::from(area.height);
    if lines.len() > height && height > 0 {
        let more = lines.len() - height + 1;
        lines.truncate(height - 1);
        let dim = Style::new().add_modifier(Modifier::DIM);
        lines.push(Line::styled(format!("... {more} more lines: Tab"), dim));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// Lines cut between words where they can be, continued further in.
fn wrapped(lines: Vec<Line<'static>>, width: usize) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for line in lines {
        let style = line.style;
        let text: String = line
            .spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect();
        let pieces = pieces(&text, width).into_iter();
        out.extend(pieces.map(|piece| Line::styled(piece, style)));
    }
    out
}

fn pieces(text: &str, width: usize) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    while rest.len() > width.max(8) {
        let room = &rest[..=width.max(8)];
        let space = room.iter().rposition(|c| *c == ' ');
        let cut = space.filter(|at| *at > width / 2).unwrap_or(width.max(8));
        let tail = rest.split_off(cut);
        pieces.push(rest.into_iter().collect());
        let tail = tail.into_iter().skip_while(|c| *c == ' ');
        rest = "    ".chars().chain(tail).collect();
    }
    pieces.push(rest.into_iter().collect());
    pieces
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP.map(|(key, about)| Line::raw(format!(" {key:13} {about}")));
    let (width, height) = (58.min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let middle = Rect {
        x: (area.width - width) / 2,
        y: (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered().title(" Keys (any key closes) ");
    frame.render_widget(Clear, middle);
    frame.render_widget(
        Paragraph::new(Text::from(lines.to_vec())).block(block),
        middle,
    );
}
