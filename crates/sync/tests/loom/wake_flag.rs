//! A write before a wake-up is seen by a poll after it, in the same turn or in the next.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::{Arc, Mutex};
use loom::thread;
use spinney_sync::WakeFlag;

use crate::model;

/// How often the other thread wakes.
const WAKES: usize = 2;

/// A task of a hub: the state that its poll reads, and its turns in the hub's queue.
struct Task {
    queued: WakeFlag,
    turns: Mutex<usize>,
    news: AtomicUsize,
}

impl Task {
    fn wake(&self) {
        if self.queued.set() {
            *self.turns.lock().unwrap() += 1;
        }
    }

    /// The state that a poll saw; `None` if no turn is queued.
    fn run(&self) -> Option<usize> {
        let mut turns = self.turns.lock().unwrap();
        *turns = turns.checked_sub(1)?;
        drop(turns);
        self.queued.take();
        // Any other ordering between the threads would hide a missing one in the flag.
        Some(self.news.load(Relaxed))
    }
}

#[test]
fn wake_during_a_poll_is_seen_or_queues_a_turn() {
    model(|| {
        let (queued, turns, news) = (WakeFlag::new(), Mutex::new(0), AtomicUsize::new(0));
        let task = Arc::new(Task { queued, turns, news });
        task.wake();
        let waking = {
            let task = Arc::clone(&task);
            thread::spawn(move || {
                for wake in 1..=WAKES {
                    task.news.store(wake, Relaxed);
                    task.wake();
                }
            })
        };
        let mut seen = task.run();
        seen = task.run().or(seen);
        waking.join().unwrap();
        // Without a queued turn, the last poll was the last one that there will be.
        while let Some(news) = task.run() {
            seen = Some(news);
        }
        assert_eq!(seen, Some(WAKES));
    });
}

#[test]
fn turn_in_an_inbox_is_found_by_the_hub_before_it_sleeps() {
    model(|| {
        let filled = Arc::new(WakeFlag::new());
        let inbox = Arc::new(Mutex::new(Vec::new()));
        let pushing = {
            let (filled, inbox) = (Arc::clone(&filled), Arc::clone(&inbox));
            thread::spawn(move || {
                for turn in 1..=WAKES {
                    let mut inbox = inbox.lock().unwrap();
                    inbox.push(turn);
                    filled.set();
                }
            })
        };
        let empty_inbox =
            || if filled.take() { inbox.lock().unwrap().drain(..).count() } else { 0 };
        let mut found = empty_inbox();
        // The hub does not sleep while there is a turn. So the flag must show it.
        let may_sleep = inbox.lock().unwrap().is_empty();
        let taken = empty_inbox();
        assert!(may_sleep || taken > 0, "the flag does not show a turn");
        found += taken;
        pushing.join().unwrap();
        assert_eq!(found + empty_inbox(), WAKES);
    });
}
