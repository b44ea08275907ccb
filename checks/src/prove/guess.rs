//! Other vCPUs, of which nothing is known but what is guessed: each question a move asks about them
//! is answered yes and no in turn.

use seamcheck_model::system::System;
use seamcheck_model::system::moves::{Move, Mover};
use seamcheck_model::system::others::{Others, Predicate};
use seamcheck_model::system::state::Shared;
use std::cell::RefCell;

/// What a move assumed about the other vCPUs: each question with its answer.
pub type Assumed = Vec<(Predicate, bool)>;

/// Answers from a script; the first question beyond it, and all that follow, get a no.
#[derive(Clone)]
struct Script<'a> {
    answers: &'a [bool],
    asked: &'a RefCell<Assumed>,
}

impl Others for Script<'_> {
    fn any(&self, _: &System, predicate: Predicate) -> bool {
        let mut asked = self.asked.borrow_mut();
        if let Some((_, answer)) = asked.iter().find(|(other, _)| *other == predicate) {
            return *answer;
        }
        let answer = self.answers.get(asked.len()).copied().unwrap_or(false);
        asked.push((predicate, answer));
        answer
    }
}

/// Every move of `mover`, under every combination of answers that `possible` allows to be yes, and
/// whether a store buffer overflowed.
pub fn moves(
    system: &System,
    shared: &Shared,
    mover: Mover,
    possible: impl Fn(Predicate) -> bool,
    mut visit: impl FnMut(&Move, &Assumed),
) -> bool {
    let mut overflowed = false;
    let mut answers: Vec<bool> = Vec::new();
    loop {
        let asked = RefCell::new(Assumed::new());
        let script = Script {
            answers: &answers,
            asked: &asked,
        };
        let mut found = Vec::new();
        overflowed |= system
            .moves(shared, mover, &script, |done| found.push(done))
            .0;
        let asked = asked.into_inner();
        for done in &found {
            visit(done, &asked);
        }
        // The next combination: the last no that can be a yes becomes one, what follows starts over.
        let last = asked
            .iter()
            .rposition(|(predicate, answer)| !answer && possible(*predicate));
        let Some(last) = last else {
            return overflowed;
        };
        answers = asked[..last].iter().map(|(_, answer)| *answer).collect();
        answers.push(true);
    }
}
