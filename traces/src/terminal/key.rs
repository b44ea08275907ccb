//! Keys, as in `less` and vim, and what they do.

use super::{Mode, Viewer};
use crate::links::LinkKind;

/// A key, whichever terminal it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Backspace,
    Tab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The viewer wants more keys.
    Continue,
    /// The viewer is done.
    Quit,
}

/// Each key and what it does, as the help shows them.
pub(super) const HELP: [(&str, &str); 17] = [
    ("j k, arrows", "next and previous step"),
    ("^F ^B, space", "a screen on and back"),
    ("^D ^U", "half a screen on and back"),
    ("g G", "first and last step"),
    ("12G", "step 12"),
    ("b B", "next and previous BUSY"),
    ("F", "the first BUSY"),
    ("v", "the step that decides the verdict"),
    ("l", "where the loop begins"),
    ("o", "the step this one follows from"),
    ("d", "every step, or the trace in short"),
    ("2a, a", "only the second agent's steps, everybody's"),
    ("/ n N", "search, next and previous match"),
    ("Tab, Enter", "all about the step, and back"),
    ("Esc", "forget the search"),
    ("?", "these keys"),
    ("q, ^C", "quit"),
];

impl Viewer<'_> {
    /// Takes a key.
    pub fn press(&mut self, key: Key) -> Flow {
        self.message = None;
        if key == Key::Ctrl('c') {
            return Flow::Quit;
        }
        match self.mode.clone() {
            Mode::Search(typed) => self.type_search(typed, key),
            Mode::Help => self.mode = Mode::Steps,
            Mode::Enlarged(scroll) => self.press_enlarged(scroll, key),
            Mode::Steps => return self.press_steps(key),
        }
        Flow::Continue
    }

    fn type_search(&mut self, mut typed: String, key: Key) {
        match key {
            Key::Char(character) => typed.push(character),
            Key::Backspace if !typed.is_empty() => drop(typed.pop()),
            Key::Backspace | Key::Esc => return self.mode = Mode::Steps,
            Key::Enter => {
                self.mode = Mode::Steps;
                self.query = typed;
                let found = self.matches();
                if found.is_empty() {
                    self.message = Some(self.nothing_found());
                } else if !found.contains(&self.selected) {
                    self.jump(&found, false);
                }
                return;
            }
            _ => {}
        }
        self.mode = Mode::Search(typed);
    }

    fn nothing_found(&self) -> String {
        if self.query.is_empty() {
            "Nothing to search for: type / first".into()
        } else if self.every && self.hidden.is_empty() {
            format!("Not found: {}", self.query)
        } else {
            format!("Not found among the steps shown: {}", self.query)
        }
    }

    fn press_enlarged(&mut self, scroll: usize, key: Key) {
        let page = usize::from(self.size.1.saturating_sub(4)).max(1);
        let scroll = match key {
            Key::Char('j') | Key::Down => scroll + 1,
            Key::Char('k') | Key::Up => scroll.saturating_sub(1),
            Key::PageDown | Key::Char(' ') | Key::Ctrl('f') => scroll + page,
            Key::PageUp | Key::Ctrl('b') => scroll.saturating_sub(page),
            Key::Char('g') | Key::Home => 0,
            Key::Char('G') | Key::End => usize::MAX,
            Key::Char('?') => return self.mode = Mode::Help,
            _ => return self.mode = Mode::Steps,
        };
        self.mode = Mode::Enlarged(scroll.min(self.last_scroll()));
    }

    fn press_steps(&mut self, key: Key) -> Flow {
        if let Key::Char(digit @ '0'..='9') = key
            && (self.count.is_some() || digit != '0')
        {
            let digit = digit as usize - '0' as usize;
            let count = self.count.unwrap_or(0).saturating_mul(10);
            self.count = Some(count.saturating_add(digit).min(9_999_999));
            return Flow::Continue;
        }
        let count = self.count.take();
        let times = isize::try_from(count.unwrap_or(1)).unwrap_or(isize::MAX);
        let page = isize::try_from(self.list_height().saturating_sub(1).max(1)).unwrap_or(1);
        match key {
            Key::Char('q') => return Flow::Quit,
            Key::Char('j') | Key::Down | Key::Enter if count.is_some() => self.move_by(times),
            Key::Char('j') | Key::Down => self.move_by(1),
            Key::Char('k') | Key::Up => self.move_by(-times),
            Key::PageDown | Key::Char(' ') | Key::Ctrl('f') => self.move_by(page),
            Key::PageUp | Key::Ctrl('b') => self.move_by(-page),
            Key::Ctrl('d') => self.move_by((page / 2).max(1)),
            Key::Ctrl('u') => self.move_by(-(page / 2).max(1)),
            Key::Char('g') | Key::Home => self.move_by(isize::MIN),
            Key::Char('G') | Key::End => match count {
                Some(step) => self.select(step),
                None => self.move_by(isize::MAX),
            },
            Key::Char('b') => self.jump_busy(false),
            Key::Char('B') => self.jump_busy(true),
            Key::Char('F') => match self.busy.first() {
                Some(&first) => self.select(first),
                None => self.message = Some("No step is BUSY".into()),
            },
            Key::Char('v') => self.select(self.trace.steps.len()),
            Key::Char('l') => self.go_to_loop(),
            Key::Char('o') => self.go_to_origin(),
            Key::Char('d') => self.toggle_details(),
            Key::Char('a') => self.filter(count),
            Key::Char('/') => self.mode = Mode::Search(String::new()),
            Key::Char('n') => self.jump_match(false),
            Key::Char('N') => self.jump_match(true),
            Key::Esc => self.query.clear(),
            Key::Tab | Key::Enter => self.mode = Mode::Enlarged(0),
            Key::Char('?') => self.mode = Mode::Help,
            _ => {}
        }
        Flow::Continue
    }

    fn move_by(&mut self, by: isize) {
        let rows = self.rows();
        let at = rows.iter().position(|row| row.first >= self.selected);
        let at = at.unwrap_or(rows.len().saturating_sub(1));
        let to = at
            .saturating_add_signed(by)
            .min(rows.len().saturating_sub(1));
        if let Some(row) = rows.get(to) {
            self.selected = row.first;
        }
    }

    /// The next of these steps, or the one before; round the end.
    fn jump(&mut self, targets: &[usize], back: bool) {
        let next = if back {
            let before = targets.iter().rev().find(|step| **step < self.selected);
            before.or(targets.last())
        } else {
            let after = targets.iter().find(|step| **step > self.selected);
            after.or(targets.first())
        };
        if let Some(&step) = next {
            self.select(step);
        }
    }

    fn jump_busy(&mut self, back: bool) {
        if self.busy.is_empty() {
            self.message = Some("No step is BUSY".into());
        }
        self.jump(&self.busy.clone(), back);
    }

    fn jump_match(&mut self, back: bool) {
        let found = self.matches();
        if found.is_empty() {
            self.message = Some(self.nothing_found());
        }
        self.jump(&found, back);
    }

    fn go_to_loop(&mut self) {
        match self.trace.loop_starts_at {
            Some(start) if start <= self.trace.steps.len() => self.select(start),
            _ => self.message = Some("The trace has no loop".into()),
        }
    }

    fn go_to_origin(&mut self) {
        let mut causes = self.links.iter().filter(|link| link.to == self.selected);
        match causes.next().map(|link| (link.from, link.kind)) {
            Some((from, kind)) => {
                let what = match kind {
                    LinkKind::Store => "The store",
                    LinkKind::Kick => "The IPI",
                    LinkKind::Busy => "The lock",
                };
                let message = format!(
                    "{what} of step {}; {}G goes back",
                    self.selected, self.selected
                );
                self.select(from);
                self.message = Some(message);
            }
            None => self.message = Some("It follows from no other step in particular".into()),
        }
    }

    fn toggle_details(&mut self) {
        self.every = !self.every;
        self.select_nearest();
        let shown = self.rows().len();
        let what = if self.every { "Every step" } else { "In short" };
        self.message = Some(format!(
            "{what}: {shown} of {} steps",
            self.trace.steps.len()
        ));
    }

    /// `2a` shows the second agent's steps only, `a` everybody's.
    fn filter(&mut self, count: Option<usize>) {
        let agents = &self.trace.agents;
        self.hidden.clear();
        let Some(only) = count else {
            self.message = Some("The steps of all agents".into());
            return;
        };
        match agents.get(only.wrapping_sub(1)) {
            Some(agent) => {
                self.message = Some(format!("Only the steps of {}; a for all", agent.name));
                self.hidden = (0..agents.len())
                    .filter(|index| index + 1 != only)
                    .collect();
                self.select_nearest();
            }
            None => self.message = Some(format!("There are {} agents", agents.len())),
        }
    }

    /// Selects the last row shown that does not come after the selected step.
    fn select_nearest(&mut self) {
        let rows = self.rows();
        let nearest = rows.iter().rev().find(|row| row.first <= self.selected);
        if let Some(row) = nearest.or(rows.first()) {
            self.selected = row.first;
        }
    }
}
