//! Writing: results on standard output, files whole or not at all.

use super::Failure;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Prints to standard output. A reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output {
            what: "standard output".into(),
            error,
        }),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::Internal(error.to_string()))?;
    print(&(text + "\n"))
}

/// Writes a file: first under another name, then renamed.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failure = |error| Failure::Output {
        what: path.display().to_string(),
        error,
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    std::fs::write(part, text).map_err(failure)?;
    std::fs::rename(part, path).map_err(|error| {
        let _ = std::fs::remove_file(part);
        failure(error)
    })
}
