//! The command line of `check`.

mod code;
mod question;
mod run;

pub(crate) use code::CodeArgs;
pub(crate) use question::{ExploreArgs, MODULE, ProveArgs, QuestionArgs, RecheckArgs, WhatIfArgs};
pub(crate) use run::{AgreeArgs, LimitArgs, MessageFormat, RunArgs};

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
    /// Run the protocol as Rust code under loom, shuttle or on real threads.
    Code(CodeArgs),
    /// Check a certificate again: that its views contain the start, are closed and break nothing.
    Recheck(RecheckArgs),
    /// Leaf against leaf: which can collide on which lock, and under which KVM locks they really can.
    Matrix(MatrixArgs),
    /// Read a kernel log: what each failed SEAMCALL can have come from, and the shortest way there.
    Triage(TriageArgs),
    /// Read a patch mail: its lock table and its retry sites, row by row against the model's data.
    Import(ImportArgs),
    /// List what verdicts rest on and no search here shows, by the numbers that reports print.
    Assumptions(AssumptionsArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Compare the verdicts of independent forms, models and code: rows mutants, columns forms. All of
    /// them are run, loom too.
    Agree(AgreeArgs),
    /// Walk through the actor model's states in a browser, with sequence diagrams.
    Explore(ExploreArgs),
    /// Answer one request, read from standard input: how `check` runs loom.
    #[command(hide = true)]
    Child,
    /// Search every pair of code paths that can run together, on every kernel and module: each way in
    /// which a SEAMCALL that KVM can not let fail does fail.
    Sweep(SweepArgs),
    /// Find the single KVM locks that would make a violated check hold.
    Fix(FixArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the list as JSON (seamcheck.report.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// List the protocol's decisions and their values instead.
    #[arg(long, conflicts_with_all = ["json", "pairs"])]
    pub(crate) decisions: bool,
    /// Print what each form of the claim is expected to say of each check: docs/agreement.md.
    #[arg(long, conflicts_with_all = ["json", "pairs", "decisions", "necessity"])]
    pub(crate) agreement: bool,
    /// Print, for each decision and each of its values, what the suite expects: docs/necessity.md.
    #[arg(long, conflicts_with_all = ["json", "pairs", "decisions"])]
    pub(crate) necessity: bool,
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
    /// Status words, in hexadecimal (0x8000020000000092, or 16 digits without 0x) or decimal.
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Only this kernel profile: a version, or a .toml file. May be given more than once.
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) kernel: Vec<String>,
    /// Only this lock table: a version, or a .toml file. May be given more than once.
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) module: Vec<String>,
    /// How many code paths at a time: 2, or 3 to search every three as well and tell what they come to
    /// beyond pairs.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub(crate) at_once: u8,
    /// How many vCPUs run where a vCPU takes part.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    pub(crate) vcpus: u8,
    /// Draw the shortest trace of each failure.
    #[arg(long, conflicts_with = "json")]
    pub(crate) draw: bool,
    /// Print the result, traces included, as JSON (seamcheck.sweep.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the trace of each failure into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) traces: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FixArgs {
    /// A check of the suite (`claim-init-vcpu`), or the file of a trace.
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: String,
    /// The property to fix. Default: the first that is violated.
    #[arg(long, value_name = "PROPERTY")]
    pub(crate) property: Option<String>,
    /// Print the answer as JSON (seamcheck.fix.v1).
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    /// Lock table: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "1.5.05")]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Print the matrix as JSON (seamcheck.matrix.v1).
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TriageArgs {
    /// The log, as dmesg, journald or syslog write it; `-` for standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Ask this kernel profile only: a version, or a .toml file. Default: all that are built in.
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) kernel: Option<String>,
    /// Ask this lock table only: a version, or a .toml file. Default: all that are built in.
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) module: Option<String>,
    /// Search at most this long for each distinct failure.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) timeout: u64,
    /// Print the answer as JSON (seamcheck.triage.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the trace of the first failure that has one to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The patch: a mail, a mailbox, plain text, or a page of an archive; `-` for standard input.
    pub(crate) patch: PathBuf,
    /// The lock table that the patch's is to agree with: a version, or a .toml file. All others that
    /// are built in are shown beside it.
    #[arg(long, value_name = "VERSION|FILE", default_value = "patch-table")]
    pub(crate) module: String,
    /// The kernel profile that the patch's diff is to agree with: a version, or a .toml file. All
    /// others that are built in are shown beside it.
    #[arg(long, value_name = "VERSION|FILE", default_value = "patch-v1")]
    pub(crate) kernel: String,
    /// Print the answer as JSON (seamcheck.import.v1).
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct AssumptionsArgs {
    /// Print the list as JSON (seamcheck.assumptions.v1).
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,
    /// Print the chapter of the book, docs/assumptions.md.
    #[arg(long)]
    pub(crate) markdown: bool,
}
