//! loom in a process of its own: it is slow when two runs share one.

use super::answer::CodeAnswer;
use super::engine;
use super::patience::{LOOK, Patience};
use super::request::CodeRequest;
use crate::engine::{Cut, Limits, Watch};
use crate::question::QuestionError;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The hidden command by which a child is told that it is one.
pub const COMMAND: &str = "child";

/// Runs a request in a child process where this program is `check`, else in this one. A child that
/// takes too long is ended; how far it had come is not known then.
///
/// # Errors
/// As [`engine::answer`], and when the child can not be started or says nothing.
pub fn answer(request: &CodeRequest, patience: Patience<'_>) -> Result<CodeAnswer, QuestionError> {
    match program() {
        Some(program) => ask(program, request, patience),
        None => engine::answer(request, patience),
    }
}

/// This program, if it is `check`; a test that uses the library is not.
fn program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    (program.file_stem()? == "check").then_some(program)
}

fn ask(
    program: PathBuf,
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
    if let Some(mut stdin) = child.stdin.take() {
        // A child that ended early says more by its status than a broken pipe does.
        let _ = stdin.write_all(text.as_bytes());
    }
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut text))?;
        std::io::Result::Ok(text)
    });
    let cut = ended_early(&mut child, || reader.is_finished(), patience);
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let text = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    let answer: Result<Result<CodeAnswer, String>, _> = serde_json::from_slice(&text);
    match (answer, cut) {
        (Ok(answer), _) => answer.map_err(QuestionError::Usage),
        (Err(_), Some(_)) => Ok(CodeAnswer {
            cut,
            ..CodeAnswer::default()
        }),
        (Err(_), None) => Err(failed(format!("no answer ({status})"))),
    }
}

/// Waits for a child, and ends it when patience does.
fn ended_early(child: &mut Child, done: impl Fn() -> bool, patience: Patience<'_>) -> Option<Cut> {
    while !done() {
        let over = patience.is_over();
        if over.is_some() {
            // One that has just ended by itself is as good.
            let _ = child.kill();
            return over;
        }
        std::thread::sleep(LOOK);
    }
    None
}

/// The child's side: a request on standard input, the answer as text.
#[must_use]
pub fn serve() -> String {
    let mut text = String::new();
    let request = std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str(&text).map_err(|error| error.to_string()));
    let answer = request.and_then(|request: CodeRequest| {
        // The parent looks at clock and user.
        let (limits, watch) = (Limits::default(), Watch::default());
        let patience = Patience::new(limits, &watch);
        engine::answer(&request, patience).map_err(|error| error.to_string())
    });
    serde_json::to_string(&answer).unwrap_or_default()
}
