//! The promises of [`Event`].

mod by_hand;

use std::thread;

use by_hand::ByHand;
use futures_lite::future::block_on;
use spinney_sync::Event;

#[test]
fn setting_wakes_all_who_wait_once() {
    let event = Event::new();
    let mut waiting: Vec<_> = (0..100).map(|_| ByHand::waiting(event.wait())).collect();
    event.set();
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 1));
    assert!(waiting.iter_mut().all(|waiter| waiter.poll().is_ready()));
}

#[test]
fn setting_again_wakes_nobody_again() {
    let event = Event::new();
    let waiter = ByHand::waiting(event.wait());
    event.set();
    event.set();
    assert_eq!(waiter.wakes(), 1);
    assert!(event.is_set());
}

#[test]
fn waiting_for_what_is_set_is_ready_at_once() {
    let event = Event::new();
    event.set();
    let mut waiter = ByHand::of(event.wait());
    assert!(waiter.poll().is_ready());
    assert_eq!(waiter.wakes(), 0);
}

#[test]
fn whoever_was_woken_goes_on_though_it_is_cleared_again() {
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
fn a_cleared_event_can_be_set_again() {
    let event = Event::new();
    for _ in 0..10 {
        let mut waiter = ByHand::waiting(event.wait());
        event.set();
        assert!(waiter.poll().is_ready());
        event.clear();
    }
}

#[test]
fn a_spurious_poll_goes_on_waiting() {
    let event = Event::new();
    let mut waiter = ByHand::waiting(event.wait());
    assert!(waiter.poll().is_pending());
    event.set();
    assert_eq!(waiter.wakes(), 1);
    assert!(waiter.poll().is_ready());
}

#[test]
fn a_wait_looks_at_the_flag_at_its_first_poll() {
    let event = Event::new();
    let mut waiter = ByHand::of(event.wait());
    event.set();
    event.clear();
    assert!(waiter.poll().is_pending(), "it was not waiting yet");
}

#[test]
fn a_waiter_dropped_before_or_after_it_was_woken_harms_nobody() {
    let event = Event::default();
    let mut waiting: Vec<_> = (0..3).map(|_| ByHand::waiting(event.wait())).collect();
    drop(waiting.remove(0));
    event.set();
    drop(waiting.remove(0));
    assert!(waiting.iter_mut().all(|waiter| waiter.wakes() == 1 && waiter.poll().is_ready()));
}

#[test]
fn no_wake_is_lost_between_two_threads() {
    const ROUNDS: usize = 10_000;
    let [forth, back] = [Event::new(), Event::new()];
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                block_on(forth.wait());
                forth.clear();
                back.set();
            }
        });
        for _ in 0..ROUNDS {
            forth.set();
            block_on(back.wait());
            back.clear();
        }
    });
    assert!(!forth.is_set() && !back.is_set());
}

#[test]
fn no_waiter_misses_a_set_that_races_with_its_first_look() {
    const ROUNDS: usize = 10_000;
    let events: Vec<_> = (0..ROUNDS).map(|_| Event::new()).collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| events.iter().for_each(|event| block_on(event.wait())));
        }
        scope.spawn(|| events.iter().for_each(Event::set));
    });
}
