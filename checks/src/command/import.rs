//! `check import`.

use super::{Failure, output};
use crate::cli::ImportArgs;
use crate::exit::Exit;
use crate::import::mail::MAX_BYTES;
use crate::import::{Import, Ours, json, text};
use crate::question::{QuestionError, Source};
use seamcheck_model::builtin;
use std::io::Read;
use std::path::Path;

pub(super) fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let ours = ours(args)?;
    let (name, bytes) = read(&args.patch)?;
    let import = Import::new(name, &bytes, &ours);
    if import.found.is_empty() {
        return Err(Failure::Input {
            what: import.file,
            error:
                "not recognised: neither a lock table nor a retry site is in it. A table needs a \
                    line with SHARED and EXCLUSIVE over it, a retry site a hunk that calls \
                    tdh_mem_range_block(), tdh_mem_track() or tdh_mem_page_remove(), or touches \
                    wait_for_sept_zap"
                    .into(),
        });
    }
    let exit = import.exit(&ours);
    if args.json {
        output::print_json(&json::report(&import, &ours, exit))?;
    } else {
        output::print(&text::text(&import, &ours))?;
    }
    Ok(exit)
}

/// Everything that is built in, what was asked for first.
fn ours(args: &ImportArgs) -> Result<Ours, QuestionError> {
    let mut tables = vec![Source::module(&args.module)?];
    let mut kernels = vec![Source::kernel(&args.kernel)?];
    for (name, _) in builtin::MODULES
        .iter()
        .filter(|(name, _)| *name != args.module)
    {
        tables.push(Source::module(name)?);
    }
    for (name, _) in builtin::KERNELS
        .iter()
        .filter(|(name, _)| *name != args.kernel)
    {
        kernels.push(Source::kernel(name)?);
    }
    let tables: Result<Vec<_>, QuestionError> = tables
        .into_iter()
        .map(|source| Ok((source.name.clone(), source.table()?)))
        .collect();
    let kernels: Result<Vec<_>, QuestionError> = kernels
        .into_iter()
        .map(|source| Ok((source.name.clone(), source.profile()?)))
        .collect();
    Ok(Ours {
        tables: tables?,
        kernels: kernels?,
    })
}

fn read(file: &Path) -> Result<(String, Vec<u8>), Failure> {
    let failure = |error: String| Failure::Input {
        what: file.display().to_string(),
        error,
    };
    let mut bytes = Vec::new();
    // One byte more than is accepted, so that what never ends is not read to its end.
    let most = MAX_BYTES as u64 + 1;
    let done = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|input| input.take(most).read_to_end(&mut bytes))
    };
    done.map_err(|error| failure(error.to_string()))?;
    if bytes.len() > MAX_BYTES {
        return Err(failure(format!(
            "larger than {} MiB, which no patch mail is",
            MAX_BYTES >> 20
        )));
    }
    Ok((file.display().to_string(), bytes))
}
