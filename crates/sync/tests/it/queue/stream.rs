//! The items of a queue as a stream.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use futures_lite::StreamExt;
use futures_lite::future::poll_fn;
use spinney_sync::{Items, LifoQueue, Queue};
use spinney_test_support::ByHand;

use super::cancel::{Life, drop_at_each_point};
use super::order::drain;

#[test]
fn stream_yields_items_and_ends_with_the_queue() {
    let queue = Queue::bounded(1);
    let mut items = queue.stream();
    let mut next = ByHand::waiting(items.next());
    queue.put_nowait(1).unwrap();
    assert_eq!((next.wakes(), next.poll()), (1, Poll::Ready(Some(1))));
    drop(next);
    queue.put_nowait(2).unwrap();
    queue.shutdown();
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(Some(2)));
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None));
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None), "the stream did not stay ended");
}

#[test]
fn dropped_next_keeps_the_place_of_the_stream() {
    let queue = Queue::bounded(1);
    let mut items = queue.stream();
    drop(ByHand::waiting(items.next()));
    let behind = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    assert_eq!((ByHand::of(items.next()).poll(), behind.wakes()), (Poll::Ready(Some(1)), 0));
}

#[test]
fn dropped_stream_loses_no_item() {
    fn next(queue: &Queue<u32>) -> Life<'_> {
        let mut items = queue.stream();
        Box::pin(poll_fn(move |cx| items.poll_next(cx)))
    }
    fn put_one(queue: &Queue<u32>) -> Option<u32> {
        queue.put_nowait(1).unwrap();
        None
    }
    for behind in [false, true] {
        for (_, found) in drop_at_each_point(|| Queue::bounded(1), next, put_one, behind) {
            assert_eq!(found, [1]);
        }
    }
}

#[test]
fn stream_has_the_order_of_its_queue() {
    let pile = LifoQueue::unbounded();
    pile.put_nowait(1).unwrap();
    pile.put_nowait(2).unwrap();
    let mut items = pile.stream();
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(Some(2)));
    drop(items);
    assert_eq!(drain(&pile), [1]);
}

#[test]
fn owned_stream_yields_items_and_ends_with_its_queue() {
    let queue = Arc::new(Queue::bounded(1));
    let mut items = Arc::clone(&queue).into_stream();
    let mut next = ByHand::waiting(items.next());
    queue.put_nowait(1).unwrap();
    assert_eq!((next.wakes(), next.poll()), (1, Poll::Ready(Some(1))));
    drop(next);
    queue.shutdown();
    drop(queue);
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None));
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(None), "the stream did not stay ended");
}

#[test]
fn dropped_owned_stream_passes_its_item_on() {
    let queue = Arc::new(Queue::bounded(1));
    let mut items = Arc::clone(&queue).into_stream();
    drop(ByHand::waiting(items.next()));
    let mut behind = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    assert_eq!(behind.wakes(), 0);
    drop(items);
    assert_eq!(behind.poll(), Poll::Ready(Ok(1)));
}

#[test]
fn owned_stream_accepts_any_pointer_to_any_queue() {
    let pile = Rc::new(LifoQueue::from_iter([1, 2]));
    let mut items = Items::of(Rc::clone(&pile));
    assert_eq!(ByHand::of(items.next()).poll(), Poll::Ready(Some(2)));
}
