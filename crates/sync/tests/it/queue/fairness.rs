//! First in, first out, for getters and putters.

use std::task::Poll;

use spinney_sync::{GetError, PutError, Queue};
use spinney_test_support::ByHand;

use super::order::drain;

#[test]
fn each_getter_gets_the_item_of_its_turn_in_any_run_order() {
    let queue = Queue::bounded(1);
    let mut getters: Vec<_> = (0..4).map(|_| ByHand::waiting(queue.get())).collect();
    (0..3).for_each(|item| queue.put_nowait(item).unwrap());
    let woken: Vec<_> = getters.iter().map(ByHand::wakes).collect();
    assert_eq!(woken, [1, 1, 1, 0]);
    for turn in [2, 0, 1] {
        assert_eq!(getters[turn].poll(), Poll::Ready(Ok(turn)));
    }
    assert!(getters[3].poll().is_pending());
    assert_eq!(queue.getting(), 1);
}

#[test]
fn thousand_putters_are_admitted_in_fifo_order() {
    let queue = Queue::bounded(1);
    queue.put_nowait(0).unwrap();
    let mut putters: Vec<_> = (1..1000).map(|item| ByHand::waiting(queue.put(item))).collect();
    for item in 0..1000 {
        let woken = putters.iter().filter(|putter| putter.wakes() == 1).count();
        assert_eq!(woken, item);
        assert_eq!(queue.get_nowait(), Ok(item));
    }
    assert!(putters.iter_mut().all(|putter| putter.wakes() == 1 && putter.poll().is_ready()));
}

#[test]
fn item_of_a_woken_getter_is_not_given_to_a_newcomer() {
    let queue = Queue::bounded(1);
    let mut getter = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    assert_eq!((queue.len(), queue.getting()), (0, 0));
    assert_eq!(queue.get_nowait(), Err(GetError::Empty));
    assert_eq!(queue.peek_nowait(), Err(GetError::Empty));
    let mut newcomer = ByHand::waiting(queue.get());
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert!(newcomer.poll().is_pending());
}

#[test]
fn free_room_goes_to_a_waiting_putter() {
    let queue = Queue::bounded(1);
    queue.put_nowait(1).unwrap();
    let putter = ByHand::waiting(queue.put(2));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!(putter.wakes(), 1);
    assert_eq!(queue.put_nowait(3), Err(PutError::Full(3)));
    assert_eq!(drain(&queue), [2]);
}

#[test]
fn unpolled_future_has_no_place_in_the_queue() {
    let queue = Queue::bounded(1);
    let (put, get, peek) = (queue.put(1), queue.get(), queue.peek());
    assert_eq!((queue.putting(), queue.getting(), queue.len()), (0, 0, 0));
    queue.put_nowait(2).unwrap();
    drop((put, get, peek));
    assert_eq!(drain(&queue), [2]);
}

#[test]
fn future_polled_before_its_turn_keeps_its_place() {
    let queue = Queue::bounded(1);
    let mut first = ByHand::waiting(queue.get());
    let second = ByHand::waiting(queue.get());
    for _ in 0..10 {
        assert!(first.poll().is_pending());
    }
    assert_eq!(queue.getting(), 2);
    queue.put_nowait(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));

    queue.put_nowait(2).unwrap();
    queue.put_nowait(3).unwrap();
    let mut first = ByHand::waiting(queue.put(4));
    let second = ByHand::waiting(queue.put(5));
    assert!(first.poll().is_pending());
    assert_eq!((queue.putting(), queue.get_nowait()), (2, Ok(3)));
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
}

#[test]
fn failed_tries_of_a_queue_leave_nothing_behind() {
    let queue = Queue::bounded(0);
    for _ in 0..10 {
        assert_eq!(queue.put_nowait(1), Err(PutError::Full(1)));
        assert_eq!(queue.get_nowait(), Err(GetError::Empty));
        assert_eq!(queue.peek_nowait(), Err(GetError::Empty));
    }
    assert_eq!((queue.putting(), queue.getting(), queue.unfinished()), (0, 0, 0));
}
