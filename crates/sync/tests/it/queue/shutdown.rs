//! The shutdown of a queue: puts are refused, and the remaining items can be taken.

use std::task::Poll;

use spinney_sync::{Channel, GetError, LifoQueue, PutError, Queue, ShutDown};
use spinney_test_support::ByHand;

use super::order::drain;

#[test]
fn put_after_shutdown_returns_the_item() {
    let queue = Queue::bounded(1);
    queue.shutdown();
    assert!(queue.is_shut_down());
    assert_eq!(queue.put_nowait(1), Err(PutError::ShutDown(1)));
    assert_eq!(ByHand::of(queue.put(2)).poll(), Poll::Ready(Err(ShutDown(2))));
    queue.resize(10);
    assert_eq!(queue.put_nowait(3).unwrap_err().into_item(), 3);
    assert_eq!((queue.len(), queue.unfinished()), (0, 0));
}

#[test]
fn remaining_items_are_taken_before_gets_are_refused() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    queue.shutdown();
    assert_eq!(queue.peek_nowait(), Ok(1));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!(ByHand::of(queue.get()).poll(), Poll::Ready(Ok(2)));
    assert_eq!(queue.get_nowait(), Err(GetError::ShutDown));
    assert_eq!(ByHand::of(queue.get()).poll(), Poll::Ready(Err(ShutDown(()))));
    assert_eq!(queue.unfinished(), 2);
}

#[test]
fn shutdown_wakes_putters_once_and_returns_items() {
    let queue = Queue::bounded(1);
    queue.put_nowait(0).unwrap();
    let mut putters: Vec<_> = (1..5).map(|item| ByHand::waiting(queue.put(item))).collect();
    queue.shutdown();
    assert_eq!((queue.putting(), queue.len()), (0, 1));
    for (putter, item) in putters.iter_mut().zip(1..) {
        assert_eq!(putter.wakes(), 1);
        assert_eq!(putter.poll(), Poll::Ready(Err(ShutDown(item))));
    }
    assert_eq!(drain(&queue), [0]);
}

#[test]
fn shutdown_wakes_getters_once_and_refuses_them() {
    let queue = Queue::<u32>::unbounded();
    let mut getters: Vec<_> = (0..5).map(|_| ByHand::waiting(queue.get())).collect();
    let mut peek = ByHand::waiting(queue.peek());
    queue.shutdown();
    assert_eq!(queue.getting(), 0);
    for getter in &mut getters {
        assert_eq!(getter.wakes(), 1);
        assert_eq!(getter.poll(), Poll::Ready(Err(ShutDown(()))));
    }
    assert_eq!((peek.wakes(), peek.poll()), (1, Poll::Ready(Err(ShutDown(())))));
}

#[test]
fn served_waiter_keeps_its_item_after_shutdown() {
    let queue = Queue::bounded(1);
    let mut getter = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    let mut putter = ByHand::waiting(queue.put(3));
    assert_eq!(queue.get_nowait(), Ok(2));
    queue.shutdown();
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
    assert_eq!(drain(&queue), [3]);
}

#[test]
fn item_of_a_getter_dropped_after_shutdown_returns() {
    let queue = Queue::unbounded();
    let getter = ByHand::waiting(queue.get());
    let mut refused = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    queue.shutdown();
    drop(getter);
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!(refused.poll(), Poll::Ready(Err(ShutDown(()))));
}

#[test]
fn refused_futures_may_be_dropped_unpolled() {
    let queue = Queue::bounded(0);
    let putters = [1, 2].map(|item| ByHand::waiting(queue.put(item)));
    queue.shutdown();
    drop(putters);
    let queue = Queue::<u32>::bounded(0);
    let getters = [(); 2].map(|()| ByHand::waiting(queue.get()));
    queue.shutdown();
    drop(getters);
    assert_eq!((queue.putting(), queue.getting(), queue.len()), (0, 0, 0));
}

#[test]
fn item_of_a_refused_put_can_be_taken_back() {
    let queue = Queue::bounded(0);
    let mut put = queue.put(1);
    assert!(ByHand::of(&mut put).poll().is_pending());
    queue.shutdown();
    assert_eq!(put.take_back(), Some(1));
    assert_eq!(put.take_back(), None);
}

#[test]
fn immediate_shutdown_returns_the_items_left_in_order() {
    let (queue, pile) = (Queue::unbounded(), LifoQueue::unbounded());
    for item in [1, 2, 3] {
        queue.put_nowait(item).unwrap();
        pile.put_nowait(item).unwrap();
    }
    assert_eq!(queue.shutdown_now(), [1, 2, 3]);
    assert_eq!(pile.shutdown_now(), [3, 2, 1]);
    assert!(queue.is_shut_down() && queue.is_empty());
    assert_eq!(queue.get_nowait(), Err(GetError::ShutDown));
}

#[test]
fn immediate_shutdown_finishes_items_and_joins() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    queue.put_nowait(3).unwrap();
    queue.get_nowait().unwrap();
    let mut join = ByHand::waiting(queue.join());
    assert_eq!(queue.shutdown_now(), [2, 3]);
    assert_eq!((queue.unfinished(), join.wakes()), (1, 0), "item 1 counts as done");
    queue.task_done().unwrap();
    assert!(join.poll().is_ready());

    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    let mut join = ByHand::waiting(queue.join());
    drop(queue.shutdown_now());
    assert_eq!(join.wakes(), 1);
    assert!(join.poll().is_ready());
}

#[test]
fn immediate_shutdown_after_too_many_done_counts_to_zero() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    queue.task_done().unwrap();
    assert_eq!(queue.shutdown_now(), [1]);
    assert_eq!(queue.unfinished(), 0);
}

#[test]
fn immediate_shutdown_takes_items_of_woken_getters() {
    let queue = Queue::unbounded();
    let mut getters = [(); 2].map(|()| ByHand::waiting(queue.get()));
    let mut peek = ByHand::waiting(queue.peek());
    for item in [1, 2, 3] {
        queue.put_nowait(item).unwrap();
    }
    assert_eq!(queue.shutdown_now(), [1, 2, 3]);
    for getter in &mut getters {
        assert_eq!(getter.poll(), Poll::Ready(Err(ShutDown(()))));
    }
    assert_eq!(peek.poll(), Poll::Ready(Ok(3)), "the peek took an item");
    assert_eq!((queue.unfinished(), queue.len()), (0, 0));
}

#[test]
fn immediate_shutdown_leaves_putters_their_items() {
    let channel = Channel::new();
    let mut putter = ByHand::waiting(channel.put(1));
    assert!(channel.shutdown_now().is_empty());
    assert_eq!(putter.poll(), Poll::Ready(Err(ShutDown(1))));
}

#[test]
fn second_shutdown_is_a_no_op() {
    let queue = Queue::<u32>::unbounded();
    let getter = ByHand::waiting(queue.get());
    queue.shutdown();
    queue.shutdown();
    assert_eq!(getter.wakes(), 1);
    drop(getter);

    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    queue.shutdown();
    assert_eq!(queue.shutdown_now(), [1], "immediate shutdown was refused");
    assert!(queue.shutdown_now().is_empty());
}

#[test]
fn refused_getter_gets_an_item_returned_meanwhile() {
    let queue = Queue::unbounded();
    let served = ByHand::waiting(queue.get());
    let mut refused = ByHand::waiting(queue.get());
    let mut late = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    queue.shutdown();
    drop(served);
    assert_eq!(refused.poll(), Poll::Ready(Ok(1)));
    assert_eq!(late.poll(), Poll::Ready(Err(ShutDown(()))));
}
