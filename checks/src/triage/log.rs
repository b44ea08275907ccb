//! A kernel log, read line by line: the failures in it, and what else it tells.
//!
//! What is kept does not grow with the log: equal failures are counted, and lists are bounded.

use super::line::{Failure, Line, LineReader};
use regex::bytes::Regex;
use std::io::{self, BufRead};

/// The longest part of a line that is looked at.
const LINE: usize = 1 << 16;
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
    /// Lines of which only the beginning was looked at.
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
        let (mut line, mut last) = (Vec::new(), None);
        while let Some(is_long) = next_line(&mut from, &mut line)? {
            log.lines += 1;
            log.long += u64::from(is_long);
            let is_binary = line.contains(&0) || std::str::from_utf8(&line).is_err();
            log.binary += u64::from(is_binary && !is_long);
            log.take(&reader, &line, &mut last);
            log.note(&clues, &line);
        }
        Ok(log)
    }

    /// `last` is the failure whose registers may follow, and its line.
    fn take(&mut self, reader: &LineReader, line: &[u8], last: &mut Option<(usize, u64)>) {
        match reader.read(line) {
            Line::Other => {}
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

/// The next line, without its end and cut at [`LINE`]; `None` at the end of the log. Whether it was
/// cut.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut is_long) = (false, false);
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
        let end = part.iter().position(|byte| *byte == b'\n');
        let text = &part[..end.unwrap_or(part.len())];
        let room = LINE - line.len();
        is_long |= text.len() > room;
        line.extend_from_slice(&text[..text.len().min(room)]);
        let used = end.map_or(part.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(any.then_some(is_long))
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
        }
    }

    fn read(&self, line: &[u8]) -> Option<(ClueKind, String)> {
        let all = [
            (ClueKind::Kernel, &self.kernel, " "),
            (ClueKind::Module, &self.module[0], " "),
            (ClueKind::Module, &self.module[1], "."),
            (ClueKind::Warning, &self.warning, " "),
            (ClueKind::Dead, &self.dead, " "),
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
