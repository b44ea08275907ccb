//! `just bench`: what the default suite takes as people run it, beside what was promised.
//!
//! The whole program as a child process: its wall-clock time, the most memory it had resident, and
//! from its own report the slowest search and the slowest proof.

use serde_json::Value;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_check"))
        .args(["run", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut out = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let peak = peak_mebibytes(&mut child);
    let text = reader.join().expect("it ends").expect("text");
    let elapsed = start.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&text).expect("a report");
    println!("default suite, exit status {}", report["exit"]);
    println!("  whole              {elapsed:8.1} s     promised: 60 s on 2 cores");
    println!("  peak memory        {peak:8} MiB   promised: 4096 MiB");
    let runs = report["runs"].as_array().expect("runs");
    slowest("slowest search", runs, |run| {
        run["search"]["seconds"].as_f64()
    });
    slowest("slowest proof", runs, |run| {
        let proof = &run["proof"];
        Some(proof["seconds"].as_f64()? + proof["recheck_seconds"].as_f64()?)
    });
    let claim = runs.iter().find(|run| run["name"] == "claim/tso");
    let claim = claim.expect("the first check");
    println!(
        "  claim/tso          {:8.1} s     promised: 20 s; {} states, key {} bytes",
        claim["search"]["seconds"].as_f64().unwrap_or(f64::NAN),
        claim["search"]["states"],
        claim["search"]["key_bytes"]
    );
}

fn slowest(what: &str, runs: &[Value], seconds: impl Fn(&Value) -> Option<f64>) {
    let timed = runs
        .iter()
        .filter_map(|run| Some((seconds(run)?, &run["name"])));
    if let Some((seconds, name)) = timed.max_by(|one, other| one.0.total_cmp(&other.0)) {
        println!("  {what:<18} {seconds:8.1} s     {name}");
    }
}

/// Looks until the program ends, at what the kernel says was its peak (0 where there is no /proc).
fn peak_mebibytes(child: &mut Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("waitable").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(kibibytes.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    peak >> 10
}
