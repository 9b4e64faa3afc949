//! [`WakeStorm`]: wake-ups from another thread that hit every moment of a poll.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A round that takes longer than this counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// The flag of a lost round, which ends the storm.
const LOST: usize = usize::MAX;

/// A thread that wakes the future that polls this. In each round it wakes, spins for a moment, sets
/// a flag, wakes again, and waits until the future has seen the flag. The environment variable
/// `SPINNEY_STRESS_WAKES` sets the number of rounds.
pub struct WakeStorm {
    rounds: usize,
    flags: Arc<Flags>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Flags {
    /// Written by the thread before it wakes.
    flag: AtomicUsize,
    /// The last value that the future has seen.
    seen: AtomicUsize,
}

impl WakeStorm {
    /// A storm of `rounds` rounds, unless the environment sets another number. It begins at the
    /// first poll.
    pub fn of(rounds: usize) -> Self {
        let wanted = std::env::var("SPINNEY_STRESS_WAKES").ok().and_then(|text| text.parse().ok());
        Self { rounds: wanted.unwrap_or(rounds), flags: Arc::default(), thread: None }
    }

    /// Shows the thread the current flag. At the end of the storm: whether each wake-up was
    /// followed by a poll.
    ///
    /// # Panics
    ///
    /// Panics if the thread panics.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<bool> {
        // `Relaxed`, so that only the ordering of wake-up and poll shows the flag in time.
        let flag = self.flags.flag.load(Relaxed);
        self.flags.seen.store(flag, Release);
        self.thread.get_or_insert_with(|| {
            let (flags, rounds, waker) = (Arc::clone(&self.flags), self.rounds, cx.waker().clone());
            thread::spawn(move || flags.wake_and_wait(rounds, &waker))
        });
        if flag < self.rounds {
            return Poll::Pending;
        }
        let joined = self.thread.take().map(JoinHandle::join).transpose();
        joined.expect("the thread of the storm panicked");
        Poll::Ready(flag != LOST)
    }
}

impl Flags {
    fn wake_and_wait(&self, rounds: usize, waker: &Waker) {
        for round in 1..=rounds {
            waker.wake_by_ref();
            // The second wake-up comes at another moment of the poll each round.
            (0..round % 64).for_each(|_| std::hint::spin_loop());
            self.flag.store(round, Relaxed);
            waker.wake_by_ref();
            if !self.is_seen(round) {
                self.flag.store(LOST, Relaxed);
                waker.wake_by_ref();
                return;
            }
        }
    }

    /// Waits until the future has seen the flag of `round`; `false` if it does not in time.
    fn is_seen(&self, round: usize) -> bool {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            // Usually this stays on its processor, to be there when the future is polled.
            for _ in 0..1024 {
                if self.seen.load(Acquire) == round {
                    return true;
                }
                std::hint::spin_loop();
            }
            thread::yield_now();
        }
        false
    }
}

impl fmt::Debug for WakeStorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeStorm").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}
