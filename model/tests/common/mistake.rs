//! Mistakes in data files: a good text, one edit, and what is said about it.

use super::{Outcome, text};
use seamcheck_model::builtin::{KERNELS, MODULES};
use seamcheck_model::data::DataError;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::table::LockTable;

/// Marks, in what an edit puts in, where the error must point.
const HERE: char = '‸';

/// A text with an edit.
pub(crate) struct Mistake {
    /// The text.
    pub(crate) text: String,
    /// Byte offset of the marker.
    at: usize,
}

impl Mistake {
    /// Puts `put` in the place of the first `find`. The error must point to the marker in `put`;
    /// without one it is about the whole file and points to its beginning.
    pub(crate) fn new(good: &str, find: &str, put: &str) -> Outcome<Self> {
        let start = good.find(find);
        let start = start.ok_or_else(|| format!("the text has no {find:?}"))?;
        let clean = put.replace(HERE, "");
        Ok(Self {
            text: good.replacen(find, &clean, 1),
            at: put.find(HERE).map_or(0, |offset| start + offset),
        })
    }

    /// Asserts file, line, column, message and help.
    #[track_caller]
    pub(crate) fn says(&self, error: Option<DataError>, message: &str, help: Option<&str>) {
        let before = &self.text[..self.at];
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        let place = format!("mine.toml:{line}:{column}: {message}");
        let said = error.as_ref().map(ToString::to_string);
        assert_eq!(said, Some(place));
        let (start, given) = error.map(|error| (error.span.start, error.help)).unzip();
        assert_eq!(given.flatten().as_deref(), help, "the help of `{message}`");
        assert_eq!(start, Some(self.at), "the span of `{message}`");
    }
}

/// Module 1.5.05 with an edit.
pub(crate) fn in_module(find: &str, put: &str) -> Outcome<Mistake> {
    Mistake::new(text(MODULES, "1.5.05")?, find, put)
}

/// Module 1.5.05 with an edit is refused, at the marker in `put`.
#[track_caller]
pub(crate) fn refused(find: &str, put: &str, message: &str, help: Option<&str>) {
    match in_module(find, put) {
        Ok(mistake) => {
            let error = LockTable::parse("mine.toml", &mistake.text).err();
            mistake.says(error, message, help);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Kernel 6.16 with an edit is refused, at the marker in `put`.
#[track_caller]
pub(crate) fn refused_kernel(find: &str, put: &str, message: &str, help: Option<&str>) {
    match text(KERNELS, "6.16").and_then(|text| Mistake::new(text, find, put)) {
        Ok(mistake) => {
            let error = KernelProfile::parse("mine.toml", &mistake.text).err();
            mistake.says(error, message, help);
        }
        Err(error) => panic!("{error}"),
    }
}
