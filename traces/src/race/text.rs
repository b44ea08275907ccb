//! Text for a narrow page: ASCII only, wrapped between words.

/// How much deeper a continuation line stands than the line it continues.
const HANG: usize = 2;

/// Where C code that fits nowhere is broken without hurting a name: after one of these.
const JOINTS: &[u8] = b"(,|=>";

/// Where a name that fits nowhere is best torn: after one of these.
const SEAMS: &[u8] = b"_.:/-";

/// A line before it is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    indent: usize,
    text: String,
}

/// A line after it is wrapped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wrapped {
    /// The rows it takes, each with its indentation.
    pub(super) rows: Vec<String>,
    /// How many names had to be torn.
    pub(super) torn: usize,
}

impl Line {
    /// A line of `text`, brought to ASCII, behind `indent` blanks.
    pub(super) fn new(indent: usize, text: &str) -> Self {
        Self {
            indent,
            text: ascii(text),
        }
    }

    /// The line in rows of at most `width`.
    pub(super) fn wrap(&self, width: usize) -> Wrapped {
        let mut wrapped = Wrapped::default();
        let mut row = " ".repeat(self.indent);
        let mut begun = false;
        for word in self.text.split_whitespace() {
            if begun && row.len() + 1 + word.len() <= width {
                row.push(' ');
                row.push_str(word);
                continue;
            }
            if begun {
                wrapped.rows.push(std::mem::replace(&mut row, self.hang()));
            }
            let mut rest = word;
            // A number means nothing in two pieces: it stands further left instead.
            if word.starts_with("0x") && word.len() <= width {
                row.truncate(width - word.len());
            }
            while row.len() + rest.len() > width {
                let room = width.saturating_sub(row.len()).max(1);
                let joint = joint(rest, room);
                wrapped.torn += usize::from(joint.is_none());
                let (head, tail) = rest.split_at(joint.unwrap_or_else(|| seam(rest, room)));
                row.push_str(head);
                wrapped.rows.push(std::mem::replace(&mut row, self.hang()));
                rest = tail;
            }
            row.push_str(rest);
            begun = true;
        }
        if begun {
            wrapped.rows.push(row);
        }
        wrapped
    }

    fn hang(&self) -> String {
        " ".repeat(self.indent + HANG)
    }
}

/// A paragraph of prose: wrapped, its rows flush left.
pub(super) fn paragraph(text: &str, width: usize) -> Vec<String> {
    let wrapped = Line::new(0, text).wrap(width).rows;
    wrapped
        .into_iter()
        .map(|row| row.trim_start().to_owned())
        .collect()
}

/// Where a word longer than `room` has a joint to break at; not so early that the row looks empty.
fn joint(word: &str, room: usize) -> Option<usize> {
    last_after(word, room, JOINTS).filter(|at| at * 3 > room)
}

/// Where to tear a word longer than `room` that has no joint.
fn seam(word: &str, room: usize) -> usize {
    last_after(word, room, SEAMS)
        .filter(|at| at * 2 > room)
        .unwrap_or(room)
}

/// The last place within `room` after one of `signs`, unless only brackets would be left behind it.
fn last_after(word: &str, room: usize, signs: &[u8]) -> Option<usize> {
    let last = word.as_bytes()[..room]
        .iter()
        .rposition(|byte| signs.contains(byte));
    last.map(|at| at + 1)
        .filter(|&at| !word[at..].chars().all(|c| c == ')' || c == ','))
}

/// The text in printable ASCII: common signs spelt out, blanks for control characters, `?` for the rest.
pub(super) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => out.push(character),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2018}' | '\u{2019}' => out.push('\''),
            '\u{201c}' | '\u{201d}' => out.push('"'),
            '\u{2026}' => out.push_str("..."),
            '\u{2192}' => out.push_str("->"),
            '\u{2264}' => out.push_str("<="),
            '\u{2265}' => out.push_str(">="),
            '\u{2260}' => out.push_str("!="),
            _ if character.is_whitespace() || character.is_control() => out.push(' '),
            _ => out.push('?'),
        }
    }
    out
}

#[cfg(test)]
mod tests;
