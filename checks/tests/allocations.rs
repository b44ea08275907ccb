//! The hot path of the exact engine allocates nothing for a state or a transition.

mod common;

use allocation_counter::measure;
use common::run;
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Report, Watch};
use seamcheck_model::system::Reductions;

/// A search, and how often it asked for memory.
fn searched(vcpus: usize) -> (Report, u64) {
    let mut question = run("6.16-3vcpu/tso").question().expect("a question");
    question.scenario.vcpus = vcpus;
    let system = question.system(Reductions::ALL).expect("a system");
    let mut report = None;
    let counted = measure(|| {
        let limits = Limits::default();
        report = Some(exact::search(
            &system,
            Until::Everything,
            limits,
            &Watch::default(),
        ));
    });
    (report.expect("searched"), counted.count_total)
}

#[test]
fn more_states_take_no_more_allocations_than_tables_that_grow() {
    let (small, few) = searched(2);
    let (large, many) = searched(3);
    assert_eq!((small.states, large.states), (47_346, 1_219_077));
    // Twenty-six times the states; what is allocated is moves worked out, once each, and tables.
    assert!(many < 4 * few, "{few} allocations, then {many}");
    assert!(
        many < large.states / 20,
        "{many} for {} states",
        large.states
    );
}
