//! `check sweep`.

use super::{Failure, limits, output};
use crate::cli::SweepArgs;
use crate::engine::{Cut, Watch};
use crate::exit::Exit;
use crate::sweep::plan::Size;
use crate::sweep::{self, Cell, SweepError, report};
use std::path::Path;

pub(super) fn sweep(args: &SweepArgs, watch: &Watch) -> Result<Exit, Failure> {
    let (kernels, modules) = sweep::everything();
    let or = |given: &[String], all: Vec<String>| {
        if given.is_empty() {
            all
        } else {
            given.to_vec()
        }
    };
    let (kernels, modules) = (or(&args.kernel, kernels), or(&args.module, modules));
    let size = Size {
        triples: args.at_once > 2,
        vcpus: usize::from(args.vcpus),
    };
    let found = sweep::sweep(&kernels, &modules, size, limits(args.limits), watch);
    let cells = found.map_err(|error| match error {
        SweepError::Question(error) => Failure::Question(error),
        SweepError::Internal(error) => Failure::Internal(error),
    })?;
    let exit = exit_of(&cells, watch.is_stopped());
    if args.json {
        output::print_json(&report::json(&cells, exit))?;
    } else {
        output::print(&report::human(&cells, args.draw))?;
    }
    if let Some(directory) = &args.traces {
        write_traces(directory, &cells)?;
    }
    Ok(exit)
}

fn exit_of(cells: &[Cell], stopped: bool) -> Exit {
    let cut = |wanted: fn(&Cut) -> bool| {
        cells
            .iter()
            .any(|cell| cell.cut.iter().any(|(_, cut)| wanted(cut)))
    };
    if stopped || cut(|cut| *cut == Cut::Interrupted) {
        Exit::Interrupted
    } else if cells.iter().any(|cell| !cell.failures.is_empty()) {
        Exit::Violated
    } else if cut(|_| true) {
        Exit::Unknown
    } else {
        Exit::AsExpected
    }
}

/// One file for each failure, named by kernel, module and number.
fn write_traces(directory: &Path, cells: &[Cell]) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::Output {
        what: directory.display().to_string(),
        error,
    })?;
    for cell in cells {
        for (number, failure) in (1..).zip(&cell.failures) {
            let (kernel, module) = (stem(&cell.kernel), stem(&cell.module));
            let name = format!("{kernel}_{module}_{number:02}.json");
            output::write(&directory.join(name), &failure.trace.to_json())?;
        }
    }
    Ok(())
}

/// A version is its own name; of a path, the file's.
fn stem(name: &str) -> String {
    let file = Path::new(name).file_name();
    file.map_or_else(
        || name.to_owned(),
        |file| file.to_string_lossy().into_owned(),
    )
}
