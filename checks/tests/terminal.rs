//! The terminal viewer, used as a person uses it: in a real terminal of 80 by 24.

mod common;

use common::{LONG, recorded, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal with `trace trace.json` in it. It ends when this is dropped.
struct Terminal {
    tmux: PathBuf,
    server: String,
}

impl Terminal {
    fn start(name: &str, directory: &Path, arguments: &str) -> Option<Self> {
        let Some(tmux) = common::program(&["tmux"]) else {
            skipped("tmux");
            return None;
        };
        let server = format!("seamcheck-{name}-{}", std::process::id());
        let terminal = Self { tmux, server };
        let program = env!("CARGO_BIN_EXE_trace");
        let line = format!("LC_ALL=C.UTF-8 '{program}' {arguments}; echo status $?; sleep 600");
        let start = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
        ];
        terminal.tmux(&start, |command| {
            command.arg("-c").arg(directory).arg(line);
        });
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str], more: impl FnOnce(&mut Command)) -> String {
        let mut command = Command::new(&self.tmux);
        command.args(["-L", &self.server]).args(arguments);
        command.env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        more(&mut command);
        let output = command.output().expect("tmux starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"], |_| {})
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&["send-keys"], |command| {
            command.args(keys);
        });
    }

    /// The screen as soon as it shows a text.
    fn showing(&self, wanted: &str) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(wanted) {
                return screen;
            }
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "no {wanted:?}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let kill = ["-L", &self.server, "kill-server"];
        let _ = Command::new(&self.tmux).args(kill).output();
    }
}

#[test]
fn the_first_screen_in_a_terminal_of_80_by_24_is_this_one() {
    let (directory, _) = recorded("terminal-first", LONG);
    let Some(terminal) = Terminal::start("first", &directory, "trace.json") else {
        return;
    };
    insta::assert_snapshot!("terminal", terminal.showing("q quit"));
}

#[test]
fn keys_lead_from_the_first_busy_to_the_verdict_and_out_again() {
    let (directory, _) = recorded("terminal-keys", LONG);
    let Some(terminal) = Terminal::start("keys", &directory, "trace.json") else {
        return;
    };
    terminal.showing("step 82 of 85");
    terminal.press(&["F"]);
    terminal.showing("step 37 of 85");
    terminal.press(&["o"]);
    terminal.showing("step 13 of 85");
    terminal.press(&["v"]);
    terminal.showing("step 85 of 85");
    terminal.press(&["1", "2", "G"]);
    terminal.showing("step 12 of 85");
    terminal.press(&["/", "c", "m", "p", "x", "c", "h", "g"]);
    terminal.showing("/cmpxchg");
    terminal.press(&["Enter"]);
    terminal.showing("step 67 of 85");
    terminal.press(&["Tab"]);
    insta::assert_snapshot!("terminal_enlarged", terminal.showing("Tab back"));
    terminal.press(&["Tab"]);
    terminal.press(&["?"]);
    insta::assert_snapshot!("terminal_help", terminal.showing("any key closes"));
    terminal.press(&["x"]);
    terminal.press(&["q"]);
    let after = terminal.showing("status 0");
    assert!(
        !after.contains("step 67"),
        "the terminal is as it was:\n{after}"
    );
}

#[test]
fn a_resized_terminal_is_drawn_anew_and_ctrl_c_ends_with_130() {
    let (directory, _) = recorded("terminal-size", LONG);
    let Some(terminal) = Terminal::start("size", &directory, "trace.json --step 37") else {
        return;
    };
    terminal.showing("step 37 of 85");
    terminal.tmux(&["resize-window", "-x", "30", "-y", "8"], |_| {});
    terminal.showing("At least 40 columns");
    terminal.tmux(&["resize-window", "-x", "140", "-y", "40"], |_| {});
    terminal.showing("State after it");
    terminal.press(&["C-c"]);
    terminal.showing("status 130");
}

#[test]
fn what_nobody_has_executed_says_so_on_every_screen() {
    let (directory, _) = recorded("terminal-unverified", LONG);
    let arguments = "--unverified trace.json";
    let Some(terminal) = Terminal::start("unverified", &directory, arguments) else {
        return;
    };
    terminal.showing("NOT EXECUTED AGAIN");
    terminal.press(&["Tab"]);
    terminal.showing("Tab back");
    assert!(terminal.screen().contains("NOT EXECUTED AGAIN"));
}
