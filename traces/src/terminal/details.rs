//! All about one step, as lines.

use super::Viewer;
use crate::clean::clean;
use crate::links::{Link, LinkKind};
use crate::moment::{BUFFER, agent_name, fields, lock_events, locks_before};
use crate::schema::{Guard, Held, Step};
use crate::text::follows_from;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

impl Viewer<'_> {
    fn step(&self) -> &Step {
        &self.trace.steps[self.selected - 1]
    }

    /// `step 37 of 85, zapper, in the TDX module`.
    pub(super) fn title(&self) -> String {
        let (number, step) = (self.selected, self.step());
        let mut title = format!("step {number} of {}, ", self.trace.steps.len());
        title.push_str(&clean(agent_name(self.trace, &step.agent)));
        if self.inside[number - 1] {
            title.push_str(", in the TDX module");
        }
        if step.fused {
            title.push_str(", with the step before");
        }
        title
    }

    /// What happened, what changed, what was asked, who else could move.
    pub(super) fn about_step(&self) -> Vec<Line<'static>> {
        let step = self.step();
        let mut lines = vec![bold(&step.name)];
        if let Some(status) = &step.status {
            let name = step.status_name.as_deref().unwrap_or_default();
            lines.push(bad(&format!("{status} ({name})")));
        }
        lines.push(plain(&match step.anchor.function.as_str() {
            "" => step.anchor.file.clone(),
            function => format!("in {function}, {}", step.anchor.file),
        }));
        for change in &step.changed {
            let text = format!("{}: {} -> {}", change.field, change.from, change.to);
            lines.push(good(&text));
        }
        let causes = self.links.iter().filter(|link| link.to == self.selected);
        lines.extend(causes.map(|link| plain(&format!("< {}", follows_from(self.trace, link)))));
        let later = self.links.iter().filter(|link| link.from == self.selected);
        lines.extend(later.map(|link| plain(&format!("> {}", leads_to(link)))));
        lines.extend(step.guards.iter().map(|guard| asked("asked", guard)));
        for other in &step.enabled {
            let who = agent_name(self.trace, &other.agent);
            lines.push(plain(&format!("else  {who}: {}", other.name)));
        }
        for other in &step.blocked {
            let who = agent_name(self.trace, &other.agent);
            let text = format!("not   {who}: {}, because {}", other.name, other.because);
            lines.push(plain(&text));
            lines.extend(other.guards.iter().map(|guard| asked("     ", guard)));
        }
        lines
    }

    /// Who holds which lock after the step.
    pub(super) fn about_locks(&self) -> Vec<Line<'static>> {
        let mut lines = vec![bold("Locks held after it")];
        lines.extend(self.locks().into_iter().map(|(rank, held)| {
            let text = format!("{}, {}", self.lock(rank, held), held.by);
            styled(&text, rank.style())
        }));
        if lines.len() == 1 {
            lines.push(dim("  none"));
        }
        lines
    }

    /// What waits in store buffers after the step.
    pub(super) fn about_stores(&self) -> Vec<Line<'static>> {
        let mut lines = vec![bold("Store buffers after it, oldest first")];
        lines.extend(self.stores().into_iter().map(|(who, value)| {
            let text = format!("  {who:8} {value}");
            if value == "empty" {
                dim(&text)
            } else {
                plain(&text)
            }
        }));
        if lines.len() == 1 {
            lines.push(dim("  none"));
        }
        lines
    }

    /// The same where there is little room: store buffers first, then locks, those that matter
    /// here on top.
    pub(super) fn locks_in_short(&self) -> Vec<Line<'static>> {
        let stores = self.stores().into_iter();
        let mut lines: Vec<_> = stores
            .map(|(who, value)| plain(&format!("stores of {who}: {value}")))
            .collect();
        let mut locks = self.locks();
        locks.sort_by_key(|(rank, _)| *rank);
        let locks = locks.into_iter();
        lines.extend(locks.map(|(rank, held)| styled(&self.lock(rank, held), rank.style())));
        lines
    }

    /// Every lock held after the step, then those it released.
    fn locks(&self) -> Vec<(Rank, &Held)> {
        let events = lock_events(self.trace, self.selected);
        let rank = |held: &Held| {
            if self.stands_in_the_way(held) {
                Rank::InTheWay
            } else if events.acquired.contains(&held) {
                Rank::Acquired
            } else {
                Rank::Held
            }
        };
        let held = self.step().locks.iter().map(|held| (rank(held), held));
        let released = events.released.iter();
        held.chain(released.map(|held| (Rank::Released, *held)))
            .collect()
    }

    fn lock(&self, rank: Rank, held: &Held) -> String {
        let who = agent_name(self.trace, &held.agent);
        format!("{} {:10} {:9} {who}", rank.sign(), held.lock, held.mode)
    }

    /// Whose stores wait, and which.
    fn stores(&self) -> Vec<(&str, &str)> {
        let all = fields(self.trace, self.selected);
        all.into_iter()
            .filter_map(|(field, value)| {
                let id = field.strip_suffix(BUFFER)?;
                Some((agent_name(self.trace, id), value))
            })
            .collect()
    }

    /// Whether the step found this lock held.
    fn stands_in_the_way(&self, held: &Held) -> bool {
        let what = format!("{} {}", held.lock, held.mode);
        let same = |link: &&Link| link.to == self.selected && link.kind == LinkKind::Busy;
        held.agent != self.step().agent
            && locks_before(self.trace, self.selected).contains(held)
            && self.links.iter().filter(same).any(|link| link.what == what)
    }

    /// Every field after the step.
    pub(super) fn about_state(&self) -> Vec<Line<'static>> {
        let changed = &self.step().changed;
        let mut lines = vec![bold("State after it")];
        for (field, value) in fields(self.trace, self.selected) {
            let is_new = changed.iter().any(|change| change.field == field);
            let sign = if is_new { '*' } else { ' ' };
            let text = format!("{sign} {field:24} {value}");
            lines.push(if is_new { good(&text) } else { plain(&text) });
        }
        lines
    }
}

