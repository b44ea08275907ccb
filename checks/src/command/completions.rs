//! `check completions`.

use super::{Failure, output};
use crate::cli::{Cli, CompletionsArgs};
use crate::exit::Exit;
use clap::CommandFactory;

pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "check", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::AsExpected)
}
