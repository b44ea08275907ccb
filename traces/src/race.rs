//! The timeline that kernel developers draw in commit messages: one column per CPU, time
//! running down, one step to a row, who held the lock at the bottom.

mod cast;
mod frame;
mod layout;
mod text;
mod timeline;

use crate::schema::Trace;
use cast::Cast;

/// No line is wider than this, the width commit messages are wrapped at.
pub const WIDTH: usize = 72;

/// Draws the trace as a race between CPUs, ready to be pasted into a commit message.
///
/// ASCII, at most [`WIDTH`] columns, no tabs and no trailing blanks. At most three agents get a
/// column; what the others did is counted below the columns. Steps of agents that the trace does
/// not list are not drawn; [`Trace::from_json`] lets no such trace in.
#[must_use]
pub fn race(trace: &Trace) -> String {
    let cast = Cast::of(trace);
    let rows = timeline::rows(trace, &cast);
    let paragraphs = [
        frame::property(trace),
        frame::question(trace),
        layout::draw(&cast.headers(), &rows),
        frame::folded(&cast),
        frame::verdict(trace),
        frame::conflict(trace),
    ];
    let filled = paragraphs.iter().filter(|lines| !lines.is_empty());
    let blocks: Vec<String> = filled.map(|lines| lines.join("\n")).collect();
    blocks.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests;
