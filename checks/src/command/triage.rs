//! `check triage`.

use super::{Failure, output};
use crate::cli::TriageArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::question::Source;
use crate::triage::log::Log;
use crate::triage::search::Effort;
use crate::triage::{Triage, TriageError, json, text};
use seamcheck_model::builtin;
use std::io::{BufReader, IsTerminal};
use std::path::Path;
use std::time::Duration;

pub(super) fn triage(args: &TriageArgs, watch: &Watch) -> Result<Exit, Failure> {
    let kernels = sources(args.kernel.as_deref(), builtin::KERNELS, Source::kernel)?;
    let modules = sources(args.module.as_deref(), builtin::MODULES, Source::module)?;
    let (name, log) = read(&args.file)?;
    let effort = Effort {
        time: Duration::from_secs(args.timeout),
        threads: super::cores(),
        watch,
    };
    let triage = Triage::new(name, log, &kernels, &modules, effort);
    let triage = triage.map_err(|error| match error {
        TriageError::Question(error) => Failure::Question(error),
        TriageError::Internal(error) => Failure::Internal(error),
    })?;
    let exit = triage.exit();
    if args.json {
        output::print_json(&json::report(&triage, exit))?;
    } else {
        output::print(&text::text(&triage))?;
    }
    if let Some(path) = &args.trace
        && let Some(trace) = triage
            .answers
            .iter()
            .find_map(|answer| answer.trace.as_ref())
    {
        output::write(path, &trace.to_json())?;
    }
    Ok(exit)
}

/// The one that is asked for, or all that are built in.
fn sources(
    wanted: Option<&str>,
    known: &[(&str, &str)],
    find: impl Fn(&str) -> Result<Source, crate::question::QuestionError>,
) -> Result<Vec<Source>, Failure> {
    let names: Vec<&str> = match wanted {
        Some(name) => vec![name],
        None => known.iter().map(|(name, _)| *name).collect(),
    };
    let found: Result<Vec<Source>, _> = names.into_iter().map(find).collect();
    Ok(found?)
}

fn read(file: &Path) -> Result<(String, Log), Failure> {
    let failure = |error: std::io::Error| Failure::Input {
        what: file.display().to_string(),
        error: error.to_string(),
    };
    if file == Path::new("-") {
        let input = std::io::stdin();
        if input.is_terminal() {
            anstream::eprintln!(
                "check: reading a kernel log from the terminal; end it with Ctrl-D"
            );
        }
        let log = Log::read(input.lock()).map_err(failure)?;
        return Ok(("standard input".into(), log));
    }
    let input = std::fs::File::open(file).map_err(failure)?;
    let log = Log::read(BufReader::new(input)).map_err(failure)?;
    Ok((file.display().to_string(), log))
}
