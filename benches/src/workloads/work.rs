//! Work that computes.

use std::hint::black_box;

/// Takes about 2 us at 3 GHz, and returns `number`.
pub(super) fn compute_2_us(number: u64) -> u64 {
    compute(number, 1_450)
}

/// Takes about 20 us at 3 GHz, and returns `number`.
pub(super) fn compute_20_us(number: u64) -> u64 {
    compute(number, 14_500)
}

/// Takes about 50 us at 3 GHz, and returns `number`.
pub(super) fn compute_50_us(number: u64) -> u64 {
    compute(number, 36_000)
}

/// A number of steps rather than a time: so all rivals do the same work, whatever else runs.
fn compute(number: u64, steps: u32) -> u64 {
    let mut state = black_box(1_u64);
    for _ in 0..steps {
        // Without the shift a compiler combines many steps.
        state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
    black_box(state);
    number
}
