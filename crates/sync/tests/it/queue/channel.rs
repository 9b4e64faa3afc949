//! From hand to hand.

use std::task::Poll;

use spinney_sync::{Channel, GetError, Order, OrderedQueue, PriorityQueue, PutError, Queue};
use spinney_test_support::ByHand;

#[test]
fn a_put_waits_until_its_item_was_taken() {
    let channel = Channel::new();
    let mut putter = ByHand::waiting(channel.put(1));
    assert!(putter.poll().is_pending());
    assert_eq!(channel.get_nowait(), Ok(1));
    assert_eq!(putter.wakes(), 1);
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn a_get_waits_until_an_item_was_put() {
    let channel = Channel::default();
    let mut getter = ByHand::waiting(channel.get());
    assert_eq!(ByHand::of(channel.put(1)).poll(), Poll::Ready(Ok(())));
    assert_eq!(getter.wakes(), 1);
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
}

#[test]
fn a_put_without_waiting_succeeds_exactly_if_a_getter_waits() {
    let channel = Channel::new();
    assert_eq!(channel.put_nowait(1), Err(PutError::Full(1)));
    let getter = ByHand::waiting(channel.get());
    assert_eq!(channel.put_nowait(2), Ok(()));
    assert_eq!(channel.put_nowait(3), Err(PutError::Full(3)), "the getter has its item");
    drop(getter);
    assert_eq!(channel.put_nowait(4), Err(PutError::Full(4)));
    assert_eq!(channel.get_nowait(), Ok(2), "which is not lost with it");
}

#[test]
fn a_get_without_waiting_succeeds_exactly_if_a_putter_waits() {
    let channel = Channel::new();
    assert_eq!(channel.get_nowait(), Err(GetError::Empty));
    let putter = ByHand::waiting(channel.put(1));
    assert_eq!(channel.get_nowait(), Ok(1));
    assert_eq!(channel.get_nowait(), Err(GetError::Empty));
    drop(putter);
    drop(ByHand::waiting(channel.put(2)));
    assert_eq!(channel.get_nowait(), Err(GetError::Empty), "2 went along with its putter");
}

#[test]
fn it_is_empty_and_full_at_any_time() {
    let channel = Channel::new();
    assert_eq!((channel.len(), channel.is_empty(), channel.is_full()), (0, true, true));
    let _putter = ByHand::waiting(channel.put(1));
    assert_eq!((channel.len(), channel.is_empty(), channel.is_full()), (0, true, true));
    assert_eq!(channel.capacity(), Some(0));
}

#[test]
fn the_balance_is_putters_less_getters() {
    let channel = Channel::new();
    assert_eq!(channel.balance(), 0);
    let putters = [ByHand::waiting(channel.put(1)), ByHand::waiting(channel.put(2))];
    assert_eq!((channel.balance(), channel.putting(), channel.getting()), (2, 2, 0));
    drop(putters);
    let _getters = [(); 3].map(|()| ByHand::waiting(channel.get()));
    assert_eq!((channel.balance(), channel.putting(), channel.getting()), (-3, 0, 3));
}

#[test]
fn putters_are_served_in_the_order_they_came_in_any_kind_of_queue_without_room() {
    fn check<O: Order<u32>>(queue: &OrderedQueue<u32, O>) {
        let _putters = [3, 1, 2].map(|item| ByHand::waiting(queue.put(item)));
        assert_eq!([(); 3].map(|()| queue.get_nowait().unwrap()), [3, 1, 2]);
    }
    check(&Queue::bounded(0));
    check(&PriorityQueue::bounded(0));
}

#[test]
fn resized_it_is_a_queue_with_room() {
    let channel = Channel::new();
    let putter = ByHand::waiting(channel.put(1));
    let waiting = ByHand::waiting(channel.put(2));
    channel.resize(1);
    assert_eq!((putter.wakes(), waiting.wakes(), channel.len()), (1, 0, 1));
    channel.resize(0);
    assert_eq!(channel.get_nowait(), Ok(1));
    assert_eq!((waiting.wakes(), channel.putting()), (0, 1));
    assert_eq!(channel.get_nowait(), Ok(2));
}
