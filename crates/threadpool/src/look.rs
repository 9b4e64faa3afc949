//! [`look`]: a bounded backoff before a thread sleeps.
//!
//! To be woken costs as much as many turns given away. So a thread that has run out of work gives way to
//! others a few times, and looks each time. Where the others keep the core for long, it sleeps immediately for
//! a while, and for longer each time until looking has paid.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// How often a thread looks.
const LOOKS: u32 = 16;
/// What a turn given away costs at most, if no other thread keeps the core.
const TURN: Duration = Duration::from_micros(500);
/// How many times a thread then sleeps immediately, at first: as many sleeps regain the time that was lost.
const SLEEPS: u32 = 1000;
/// How many times at most, where it is lost again and again.
const SLEEPS_AT_MOST: u32 = 64 * SLEEPS;
/// How many looks of a task, which holds up its hub meanwhile, are left out at most.
const LEFT_OUT: u32 = 1024;

thread_local! {
    static LOOKING: Cell<Looking> = const { Cell::new(Looking::new()) };
    /// How many looks the tasks of this thread still leave out, and how many they leave out after the next
    /// vain look.
    static SELDOM: Cell<(u32, u32)> = const { Cell::new((0, 1)) };
}

/// Whether a thread looks at all.
#[derive(Clone, Copy)]
struct Looking {
    /// How many times it is yet to sleep immediately.
    left_out: u32,
    /// How many times that will be when it is next kept from its core.
    next: u32,
    /// How many times it has looked since it was last kept from its core.
    looked: u32,
}

impl Looking {
    const fn new() -> Self {
        Self { left_out: 0, next: SLEEPS, looked: 0 }
    }

    /// One more time; returns whether it is to look.
    fn begin(&mut self) -> bool {
        let looks = self.left_out == 0;
        self.left_out = self.left_out.saturating_sub(1);
        self.looked = self.looked.saturating_add(u32::from(looks));
        looks
    }

    fn was_kept(&mut self) {
        self.left_out = if self.looked >= SLEEPS { SLEEPS } else { self.next };
        self.next = SLEEPS_AT_MOST.min(2 * self.left_out);
        self.looked = 0;
    }
}

/// Gives way to other threads for a moment, until `is_there`. Returns whether it is.
pub(crate) fn look(mut is_there: impl FnMut() -> bool) -> bool {
    let mut looking = LOOKING.get();
    let looks = looking.begin();
    LOOKING.set(looking);
    let mut turns = if looks { LOOKS } else { 0 };
    while turns > 0 {
        let start = Instant::now();
        thread::yield_now();
        turns -= 1;
        if start.elapsed() > TURN {
            looking.was_kept();
            LOOKING.set(looking);
            turns = 0;
        }
        if is_there() {
            return true;
        }
    }
    false
}

/// The last look has paid, however long it took.
pub(crate) fn look_has_paid() {
    LOOKING.set(Looking::new());
}

/// Looks as [`look`] does, for a task, which holds up its hub meanwhile. Each look in vain doubles how many are
/// left out after it.
pub(crate) fn look_in_task(mut is_there: impl FnMut() -> bool) {
    let (left_out, next) = SELDOM.get();
    if is_there() {
        SELDOM.set((0, 1));
    } else if left_out > 0 {
        SELDOM.set((left_out - 1, next));
    } else if LOOKING.get().left_out > 0 {
        // The thread sleeps immediately: that is no look in vain.
        look(is_there);
    } else {
        let found = look(is_there);
        SELDOM.set(if found { (0, 1) } else { (next, LEFT_OUT.min(2 * next)) });
    }
}

#[cfg(test)]
mod tests {
    use super::{
        LEFT_OUT, LOOKING, Looking, SELDOM, SLEEPS, SLEEPS_AT_MOST, look, look_has_paid,
        look_in_task,
    };

    #[test]
    fn look_that_was_kept_from_its_core_is_followed_by_sleeps() {
        let mut looking = Looking::new();
        looking.was_kept();
        LOOKING.set(looking);
        assert!(!look(|| true), "it sleeps immediately");
        look_has_paid();
        assert!(look(|| true));
    }

    #[test]
    fn vain_looks_double_the_pause_until_looks_pay() {
        let mut looking = Looking::new();
        let mut kept_after = |looks: u32| {
            let looked = (0..looks).filter(|_| looking.begin()).count();
            looking.was_kept();
            (looked, std::mem::take(&mut looking.left_out))
        };
        assert_eq!(kept_after(1), (1, SLEEPS));
        assert_eq!(kept_after(1), (1, 2 * SLEEPS));
        assert_eq!((0..99).map(|_| kept_after(1).1).max(), Some(SLEEPS_AT_MOST));
        assert_eq!(kept_after(SLEEPS).1, SLEEPS);
    }

    #[test]
    fn task_that_looks_in_vain_looks_seldom() {
        let mut left_out = 0;
        for _ in 0..10 * LEFT_OUT {
            look_has_paid();
            left_out += u32::from(SELDOM.get().0 > 0);
            look_in_task(|| false);
        }
        assert!(left_out > 9 * LEFT_OUT, "{left_out}");
        look_in_task(|| true);
        assert_eq!(SELDOM.get(), (0, 1), "it looks again");
    }
}
