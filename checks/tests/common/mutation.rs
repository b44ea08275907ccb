//! Damage to a file, the same damage every time.

use fastrand::Rng;

/// Makes variants of a text, one after the other.
pub(crate) struct Mutator<'a> {
    rng: Rng,
    seed: &'a [u8],
}

/// Bytes that mean something to TOML, JSON or a mail.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"[",
    b"]]",
    b"{",
    b"}",
    b"=",
    b"\n",
    b"\0",
    b"\xff\xfe",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"0x",
    b"\\u0000",
    b"# ",
    b"true",
    b"null",
    b"\r\n",
    b"\t",
    b"=20",
];

impl<'a> Mutator<'a> {
    pub(crate) fn new(number: u64, seed: &'a [u8]) -> Self {
        Self {
            rng: Rng::with_seed(0x5eac_4ec4 ^ number),
            seed,
        }
    }

    /// The next variant: one to four changes.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut text = self.seed.to_vec();
        for _ in 0..self.rng.usize(1..=4) {
            self.change(&mut text);
        }
        text
    }

    fn change(&mut self, text: &mut Vec<u8>) {
        let at = self.rng.usize(0..=text.len());
        match self.rng.u8(0..8) {
            0 if at < text.len() => text[at] ^= 1 << self.rng.u8(0..8),
            1 => text.truncate(at),
            2 => {
                let piece = PIECES[self.rng.usize(0..PIECES.len())];
                text.splice(at..at, piece.iter().copied());
            }
            // A digit for another: mostly well-formed, mostly wrong.
            3 => {
                let digits: Vec<usize> = positions(text, u8::is_ascii_digit);
                if let Some(at) = self.rng.choice(digits) {
                    text[at] = b'0' + self.rng.u8(0..10);
                }
            }
            4 => self.move_line(text, false),
            5 => self.move_line(text, true),
            6 => {
                let end = (at + self.rng.usize(0..64)).min(text.len());
                text.drain(at..end);
            }
            _ => {
                let letters: Vec<usize> = positions(text, u8::is_ascii_lowercase);
                if let Some(at) = self.rng.choice(letters) {
                    text[at] = self.rng.lowercase() as u8;
                }
            }
        }
    }

    /// Puts a line somewhere else, or there too.
    fn move_line(&mut self, text: &mut Vec<u8>, keep: bool) {
        let mut lines: Vec<Vec<u8>> = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let (from, to) = (
            self.rng.usize(0..lines.len()),
            self.rng.usize(0..lines.len()),
        );
        let line = if keep {
            lines[from].clone()
        } else {
            lines.remove(from)
        };
        lines.insert(to.min(lines.len()), line);
        *text = lines.join(&b'\n');
    }
}

fn positions(text: &[u8], wanted: fn(&u8) -> bool) -> Vec<usize> {
    let all = text.iter().enumerate();
    all.filter(|(_, byte)| wanted(byte))
        .map(|(at, _)| at)
        .collect()
}
