//! First in, first out, and last in, first out.

use std::task::Poll;

use spinney_sync::{GetError, JoinableQueue, LifoQueue, Order, OrderedQueue, Queue};
use spinney_test_support::ByHand;

/// Takes all items.
pub(crate) fn drain<T, O: Order<T>>(queue: &OrderedQueue<T, O>) -> Vec<T> {
    std::iter::from_fn(|| queue.get_nowait().ok()).collect()
}

fn filled<O: Order<u32>>(queue: OrderedQueue<u32, O>) -> OrderedQueue<u32, O> {
    (1..=4).for_each(|item| queue.put_nowait(item).unwrap());
    queue
}

#[test]
fn fifo_queue_returns_items_in_put_order() {
    assert_eq!(drain(&filled(Queue::unbounded())), [1, 2, 3, 4]);
    assert_eq!(drain(&filled(JoinableQueue::bounded(4))), [1, 2, 3, 4]);
}

#[test]
fn lifo_queue_returns_the_last_item_first() {
    let pile = filled(LifoQueue::unbounded());
    assert_eq!(pile.get_nowait(), Ok(4));
    pile.put_nowait(5).unwrap();
    assert_eq!(drain(&pile), [5, 3, 2, 1]);
}

#[test]
fn get_with_an_item_is_ready() {
    let queue = Queue::bounded(1);
    assert_eq!(ByHand::of(queue.put(7)).poll(), Poll::Ready(Ok(())));
    assert_eq!(ByHand::of(queue.get()).poll(), Poll::Ready(Ok(7)));
    assert_eq!(queue.get_nowait(), Err(GetError::Empty));
}

#[test]
fn dropped_getters_return_items_to_their_old_places() {
    // Dropped in every order: the items are back in the places that they had.
    for first in 0..3 {
        for second in (0..3).filter(|n| *n != first) {
            let (queue, pile) = (Queue::unbounded(), LifoQueue::unbounded());
            let mut getters: Vec<_> = (0..3).map(|_| Some(ByHand::waiting(queue.get()))).collect();
            let mut takers: Vec<_> = (0..3).map(|_| Some(ByHand::waiting(pile.get()))).collect();
            for item in 1..=5 {
                queue.put_nowait(item).unwrap();
                pile.put_nowait(item).unwrap();
            }
            assert_eq!((queue.len(), pile.len()), (2, 2));
            for gone in [first, second, 3 - first - second] {
                getters[gone] = None;
                takers[gone] = None;
            }
            assert_eq!(drain(&queue), [1, 2, 3, 4, 5]);
            assert_eq!(drain(&pile), [5, 4, 3, 2, 1]);
        }
    }
}

#[test]
fn dropped_queue_drops_its_items() {
    let item = std::sync::Arc::new(());
    let queue = Queue::unbounded();
    queue.put_nowait(item.clone()).unwrap();
    drop(queue);
    assert_eq!(std::sync::Arc::strong_count(&item), 1);
}
