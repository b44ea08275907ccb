//! A reader over one TOML table that knows where everything stands.

use super::suggest;
use crate::closed_enum::ClosedEnum;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something is wrong with a data file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct DataError {
    /// The file's name as it was given.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// Byte range of the offending text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl DataError {
    /// An error at a byte range of `text`.
    #[must_use]
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span,
            message: message.into(),
            help: None,
        }
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        let help = help.into();
        self.help = (!help.is_empty()).then_some(help);
        self
    }
}

/// An element of an array that holds strings and tables.
#[derive(Clone, Copy)]
pub enum Element<'a> {
    /// A string.
    Text(&'a str),
    /// A table.
    Table(Reader<'a>),
}

/// One TOML table of a file, with its position.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    table: &'a DeTable<'a>,
    /// Where the table stands, for errors about what it lacks.
    span: (usize, usize),
}

impl<'a> Reader<'a> {
    /// Parses `text`.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn parse(file: &str, text: &'a str) -> Result<Spanned<DeTable<'a>>, DataError> {
        DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            DataError::at(file, text, span, error.message().to_owned())
        })
    }

    /// A reader over a whole parsed file.
    #[must_use]
    pub fn root(file: &'a str, text: &'a str, parsed: &'a Spanned<DeTable<'a>>) -> Self {
        Self {
            file,
            text,
            table: parsed.get_ref(),
            span: (0, 0),
        }
    }

    /// An error about this table as a whole.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> DataError {
        DataError::at(self.file, self.text, self.span.0..self.span.1, message)
    }

    /// An error about one value of this table.
    #[must_use]
    pub fn error_at(&self, key: &str, message: impl Into<String>) -> DataError {
        match self.table.get(key) {
            Some(value) => DataError::at(self.file, self.text, value.span(), message),
            None => self.error(message),
        }
    }

    /// Refuses every key that is not in `known`.
    ///
    /// # Errors
    /// At the first unknown key, with the closest known one.
    pub fn only(&self, known: &[&str]) -> Result<(), DataError> {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                return Err(DataError::at(
                    self.file,
                    self.text,
                    key.span(),
                    format!("unknown key `{name}`"),
                )
                .with_help(remedy(name, known)));
            }
        }
        Ok(())
    }

    /// True when the table has this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The keys of this table with readers' positions, in file order.
    #[must_use]
    pub fn keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<_> = self.table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        keys.into_iter().map(|(key, _)| &**key.get_ref()).collect()
    }

    fn value(&self, key: &str) -> Result<&'a Spanned<DeValue<'a>>, DataError> {
        self.table
            .get(key)
            .ok_or_else(|| self.error(format!("missing key `{key}`")))
    }

    /// A string.
    ///
    /// # Errors
    /// When it is missing or not a string.
    pub fn string(&self, key: &str) -> Result<&'a str, DataError> {
        match self.value(key)?.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.error_at(key, format!("`{key}` must be a string"))),
        }
    }

    /// True or false; `default` when missing.
    ///
    /// # Errors
    /// When it is neither.
    pub fn boolean(&self, key: &str, default: bool) -> Result<bool, DataError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(default),
            Some(DeValue::Boolean(value)) => Ok(*value),
            Some(_) => Err(self.error_at(key, format!("`{key}` must be true or false"))),
        }
    }

    /// A whole number, when present.
    ///
    /// # Errors
    /// When it is no whole number in range.
    pub fn number(&self, key: &str) -> Result<Option<u64>, DataError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(None),
            Some(DeValue::Integer(number)) => {
                u64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
                    .map(Some)
                    .map_err(|_| self.error_at(key, format!("`{key}` must be a whole number")))
            }
            Some(_) => Err(self.error_at(key, format!("`{key}` must be a whole number"))),
        }
    }

    /// A closed enum, spelled as in its declaration.
    ///
    /// # Errors
    /// When it is missing or unknown; the help names the closest spelling.
    pub fn choice<T: ClosedEnum>(&self, key: &str) -> Result<T, DataError> {
        let given = self.string(key)?;
        T::from_key(given).ok_or_else(|| {
            let known: Vec<&str> = T::ALL.iter().map(|variant| variant.key()).collect();
            self.error_at(key, format!("unknown {} `{given}`", T::WHAT))
                .with_help(remedy(given, &known))
        })
    }

    /// A string, a whole number or true/false, as it would be written on a command line.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn scalar(&self, key: &str) -> Result<String, DataError> {
        match self.value(key)?.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            DeValue::Integer(number) => Ok(number.as_str().to_owned()),
            DeValue::Boolean(value) => Ok(value.to_string()),
            _ => Err(self.error_at(
                key,
                format!("`{key}` must be a string, a number, true or false"),
            )),
        }
    }

    /// A sub-table.
    ///
    /// # Errors
    /// When it is missing or not a table.
    pub fn table(&self, key: &str) -> Result<Reader<'a>, DataError> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Ok(self.inner(table, value.span())),
            _ => Err(self.error_at(key, format!("`{key}` must be a table"))),
        }
    }

    /// An array of tables; empty when missing.
    ///
    /// # Errors
    /// When an element is not a table.
    pub fn tables(&self, key: &str) -> Result<Vec<Reader<'a>>, DataError> {
        self.array(key)?
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::Table(table) => Ok(self.inner(table, element.span())),
                _ => Err(DataError::at(
                    self.file,
                    self.text,
                    element.span(),
                    format!("`{key}` must hold tables"),
                )),
            })
            .collect()
    }

    /// An array of strings; empty when missing.
    ///
    /// # Errors
    /// When an element is not a string.
    pub fn strings(&self, key: &str) -> Result<Vec<&'a str>, DataError> {
        self.array(key)?
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::String(text) => Ok(&**text),
                _ => Err(DataError::at(
                    self.file,
                    self.text,
                    element.span(),
                    format!("`{key}` must hold strings"),
                )),
            })
            .collect()
    }

    /// An array of strings and tables; empty when missing.
    ///
    /// # Errors
    /// When an element is neither.
    pub fn elements(&self, key: &str) -> Result<Vec<Element<'a>>, DataError> {
        self.array(key)?
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::String(text) => Ok(Element::Text(text)),
                DeValue::Table(table) => Ok(Element::Table(self.inner(table, element.span()))),
                _ => Err(DataError::at(
                    self.file,
                    self.text,
                    element.span(),
                    format!("`{key}` must hold strings"),
                )
                .with_help("or tables, for what is done under locks of its own")),
            })
            .collect()
    }

    fn array(&self, key: &str) -> Result<&'a [Spanned<DeValue<'a>>], DataError> {
        match self.table.get(key).map(Spanned::get_ref) {
            None => Ok(&[]),
            Some(DeValue::Array(elements)) => Ok(elements),
            Some(_) => Err(self.error_at(key, format!("`{key}` must be an array"))),
        }
    }

    fn inner(&self, table: &'a DeTable<'a>, span: Range<usize>) -> Reader<'a> {
        Reader {
            file: self.file,
            text: self.text,
            table,
            span: (span.start, span.end),
        }
    }
}

fn remedy(given: &str, known: &[&str]) -> String {
    match suggest::closest(given, known) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("it is one of {}", known.join(", ")),
    }
}
