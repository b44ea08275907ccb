//! How often a test with random input is done: once, or for as long as somebody wants (`just fuzz`).

use std::time::{Duration, Instant};

/// Numbers from 0 on, one of them unless SEAMCHECK_FUZZ_SECONDS says for how long.
pub(crate) fn rounds() -> impl Iterator<Item = u64> {
    let given = std::env::var("SEAMCHECK_FUZZ_SECONDS").ok();
    let seconds = given.map_or(0, |given| given.parse().expect("a number of seconds"));
    let end = Instant::now() + Duration::from_secs(seconds);
    (0..).take_while(move |round| *round == 0 || Instant::now() < end)
}
