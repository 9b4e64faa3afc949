//! [`short`]: a moment of looking before going to sleep; and [`gather`], for what may come in a
//! stream.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// How often one looks. To be woken costs as much as many of these.
const LOOKS: usize = 16;
/// What a turn given away costs at the most, if nobody is there who keeps the core.
const TURN: Duration = Duration::from_micros(500);
/// How many times one then goes to sleep at once, at first: what was lost is regained in about as
/// many times.
const SLEEPS: u32 = 1000;
/// How many times at the most, where it is lost again and again.
const SLEEPS_AT_MOST: u32 = 64 * SLEEPS;

thread_local! {
    static SLEEPY: Cell<Sleepy> = const { Cell::new(Sleepy::new()) };
}

/// Whether a thread looks at all.
#[derive(Clone, Copy)]
struct Sleepy {
    /// How many times it is yet to go to sleep at once.
    left: u32,
    /// How many times that will be when it is next kept waiting.
    next: u32,
    /// How many times it has looked since it was last kept waiting.
    looked: u32,
}

impl Sleepy {
    const fn new() -> Self {
        Self { left: 0, next: SLEEPS, looked: 0 }
    }

    /// One more time; says whether it is to look.
    fn begin(&mut self) -> bool {
        let looks = self.left == 0;
        self.left = self.left.saturating_sub(1);
        self.looked = self.looked.saturating_add(u32::from(looks));
        looks
    }

    fn was_kept_waiting(&mut self) {
        let regained = self.looked >= SLEEPS;
        self.left = if regained { SLEEPS } else { self.next };
        self.next = SLEEPS_AT_MOST.min(2 * self.left);
        self.looked = 0;
    }
}

/// Changes what this thread knows of that.
fn sleepy<R>(change: impl FnOnce(&mut Sleepy) -> R) -> R {
    let mut sleepy = SLEEPY.get();
    let changed = change(&mut sleepy);
    SLEEPY.set(sleepy);
    changed
}

/// Says that the last look has paid, however long that took.
pub(crate) fn has_paid() {
    SLEEPY.set(Sleepy::new());
}

/// The steps of a thread that is about to sleep: at each it gives way to others, and looks whether
/// there is still nothing. Where the others keep the core for long there are none for a while.
pub(crate) fn short() -> impl Iterator<Item = ()> {
    let looks = if sleepy(Sleepy::begin) { LOOKS } else { 0 };
    let mut kept = false;
    (0..looks).map_while(move |_| {
        if kept {
            return None;
        }
        let start = Instant::now();
        thread::yield_now();
        kept = start.elapsed() > TURN;
        if kept {
            sleepy(Sleepy::was_kept_waiting);
        }
        Some(())
    })
}

/// Looks in these steps whether it is there. What comes in a stream is let gather: one looks again
/// after as many steps as it took so far. So whoever sends it is not met for each piece of it.
pub(crate) fn gather(mut is_there: impl FnMut() -> bool, mut is_stream: impl FnMut() -> bool) {
    let mut next = 1;
    for (step, ()) in (1..).zip(short()) {
        if step >= next && is_there() {
            if !is_stream() {
                return;
            }
            next = 2 * step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, SLEEPS, SLEEPS_AT_MOST, Sleepy, gather, has_paid, short, sleepy};

    /// How often one looks that gathers what is there.
    fn looks_at(is_stream: bool) -> usize {
        let mut looks = 0;
        let look = || {
            looks += 1;
            true
        };
        gather(look, || is_stream);
        looks
    }

    #[test]
    fn what_comes_alone_is_not_let_wait_for_more() {
        assert_eq!(looks_at(false), 1);
    }

    #[test]
    fn what_comes_in_a_stream_is_looked_at_ever_more_seldom() {
        // Fewer where others keep the core.
        let most = 1 + LOOKS.ilog2() as usize;
        assert!((1..=most).contains(&looks_at(true)));
    }

    #[test]
    fn thread_that_spun_in_vain_sleeps_immediately_for_a_while() {
        sleepy(|sleepy| sleepy.left = 2);
        assert_eq!([short().count(), short().count()], [0, 0]);
        assert!(short().count() > 0);
    }

    #[test]
    fn a_look_that_has_paid_is_not_the_last_however_long_it_took() {
        sleepy(Sleepy::was_kept_waiting);
        has_paid();
        assert!(short().count() > 0);
    }

    #[test]
    fn vain_spins_double_the_pause_until_a_spin_pays() {
        let mut sleepy = Sleepy::new();
        let mut kept_waiting_after = |looks: u32| {
            let looked = (0..looks).filter(|_| sleepy.begin()).count();
            sleepy.was_kept_waiting();
            (looked, std::mem::take(&mut sleepy.left))
        };
        assert_eq!(kept_waiting_after(1), (1, SLEEPS));
        assert_eq!(kept_waiting_after(1), (1, 2 * SLEEPS));
        assert_eq!((0..99).map(|_| kept_waiting_after(1).1).max(), Some(SLEEPS_AT_MOST));
        assert_eq!(kept_waiting_after(SLEEPS).1, SLEEPS);
    }
}
