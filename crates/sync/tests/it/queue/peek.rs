//! A peek waits for an item, copies it and leaves it.

use std::task::Poll;

use spinney_sync::{GetError, LifoQueue, PriorityQueue, Queue, ShutDown};
use spinney_test_support::ByHand;

#[test]
fn peek_copies_the_next_item_and_leaves_it() {
    let (queue, pile) = (Queue::unbounded(), LifoQueue::unbounded());
    let ranks = PriorityQueue::unbounded();
    for item in [2, 1, 3] {
        queue.put_nowait(item).unwrap();
        pile.put_nowait(item).unwrap();
        ranks.put_nowait(item).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(queue.peek_nowait(), Ok(2));
        assert_eq!(pile.peek_nowait(), Ok(3));
        assert_eq!(ByHand::of(ranks.peek()).poll(), Poll::Ready(Ok(1)));
    }
    assert_eq!((queue.len(), pile.len(), ranks.len()), (3, 3, 3));
}

#[test]
fn peek_of_an_empty_queue_finds_nothing() {
    let queue = Queue::<u32>::unbounded();
    assert_eq!(queue.peek_nowait(), Err(GetError::Empty));
    queue.shutdown();
    assert_eq!(queue.peek_nowait(), Err(GetError::ShutDown));
    assert_eq!(ByHand::of(queue.peek()).poll(), Poll::Ready(Err(ShutDown(()))));
}

#[test]
fn peeks_and_gets_wait_in_one_line() {
    let queue = Queue::bounded(1);
    let mut early = ByHand::waiting(queue.peek());
    let mut getter = ByHand::waiting(queue.get());
    let mut late = ByHand::waiting(queue.peek());
    assert_eq!(queue.getting(), 1, "a peek counts as a getter");
    queue.put_nowait(1).unwrap();
    assert_eq!((early.wakes(), getter.wakes(), late.wakes()), (1, 1, 0));
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert_eq!(early.poll(), Poll::Ready(Ok(1)), "the peek missed its item");
    queue.put_nowait(2).unwrap();
    assert_eq!(late.poll(), Poll::Ready(Ok(2)));
    assert_eq!(queue.get_nowait(), Ok(2));
}

#[test]
fn peek_sees_the_item_of_a_waiting_putter() {
    let channel = Queue::bounded(0);
    let mut early = ByHand::waiting(channel.peek());
    let putter = ByHand::waiting(channel.put(1));
    assert_eq!(early.poll(), Poll::Ready(Ok(1)));
    assert_eq!(channel.peek_nowait(), Ok(1));
    assert_eq!((putter.wakes(), channel.putting(), channel.unfinished()), (0, 1, 0));
}

#[test]
fn peek_takes_no_item_of_put_nowait() {
    let channel = Queue::bounded(0);
    let peek = ByHand::waiting(channel.peek());
    assert!(channel.put_nowait(1).is_err());
    assert_eq!(peek.wakes(), 0);
    let mut getter = ByHand::waiting(channel.get());
    channel.put_nowait(2).unwrap();
    assert_eq!((peek.wakes(), getter.poll()), (1, Poll::Ready(Ok(2))));
}
