//! `seamcheck.matrix.v1`.

use super::Matrix;
use crate::collisions::{Caller, Meeting};
use crate::exit::Exit;
use seamcheck_model::closed_enum::ClosedEnum;
use serde::Serialize;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.matrix.v1";

/// The matrix, as JSON.
#[derive(Debug, Serialize)]
pub struct Report {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    module: String,
    kernel: String,
    leaves: Vec<String>,
    not_issued: Vec<String>,
    without_row: Vec<&'static str>,
    collisions: Vec<CollisionText>,
}

#[derive(Debug, Serialize)]
struct CollisionText {
    loser: String,
    holder: String,
    lock: &'static str,
    wanted: &'static str,
    held: &'static str,
    status: String,
    status_name: String,
    reality: &'static str,
    meetings: Vec<MeetingText>,
}

#[derive(Debug, Serialize)]
struct MeetingText {
    loser: CallerText,
    holder: CallerText,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_apart_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct CallerText {
    name: String,
    locks: Vec<LockText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hypothetical: bool,
}

#[derive(Debug, Serialize)]
struct LockText {
    lock: &'static str,
    mode: &'static str,
}

impl From<&Caller> for CallerText {
    fn from(caller: &Caller) -> Self {
        let locks = caller.locks.iter().map(|(lock, mode)| LockText {
            lock: lock.key(),
            mode: mode.key(),
        });
        Self {
            name: caller.name.clone(),
            locks: locks.collect(),
            when: Some(caller.when.text()).filter(|when| !when.is_empty()),
            hypothetical: caller.is_hypothetical,
        }
    }
}

impl From<&Meeting<'_>> for MeetingText {
    fn from(meeting: &Meeting<'_>) -> Self {
        Self {
            loser: meeting.loser.into(),
            holder: meeting.holder.into(),
            kept_apart_by: meeting.apart.map(|apart| apart.text()),
        }
    }
}

pub(super) fn report(matrix: &Matrix, exit: Exit) -> Report {
    let collisions = matrix.collisions.iter().map(|collision| {
        let (reality, meetings) = matrix.meetings(collision);
        CollisionText {
            loser: collision.loser.clone(),
            holder: collision.holder.clone(),
            lock: collision.lock.key(),
            wanted: collision.wanted.key(),
            held: collision.held.key(),
            status: collision.status.to_string(),
            status_name: collision.status.pretty(),
            reality: reality.key(),
            meetings: meetings.iter().map(MeetingText::from).collect(),
        }
    });
    Report {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        module: matrix.module.clone(),
        kernel: matrix.kernel.clone(),
        leaves: matrix.leaves.clone(),
        not_issued: matrix.not_issued().into_iter().map(str::to_owned).collect(),
        without_row: matrix.without_row(),
        collisions: collisions.collect(),
    }
}
