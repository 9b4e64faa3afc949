//! The capacity of a queue.

use std::task::Poll;

use spinney_sync::{LifoQueue, PutError, Queue};
use spinney_test_support::ByHand;

use super::order::drain;

#[test]
fn bounded_queue_holds_its_capacity() {
    let queue = Queue::bounded(2);
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (0, true, false));
    queue.put_nowait(1).unwrap();
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (1, false, false));
    queue.put_nowait(2).unwrap();
    assert_eq!((queue.len(), queue.is_empty(), queue.is_full()), (2, false, true));
    assert_eq!(queue.put_nowait(3), Err(PutError::Full(3)));
    assert_eq!(queue.put_nowait(3).unwrap_err().into_item(), 3);
    assert_eq!((queue.capacity(), drain(&queue)), (Some(2), vec![1, 2]));
}

#[test]
fn unbounded_queue_is_never_full() {
    let queue = Queue::unbounded();
    for item in 0..1000 {
        assert_eq!(ByHand::of(queue.put(item)).poll(), Poll::Ready(Ok(())));
    }
    assert_eq!((queue.capacity(), queue.len(), queue.is_full()), (None, 1000, false));
}

#[test]
fn put_waits_until_an_item_was_taken() {
    let queue = LifoQueue::bounded(1);
    queue.put_nowait(1).unwrap();
    let mut putter = ByHand::waiting(queue.put(2));
    assert_eq!((queue.putting(), queue.len(), queue.unfinished()), (1, 1, 1));
    assert_eq!(queue.get_nowait(), Ok(1), "the item of a waiting putter is in the queue");
    assert_eq!((queue.putting(), queue.len(), queue.unfinished()), (0, 1, 2));
    assert_eq!(putter.wakes(), 1);
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn resize_up_admits_as_many_as_fit_and_wakes_each_once() {
    let queue = Queue::bounded(1);
    queue.put_nowait(0).unwrap();
    let mut putters: Vec<_> = (1..=5).map(|item| ByHand::waiting(queue.put(item))).collect();
    queue.resize(4);
    let woken: Vec<_> = putters.iter().map(ByHand::wakes).collect();
    assert_eq!(woken, [1, 1, 1, 0, 0]);
    assert_eq!((queue.len(), queue.putting(), queue.capacity()), (4, 2, Some(4)));
    queue.resize(None);
    assert_eq!((queue.len(), queue.putting(), queue.capacity()), (6, 0, None));
    assert!(putters.iter_mut().all(|put| put.wakes() == 1 && put.poll() == Poll::Ready(Ok(()))));
    assert_eq!(drain(&queue), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn smaller_capacity_admits_none_until_enough_is_taken() {
    let queue = Queue::unbounded();
    (0..3).for_each(|item| queue.put_nowait(item).unwrap());
    queue.resize(1);
    assert_eq!((queue.len(), queue.is_full()), (3, true));
    let putter = ByHand::waiting(queue.put(3));
    assert_eq!(queue.get_nowait(), Ok(0));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!((putter.wakes(), queue.put_nowait(4)), (0, Err(PutError::Full(4))));
    assert_eq!(queue.get_nowait(), Ok(2));
    assert_eq!((putter.wakes(), queue.len()), (1, 1));
}

#[test]
fn returned_item_may_exceed_the_capacity() {
    let queue = Queue::bounded(1);
    let getter = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    let putter = ByHand::waiting(queue.put(3));
    drop(getter);
    assert_eq!((queue.len(), queue.is_full(), putter.wakes()), (2, true, 0));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!((queue.len(), putter.wakes()), (1, 0));
    assert_eq!(queue.get_nowait(), Ok(2));
    assert_eq!((queue.len(), putter.wakes()), (1, 1));
}
