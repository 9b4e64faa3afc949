//! First in, first out, or the other way round.

use std::task::Poll;

use spinney_sync::{GetError, JoinableQueue, LifoQueue, Order, OrderedQueue, Queue};
use spinney_test_support::ByHand;

/// Takes out all items.
pub(crate) fn drain<T, O: Order<T>>(queue: &OrderedQueue<T, O>) -> Vec<T> {
    std::iter::from_fn(|| queue.get_nowait().ok()).collect()
}

fn filled<O: Order<u32>>(queue: OrderedQueue<u32, O>) -> OrderedQueue<u32, O> {
    (1..=4).for_each(|item| queue.put_nowait(item).unwrap());
    queue
}

#[test]
fn items_come_out_in_the_order_they_were_put() {
    assert_eq!(drain(&filled(Queue::unbounded())), [1, 2, 3, 4]);
    assert_eq!(drain(&filled(JoinableQueue::bounded(4))), [1, 2, 3, 4]);
}

#[test]
fn last_that_was_put_comes_out_first() {
    let pile = filled(LifoQueue::unbounded());
    assert_eq!(pile.get_nowait(), Ok(4));
    pile.put_nowait(5).unwrap();
    assert_eq!(drain(&pile), [5, 3, 2, 1]);
}

#[test]
fn item_that_is_there_is_had_at_once() {
    let queue = Queue::bounded(1);
    assert_eq!(ByHand::of(queue.put(7)).poll(), Poll::Ready(Ok(())));
    assert_eq!(ByHand::of(queue.get()).poll(), Poll::Ready(Ok(7)));
    assert_eq!(queue.get_nowait(), Err(GetError::Empty));
}

#[test]
fn dropped_getters_put_their_items_back_to_their_old_places() {
    // Dropped in every order: the items lie as if they had never been given away.
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
fn dropping_a_queue_drops_its_items() {
    let item = std::sync::Arc::new(());
    let queue = Queue::unbounded();
    queue.put_nowait(item.clone()).unwrap();
    drop(queue);
    assert_eq!(std::sync::Arc::strong_count(&item), 1);
}
