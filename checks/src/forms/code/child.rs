//! loom in a process of its own: it is slow when two runs share one.

use super::answer::CodeAnswer;
use super::engine;
use super::patience::{LOOK, Patience};
use super::request::CodeRequest;
use crate::engine::{Clock, Cut, Limits, Watch};
use crate::exit::Exit;
use crate::question::QuestionError;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The hidden command by which a child is told that it is one.
pub const COMMAND: &str = "child";

/// This program, once it has said that it serves.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Tells a child to stop.
const STOP: &str = "stop\n";

/// How late a child may be that has to end: loom is asked behind an execution.
const GRACE: Duration = Duration::from_secs(2);

/// To be called by a program that has the hidden command, whatever its file is called: loom gets a process of
/// its own then.
pub fn this_program_serves() {
    if let Ok(program) = std::env::current_exe() {
        let _ = PROGRAM.set(program);
    }
}

/// Runs a request in a child process where this program serves, else in this one. A child that comes to no end
/// of an execution is ended when its time is over; how far it had come is not known then.
///
/// # Errors
/// As [`engine::answer`], and when the child can not be started or says nothing.
pub fn answer(request: &CodeRequest, patience: Patience<'_>) -> Result<CodeAnswer, QuestionError> {
    match PROGRAM.get() {
        Some(program) => ask(program, request, patience),
        None => engine::answer(request, patience),
    }
}

/// Runs a request in a child process of this program, which has the hidden command.
///
/// # Errors
/// As [`answer`].
pub fn ask(
    program: &Path,
    request: &CodeRequest,
    patience: Patience<'_>,
) -> Result<CodeAnswer, QuestionError> {
    let failed = |what: String| QuestionError::Usage(format!("the child process: {what}"));
    let text = serde_json::to_string(request).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(program)
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // Open as long as this program is there: a child that sees its end has nobody to answer.
    let mut stdin = child.stdin.take();
    if let Some(stdin) = &mut stdin {
        // A child that ended early says more by its status than a broken pipe does.
        let _ = stdin.write_all((text + "\n").as_bytes());
    }
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut text))?;
        std::io::Result::Ok(text)
    });
    let cut = ended_early(&mut child, &mut stdin, || reader.is_finished(), patience);
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let text = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    let answer: Result<Result<Told, String>, _> = serde_json::from_slice(&text);
    match (answer, cut) {
        (Ok(told), _) => told
            .map(|told| told.answer(patience))
            .map_err(QuestionError::Usage),
        (Err(_), Some(_)) => Ok(CodeAnswer {
            cut,
            ..CodeAnswer::default()
        }),
        (Err(_), None) => Err(failed(format!("no answer ({status})"))),
    }
}

/// Waits for a child. When patience is over it is told to stop, which it does behind the execution it is at; one
/// that comes to no end of it is ended.
fn ended_early(
    child: &mut Child,
    stdin: &mut Option<ChildStdin>,
    done: impl Fn() -> bool,
    patience: Patience<'_>,
) -> Option<Cut> {
    let mut late: Option<(Cut, Clock)> = None;
    while !done() {
        match (late, patience.is_over()) {
            (None, Some(cut)) => {
                late = Some((cut, Clock::start()));
                if let Some(stdin) = stdin {
                    // One that has just ended by itself is as good.
                    let _ = stdin.write_all(STOP.as_bytes());
                }
            }
            (Some((cut, since)), _) if since.elapsed() >= GRACE => {
                let _ = child.kill();
                return Some(cut);
            }
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
    None
}

/// What a child says.
#[derive(Serialize, Deserialize)]
struct Told {
    answer: CodeAnswer,
    stopped: bool,
}

impl Told {
    fn answer(self, patience: Patience<'_>) -> CodeAnswer {
        let why = || patience.is_over().unwrap_or(Cut::Interrupted);
        CodeAnswer {
            cut: self.stopped.then(why),
            ..self.answer
        }
    }
}

/// The child's side: a request on the first line of standard input, the answer as text. The line `stop`
/// stops it, and the program ends with standard input.
#[must_use]
pub fn serve(watch: &Arc<Watch>) -> String {
    let mut line = String::new();
    let request = std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str(&line).map_err(|error| error.to_string()));
    let told = Arc::clone(watch);
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lines();
        while let Some(Ok(_)) = lines.next() {
            told.stop.store(true, Ordering::Relaxed);
        }
        std::process::exit(Exit::Interrupted as i32);
    });
    let told = request.and_then(|request: CodeRequest| {
        // The parent looks at the clock.
        let limits = Limits {
            time: Duration::MAX,
            ..Limits::default()
        };
        let patience = Patience::new(limits, watch);
        let answer = engine::answer(&request, patience).map_err(|error| error.to_string())?;
        let stopped = answer.cut.is_some();
        Ok(Told { answer, stopped })
    });
    serde_json::to_string(&told).unwrap_or_default()
}
