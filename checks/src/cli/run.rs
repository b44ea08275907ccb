//! Flags of the suite, and the limits of every search.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Checks to run, by name (`claim`) or with a memory model (`claim/tso`); all of them when none is named.
    pub(crate) names: Vec<String>,
    /// What to run when no check is named, and within which limits: default, ci or nightly.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) profile: String,
    /// How to report on standard output. `github` adds annotations, and writes the whole to the file
    /// that GITHUB_STEP_SUMMARY names.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) message_format: MessageFormat,
    /// Print the report as JSON (seamcheck.report.v1): short for --message-format json.
    #[arg(long, conflicts_with = "message_format")]
    pub(crate) json: bool,
    /// Write the report as JUnit XML into this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Print every run at length, with the steps that never ran.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Write the trace of every violated property into this directory, as JSON and as a page, and
    /// an index.html that lists them.
    #[arg(long, value_name = "DIR")]
    pub(crate) traces: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// How `check run` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people.
    #[default]
    Human,
    /// For programs: seamcheck.report.v1.
    Json,
    /// For GitHub Actions.
    Github,
}

#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct LimitArgs {
    /// Give up a search after this many states; the verdict is then `unknown`. Default: no limit but memory's.
    #[arg(long, value_name = "N")]
    pub(crate) max_states: Option<u64>,
    /// Give up a search before its states take more than this many MiB. Default: the profile's, 4096.
    #[arg(long, value_name = "MIB")]
    pub(crate) max_memory: Option<u64>,
    /// Give up a search after this many seconds. Default: the profile's, 600.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Search on this many threads; counts and traces are the same on any number. Default: one for
    /// each core, shared by the runs of a suite.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct AgreeArgs {
    /// Checks to compare, by name (`M06`) or with a memory model (`M06/tso`); all of them when none is named,
    /// the nightly profile's too: minutes.
    pub(crate) names: Vec<String>,
    /// Print the matrix as JSON (seamcheck.agreement.v1) on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}
