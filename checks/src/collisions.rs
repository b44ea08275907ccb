//! Who can collide with whom on which lock of the module, and under which KVM locks they really can.
//!
//! `rows` reads a lock table and nothing else. `callers` asks a kernel profile who issues which
//! leaf, holding what, and when in the TD's life; `meetings` puts the two together.

mod callers;
mod meetings;
mod rows;

pub use callers::{Caller, When, callers};
pub use meetings::{Apart, Meeting, apart, meetings};
pub use rows::{Collision, collisions};

#[cfg(test)]
mod tests;
