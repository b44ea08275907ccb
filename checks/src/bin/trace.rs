//! `trace`: opens a counterexample in the terminal, as a page, or as text.

use seamcheck::command;
use seamcheck::viewer::{self, TraceCli};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match command::arguments::<TraceCli>() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match viewer::open(&cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            command::complain(failure);
            exit.into()
        }
    }
}
