//! [`short`]: a moment of looking before going to sleep.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// How often one looks. To be woken costs as much as many of these.
const LOOKS: usize = 16;
/// What a turn given away costs at the most, if nobody is there who keeps the core.
const TURN: Duration = Duration::from_micros(500);
/// How many times one then goes to sleep at once.
const SLEEPS: u32 = 1000;

thread_local! {
    /// How many times this thread is yet to go to sleep at once.
    static SLEEPY: Cell<u32> = const { Cell::new(0) };
}

/// The steps of a thread that is about to sleep: at each it gives way to others, and looks whether
/// there is still nothing. Where the others keep the core for long there are none for a while.
pub(crate) fn short() -> impl Iterator<Item = ()> {
    let sleepy = SLEEPY.get();
    SLEEPY.set(sleepy.saturating_sub(1));
    let looks = if sleepy == 0 { LOOKS } else { 0 };
    (0..looks).map_while(|_| {
        if SLEEPY.get() > 0 {
            return None;
        }
        let start = Instant::now();
        thread::yield_now();
        if start.elapsed() > TURN {
            SLEEPY.set(SLEEPS);
        }
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::{SLEEPY, short};

    #[test]
    fn a_thread_that_was_kept_waiting_goes_to_sleep_at_once_for_a_while() {
        SLEEPY.set(2);
        assert_eq!([short().count(), short().count()], [0, 0]);
        assert_eq!(SLEEPY.get(), 0);
        assert!(short().count() > 0);
    }
}
