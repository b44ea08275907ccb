//! How much memory searches may take: never more than the machine has left.

use crate::engine::Limits;

/// In bytes.
pub(super) const fn mebibytes(count: u64) -> u64 {
    count.saturating_mul(1 << 20)
}

/// With no more memory than is left, shared by as many searches at a time. One that would need more is
/// cut short, and says so.
pub(super) fn at_most_what_is_left(limits: Limits, searches: u64) -> Limits {
    let left = std::fs::read_to_string("/proc/meminfo");
    let Some(left) = left.ok().and_then(|text| available(&text)) else {
        return limits;
    };
    // An eighth stays for everything but states.
    let share = (left - left / 8) / searches;
    Limits {
        memory: limits.memory.min(share),
        ..limits
    }
}

/// Bytes that can be had without swapping: /proc/meminfo, in kB.
fn available(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let rest = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_from_the_line_that_says_so() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:    1000000 kB\nBuffers: 1 kB\n";
        assert_eq!(available(text), Some(1_024_000_000));
        assert_eq!(available("MemTotal: 5 kB\n"), None);
        assert_eq!(available("MemAvailable: much\n"), None);
    }

    #[test]
    fn a_limit_above_what_is_left_is_lowered_and_one_below_is_kept() {
        let of = |memory, searches| {
            let limits = Limits {
                memory,
                ..Limits::default()
            };
            at_most_what_is_left(limits, searches).memory
        };
        assert!(of(u64::MAX, 1) < u64::MAX);
        assert!(of(u64::MAX, 2) < of(u64::MAX, 1));
        assert_eq!(of(1 << 20, 2), 1 << 20);
    }

    #[test]
    fn no_number_of_mebibytes_is_too_many() {
        assert_eq!(mebibytes(1), 1 << 20);
        assert_eq!(mebibytes(1 << 44), u64::MAX);
    }
}
