//! Lock tables in the message of a patch: which SEAMCALLs take a lock shared, which exclusively.
//!
//! A header names the columns; the place of a leaf's name under it tells its column. Archives and
//! mailers collapse blanks. Where a place no longer tells, the name is given both readings and
//! nothing is guessed.

use super::mail::TextLine;
use super::pattern;
use regex::Regex;
use seamcheck_model::leaf_number::canonical_name;
use seamcheck_model::resource::Resource;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// SHARED users.
    Shared,
    /// EXCLUSIVE users.
    Exclusive,
}

impl Column {
    /// As it is spelled in reports.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        }
    }
}

/// A leaf in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the spelling of lock tables.
    pub leaf: String,
    /// What stands in parentheses behind it.
    pub note: Option<String>,
    /// Its column; `None` where that can not be told.
    pub column: Option<Column>,
    /// Number of its line in the text, from 1.
    pub line: usize,
}

/// A row: a resource and the leaves that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As the mail spells it.
    pub label: String,
    /// The model's lock of that name, if it has one.
    pub resource: Option<Resource>,
    /// The leaves, in the mail's order.
    pub entries: Vec<Entry>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Number of its header's line in the text, from 1.
    pub line: usize,
    /// The header's columns run into each other, so that no place tells anything.
    pub is_collapsed: bool,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// The model's lock that a mail calls `label`; `None` for one that the model does not have.
#[must_use]
pub fn resource(label: &str) -> Option<Resource> {
    let words: Vec<String> = label
        .to_ascii_lowercase()
        .split(|char: char| !char.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tdr"] => Some(Resource::Tdr),
        ["op", "state"] | ["tdcs", "op", "state"] => Some(Resource::OpState),
        ["epoch"] | ["tdcs" | "td", "epoch"] | ["tdcs", "epoch", "tracking"] => {
            Some(Resource::TdEpoch)
        }
        ["sept" | "ept", "tree"] | ["secure", "ept", "tree"] | ["s", "ept", "tree"] => {
            Some(Resource::SeptTree)
        }
        ["sept" | "ept", "entry"] | ["secure", "ept", "entry"] | ["s", "ept", "entry"] => {
            Some(Resource::SeptEntry)
        }
        ["tdvpr"] => Some(Resource::Tdvpr),
        ["page", "pamt"] | ["pamt"] | ["pamt", "entry"] => Some(Resource::PagePamt),
        _ => None,
    }
}

/// Reads tables.
#[derive(Debug)]
pub struct TableReader {
    shared: Regex,
    exclusive: Regex,
    name: Regex,
    rule: Regex,
    number: Regex,
}

/// Where the columns are.
struct Header {
    /// Start of each column, in characters, and how far off a name may be.
    columns: [(usize, Column); 2],
    slack: usize,
    /// Columns are told by bars, and this is the number of the first one's cell.
    cells: Option<[(usize, Column); 2]>,
    is_collapsed: bool,
}

