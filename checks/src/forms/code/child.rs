//! loom in a process of its own: it is slow when two runs share one.

use super::answer::CodeAnswer;
use super::engine;
use super::request::CodeRequest;
use crate::question::QuestionError;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The hidden command by which a child is told that it is one.
pub const COMMAND: &str = "child";

/// Runs a request in a child process where this program is `check`, else in this one.
///
/// # Errors
/// As [`engine::answer`], and when the child can not be started or says nothing.
pub fn answer(request: &CodeRequest) -> Result<CodeAnswer, QuestionError> {
    match program() {
        Some(program) => ask(program, request),
        None => engine::answer(request),
    }
}

/// This program, if it is `check`; a test that uses the library is not.
fn program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    (program.file_stem()? == "check").then_some(program)
}

fn ask(program: PathBuf, request: &CodeRequest) -> Result<CodeAnswer, QuestionError> {
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
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    let answer: Result<Result<CodeAnswer, String>, _> = serde_json::from_slice(&output.stdout);
    match answer {
        Ok(answer) => answer.map_err(QuestionError::Usage),
        Err(_) => Err(failed(format!("no answer ({})", output.status))),
    }
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
        engine::answer(&request).map_err(|error| error.to_string())
    });
    serde_json::to_string(&answer).unwrap_or_default()
}
