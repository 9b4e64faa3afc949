//! [`backoff`]: a bounded backoff before a thread sleeps.
//!
//! A wake-up costs as much as many yields. So a thread that has run out of work yields to other
//! threads a few times, and checks each time. If the others keep the core for long, it sleeps
//! immediately for a while, and for longer each time until checking has paid.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// How many times a thread checks.
const CHECKS: u32 = 16;
/// The largest cost of one yield, if no other thread keeps the core.
const TURN: Duration = Duration::from_micros(500);
/// How many times a thread then sleeps immediately, at first: as many sleeps as regain the lost
/// time.
const SLEEPS: u32 = 1000;
/// The largest such number, if time is lost repeatedly.
const MAX_SLEEPS: u32 = 64 * SLEEPS;
/// The largest number of checks that a task leaves out: it blocks its hub meanwhile.
const MAX_SKIPS: u32 = 1024;

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::new()) };
    /// How many checks the tasks of this thread still leave out, and how many after the next vain
    /// check.
    static TASK_SKIPS: Cell<(u32, u32)> = const { Cell::new((0, 1)) };
}

/// Whether a thread checks at all.
#[derive(Clone, Copy)]
struct State {
    /// How many more times it sleeps immediately.
    skips: u32,
    /// How many times it will do so when it is next kept from its core.
    next: u32,
    /// How many times it has checked since it was last kept from its core.
    checked: u32,
}

impl State {
    const fn new() -> Self {
        Self { skips: 0, next: SLEEPS, checked: 0 }
    }

    /// Starts one more backoff; returns whether the thread should check.
    fn begin(&mut self) -> bool {
        let checks = self.skips == 0;
        self.skips = self.skips.saturating_sub(1);
        self.checked = self.checked.saturating_add(u32::from(checks));
        checks
    }

    fn was_kept(&mut self) {
        self.skips = if self.checked >= SLEEPS { SLEEPS } else { self.next };
        self.next = MAX_SLEEPS.min(2 * self.skips);
        self.checked = 0;
    }
}

/// Yields to other threads for a moment, until `is_there`. Returns whether it is.
pub(crate) fn backoff(mut is_there: impl FnMut() -> bool) -> bool {
    let mut state = STATE.get();
    let checks = state.begin();
    STATE.set(state);
    let mut turns = if checks { CHECKS } else { 0 };
    while turns > 0 {
        let start = Instant::now();
        thread::yield_now();
        turns -= 1;
        if start.elapsed() > TURN {
            state.was_kept();
            STATE.set(state);
            turns = 0;
        }
        if is_there() {
            return true;
        }
    }
    false
}

/// Records that the last backoff has paid, however long it took.
pub(crate) fn backoff_has_paid() {
    STATE.set(State::new());
}

/// Backs off like [`backoff`], for a task, which blocks its hub meanwhile. Each vain check doubles
/// the number of checks that are left out after it.
pub(crate) fn backoff_in_task(mut is_there: impl FnMut() -> bool) {
    let (skips, next) = TASK_SKIPS.get();
    if is_there() {
        TASK_SKIPS.set((0, 1));
    } else if skips > 0 {
        TASK_SKIPS.set((skips - 1, next));
    } else if STATE.get().skips > 0 {
        // The thread sleeps immediately: that does not count as a vain check.
        backoff(is_there);
    } else {
        let found = backoff(is_there);
        TASK_SKIPS.set(if found { (0, 1) } else { (next, MAX_SKIPS.min(2 * next)) });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        MAX_SKIPS, MAX_SLEEPS, SLEEPS, STATE, State, TASK_SKIPS, backoff, backoff_has_paid,
        backoff_in_task,
    };

    #[test]
    fn backoff_that_lost_its_core_is_followed_by_sleeps() {
        let mut state = State::new();
        state.was_kept();
        STATE.set(state);
        assert!(!backoff(|| true), "the thread checked instead of sleeping");
        backoff_has_paid();
        assert!(backoff(|| true));
    }

    #[test]
    fn vain_backoffs_double_the_pause_until_one_pays() {
        let mut state = State::new();
        let mut kept_after = |checks: u32| {
            let checked = (0..checks).filter(|_| state.begin()).count();
            state.was_kept();
            (checked, std::mem::take(&mut state.skips))
        };
        assert_eq!(kept_after(1), (1, SLEEPS));
        assert_eq!(kept_after(1), (1, 2 * SLEEPS));
        assert_eq!((0..99).map(|_| kept_after(1).1).max(), Some(MAX_SLEEPS));
        assert_eq!(kept_after(SLEEPS).1, SLEEPS);
    }

    #[test]
    fn vain_backoffs_of_a_task_double_its_skips() {
        let mut skips = 0;
        for _ in 0..10 * MAX_SKIPS {
            backoff_has_paid();
            skips += u32::from(TASK_SKIPS.get().0 > 0);
            backoff_in_task(|| false);
        }
        assert!(skips > 9 * MAX_SKIPS, "{skips}");
        backoff_in_task(|| true);
        assert_eq!(TASK_SKIPS.get(), (0, 1), "the task still leaves checks out");
    }
}