/// What the selected step has to do with a lock; what matters most first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    InTheWay,
    Acquired,
    Released,
    Held,
}

impl Rank {
    const fn sign(self) -> char {
        match self {
            Self::InTheWay => '!',
            Self::Acquired => '+',
            Self::Released => '-',
            Self::Held => ' ',
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::InTheWay => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            Self::Acquired => Style::new().fg(Color::Green),
            Self::Released => Style::new().add_modifier(Modifier::DIM),
            Self::Held => Style::new(),
        }
    }
}

fn leads_to(link: &Link) -> String {
    let (to, what) = (link.to, &link.what);
    match link.kind {
        LinkKind::Store => format!("{what}: reaches memory at step {to}"),
        LinkKind::Kick => format!("{what}: acknowledged at step {to}"),
        LinkKind::Busy => format!("{what}: in the way at step {to}"),
    }
}

fn asked(label: &str, guard: &Guard) -> Line<'static> {
    let value = if guard.value { "yes" } else { "no" };
    plain(&format!("{label} {}? {value}", guard.text))
}

fn plain(text: &str) -> Line<'static> {
    Line::raw(clean(text))
}

fn styled(text: &str, style: Style) -> Line<'static> {
    Line::styled(clean(text), style)
}

fn bold(text: &str) -> Line<'static> {
    styled(text, Style::new().add_modifier(Modifier::BOLD))
}

fn dim(text: &str) -> Line<'static> {
    styled(text, Style::new().add_modifier(Modifier::DIM))
}

fn good(text: &str) -> Line<'static> {
    styled(text, Style::new().fg(Color::Green))
}

fn bad(text: &str) -> Line<'static> {
    styled(
        text,
        Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    )
}