impl TableReader {
    /// A reader.
    ///
    /// # Panics
    /// Never: the patterns are fixed, and a test compiles them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: pattern(r"(?i)\bshared(?:\s+users?)?\b"),
            exclusive: pattern(r"(?i)\bexclusive(?:\s+users?)?\b"),
            name: pattern(r"(?i)\b(td[hg][_.][a-z0-9_.]*[a-z0-9])(?:\(\))?(?:\s*\(([^()]*)\)?)?,?"),
            rule: pattern(r"^[\s|+=_*-]{3,}$"),
            number: pattern(r"^\(?\d+[).]\s*"),
        }
    }

    /// Every table in a text.
    #[must_use]
    pub fn read(&self, lines: &[TextLine]) -> Vec<Table> {
        let (mut tables, mut at) = (Vec::new(), 0);
        while at < lines.len() {
            match self.header(&lines[at].text) {
                Some(header) => {
                    let (table, next) = self.table(lines, at, &header);
                    if !table.rows.is_empty() {
                        tables.push(table);
                    }
                    at = next;
                }
                None => at += 1,
            }
        }
        tables
    }

    fn header(&self, line: &str) -> Option<Header> {
        let line = expand(line);
        let shared = self.shared.find(&line)?;
        let exclusive = self.exclusive.find(&line)?;
        let words = line
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphanumeric));
        // A sentence may have both words too.
        if words.count() > 8 || self.name.is_match(&line) {
            return None;
        }
        let place = |byte: usize| line[..byte].chars().count();
        let cell = |byte: usize| line[..byte].matches('|').count();
        let mut columns = [
            (place(shared.start()), Column::Shared),
            (place(exclusive.start()), Column::Exclusive),
        ];
        columns.sort_unstable();
        let [first, second] = if shared.start() < exclusive.start() {
            [shared, exclusive]
        } else {
            [exclusive, shared]
        };
        let between = line.get(first.end()..second.start()).unwrap_or_default();
        let cells = [
            (cell(shared.start()), Column::Shared),
            (cell(exclusive.start()), Column::Exclusive),
        ];
        Some(Header {
            columns,
            slack: (columns[1].0 - columns[0].0) / 4,
            cells: between.contains('|').then_some(cells),
            is_collapsed: !between.contains('|') && between.chars().count() < 2,
        })
    }

    fn table(&self, lines: &[TextLine], at: usize, header: &Header) -> (Table, usize) {
        let quoted = lines[at].quoted;
        let mut rows: Vec<Row> = Vec::new();
        let (mut next, mut blank) = (at + 1, 0);
        while let Some(line) = lines.get(next).filter(|line| line.quoted == quoted) {
            let text = expand(&line.text);
            if text.trim().is_empty() {
                blank += 1;
                if blank > 1 {
                    break;
                }
            } else if self.rule.is_match(&text) {
                blank = 0;
            } else if let Some((label, entries)) = self.row(&text, next + 1, header) {
                // Behind an empty line, prose that names leaves is more likely than a row.
                if blank > 0 && !text.starts_with(' ') && resource(&label).is_none() {
                    break;
                }
                blank = 0;
                if !label.is_empty() {
                    rows.push(Row {
                        resource: resource(&label),
                        label,
                        entries: Vec::new(),
                    });
                }
                match rows.last_mut() {
                    Some(row) => row.entries.extend(entries),
                    None => break,
                }
            } else if !self.closes_note(&text, &mut rows) {
                break;
            }
            next += 1;
        }
        rows.retain(|row| !row.entries.is_empty());
        let is_collapsed = header.is_collapsed;
        (
            Table {
                line: at + 1,
                is_collapsed,
                rows,
            },
            next.max(at + 1),
        )
    }

    /// The tail of a note that a mailer has broken off: `(0-step` and `mitigation)`.
    fn closes_note(&self, text: &str, rows: &mut [Row]) -> bool {
        let Some(tail) = text.trim().strip_suffix(')') else {
            return false;
        };
        let last = rows.last_mut().and_then(|row| row.entries.last_mut());
        let note = last.and_then(|entry| entry.note.as_mut());
        if tail.contains(['(', ')']) || tail.split_whitespace().count() > 3 {
            return false;
        }
        note.is_some_and(|note| {
            note.push(' ');
            note.push_str(tail.trim());
            true
        })
    }

    /// The label and the entries of a line; `None` when it is no line of a table.
    fn row(&self, text: &str, line: usize, header: &Header) -> Option<(String, Vec<Entry>)> {
        let first = self.name.find(text);
        let head = first.map_or(text, |first| &text[..first.start()]);
        let label = self
            .number
            .replace(head.trim().trim_matches('|').trim(), "");
        let label = label.trim_end_matches('|').trim().to_owned();
        if label.split_whitespace().count() > 4 || label.ends_with(['.', ',', ';']) {
            return None;
        }
        if first.is_none() && (label.is_empty() || !label.chars().any(char::is_alphabetic)) {
            return None;
        }
        // A line without a name is a label of its own only if it names a lock.
        if first.is_none() && resource(&label).is_none() {
            return None;
        }
        let others = self.name.replace_all(&text[head.len()..], " ");
        let others = others
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphabetic));
        if others.count() > 1 || text.trim_end().ends_with(['.', ':', ';']) {
            return None;
        }
        let has_gap = text.trim().contains("  ");
        let is_indented = text.starts_with("  ");
        let mut before: Option<Option<Column>> = None;
        let mut end = head.trim_end().len();
        let mut entries = Vec::new();
        for found in self.name.captures_iter(text) {
            let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else {
                continue;
            };
            let Some(leaf) = canonical_name(name.as_str()) else {
                continue;
            };
            let column = if let Some(cells) = header.cells {
                let cell = text[..whole.start()].matches('|').count();
                cells
                    .iter()
                    .find(|(known, _)| *known == cell)
                    .map(|(_, column)| *column)
            } else if header.is_collapsed || !(has_gap || is_indented) {
                None
            } else {
                let place = text[..whole.start()].chars().count();
                let follows = text[end..whole.start()].len() < 2;
                match before {
                    // A list goes on in its column, unless it has run into the next one.
                    Some(column) if follows => {
                        let here = header.column(place);
                        column.filter(|column| here.is_none() || here == Some(*column))
                    }
                    _ => header.column(place),
                }
            };
            before = Some(column);
            end = whole.end();
            entries.push(Entry {
                leaf,
                note: found.get(2).map(|note| note.as_str().trim().to_owned()),
                column,
                line,
            });
        }
        Some((label, entries))
    }
}

impl Default for TableReader {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// The column that begins where a name does, if one does.
    fn column(&self, place: usize) -> Option<Column> {
        let near = self
            .columns
            .iter()
            .find(|(start, _)| start.abs_diff(place) <= self.slack);
        near.map(|(_, column)| *column)
    }
}

/// Tabs, every eight columns.
fn expand(line: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for char in line.chars() {
        if char == '\t' {
            let blanks = 8 - column % 8;
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else {
            out.push(char);
            column += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests;
