//! What each command of `check` does.

mod agree;
mod ask;
mod assumptions;
mod code;
mod completions;
mod decode;
mod explain;
mod explore;
mod fix;
mod import;
mod list;
mod matrix;
mod memory;
pub(crate) mod output;
mod pairs;
mod prove;
mod run;
mod sweep;
mod triage;

use crate::cli::{Cli, Command, LimitArgs};
use crate::engine::{Cut, Limits, Watch};
use crate::exit::Exit;
use crate::question::QuestionError;
use crate::trace::file::FileError;
use clap::Parser;
use seamcheck_model::data::DataError;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a command ends without an answer.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Failure {
    /// The question is not understood.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Question(#[from] QuestionError),
    /// A trace file is not understood, or not confirmed.
    #[error("{path}: {error}", path = path.display())]
    #[diagnostic(help("{}", remedy.text(error)))]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
        /// What can be done about it.
        remedy: Remedy,
    },
    /// A certificate is not understood, or proves nothing.
    #[error("{path}: {error}", path = path.display())]
    #[diagnostic(help("`check prove --certificate FILE` writes one"))]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// An input can not be read.
    #[error("{what}: {error}")]
    Input {
        /// Which.
        what: String,
        /// The system's words.
        error: String,
    },
    /// A file is no schedule, or the code does not follow it any more.
    #[error("{path}: {error}", path = path.display())]
    #[diagnostic(help("`check code --engine shuttle --save FILE` writes one"))]
    Schedule {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: String,
    },
    /// An output can not be written.
    #[error("{what}: {error}")]
    Output {
        /// Which.
        what: String,
        /// The system's words.
        error: std::io::Error,
    },
    /// A search that was to find something was cut short.
    #[error("{name}: {}, so nothing can be said", .cut.text())]
    CutShort {
        /// The run.
        name: String,
        /// Why.
        cut: Cut,
    },
    /// The built-in suite is broken, or a violation can not be executed again.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What helps against a trace that is refused.
#[derive(Clone, Copy, Debug)]
pub enum Remedy {
    /// Another trace.
    WriteAnother,
    /// The same, or a look at what nobody confirms.
    LookAnyway,
}

impl Remedy {
    fn text(self, error: &FileError) -> &'static str {
        match (self, error) {
            (Self::LookAnyway, FileError::NotConfirmed(_)) => {
                "`check explain CHECK --out FILE` writes a trace that today's model confirms; \
                 `--unverified` shows this one as it is"
            }
            _ => "`check explain CHECK --out FILE` writes a trace that today's model confirms",
        }
    }
}

impl Failure {
    /// The exit status it leads to.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Question(_)
            | Self::Refused { .. }
            | Self::Certificate { .. }
            | Self::Input { .. }
            | Self::Schedule { .. } => Exit::Usage,
            Self::Output { .. } => Exit::Unwritable,
            Self::CutShort { cut, .. } => cut_short(*cut),
            Self::Internal(_) => Exit::Internal,
        }
    }
}

/// Reads the command line; `Err` after a help text or a complaint, with what the program ends with.
///
/// # Errors
/// The exit status, when there is nothing left to do.
pub fn arguments<T: Parser>() -> Result<T, Exit> {
    T::try_parse().map_err(|said| match said.print() {
        Err(error) if !said.use_stderr() && error.kind() != ErrorKind::BrokenPipe => {
            complain(Failure::Output {
                what: "standard output".into(),
                error,
            });
            Exit::Unwritable
        }
        _ if said.use_stderr() => Exit::Usage,
        _ => Exit::AsExpected,
    })
}

/// Prints a failure on standard error.
pub fn complain(failure: Failure) {
    anstream::eprintln!("{:?}", miette::Report::new(failure));
}

/// Does what the command line says.
///
/// # Errors
/// When there is no answer.
pub fn execute(cli: Cli, watch: &Arc<Watch>) -> Result<Exit, Failure> {
    match cli.command {
        None => run::run(&cli.run, watch),
        Some(Command::Run(args)) => run::run(&args, watch),
        Some(Command::List(args)) => list::list(&args, watch),
        Some(Command::Explain(args)) => explain::explain(&args, watch),
        Some(Command::Replay(args)) => explain::replay(&args),
        Some(Command::Decode(args)) => decode::decode(&args),
        Some(Command::WhatIf(args)) => ask::what_if(&args, watch),
        Some(Command::Prove(args)) => prove::prove(&args, watch),
        Some(Command::Recheck(args)) => prove::again(&args),
        Some(Command::Assumptions(args)) => assumptions::assumptions(&args),
        Some(Command::Code(args)) => code::code(&args, watch),
        Some(Command::Child) => code::child(watch),
        Some(Command::Completions(args)) => completions::completions(&args),
        Some(Command::Matrix(args)) => matrix::matrix(&args),
        Some(Command::Triage(args)) => triage::triage(&args, watch),
        Some(Command::Import(args)) => import::import(&args),
        Some(Command::Agree(args)) => agree::agree(&args, watch),
        Some(Command::Explore(args)) => explore::explore(&args, watch),
        Some(Command::Sweep(args)) => sweep::sweep(&args, watch),
        Some(Command::Fix(args)) => fix::fix(&args, watch),
    }
}

/// The exit status of a search that was cut short and found nothing.
const fn cut_short(cut: Cut) -> Exit {
    match cut {
        Cut::Interrupted => Exit::Interrupted,
        _ => Exit::Unknown,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The flags' limits, on top of others.
fn limits_over(default: Limits, args: LimitArgs) -> Limits {
    Limits {
        states: args.max_states.unwrap_or(default.states),
        memory: args.max_memory.map_or(default.memory, memory::mebibytes),
        time: args.timeout.map_or(default.time, Duration::from_secs),
        threads: args.threads.map_or_else(cores, usize::from),
    }
}

fn limits(args: LimitArgs) -> Limits {
    memory::at_most_what_is_left(limits_over(Limits::default(), args), 1)
}

fn suite() -> Result<Vec<crate::suite::Run>, Failure> {
    crate::suite::built_in().map_err(broken_suite)
}

/// Whoever edits a suite file reads this: the remedy belongs to it.
fn broken_suite(error: DataError) -> Failure {
    let remedy = error.help.as_ref().map(|help| format!("; {help}"));
    Failure::Internal(format!("{error}{}", remedy.unwrap_or_default()))
}
