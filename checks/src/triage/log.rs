//! A kernel log, read line by line: the failures in it, and what else it tells.
//!
//! What is kept does not grow with the log: equal failures are counted, and lists are bounded.

use super::line::{Failure, Line, LineReader};
use regex::bytes::Regex;
use std::io::{self, BufRead};

/// A longer line is looked at in pieces of this size.
const LINE: usize = 1 << 16;
/// No failure is printed in more characters.
const LONGEST: usize = 1 << 10;
/// Distinct failures kept; more are counted.
const FAILURES: usize = 64;
/// Other things kept of each kind; more are counted.
const OTHERS: usize = 8;
/// Characters of a line that are shown.
const SHOWN: usize = 200;
/// Lines behind a failure in which its registers may stand.
const REGISTERS: u64 = 3;

/// A failure, and where it stands.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The failure; its values are those of the first line.
    pub failure: Failure,
    /// Number of the first line, from 1.
    pub line: u64,
    /// How many lines say the same.
    pub count: u64,
    /// The first line, as far as it is shown.
    pub text: String,
}

/// A line that could not be made out.
#[derive(Clone, Debug)]
pub struct Unclear {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: &'static str,
    /// The line, as far as it is shown.
    pub text: String,
}

/// Something else that a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClueKind {
    /// The kernel's version.
    Kernel,
    /// The TDX module's version.
    Module,
    /// A WARN in KVM or in the TDX code: what KVM_BUG_ON prints.
    Warning,
    /// That the VM is dead.
    Dead,
    /// That a TD could not be torn down, so that its HKID is lost.
    Leaked,
}

impl ClueKind {
    /// As it is spelled in reports.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Module => "module",
            Self::Warning => "warning",
            Self::Dead => "dead",
            Self::Leaked => "leaked",
        }
    }
}

/// Something else that a log tells, and where.
#[derive(Clone, Debug)]
pub struct Clue {
    /// What kind of thing.
    pub kind: ClueKind,
    /// Number of its first line, from 1.
    pub line: u64,
    /// The version, or the place in the source.
    pub text: String,
}

/// What a log holds.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Lines read.
    pub lines: u64,
    /// The failures, in order of their first line.
    pub failures: Vec<Seen>,
    /// Lines with further distinct failures, which are not kept.
    pub more_failures: u64,
    /// Lines that could not be made out.
    pub unclear: Vec<Unclear>,
    /// How many more of them there are.
    pub more_unclear: u64,
    /// What else it tells.
    pub clues: Vec<Clue>,
    /// Lines that were looked at in pieces.
    pub long: u64,
    /// Lines with bytes that no text has.
    pub binary: u64,
}

impl Log {
    /// Reads a log to its end.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn read(mut from: impl BufRead) -> io::Result<Self> {
        let (mut log, reader, clues) = (Self::default(), LineReader::new(), Clues::new());
        let (mut piece, mut rest, mut last) = (Vec::new(), Vec::new(), None);
        let (mut is_new, mut is_long, mut is_binary) = (true, false, false);
        while let Some(ends) = next_piece(&mut from, &mut piece, &mut rest)? {
            log.lines += u64::from(is_new);
            is_long |= !ends;
            is_binary |= piece.contains(&0) || !is_text(&piece, ends);
            log.take(&reader, &piece, &mut last);
            log.note(&clues, &piece);
            is_new = ends;
            if ends {
                log.long += u64::from(is_long);
                log.binary += u64::from(is_binary);
                (is_long, is_binary) = (false, false);
            }
        }
        Ok(log)
    }

    /// `last` is the failure whose registers may follow, and its line.
    fn take(&mut self, reader: &LineReader, line: &[u8], last: &mut Option<(usize, u64)>) {
        for found in reader.read(line) {
            self.take_one(found, line, last);
        }
    }

    fn take_one(&mut self, found: Line, line: &[u8], last: &mut Option<(usize, u64)>) {
        match found {
            Line::Registers(values) => {
                let near = last.filter(|(_, at)| self.lines - at <= REGISTERS);
                if let Some((index, _)) = near {
                    let known = &mut self.failures[index].failure.values;
                    known.extend(values);
                    known.truncate(12);
                }
            }
            Line::Unclear(why) if self.unclear.len() < OTHERS => self.unclear.push(Unclear {
                line: self.lines,
                why,
                text: shown(line),
            }),
            Line::Unclear(_) => self.more_unclear += 1,
            Line::Failure(failure) => {
                let same = |seen: &Seen| {
                    seen.failure.leaf == failure.leaf && seen.failure.status == failure.status
                };
                *last = None;
                if let Some(seen) = self.failures.iter_mut().find(|seen| same(seen)) {
                    seen.count += 1;
                } else if self.failures.len() < FAILURES {
                    *last = Some((self.failures.len(), self.lines));
                    self.failures.push(Seen {
                        failure,
                        line: self.lines,
                        count: 1,
                        text: shown(line),
                    });
                } else {
                    self.more_failures += 1;
                }
            }
        }
    }

    fn note(&mut self, clues: &Clues, line: &[u8]) {
        if let Some((kind, text)) = clues.read(line) {
            let same = self.clues.iter().filter(|known| known.kind == kind);
            let is_new =
                same.clone().count() < OTHERS && !same.clone().any(|known| known.text == text);
            if is_new {
                let line = self.lines;
                self.clues.push(Clue { kind, line, text });
            }
        }
    }
}

