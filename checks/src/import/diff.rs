//! The diff of a patch: where SEAMCALLs are called, what counts as busy, how they are retried.
//!
//! No diff is applied. Lines are looked at one by one, under the function that the hunk's head or a
//! definition among its lines names; a line that a mailer has broken is one that says nothing.

mod act;

pub use act::{Act, Predicate};

use super::mail::TextLine;
use super::pattern;
use act::ActReader;
use regex::Regex;

/// Which side of the diff a line is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Taken out.
    Old,
    /// Put in.
    New,
    /// There before and after.
    Both,
}

/// An act and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// What is done.
    pub act: Act,
    /// On which side.
    pub side: Side,
    /// The function, as far as the diff names it.
    pub function: String,
    /// The file.
    pub file: String,
    /// Number of the line in the text, from 1.
    pub line: usize,
}

/// What a diff holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Hunks looked at.
    pub hunks: usize,
    /// Hunks that end before they have as many lines as they say.
    pub short: Vec<usize>,
    /// What their lines do, in order.
    pub acts: Vec<Acted>,
}

/// Reads diffs.
#[derive(Debug)]
pub struct DiffReader {
    hunk: Regex,
    file: Regex,
    definition: Regex,
    acts: ActReader,
}

impl DiffReader {
    /// A reader.
    ///
    /// # Panics
    /// Never: the patterns are fixed, and a test compiles them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hunk: pattern(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@\s*(.*)$"),
            file: pattern(r"^\+\+\+ (?:b/)?(\S+)"),
            definition: pattern(r"^(?:#define\s+(\w+)\(|[A-Za-z_][\w\s*]*?\b(\w+)\s*\([^;]*$)"),
            acts: ActReader::new(),
        }
    }

    /// Everything of interest in the hunks of a text.
    #[must_use]
    pub fn read(&self, lines: &[TextLine]) -> Diff {
        let (mut diff, mut file) = (Diff::default(), String::new());
        let mut at = 0;
        while at < lines.len() {
            let line = &lines[at];
            if let Some(named) = self.file.captures(&line.text) {
                file = named[1].to_owned();
            } else if let Some(head) = self.hunk.captures(&line.text) {
                let count = |group: usize| {
                    head.get(group)
                        .map_or(Some(1), |text| text.as_str().parse::<usize>().ok())
                };
                let wanted = (count(1).unwrap_or(0), count(2).unwrap_or(0));
                let function = self.function(&head[3]).unwrap_or_default();
                at = self.hunk(lines, at, wanted, (&file, function), &mut diff);
                continue;
            }
            at += 1;
        }
        diff
    }

    /// One hunk; where it ends.
    fn hunk(
        &self,
        lines: &[TextLine],
        head: usize,
        (mut old, mut new): (usize, usize),
        (file, mut function): (&str, String),
        diff: &mut Diff,
    ) -> usize {
        let quoted = lines[head].quoted;
        let mut at = head + 1;
        diff.hunks += 1;
        while (old, new) != (0, 0) && at < lines.len() {
            let line = &lines[at];
            // Somebody's answer between the quoted lines.
            if line.quoted < quoted {
                at += 1;
                continue;
            }
            let (side, code) = match line.text.chars().next() {
                Some('+') => (Side::New, &line.text[1..]),
                Some('-') => (Side::Old, &line.text[1..]),
                Some(' ') => (Side::Both, &line.text[1..]),
                // An empty line of context that lost its blank.
                None => (Side::Both, ""),
                Some('\\') => {
                    at += 1;
                    continue;
                }
                Some(_) if self.hunk.is_match(&line.text) || line.text.starts_with("diff ") => {
                    break;
                }
                // A tail that a mailer has broken off belongs to the line before.
                Some(_) => {
                    at += 1;
                    continue;
                }
            };
            old -= usize::from(side != Side::New && old > 0);
            new -= usize::from(side != Side::Old && new > 0);
            if let Some(defined) = self.function(code) {
                function = defined;
            }
            self.acts.read(code, |act| {
                diff.acts.push(Acted {
                    act,
                    side,
                    function: function.clone(),
                    file: file.to_owned(),
                    line: at + 1,
                });
            });
            at += 1;
        }
        if (old, new) != (0, 0) {
            diff.short.push(head + 1);
        }
        at
    }

    /// The function or macro that a line defines.
    fn function(&self, code: &str) -> Option<String> {
        let found = self.definition.captures(code)?;
        let name = found.get(1).or(found.get(2))?.as_str().to_owned();
        let is_keyword =
            ["if", "while", "for", "switch", "return", "sizeof"].contains(&name.as_str());
        (!is_keyword).then_some(name)
    }
}

impl Default for DiffReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
