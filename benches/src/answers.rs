//! Right answers, which every rival must give.

/// The sum of all numbers below `end`.
pub(crate) fn sum_below(end: u32) -> u64 {
    (0..u64::from(end)).sum()
}

/// A number that depends on all of `results` and on their order.
pub(crate) fn digest(results: impl IntoIterator<Item = u64>) -> u64 {
    results.into_iter().fold(0, extend_digest)
}

/// The [`digest`] of all numbers below `end`, in order.
pub(crate) fn digest_below(end: u32) -> u64 {
    digest(0..u64::from(end))
}

/// The [`digest`] of some results and one more.
pub(crate) fn extend_digest(digest: u64, result: u64) -> u64 {
    digest.wrapping_mul(31).wrapping_add(result)
}
