//! One line of a kernel log: is it a SEAMCALL failure, and of what?
//!
//! The formats, by where they are printed:
//!
//! - arch/x86/kvm/vmx/tdx.c, `pr_tdx_error*`, `TDX_BUG_ON*`: `SEAMCALL TDH_MEM_TRACK failed: 0x…`, with
//!   `, rcx 0x…` or, from 6.19 on, the variables' names behind it; and `TDH_VP_RD[…] failed 0x…`
//! - arch/x86/virt/vmx/tdx/tdx.c, `seamcall_err`: `SEAMCALL (38) failed: 0x…`, the leaf in decimal or
//!   in hexadecimal with its version, registers on the lines that follow
//! - arch/x86/kvm/vmx/tdx.c, `tdx_handle_exit`: `TD vp_enter_ret 0x…`, TDH.VP.ENTER in its own words
//! - arch/x86/virt/vmx/tdx/tdx.c before it was merged: `SEAMCALL failed: CPU 3: leaf 38, error 0x….`
//!
//! What stands before is a matter of printk, syslog or journald, and is not looked at.

use regex::bytes::{Captures, Regex};
use seamcheck_model::leaf_number::{LeafNumber, canonical_name};
use seamcheck_model::status::StatusWord;

/// The leaf, as far as a line names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafRef {
    /// By name, in the spelling of lock tables.
    Name(String),
    /// By number.
    Number(LeafNumber),
    /// A name that no leaf has the form of.
    Odd(String),
    /// A call of the SEAM loader, by number.
    Loader(u64),
}

/// A SEAMCALL that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of which leaf.
    pub leaf: LeafRef,
    /// What it returned.
    pub status: StatusWord,
    /// Values printed with it, by name.
    pub values: Vec<(String, u64)>,
}

/// What of ours is in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A failure.
    Failure(Failure),
    /// It speaks of a SEAMCALL that failed, but not in a format that the kernel has used.
    Unclear(&'static str),
    /// Registers, printed behind the line of a failure.
    Registers(Vec<(String, u64)>),
}

/// Reads lines.
#[derive(Debug)]
pub struct LineReader {
    failures: [Regex; 5],
    hint: Regex,
    leak: Regex,
    registers: Regex,
    value: Regex,
}

const NUMBER: &str = "0[xX][0-9a-fA-F]+|[0-9]+";

impl LineReader {
    /// A reader.
    ///
    /// # Panics
    /// Never: the patterns are fixed, and a test compiles them.
    #[must_use]
    pub fn new() -> Self {
        let compile = |pattern: String| match Regex::new(&pattern) {
            Ok(regex) => regex,
            Err(error) => unreachable!("{pattern}: {error}"),
        };
        let number = NUMBER;
        Self {
            failures: [
                format!(r"(?i-u)\b(?<who>SEAMCALL|SEAMLDR)\s*[(\[](?<leaf>{number}|\w+)[)\]] failed: ?(?<status>0x[0-9a-f]+)"),
                format!(r"(?i-u)\b(?<who>SEAMCALL) failed: CPU [0-9]+: leaf (?<leaf>{number}), error (?<status>0x[0-9a-f]+)"),
                format!(r"(?i-u)\b(?<who>SEAMCALL) (?<leaf>{number}|[a-z][\w.]*) failed:? ?(?<status>0x[0-9a-f]+)"),
                r"(?i-u)\b(?<who>(?<leaf>TDH_\w+))\[[^\]]{0,80}\][^\]]{0,60}?\bfailed:? ?(?<status>0x[0-9a-f]+)".to_owned(),
                r"(?i-u)\bTD (?<enter>vp_enter_ret) (?<status>0x[0-9a-f]+)".to_owned(),
            ]
            .map(compile),
            hint: compile(r"(?i-u)\b(?:SEAMCALL|SEAMLDR)\b.*\bfail|\bTDH_\w+\b.*\bfailed\b".into()),
            leak: compile(r"(?i-u)\bHKID [0-9]+ is leaked".into()),
            registers: compile(r"(?i-u)\b(?:RCX|R08|R8|R09|R9) 0x[0-9a-f]".into()),
            value: compile(r"(?i-u)\b([a-z_][a-z0-9_]*)(?:[ =]+|, )(0x[0-9a-f]+)\b".into()),
        }
    }

