//! The promises of [`Event`].

use std::hint;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use futures_lite::future::block_on;
use spinney_sync::Event;
use spinney_test_support::ByHand;

#[test]
fn set_wakes_each_waiter_once() {
    let event = Event::new();
    let mut waiting: Vec<_> = (0..100).map(|_| ByHand::waiting(event.wait())).collect();
    event.set();
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 1));
    assert!(waiting.iter_mut().all(|waiter| waiter.poll().is_ready()));
}

#[test]
fn second_set_wakes_no_waiter() {
    let event = Event::new();
    let waiter = ByHand::waiting(event.wait());
    event.set();
    event.set();
    assert_eq!(waiter.wakes(), 1);
    assert!(event.is_set());
}

#[test]
fn wait_on_a_set_event_is_ready() {
    let event = Event::new();
    event.set();
    let mut waiter = ByHand::of(event.wait());
    assert!(waiter.poll().is_ready());
    assert_eq!(waiter.wakes(), 0);
}

#[test]
fn woken_waiter_goes_on_after_a_clear() {
    let event = Event::new();
    let mut woken = ByHand::waiting(event.wait());
    event.set();
    event.clear();
    assert!(!event.is_set());
    let mut late = ByHand::waiting(event.wait());
    assert!(woken.poll().is_ready());
    assert!(late.poll().is_pending());
    assert_eq!(late.wakes(), 0);
}

#[test]
fn cleared_event_can_be_set_again() {
    let event = Event::new();
    for _ in 0..10 {
        let mut waiter = ByHand::waiting(event.wait());
        event.set();
        assert!(waiter.poll().is_ready());
        event.clear();
    }
}

#[test]
fn spurious_poll_stays_pending() {
    let event = Event::new();
    let mut waiter = ByHand::waiting(event.wait());
    assert!(waiter.poll().is_pending());
    event.set();
    assert_eq!(waiter.wakes(), 1);
    assert!(waiter.poll().is_ready());
}

#[test]
fn wait_reads_the_flag_at_its_first_poll() {
    let event = Event::new();
    let mut waiter = ByHand::of(event.wait());
    event.set();
    event.clear();
    assert!(waiter.poll().is_pending(), "an earlier set ended the wait");
}

#[test]
fn dropped_waiter_of_an_event_affects_no_other() {
    let event = Event::default();
    let mut waiting: Vec<_> = (0..3).map(|_| ByHand::waiting(event.wait())).collect();
    drop(waiting.remove(0));
    event.set();
    drop(waiting.remove(0));
    assert!(waiting.iter_mut().all(|waiter| waiter.wakes() == 1 && waiter.poll().is_ready()));
}

/// A meeting point of two threads, for actions at nearly the same moment.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    /// Waits for the other thread, for the `round`th time.
    fn wait(&self, round: usize) {
        self.0.fetch_add(1, SeqCst);
        for turn in 1.. {
            if self.0.load(SeqCst) >= 2 * round {
                return;
            }
            // The other thread may need this core.
            if turn % 1000 == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

#[test]
fn set_on_another_thread_loses_no_wake_up() {
    const ROUNDS: usize = 10_000;
    let [forth, back] = [Event::new(), Event::new()];
    let [asked, answered] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    // Spurious wake-ups are another test's concern.
    let wait = |event: &Event, count: &AtomicUsize, round| {
        while count.load(SeqCst) < round {
            block_on(event.wait());
        }
        event.clear();
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                wait(&forth, &asked, round);
                answered.store(round, SeqCst);
                back.set();
            }
        });
        for round in 1..=ROUNDS {
            asked.store(round, SeqCst);
            forth.set();
            wait(&back, &answered, round);
        }
    });
}

#[test]
fn set_during_the_first_poll_is_not_missed() {
    const ROUNDS: usize = 50_000;
    let (meeting, event) = (Meeting::default(), Event::new());
    let missed = thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                meeting.wait(2 * round + 1);
                (0..round % 64).for_each(|_| hint::spin_loop());
                event.set();
                meeting.wait(2 * round + 2);
            }
        });
        let race = |round: &usize| {
            event.clear();
            let mut waiter = ByHand::of(event.wait());
            meeting.wait(2 * round + 1);
            let at_once = waiter.poll().is_ready();
            // From here on the flag was set.
            meeting.wait(2 * round + 2);
            !at_once && waiter.wakes() == 0
        };
        (0..ROUNDS).filter(race).count()
    });
    assert_eq!(missed, 0);
}

#[test]
fn set_before_the_wait_ends_no_later_wait() {
    const ROUNDS: usize = 200_000;
    let (meeting, event) = (Meeting::default(), Event::new());
    let early = thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                meeting.wait(2 * round + 1);
                event.set();
                meeting.wait(2 * round + 2);
            }
        });
        let race = |round: &usize| {
            meeting.wait(2 * round + 1);
            while !event.is_set() {
                hint::spin_loop();
            }
            // The flag is set: the one set of this round has happened, and the following wait
            // starts after it.
            event.clear();
            let mut waiter = ByHand::of(event.wait());
            let at_once = waiter.poll().is_ready();
            // A late wake-up may come now. It must not end the wait.
            meeting.wait(2 * round + 2);
            at_once || waiter.poll().is_ready()
        };
        (0..ROUNDS).filter(race).count()
    });
    assert_eq!(early, 0);
}
