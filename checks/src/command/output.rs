//! Writing: results on standard output, files whole or not at all.

use super::Failure;
use seamcheck_traces::Trace;
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

/// Writes a file, whole or not at all: first under another name, then renamed. What is no file and
/// no directory, a device or a pipe, is written to as it is.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = match std::fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => write_into(path, text),
        // A link keeps pointing where it points.
        _ => replace(&path.canonicalize().unwrap_or(path.to_owned()), text),
    };
    written.map_err(|error| Failure::Output {
        what: path.display().to_string(),
        error,
    })
}

/// Writes a trace, or says why there is none.
pub(super) fn write_trace(path: &Path, trace: Option<&Trace>) -> Result<(), Failure> {
    match trace {
        Some(trace) => write(path, &trace.to_json()),
        None => {
            note(&format!(
                "{}: not written, there is no violation to trace",
                path.display()
            ));
            Ok(())
        }
    }
}

/// Says something that is no result, on standard error.
pub(super) fn note(text: &str) {
    anstream::eprintln!("check: {text}");
}

fn write_into(path: &Path, text: &str) -> std::io::Result<()> {
    let mut there = std::fs::File::options().write(true).open(path)?;
    match there.write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut part = part_in(directory)?;
    part.write_all(text.as_bytes())?;
    if let Ok(there) = std::fs::metadata(path) {
        part.as_file().set_permissions(there.permissions())?;
    }
    part.persist(path).map(drop).map_err(|error| error.error)
}

/// A file under a name that nobody has, with the rights of any new file; gone unless it is kept.
fn part_in(directory: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut part = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        part.permissions(std::fs::Permissions::from_mode(0o666));
    }
    part.prefix(".seamcheck-").tempfile_in(directory)
}

/// Adds to a file that others write to as well; what was there stays.
pub(super) fn append(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::Output {
        what: path.display().to_string(),
        error,
    })
}
