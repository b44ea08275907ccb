//! The violating execution with the fewest preemptions: loom with bound after bound.

use super::answer::CodeAnswer;
use super::child;
use super::engine;
use super::patience::Patience;
use super::request::{CodeRequest, Engine};
use crate::question::QuestionError;

/// Past this bound the search goes on without one.
const MOST: usize = 8;

/// Runs a request, loom in a process of its own, and from bound to bound when the fewest preemptions are
/// asked for.
///
/// # Errors
/// As [`engine::answer`] and [`child::answer`].
pub fn answer(request: &CodeRequest, patience: Patience<'_>) -> Result<CodeAnswer, QuestionError> {
    match request.engine {
        Engine::Loom if request.fewest => {
            search(request, |bounded| child::answer(bounded, patience))
        }
        Engine::Loom => child::answer(request, patience),
        Engine::Shuttle | Engine::Std => engine::answer(request, patience),
    }
}

/// Stops at the first bound with which the property is violated; what none violates is told by the last run,
/// which has none.
fn search(
    request: &CodeRequest,
    run: impl Fn(&CodeRequest) -> Result<CodeAnswer, QuestionError>,
) -> Result<CodeAnswer, QuestionError> {
    let most = request.preemptions.unwrap_or(MOST);
    let mut without = Vec::new();
    for bound in 0..=most {
        let found = run(&bounded(request, Some(bound)))?;
        if found.violated {
            return Ok(CodeAnswer {
                preemptions: Some(bound),
                without,
                ..found
            });
        }
        if found.stopped_early() {
            return Ok(CodeAnswer { without, ..found });
        }
        without.push(found.executions);
    }
    let last = run(&bounded(request, request.preemptions))?;
    Ok(CodeAnswer { without, ..last })
}

fn bounded(request: &CodeRequest, preemptions: Option<usize>) -> CodeRequest {
    CodeRequest {
        preemptions,
        fewest: false,
        ..request.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Source;

    fn request() -> CodeRequest {
        let kernel = Source::kernel("6.16").and_then(|source| source.profile());
        let kernel = kernel.expect("a built-in profile");
        CodeRequest {
            fewest: true,
            ..CodeRequest::new(Engine::Loom, "6.16", &kernel.decisions, &kernel)
        }
    }

    fn violated_from(
        least: Option<usize>,
    ) -> impl Fn(&CodeRequest) -> Result<CodeAnswer, QuestionError> {
        move |request| {
            let bound = request.preemptions.unwrap_or(usize::MAX);
            Ok(CodeAnswer {
                executions: 10 + bound.min(100) as u64,
                violated: least.is_some_and(|least| bound >= least),
                ..CodeAnswer::default()
            })
        }
    }

    #[test]
    fn the_first_bound_that_violates_is_told_with_those_that_do_not() {
        let found = search(&request(), violated_from(Some(2))).unwrap_or_default();
        assert_eq!(found.preemptions, Some(2));
        assert_eq!((found.executions, found.without), (12, vec![10, 11]));
    }

    #[test]
    fn what_no_bound_violates_is_run_without_one() {
        let found = search(&request(), violated_from(None)).unwrap_or_default();
        assert_eq!((found.preemptions, found.executions), (None, 110));
        assert_eq!(found.without.len(), MOST + 1);
    }

    #[test]
    fn a_run_that_is_cut_short_ends_the_search() {
        let capped = |_: &CodeRequest| {
            Ok(CodeAnswer {
                capped: true,
                ..CodeAnswer::default()
            })
        };
        let found = search(&request(), capped).unwrap_or_default();
        assert!(found.capped && found.without.is_empty());
    }
}
