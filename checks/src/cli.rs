//! The command line of `check`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use seamcheck_traces::Format;
use std::path::PathBuf;

/// Model-checks KVM's TDX page removal against the TDX module's try-locks.
///
/// Without a command, runs the default suite.
#[derive(Debug, Parser)]
#[command(name = "check", version, after_help = EXIT_STATUS, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

const EXIT_STATUS: &str = "\
Exit status: 0 as expected (a question: holds), 10 a verdict differs (a question: violated),
11 vacuous, 14 engines disagree, 20 unknown (a limit was hit), 2 usage or bad data,
74 an output could not be written, 130 interrupted, 1 internal error.";

pub(crate) const EXIT_STATUS_OF_TRACE: &str = "\
Exit status: 0 shown, 2 usage, or a file that is no trace or that today's model does not confirm,
74 an output could not be written, 130 interrupted, 1 internal error.";

/// Reads the name of a trace's form, and lists the names in the help.
pub(crate) fn format_parser() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.map(|format| PossibleValue::new(format.key()).help(format.about()));
    PossibleValuesParser::new(names).map(|name| Format::from_key(&name).unwrap_or(Format::Race))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the suite, or the checks named.
    Run(RunArgs),
    /// List the suite's checks and what is expected of them.
    List(ListArgs),
    /// Draw the shortest counterexample of a check, or the trace in a file.
    Explain(ExplainArgs),
    /// Execute a trace again, step by step, against today's model.
    Replay(ReplayArgs),
    /// Take status words apart.
    Decode(DecodeArgs),
    /// Ask any question: a verdict and, when violated, a trace.
    WhatIf(WhatIfArgs),
    /// Ask for every number of vCPUs at once: a proof, or the smallest number that breaks it.
    Prove(ProveArgs),
    /// Check a certificate again: that its views contain the start, are closed and break nothing.
    Recheck(RecheckArgs),
}

#[derive(Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Checks to run, by name (`claim`) or with a memory model (`claim/tso`); all of them when none is named.
    pub(crate) names: Vec<String>,
    /// Print the report as JSON (seamcheck.report.v1) on standard output.
    #[arg(long)]
    pub(crate) json: bool,
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

#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct LimitArgs {
    /// Give up a search after this many states; the verdict is then `unknown`. Default: no limit but memory's.
    #[arg(long, value_name = "N")]
    pub(crate) max_states: Option<u64>,
    /// Give up a search at this many MiB for its states. Default: 4096.
    #[arg(long, value_name = "MIB")]
    pub(crate) max_memory: Option<u64>,
    /// Give up a search after this many seconds. Default: 600.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Search on this many threads; counts and traces are the same on any number. Default: one for
    /// each core, shared by the runs of a suite.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the list as JSON (seamcheck.report.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// List the protocol's decisions and their values instead.
    #[arg(long, conflicts_with_all = ["json", "pairs"])]
    pub(crate) decisions: bool,
    /// List, for each lock table, the conflicting pairs of leaves and the check that tells them apart.
    #[arg(long, conflicts_with = "json")]
    pub(crate) pairs: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A check (`claim-init-vcpu/sc`) or the path of a trace.
    pub(crate) what: String,
    /// Which violated property, when a check has several.
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) property: Option<String>,
    /// Print the trace in this form.
    #[arg(long, value_name = "FORMAT", default_value = "race", value_parser = format_parser())]
    pub(crate) format: Format,
    /// Print the trace as JSON: short for `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Also write the trace to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The trace.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// Status words, in hexadecimal (0x8000020000000092) or decimal.
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct QuestionArgs {
    /// Lock table: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "1.5.05")]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Change a decision of the protocol (`check list --decisions`), or a setting of the scenario:
    /// accept, attr, zero_step, finalized, exit_reason (true or false).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run this code path of the kernel profile as a thread beside the zapper, e.g. KVM_TDX_INIT_VCPU
    /// (with finalized=false) or any-tdr-exclusive; up to two.
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<String>,
    /// Number of private pages.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) pages: usize,
    /// Memory model: sc or tso.
    #[arg(long, value_name = "MODEL", default_value = "tso")]
    pub(crate) memory: String,
    /// What must never happen: no-second-busy, no-vcpu-inside, flag-under-mmu-lock, flag-tested,
    /// epoch-empty, tracked-remove, interrupt-once, no-mark-left, kick-only-when-busy or no-bug-on;
    /// or what must happen in the end: zap-finishes, flag-comes-down, vcpu-enters, guest-runs,
    /// no-starvation or nobody-waits.
    #[arg(long, value_name = "PROPERTY", default_value = "no-second-busy")]
    pub(crate) property: String,
}

#[derive(Debug, Args)]
pub(crate) struct WhatIfArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    /// Number of vCPUs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) vcpus: usize,
    /// Print the answer as JSON (seamcheck.report.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the trace of a violation to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    /// Write the certificate of a proof to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Write the trace of a violation to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the answer as JSON (seamcheck.proof.v1).
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecheckArgs {
    /// The certificate.
    pub(crate) file: PathBuf,
}
