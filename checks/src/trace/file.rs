//! Traces in files: read whole, or refused with the place that is wrong.

use super::{VerifyError, verify};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_traces::{MAX_BYTES, Trace, TraceError};
use std::io::Read;
use std::path::Path;

/// Why a file is no trace that can be shown.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can not be read.
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    /// It is no text.
    #[error("line {line}, column {column}: not UTF-8: the file is damaged, or no trace")]
    NotText {
        /// Line, counted from 1.
        line: usize,
        /// Column in bytes, counted from 1.
        column: usize,
    },
    /// It is text, but no trace.
    #[error(transparent)]
    NotATrace(#[from] TraceError),
    /// It is a trace, but today's model does not confirm it.
    #[error(transparent)]
    NotConfirmed(#[from] VerifyError),
}

/// Reads a trace and executes it again.
///
/// # Errors
/// When it can not be read, or is not confirmed.
pub fn read_verified(path: &Path) -> Result<Trace, FileError> {
    let trace = read(path)?;
    verify(&trace)?;
    Ok(trace)
}

/// Reads a trace that nobody executes.
///
/// # Errors
/// When it can not be read.
pub fn read(path: &Path) -> Result<Trace, FileError> {
    // One byte more than is accepted, so that what never ends is not read to its end.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        return Err(TraceError::TooLarge { bytes: bytes.len() }.into());
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line_start = good.iter().rposition(|byte| *byte == b'\n');
        FileError::NotText {
            line: 1 + good.iter().filter(|byte| **byte == b'\n').count(),
            column: good.len() - line_start.map_or(0, |at| at + 1) + 1,
        }
    })?;
    Ok(Trace::from_json(text)?)
}

/// The name, without its ending, of the file with the trace of a run's violated property.
#[must_use]
pub fn stem(run: &str, property: Property) -> String {
    format!("{}.{}", run.replace('/', "."), property.key())
}
