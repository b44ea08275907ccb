//! The other forms of the claim against the packed model, on protocols that nobody chose: the same
//! ones every time.

mod common;
#[path = "common/random_protocol.rs"]
mod random_protocol;

use proptest::prelude::*;
use proptest::sample::select;
use random_protocol::{asked_plainly, broken, decisions, each, safety, searched};
use seamcheck::engine::{Limits, Watch};
use seamcheck::forms::actors;
use seamcheck::forms::code::{CodeAnswer, CodeRequest, Engine, Patience, child, engine};
use seamcheck::question::{Question, Source};
use seamcheck::verdict::{self, Verdict};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::decisions::{BusyPredicate, FlagRaise, OnBusy};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::Reductions;
use seamcheck_model::threads::{self, Version, Window};
use std::path::Path;

#[test]
fn the_actors_come_to_the_verdicts_of_the_packed_model_on_random_protocols() {
    each(48, &asked_plainly(), |asked| {
        let question = asked.question().ok()?;
        actors::setup(&question).ok()?;
        let system = question.system(Reductions::ALL).ok()?;
        let report = searched(&system, 40_000, 1)?;
        let wanted: Vec<Property> = safety().collect();
        let limits = Limits {
            states: 400_000,
            ..Limits::default()
        };
        let opinion = actors::search(&question, &wanted, limits, &Watch::default()).ok()?;
        if !opinion.is_complete() {
            return None;
        }
        for property in wanted {
            let said = opinion.verdict(property).map(Verdict::word);
            let found = verdict::judge(&system, &report, property).word();
            // The actors take the kick behind TRACK for a retry's (docs/limits.md).
            let words = [said.unwrap_or_default(), found];
            if property == Property::KickOnlyWhenBusy
                && words.iter().all(|word| ["holds", "vacuous"].contains(word))
            {
                continue;
            }
            assert_eq!(said, Some(found), "{}", property.key());
        }
        Some(())
    });
}

/// A protocol as code: decisions of a kernel, some changed, and how it is run.
#[derive(Clone, Debug)]
struct Coded {
    kernel: &'static str,
    set: Vec<(String, String)>,
    module: Version,
    vcpus: usize,
    laps: usize,
    pct: Option<usize>,
    seed: u64,
    window: Window,
}

fn coded() -> impl Strategy<Value = Coded> {
    (
        select(&["6.16", "6.19", "next", "patch-v1"][..]),
        decisions(),
        select(Version::ALL),
        1_usize..=2,
        1_usize..=4,
        proptest::option::of(2_usize..=5),
        any::<u64>(),
        select(Window::ALL),
    )
        .prop_map(
            |(kernel, set, module, vcpus, laps, pct, seed, window)| Coded {
                kernel,
                set,
                module,
                vcpus,
                laps,
                pct,
                seed,
                window,
            },
        )
}

impl Coded {
    /// Of the same protocol: what the code is asked, and what the packed model is asked.
    fn asked(&self, engine: Engine, vcpus: usize) -> Option<(CodeRequest, Question)> {
        let scenario = Scenario {
            vcpus,
            exit_reason: true,
            ..Scenario::default()
        };
        let (module, kernel) = (
            Source::module(self.module.key()).ok()?,
            Source::kernel(self.kernel).ok()?,
        );
        let question = Question::new(module, kernel, self.set.clone(), scenario).ok()?;
        let request = CodeRequest {
            module: self.module,
            vcpus,
            laps: self.laps,
            ..CodeRequest::new(engine, self.kernel, &question.decisions, &question.profile)
        };
        request.scenario().ok()?.check().ok()?;
        Some((request, question))
    }
}

/// What the code was seen to violate, the packed model violates too.
fn assert_inside(question: &Question, answer: &CodeAnswer) -> Option<()> {
    let system = question.system(Reductions::ALL).ok()?;
    let report = searched(&system, 400_000, 2)?;
    let broken = broken(&report);
    for seen in &answer.seen_violated {
        assert!(broken.contains(&seen.as_str()), "{seen}: {broken:?}");
    }
    Some(())
}

#[test]
fn schedules_of_the_code_of_random_protocols_stay_inside_the_packed_model() {
    each(40, &coded(), |coded| {
        let (request, question) = coded.asked(Engine::Shuttle, coded.vcpus)?;
        let request = CodeRequest {
            schedules: 150,
            pct: coded.pct,
            seed: coded.seed,
            conformance: request.why_not_held().is_none(),
            ..request
        };
        let (limits, watch) = (Limits::default(), Watch::default());
        let patience = Patience::new(limits, &watch);
        let answer = engine::answer(&request, patience).expect("it was checked");
        assert_eq!(answer.failed, None);
        assert_eq!(answer.divergence, None, "{request:?}");
        assert_inside(&question, &answer)
    });
}

/// Under loom in a child process, as `check` runs it: two runs in one process are slow.
fn loom(request: &CodeRequest) -> CodeAnswer {
    let program = Path::new(env!("CARGO_BIN_EXE_check"));
    let watch = Watch::default();
    let patience = Patience::new(Limits::default(), &watch);
    child::ask(program, request, patience).expect("it was checked")
}

/// Whether the code's window alone is a part of the removal: where every BUSY, and nothing else, leads
/// there, and the flag goes up for it.
fn has_windows(question: &Question) -> bool {
    let decisions = &question.decisions;
    decisions.on_busy == OnBusy::KickAndRetry
        && decisions.busy_predicate == BusyPredicate::Masked
        && decisions.flag_raise != FlagRaise::AroundAllThree
}

#[test]
fn what_loom_finds_in_the_code_of_random_protocols_the_packed_model_finds_too() {
    each(32, &coded(), |coded| {
        let (request, question) = coded.asked(Engine::Loom, 1)?;
        let window = if has_windows(&question) {
            coded.window
        } else {
            Window::Whole
        };
        // Sequentially consistent, as the model here: a weak memory does more.
        let request = CodeRequest {
            memory: threads::Memory::SequentiallyConsistent,
            window,
            laps: request.laps.min(2),
            preemptions: Some(2),
            executions: 1_000,
            ..request
        };
        let answer = loom(&request);
        assert_eq!(answer.failed, None);
        assert_inside(&question, &answer)
    });
}
