//! `check`: runs the suite, answers questions.

use seamcheck::cli::Cli;
use seamcheck::command;
use seamcheck::engine::Watch;
use seamcheck::exit::Exit;
use seamcheck::forms::code::child;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn main() -> ExitCode {
    let cli = match command::arguments::<Cli>() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    child::this_program_serves();
    let watch = Arc::new(Watch::default());
    let stop = Arc::clone(&watch);
    // The first signal asks searches to stop and report; the second ends the program.
    let handler = ctrlc::set_handler(move || {
        if stop.stop.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    if let Err(error) = handler {
        anstream::eprintln!("check: signals can not be handled: {error}");
    }
    match command::execute(cli, &watch) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let exit = failure.exit();
            command::complain(failure);
            exit.into()
        }
    }
}
