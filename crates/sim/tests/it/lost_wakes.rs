//! A wake-up from another thread is never lost, whatever moment of the poll it hits.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use spinney_hub::{Spawn, yield_now};
use spinney_sim::SimHub;

/// The number of rounds; `SPINNEY_STRESS_WAKES` in the environment says otherwise.
fn rounds() -> usize {
    let wanted = std::env::var("SPINNEY_STRESS_WAKES").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(5_000)
}

/// A round that takes longer than this was lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the waking thread says last, so that the test ends.
const LOST: usize = usize::MAX;

#[derive(Default)]
struct Flags {
    /// What the thread writes before it wakes.
    flag: AtomicUsize,
    /// What the future has seen of it.
    seen: AtomicUsize,
}

impl Flags {
    /// Wakes `waker` twice a round, with the flag written in between, and waits until it is seen.
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

    /// Waits until the future has seen the flag of `round`; false if it does not in time.
    fn is_seen(&self, round: usize) -> bool {
        let since = Instant::now();
        for turn in 1_usize.. {
            if self.seen.load(Acquire) == round {
                break;
            }
            // Mostly this goes on on its processor, to be there when the future is polled.
            if turn % 1024 == 0 {
                thread::yield_now();
                if since.elapsed() > PATIENCE {
                    return false;
                }
            }
            std::hint::spin_loop();
        }
        true
    }
}

#[test]
fn sim_hub_loses_no_wake_from_another_thread() {
    let rounds = rounds();
    let flags = Arc::new(Flags::default());
    let mut waking = None;
    let sim = SimHub::new();
    // A hub that has nothing to run does not wait for other threads: this keeps it busy.
    sim.spawn(async {
        loop {
            yield_now().await;
        }
    });
    let last = sim.block_on(poll_fn(|cx| {
        let flag = flags.flag.load(Relaxed);
        flags.seen.store(flag, Release);
        waking.get_or_insert_with(|| {
            let (flags, waker) = (Arc::clone(&flags), cx.waker().clone());
            thread::spawn(move || flags.wake_and_wait(rounds, &waker))
        });
        if flag >= rounds { Poll::Ready(flag) } else { Poll::Pending }
    }));
    waking.unwrap().join().unwrap();
    assert_eq!(last, rounds, "a wake-up was lost");
}
