//! From a store to its arrival in memory: store buffers give their stores up in order.

use super::{Link, LinkKind};
use crate::schema::Step;
use std::collections::{BTreeMap, VecDeque};

/// The end of the name of every store buffer's field.
const BUFFER: &str = ".store_buffer";

pub(super) fn links(steps: &[Step]) -> Vec<Link> {
    let mut waiting: BTreeMap<&str, VecDeque<usize>> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let buffers = step.changed.iter();
        for change in buffers.filter(|change| change.field.ends_with(BUFFER)) {
            let (before, after) = (stores(&change.from), stores(&change.to));
            let queue = waiting.entry(&change.field).or_default();
            let drained = drained(&before, &after);
            for what in &before[..drained] {
                found.extend(queue.pop_front().map(|from| Link {
                    to: index + 1,
                    from,
                    kind: LinkKind::Store,
                    what: (*what).to_owned(),
                }));
            }
            let kept = before.len() - drained;
            queue.extend(after[kept..].iter().map(|_| index + 1));
        }
    }
    found
}

/// The stores in a buffer, oldest first.
fn stores(value: &str) -> Vec<&str> {
    if value == "empty" {
        Vec::new()
    } else {
        value.split(", ").collect()
    }
}

/// How many of the oldest stores are gone: what is left starts the new buffer.
fn drained(before: &[&str], after: &[&str]) -> usize {
    let fits = |&gone: &usize| after.starts_with(&before[gone..]);
    (0..=before.len()).find(fits).unwrap_or(before.len())
}
