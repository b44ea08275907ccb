//! Runs SPIN on the twin of the packed model (`removal.pml`); shared by `just peers` and the tests.

// Each user needs its own part of this.
#![allow(dead_code)]

use std::path::Path;
use std::process::Command;

/// The twin.
pub(crate) const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/removal.pml");

/// How SPIN searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Every state, none merged or forgotten: the packed model's own.
    SameStates,
    /// The same, states compressed by component.
    Collapsed,
    /// With partial-order reduction and everything else that is on by default.
    Reduced,
}

/// A search of SPIN's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) states: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    /// For states and the hash table.
    pub(crate) bytes: u64,
    /// False when it ran out of memory, depth or time.
    pub(crate) complete: bool,
}

/// What is missing, if anything is.
pub(crate) fn missing() -> Option<&'static str> {
    let runs = |program: &str, argument: &str| Command::new(program).arg(argument).output().is_ok();
    if !runs("spin", "-V") {
        Some("SPIN is not installed (apt-get install spin)")
    } else if !runs("cc", "--version") {
        Some("there is no C compiler (apt-get install gcc)")
    } else {
        None
    }
}

/// Searches the twin in `directory`, which gets SPIN's files. `defines` are those of the model.
pub(crate) fn search(
    directory: &Path,
    vcpus: usize,
    defines: &[&str],
    mode: Mode,
    megabytes: u32,
    seconds: u32,
) -> Result<Found, String> {
    let run = |program: &str, arguments: &[String]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .output()
            .map_err(|error| format!("{program}: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut arguments = vec![format!("-DVCPUS={vcpus}")];
    arguments.extend(defines.iter().map(|define| format!("-D{define}")));
    if mode != Mode::Reduced {
        arguments.extend(["-o1", "-o2", "-o3"].map(str::to_owned));
    }
    arguments.extend(["-a".to_owned(), MODEL.to_owned()]);
    run("spin", &arguments)?;
    let mut arguments = vec![
        "-O3".to_owned(),
        "-DSAFETY".into(),
        format!("-DMEMLIM={megabytes}"),
    ];
    match mode {
        Mode::SameStates => arguments.push("-DNOREDUCE".into()),
        Mode::Collapsed => arguments.extend(["-DNOREDUCE".into(), "-DCOLLAPSE".into()]),
        Mode::Reduced => {}
    }
    arguments.extend(["-o", "pan", "pan.c"].map(str::to_owned));
    run("cc", &arguments)?;
    let table = if vcpus == 1 { 18 } else { 25 };
    let arguments = [
        format!("{seconds}"),
        "./pan".to_owned(),
        "-m5000000".to_owned(),
        format!("-w{table}"),
    ];
    let said = run("timeout", &arguments)?;
    let number = |before: &str, after: &str| {
        let line = said.lines().find(|line| line.contains(before))?;
        let text = line.split(after).next()?.split_whitespace().last()?;
        text.parse::<f64>().ok()
    };
    let Some(states) = number("states, stored", "states, stored") else {
        return Ok(Found {
            states: 0,
            errors: 0,
            seconds: f64::from(seconds),
            bytes: 0,
            complete: false,
        });
    };
    let stored = number("actual memory usage for states", "actual memory").unwrap_or(0.0);
    let hash = number("memory used for hash table", "memory used").unwrap_or(0.0);
    Ok(Found {
        states: states as u64,
        errors: number("errors:", "\n").unwrap_or(0.0) as u64,
        seconds: number("elapsed time", "seconds").unwrap_or(0.0),
        bytes: ((stored + hash) * 1_048_576.0) as u64,
        complete: !said.contains("Search not completed") && !said.contains("out of memory"),
    })
}
