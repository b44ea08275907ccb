//! The program `trace`: executes a trace again, then shows it.

mod terminal;

use crate::cli::{EXIT_STATUS_OF_TRACE, format_parser};
use crate::command::{Failure, Remedy, output};
use crate::exit::Exit;
use crate::trace::file::{self, FileError};
use crate::trace::print;
use clap::Parser;
use seamcheck_traces::{Evidence, Format, Trace, page, schema};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Opens a counterexample: in the terminal, as a page, or in another form.
///
/// The trace is executed again first, step by step, on today's model. Where standard output is no
/// terminal it is printed as text.
#[derive(Debug, Parser)]
#[command(name = "trace", version, after_help = EXIT_STATUS_OF_TRACE)]
pub struct TraceCli {
    /// The trace, as written by `check explain CHECK --out FILE` or `check run --traces DIR`.
    #[arg(required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Write it as one self-contained page, and show nothing.
    #[arg(long, value_name = "OUT", conflicts_with = "format")]
    html: Option<PathBuf>,
    /// Print it in this form.
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    format: Option<Format>,
    /// Start at this step, counted from 1.
    #[arg(long, value_name = "N", conflicts_with_all = ["html", "format"])]
    step: Option<usize>,
    /// Show it without executing it; what is shown says so.
    #[arg(long)]
    unverified: bool,
    /// Print the JSON Schema of traces.
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// Does what the command line says.
///
/// # Errors
/// When the file is no trace, is not confirmed, or an output can not be written.
pub fn open(args: &TraceCli) -> Result<Exit, Failure> {
    let Some(path) = &args.file else {
        output::print(&schema::json_schema())?;
        return Ok(Exit::AsExpected);
    };
    let refused = |error: FileError| Failure::Refused {
        path: path.clone(),
        error,
        remedy: Remedy::LookAnyway,
    };
    let (trace, evidence) = if args.unverified {
        (file::read(path).map_err(refused)?, Evidence::NotExecuted)
    } else {
        (
            file::read_verified(path).map_err(refused)?,
            Evidence::Executed,
        )
    };
    if let Some(warning) = evidence.warning() {
        anstream::eprintln!("trace: {warning}");
    }
    if let Some(out) = &args.html {
        output::write(out, &page(&trace, evidence))?;
    } else if let Some(format) = args.format {
        output::print(&print::text(format, &trace, evidence))?;
    } else if can_be_drawn_on() {
        return terminal::show(&trace, evidence, args.step);
    } else {
        print_text(&trace, evidence)?;
    }
    Ok(Exit::AsExpected)
}

fn print_text(trace: &Trace, evidence: Evidence) -> Result<(), Failure> {
    output::print(&print::text(Format::Text, trace, evidence))
}

/// Keys are read from standard input and pictures are drawn on standard output.
fn can_be_drawn_on() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}