/// The next line without its end, or a piece of it; `None` at the end of the log. Whether the line
/// ends with it. `rest` is what the next piece of the line begins with, so that no failure is torn.
fn next_piece(
    from: &mut impl BufRead,
    piece: &mut Vec<u8>,
    rest: &mut Vec<u8>,
) -> io::Result<Option<bool>> {
    piece.clear();
    piece.append(rest);
    let mut any = !piece.is_empty();
    loop {
        let part = match from.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if part.is_empty() {
            break;
        }
        any = true;
        let room = LINE - piece.len();
        let part = &part[..part.len().min(room + 1)];
        let end = part.iter().position(|byte| *byte == b'\n');
        if end.is_none() && part.len() > room {
            piece.extend_from_slice(&part[..room]);
            from.consume(room);
            *rest = piece.split_off(seam(piece));
            return Ok(Some(false));
        }
        piece.extend_from_slice(&part[..end.unwrap_or(part.len())]);
        let used = end.map_or(part.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    if piece.last() == Some(&b'\r') {
        piece.pop();
    }
    Ok(any.then_some(true))
}

/// Where a piece is cut: before a failure that may not be whole, else between two words.
fn seam(piece: &[u8]) -> usize {
    let start = piece.len() - LONGEST.min(piece.len());
    let tail = &piece[start..];
    let begins = |word: &[u8]| {
        let mut windows = tail.windows(word.len());
        windows.rposition(|window| window.eq_ignore_ascii_case(word))
    };
    let failure = [&b"SEAM"[..], b"TDH_", b"TD vp_"]
        .into_iter()
        .find_map(begins);
    let blank = || tail.iter().rposition(|byte| *byte == b' ');
    failure.or_else(blank).map_or(piece.len(), |at| start + at)
}

/// Whether it is UTF-8; a piece may end within a character.
fn is_text(piece: &[u8], ends: bool) -> bool {
    match std::str::from_utf8(piece) {
        Ok(_) => true,
        Err(error) => !ends && error.error_len().is_none(),
    }
}

/// A line as it is shown: its beginning, nothing in it that a terminal would obey.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let visible = text.trim().chars().map(|char| {
        if char.is_control() || char == '\u{fffd}' {
            '.'
        } else {
            char
        }
    });
    let mut text: String = visible.clone().take(SHOWN).collect();
    if visible.count() > SHOWN {
        text.push_str(" ...");
    }
    text
}

/// Patterns of what else a log tells.
struct Clues {
    kernel: Regex,
    module: [Regex; 2],
    warning: Regex,
    dead: Regex,
    leaked: Regex,
}

impl Clues {
    fn new() -> Self {
        let compile = |pattern: &str| match Regex::new(pattern) {
            Ok(regex) => regex,
            Err(error) => unreachable!("{pattern}: {error}"),
        };
        Self {
            kernel: compile(r"(?-u)\bLinux version ([0-9][\w.+~-]*)"),
            module: [
                compile(r"(?i-u)\btdx\b.*\bmodule\b.*\bversion:? v?([0-9]+\.[0-9]+[\w.]*)"),
                compile(r"(?-u)\bmajor_version ([0-9]+), minor_version ([0-9]+)"),
            ],
            warning: compile(
                r"(?-u)\bWARNING: .*\bat ((?:arch/x86/kvm|arch/x86/virt|virt/kvm)/[\w./-]+:[0-9]+)(?: (\w+))?",
            ),
            dead: compile(r"(?i-u)\b(VM (?:is )?(?:dead|bugged)|vm_dead|vm_bugged)\b"),
            leaked: compile(r"(?i-u)\b(HKID [0-9]+ is leaked)\b"),
        }
    }

    fn read(&self, line: &[u8]) -> Option<(ClueKind, String)> {
        let all = [
            (ClueKind::Kernel, &self.kernel, " "),
            (ClueKind::Module, &self.module[0], " "),
            (ClueKind::Module, &self.module[1], "."),
            (ClueKind::Warning, &self.warning, " "),
            (ClueKind::Dead, &self.dead, " "),
            (ClueKind::Leaked, &self.leaked, " "),
        ];
        all.iter().find_map(|(kind, pattern, between)| {
            let found = pattern.captures(line)?;
            let parts = found.iter().skip(1).flatten();
            let parts: Vec<_> = parts
                .map(|part| String::from_utf8_lossy(part.as_bytes()).into_owned())
                .collect();
            Some((*kind, parts.join(between)))
        })
    }
}

#[cfg(test)]
mod tests;
