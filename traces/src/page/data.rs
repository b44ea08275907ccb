//! The trace as the page's script reads it: every string and every list written once.

use crate::clean::clean;
use crate::links::{LinkKind, is_busy, links};
use crate::moment::in_module;
use crate::outline::outline;
use crate::schema::{AgentKind, Blocked, Guard, Held, Step, Trace};
use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers stand for entries of the tables: strings, agents, lists.
#[derive(Serialize)]
struct Data {
    strings: Vec<String>,
    agents: Vec<(usize, usize, AgentKind)>,
    initial: Vec<(usize, usize)>,
    held: Vec<[usize; 4]>,
    guards: Vec<(usize, bool)>,
    enabled: Vec<[usize; 2]>,
    blocked: Vec<(usize, usize, usize, usize)>,
    /// Lists of entries of the four tables above; which, the place of use says.
    lists: Vec<Vec<usize>>,
    steps: Vec<StepData>,
    rows: Vec<(usize, usize)>,
    links: Vec<(usize, usize, LinkKind, usize)>,
    #[serde(rename = "loop")]
    loop_starts_at: Option<usize>,
}

/// A step without names, in this order: agent, name, function, file; lists of locks, guards, what
/// was enabled and who was blocked; of the letters b(usy), d(etail), f(used), m(odule) those that
/// apply; the status word and its name; for each change its field and both values.
#[derive(Serialize)]
struct StepData([usize; 4], [usize; 4], String, Vec<usize>, Vec<[usize; 3]>);

/// Things in the order in which they were first met.
struct Table<T> {
    known: BTreeMap<T, usize>,
}

impl<T: Ord> Table<T> {
    const fn new() -> Self {
        Self {
            known: BTreeMap::new(),
        }
    }

    fn number(&mut self, thing: T) -> usize {
        let next = self.known.len();
        *self.known.entry(thing).or_insert(next)
    }

    fn into_list(self) -> Vec<T> {
        let mut all: Vec<(T, usize)> = self.known.into_iter().collect();
        all.sort_by_key(|(_, number)| *number);
        all.into_iter().map(|(thing, _)| thing).collect()
    }
}

struct Tables<'a> {
    trace: &'a Trace,
    strings: Table<String>,
    held: Table<[usize; 4]>,
    guards: Table<(usize, bool)>,
    enabled: Table<[usize; 2]>,
    blocked: Table<(usize, usize, usize, usize)>,
    lists: Table<Vec<usize>>,
}

/// The data as JSON that can stand in a script element.
pub(super) fn json(trace: &Trace) -> String {
    let json = serde_json::to_string(&data(trace)).expect("no map has keys but strings");
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // Only within strings can JSON have these.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => out.push(character),
        }
    }
    out
}

fn data(trace: &Trace) -> Data {
    let mut tables = Tables {
        trace,
        strings: Table::new(),
        held: Table::new(),
        guards: Table::new(),
        enabled: Table::new(),
        blocked: Table::new(),
        lists: Table::new(),
    };
    // Number 0 is the empty string and the empty list.
    tables.text("");
    tables.lists.number(Vec::new());
    let agents = trace.agents.iter();
    let agents = agents
        .map(|agent| (tables.text(&agent.id), tables.text(&agent.name), agent.kind))
        .collect();
    let initial = trace.initial.iter();
    let initial = initial
        .map(|(field, value)| (tables.text(field), tables.text(value)))
        .collect();
    let inside = in_module(trace);
    let steps = trace.steps.iter().zip(inside);
    let steps = steps
        .map(|(step, inside)| tables.step(step, inside))
        .collect();
    let links = links(trace);
    let links = links
        .iter()
        .map(|link| (link.from, link.to, link.kind, tables.text(&link.what)))
        .collect();
    Data {
        agents,
        initial,
        steps,
        links,
        rows: outline(trace)
            .iter()
            .map(|row| (row.first, row.last))
            .collect(),
        loop_starts_at: trace.loop_starts_at,
        held: tables.held.into_list(),
        guards: tables.guards.into_list(),
        enabled: tables.enabled.into_list(),
        blocked: tables.blocked.into_list(),
        lists: tables.lists.into_list(),
        strings: tables.strings.into_list(),
    }
}

impl Tables<'_> {
    fn text(&mut self, text: &str) -> usize {
        self.strings.number(clean(text))
    }

    /// An agent's place in the list; nobody else is named in a trace that was read.
    fn agent(&self, id: &str) -> usize {
        let mut agents = self.trace.agents.iter();
        agents.position(|agent| agent.id == id).unwrap_or_default()
    }

    fn step(&mut self, step: &Step, inside: bool) -> StepData {
        let flags = [
            ('b', is_busy(step)),
            ('d', step.detail),
            ('f', step.fused),
            ('m', inside),
        ];
        let status = [&step.status, &step.status_name].into_iter().flatten();
        let status = status.map(|text| self.text(text)).collect();
        let changed = step.changed.iter();
        let changed = changed
            .map(|change| [&change.field, &change.from, &change.to].map(|text| self.text(text)))
            .collect();
        let said = [
            self.agent(&step.agent),
            self.text(&step.name),
            self.text(&step.anchor.function),
            self.text(&step.anchor.file),
        ];
        let around = [
            self.list(&step.locks, Self::held),
            self.list(&step.guards, Self::guard),
            self.list(&step.enabled, |tables, other| {
                let row = [tables.agent(&other.agent), tables.text(&other.name)];
                tables.enabled.number(row)
            }),
            self.list(&step.blocked, Self::blocked),
        ];
        let flags = flags
            .iter()
            .filter_map(|(letter, holds)| holds.then_some(*letter));
        StepData(said, around, flags.collect(), status, changed)
    }

    fn list<T>(&mut self, things: &[T], number: impl Fn(&mut Self, &T) -> usize) -> usize {
        let list = things.iter().map(|thing| number(self, thing)).collect();
        self.lists.number(list)
    }

    fn held(&mut self, held: &Held) -> usize {
        let agent = self.agent(&held.agent);
        let row = [
            self.text(&held.lock),
            self.text(&held.mode),
            agent,
            self.text(&held.by),
        ];
        self.held.number(row)
    }

    fn guard(&mut self, guard: &Guard) -> usize {
        let row = (self.text(&guard.text), guard.value);
        self.guards.number(row)
    }

    fn blocked(&mut self, blocked: &Blocked) -> usize {
        let guards = self.list(&blocked.guards, Self::guard);
        let row = (
            self.agent(&blocked.agent),
            self.text(&blocked.name),
            self.text(&blocked.because),
            guards,
        );
        self.blocked.number(row)
    }
}