    /// Reads one line, without its end. Where line ends were lost on the way, several failures can
    /// stand in it.
    #[must_use]
    pub fn read(&self, line: &[u8]) -> Vec<Line> {
        let (mut found, mut at) = (Vec::new(), 0);
        while let Some(next) = self.next(line, at) {
            at = next.get(0).map_or(line.len(), |whole| whole.end());
            found.push(next);
        }
        let start = |index: usize| {
            let whole = found.get(index).and_then(|next: &Captures<'_>| next.get(0));
            whole.map_or(line.len(), |whole| whole.start())
        };
        let end = |next: &Captures<'_>| next.get(0).map_or(line.len(), |whole| whole.end());
        let each = found.iter().enumerate();
        let mut lines: Vec<Line> = each
            .map(|(index, next)| self.failure(next, &line[end(next)..start(index + 1)]))
            .collect();
        lines.extend(self.without_failure(&line[at..], found.is_empty()));
        lines
    }

    /// The first failure from `at` on.
    fn next<'a>(&self, line: &'a [u8], at: usize) -> Option<Captures<'a>> {
        let found = self.failures.iter();
        let found = found.filter_map(|format| format.captures_at(line, at));
        found.min_by_key(|found| found.get(0).map(|whole| whole.start()))
    }

    /// What else a line, or what is left of one, can be.
    fn without_failure(&self, text: &[u8], is_whole: bool) -> Option<Line> {
        if self.hint.is_match(text) && !self.leak.is_match(text) {
            return Some(Line::Unclear(if text.iter().any(u8::is_ascii_digit) {
                "no leaf and status where a format of the kernel has them"
            } else {
                "it gives no leaf and no status"
            }));
        }
        (is_whole && self.registers.is_match(text)).then(|| Line::Registers(self.values(text)))
    }

    fn failure(&self, found: &Captures<'_>, rest: &[u8]) -> Line {
        let word = |name: &str| {
            let bytes = found.name(name).map_or(&b""[..], |found| found.as_bytes());
            String::from_utf8_lossy(bytes).into_owned()
        };
        let Some(status) = number(&word("status")) else {
            return Line::Unclear("the status has more than 64 bits");
        };
        let leaf = if found.name("enter").is_some() {
            "TDH_VP_ENTER".to_owned()
        } else {
            word("leaf")
        };
        let is_number = leaf.starts_with(|first: char| first.is_ascii_digit());
        let leaf = match number(&leaf).filter(|_| is_number) {
            // Also printed without the bit that says so.
            Some(leaf) if word("who").eq_ignore_ascii_case("SEAMLDR") || leaf >> 63 == 1 => {
                LeafRef::Loader(leaf & !(1 << 63))
            }
            Some(leaf) => LeafRef::Number(LeafNumber(leaf)),
            None if is_number => return Line::Unclear("the leaf has more than 64 bits"),
            None => canonical_name(&leaf).map_or(LeafRef::Odd(leaf), LeafRef::Name),
        };
        Line::Failure(Failure {
            leaf,
            status: StatusWord(status),
            values: self.values(rest),
        })
    }

    /// `rcx 0x0, level_state 0x5` as names and numbers; what is longer than a register is left out.
    fn values(&self, text: &[u8]) -> Vec<(String, u64)> {
        const MOST: usize = 12;
        let found = self.value.captures_iter(text).filter_map(|pair| {
            let text = |at: usize| Some(String::from_utf8_lossy(pair.get(at)?.as_bytes()));
            Some((text(1)?.into_owned(), number(&text(2)?)?))
        });
        found.take(MOST).collect()
    }
}

impl Default for LineReader {
    fn default() -> Self {
        Self::new()
    }
}

fn number(text: &str) -> Option<u64> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
