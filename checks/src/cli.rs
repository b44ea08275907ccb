//! The command line of `check`.

mod question;
mod run;

pub(crate) use question::{ExploreArgs, MODULE, ProveArgs, QuestionArgs, RecheckArgs, WhatIfArgs};
pub(crate) use run::{AgreeArgs, LimitArgs, MessageFormat, RunArgs};

use crate::forms::code::Engine;
use crate::forms::code::request::{EXECUTIONS, SCHEDULES};
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

#[derive(Debug, Args)]
#[command(after_help = CODE_STATUS)]
pub(crate) struct CodeArgs {
    /// What runs the code: loom (weak memory, all interleavings up to the bounds), shuttle (many
    /// schedules, sequentially consistent) or std (real threads, a smoke test).
    #[arg(long, value_enum, default_value = "loom", hide_possible_values = true)]
    pub(crate) engine: Engine,
    /// Number of vCPUs: loom runs up to 4. Default: 1 under loom, 4 elsewhere, 0 beside an ioctl.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    pub(crate) vcpus: Option<u16>,
    /// How often each vCPU goes round, and each ioctl is made. Default: 2 under loom, 3 elsewhere.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) laps: Option<u16>,
    /// What the zapper does: block, track, remove (the window of that SEAMCALL alone, entered as if its
    /// first call had been busy), or whole. Default: whole under shuttle and beside an ioctl, block elsewhere.
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Option<String>,
    /// loom: the memory, weak (C11's) or rmw (sequentially consistent).
    #[arg(long, value_name = "MEMORY", default_value = "weak")]
    pub(crate) memory: String,
    /// loom: the most preemptions of an execution. Default: no bound.
    #[arg(long, value_name = "K")]
    pub(crate) preemptions: Option<u8>,
    /// loom: look for the violating execution with the fewest preemptions: none, then one, then two, …
    #[arg(long)]
    pub(crate) fewest: bool,
    /// loom: give up after this many executions; the verdict is then `unknown`.
    #[arg(long, value_name = "N", default_value_t = EXECUTIONS as u32,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) executions: u32,
    /// shuttle: how many schedules; std: how many rounds.
    #[arg(long, value_name = "N", default_value_t = SCHEDULES as u32,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) schedules: u32,
    /// shuttle: probabilistic concurrency testing of this depth, instead of random schedules.
    #[arg(long, value_name = "DEPTH", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) pct: Option<u16>,
    /// shuttle: where the choice of schedules begins; the same seed makes the same schedules.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Give up after this many seconds; the verdict is then `unknown`.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// Do not hold loom's executions, or shuttle's schedules, against the packed model.
    #[arg(long)]
    pub(crate) no_conformance: bool,
    /// Hold them against a model with another decision than the code's: to see what is found then.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "no_conformance")]
    pub(crate) against: Vec<String>,
    /// loom: enter the window with TDHP set, from a first call that was busy on the S-EPT entry.
    #[arg(long)]
    pub(crate) marked: bool,
    /// loom: what guests do each time before TDG.VP.VMCALL: vmcall (nothing), accept, attr-rd, attr-wr (these
    /// TDG.MEM.PAGE leaves), access, arming-access (its fault arms 0-step), interrupt. Default: vmcall in the
    /// window of TDH.MEM.TRACK, attr-rd elsewhere.
    #[arg(long, value_name = "GUEST")]
    pub(crate) guest: Option<String>,
    /// loom: guests do it on their vCPU's first lap only.
    #[arg(long)]
    pub(crate) guest_once: bool,
    /// loom: begin a whole removal with vCPUs in their guests: their first lap is what is left of one.
    #[arg(long)]
    pub(crate) in_guest: bool,
    /// loom: lock words of the module that are full barriers, as on x86. Without it they order nothing.
    #[arg(long)]
    pub(crate) barriers_in_locks: bool,
    /// shuttle: write the violating schedule to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// shuttle: make the schedule in this file again, with all it was run with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ASKED)]
    pub(crate) replay: Option<PathBuf>,
    /// Number of zappers, 1 or 2: each removes a page of its own, in a guest_memfd inode of its own (M13,
    /// M14).
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) zappers: u8,
    /// Hold one KVM lock more around a page removal, e.g. mmu_lock:read@zap; beside an ioctl, around that or one
    /// SEAMCALL of it, as for `check what-if`.
    #[arg(long, value_name = "LOCK:MODE@PATH")]
    pub(crate) hold: Vec<String>,
    /// Drop a KVM lock, e.g. mmu_lock@zap, or mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1.
    #[arg(long, value_name = "LOCK@PATH")]
    pub(crate) drop: Vec<String>,
    /// 0-step is armed on every vCPU at the start.
    #[arg(long)]
    pub(crate) zero_step_armed: bool,
    /// vCPUs come back on another CPU now and then (M18).
    #[arg(long)]
    pub(crate) migrate: bool,
    /// vCPUs are created after the start, at any time (M30, M31).
    #[arg(long)]
    pub(crate) late: bool,
    /// Somebody else kicks vCPUs, too (M40).
    #[arg(long)]
    pub(crate) foreign_kick: bool,
    /// TDX module as code: 1.5.05 or 2.0.12.
    #[arg(long, value_name = "VERSION", default_value = "1.5.05")]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Change a decision of the protocol (`check list --decisions`), or what the TD is at the start:
    /// finalized, populated (true or false).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run this ioctl as a thread beside the zapper, with finalized=false: KVM_TDX_INIT_VCPU,
    /// KVM_TDX_INIT_VCPU:create, KVM_TDX_INIT_VCPU:write, or up to 6.18 KVM_TDX_INIT_MEM_REGION; up to two.
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<String>,
    /// What must never happen: any property that is not about the end (`check list` names them); real
    /// threads do not see no-vcpu-inside and flag-under-mmu-lock.
    #[arg(long, value_name = "PROPERTY", default_value = "no-second-busy")]
    pub(crate) property: String,
    /// Print the answer as JSON (seamcheck.code.v1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a schedule's file says already.
const ASKED: [&str; 28] = [
    "engine",
    "vcpus",
    "laps",
    "window",
    "memory",
    "preemptions",
    "fewest",
    "executions",
    "schedules",
    "pct",
    "seed",
    "against",
    "marked",
    "guest",
    "guest_once",
    "in_guest",
    "barriers_in_locks",
    "zappers",
    "hold",
    "drop",
    "zero_step_armed",
    "migrate",
    "late",
    "foreign_kick",
    "module",
    "kernel",
    "set",
    "with",
];

const CODE_STATUS: &str = "\
Exit status: 0 holds (loom), 10 violated, 11 vacuous, 14 the code did what the model can not,
20 unknown: a bound was hit, or a sample was made and none of it violates.";
