//! `trace`: opens a counterexample in the terminal, as a page, or as text.

use clap::Parser;
use seamcheck::command;
use seamcheck::viewer::{self, TraceCli};
use std::process::ExitCode;

fn main() -> ExitCode {
    match viewer::open(&TraceCli::parse()) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            command::complain(failure);
            exit.into()
        }
    }
}
