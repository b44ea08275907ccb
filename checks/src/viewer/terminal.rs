//! The loop around the terminal viewer: keys in, frames out, the terminal as it was in the end.

use crate::command::Failure;
use crate::exit::Exit;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use seamcheck_traces::terminal::{Flow, Key, Signs, Viewer};
use seamcheck_traces::{Evidence, Trace};
use std::io;

/// Shows the trace until the user has seen enough.
///
/// # Errors
/// When the terminal does not do what it is told.
pub(super) fn show(
    trace: &Trace,
    evidence: Evidence,
    step: Option<usize>,
) -> Result<Exit, Failure> {
    let mut viewer = Viewer::new(trace, evidence, signs());
    if let Some(step) = step {
        viewer.select(step);
    }
    // A terminal that is left in raw mode is of no use to anybody.
    let handler = ctrlc::set_handler(|| {
        ratatui::restore();
        std::process::exit(Exit::Interrupted as i32);
    });
    if let Err(error) = handler {
        anstream::eprintln!("trace: signals can not be handled: {error}");
    }
    let ended = run(&mut viewer);
    ratatui::restore();
    ended.map_err(|error| Failure::Output {
        what: "the terminal".into(),
        error,
    })
}

fn run(viewer: &mut Viewer<'_>) -> io::Result<Exit> {
    let mut terminal = ratatui::try_init()?;
    let size = terminal.size()?;
    viewer.resize(size.width, size.height);
    loop {
        terminal.draw(|frame| viewer.draw(frame))?;
        match event::read()? {
            Event::Resize(columns, rows) => viewer.resize(columns, rows),
            Event::Key(pressed) if pressed.kind != KeyEventKind::Release => {
                let Some(key) = key(pressed) else { continue };
                if viewer.press(key) == Flow::Quit {
                    return Ok(match key {
                        Key::Ctrl(_) => Exit::Interrupted,
                        _ => Exit::AsExpected,
                    });
                }
            }
            _ => {}
        }
    }
}

/// Unicode where the locale says so.
fn signs() -> Signs {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or(set("LC_CTYPE")).or(set("LANG"));
    let locale = locale.unwrap_or_default().to_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Signs::Unicode
    } else {
        Signs::Ascii
    }
}

fn key(pressed: KeyEvent) -> Option<Key> {
    let ctrl = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match pressed.code {
        KeyCode::Char(character) if ctrl => Key::Ctrl(character.to_ascii_lowercase()),
        KeyCode::Char(character) => Key::Char(character),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
