//! Channels: puts that wait until their item is taken.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use spinney_sync::{
    Channel, GetError, Order, OrderedQueue, PriorityQueue, PutError, Queue, ShutDown,
};
use spinney_test_support::ByHand;

#[test]
fn put_waits_until_its_item_was_taken() {
    let channel = Channel::new();
    let mut putter = ByHand::waiting(channel.put(1));
    assert!(putter.poll().is_pending());
    assert_eq!(channel.get_nowait(), Ok(1));
    assert_eq!(putter.wakes(), 1);
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn put_is_pending_until_the_getter_has_taken_its_item() {
    let channel = Channel::default();
    let mut getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    assert_eq!(getter.wakes(), 1);
    assert!(putter.poll().is_pending(), "the put finished before the getter ran");
    let woken = putter.wakes();
    assert_eq!((channel.unfinished(), channel.balance(), channel.len()), (0, 0, 0));
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert_eq!((putter.wakes(), channel.unfinished()), (woken + 1, 1));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn meeting_wakes_the_getter_before_the_putter() {
    struct Log(Arc<Mutex<Vec<&'static str>>>, &'static str);
    impl Wake for Log {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(self.1);
        }
    }
    let (channel, woken) = (Channel::new(), Arc::default());
    let waker = |who| Waker::from(Arc::new(Log(Arc::clone(&woken), who)));
    let (mut getter, mut putter) = (channel.get(), channel.put(1));
    let poll = Pin::new(&mut getter).poll(&mut Context::from_waker(&waker("getter")));
    assert!(poll.is_pending());
    let poll = Pin::new(&mut putter).poll(&mut Context::from_waker(&waker("putter")));
    assert!(poll.is_pending());
    assert_eq!(*woken.lock().unwrap(), ["getter", "putter"]);
}

#[test]
fn resized_channel_keeps_the_order_of_its_puts() {
    let queue = Queue::bounded(0);
    let getter = ByHand::waiting(queue.get());
    let mut putters = [1, 2].map(|item| ByHand::waiting(queue.put(item)));
    queue.resize(5);
    for putter in &mut putters {
        assert_eq!(putter.poll(), Poll::Ready(Ok(())));
    }
    drop(getter);
    assert_eq!([queue.get_nowait(), queue.get_nowait()], [Ok(1), Ok(2)]);
}

#[test]
fn item_of_a_dropped_channel_getter_goes_to_the_next() {
    let channel = Channel::new();
    let first = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    let mut second = ByHand::waiting(channel.get());
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(putter.poll().is_pending());
    assert_eq!(second.poll(), Poll::Ready(Ok(1)));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn item_of_a_dropped_getter_stays_with_its_putter() {
    let channel = Channel::new();
    let getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    drop(getter);
    assert!(putter.poll().is_pending());
    assert_eq!((channel.len(), channel.putting(), channel.unfinished()), (0, 1, 0));
    drop(putter);
    assert_eq!(channel.get_nowait(), Err(GetError::Empty), "the item of a dropped putter remains");
}

#[test]
fn getter_whose_putter_is_dropped_waits_in_its_old_place() {
    let channel = Channel::new();
    let mut first = ByHand::waiting(channel.get());
    let mut second = ByHand::waiting(channel.get());
    let mut put = channel.put(1);
    assert!(ByHand::of(&mut put).poll().is_pending());
    assert_eq!(put.take_back(), Some(1));
    assert_eq!(channel.getting(), 2);
    let mut putter = ByHand::waiting(channel.put(2));
    assert!(second.poll().is_pending());
    assert_eq!(first.poll(), Poll::Ready(Ok(2)));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
}

#[test]
fn getter_that_lost_its_putter_is_woken_again() {
    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    drop(ByHand::waiting(channel.put(1)));
    assert!(getter.poll().is_pending());
    let woken = getter.wakes();
    let _putter = ByHand::waiting(channel.put(2));
    assert_eq!(getter.wakes(), woken + 1);
    assert_eq!(getter.poll(), Poll::Ready(Ok(2)));
}

#[test]
fn offered_item_is_not_given_to_a_newcomer() {
    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    let _putter = ByHand::waiting(channel.put(1));
    assert_eq!(channel.get_nowait(), Err(GetError::Empty));
    assert_eq!(channel.peek_nowait(), Err(GetError::Empty));
    let _second = ByHand::waiting(channel.put(2));
    assert_eq!(channel.get_nowait(), Ok(2));
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
}

#[test]
fn shutdown_lets_meeting_waiters_finish() {
    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    channel.shutdown();
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));

    let channel = Channel::new();
    let getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    channel.shutdown();
    drop(getter);
    assert_eq!(putter.poll(), Poll::Ready(Err(ShutDown(1))), "the put was not refused");

    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    let putter = ByHand::waiting(channel.put(1));
    channel.shutdown();
    drop(putter);
    assert_eq!(getter.poll(), Poll::Ready(Err(ShutDown(()))));
}

#[test]
fn shutdown_now_leaves_an_offered_item_to_its_putter() {
    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    assert!(channel.shutdown_now().is_empty());
    assert_eq!(getter.poll(), Poll::Ready(Err(ShutDown(()))));
    assert_eq!(putter.poll(), Poll::Ready(Err(ShutDown(1))));
}

#[test]
fn resize_during_a_meeting_loses_no_item() {
    let channel = Channel::new();
    let mut getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(1));
    channel.resize(1);
    assert_eq!(channel.len(), 0);
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));

    channel.resize(0);
    let getter = ByHand::waiting(channel.get());
    let mut putter = ByHand::waiting(channel.put(2));
    channel.resize(1);
    drop(getter);
    assert_eq!((channel.len(), putter.poll()), (1, Poll::Ready(Ok(()))));
}

#[test]
fn many_getters_get_the_items_of_their_turns_in_any_order() {
    let channel = Channel::new();
    let mut getters: Vec<_> = (0..4).map(|_| ByHand::waiting(channel.get())).collect();
    let mut putters: Vec<_> = (0..4).map(|item| ByHand::waiting(channel.put(item))).collect();
    for turn in [2, 0, 3, 1] {
        assert!(putters[turn].poll().is_pending());
        assert_eq!(getters[turn].poll(), Poll::Ready(Ok(turn)));
        assert_eq!(putters[turn].poll(), Poll::Ready(Ok(())));
    }
}

#[test]
fn put_nowait_of_a_channel_needs_a_waiting_getter() {
    let channel = Channel::new();
    assert_eq!(channel.put_nowait(1), Err(PutError::Full(1)));
    let getter = ByHand::waiting(channel.get());
    assert_eq!(channel.put_nowait(2), Ok(()));
    assert_eq!(channel.put_nowait(3), Err(PutError::Full(3)), "a getter with an item took another");
    drop(getter);
    assert_eq!(channel.put_nowait(4), Err(PutError::Full(4)));
    assert_eq!(channel.get_nowait(), Ok(2), "the item was lost");
}

#[test]
fn get_nowait_of_a_channel_needs_a_waiting_putter() {
    let channel = Channel::new();
    assert_eq!(channel.get_nowait(), Err(GetError::Empty));
    let putter = ByHand::waiting(channel.put(1));
    assert_eq!(channel.get_nowait(), Ok(1));
    assert_eq!(channel.get_nowait(), Err(GetError::Empty));
    drop(putter);
    drop(ByHand::waiting(channel.put(2)));
    assert_eq!(channel.get_nowait(), Err(GetError::Empty), "the item of a dropped putter remains");
}

#[test]
fn channel_is_always_empty_and_full() {
    let channel = Channel::new();
    assert_eq!((channel.len(), channel.is_empty(), channel.is_full()), (0, true, true));
    let _putter = ByHand::waiting(channel.put(1));
    assert_eq!((channel.len(), channel.is_empty(), channel.is_full()), (0, true, true));
    assert_eq!(channel.capacity(), Some(0));
}

#[test]
fn channel_balance_is_putters_minus_getters() {
    let channel = Channel::new();
    assert_eq!(channel.balance(), 0);
    let putters = [ByHand::waiting(channel.put(1)), ByHand::waiting(channel.put(2))];
    assert_eq!((channel.balance(), channel.putting(), channel.getting()), (2, 2, 0));
    drop(putters);
    let _getters = [(); 3].map(|()| ByHand::waiting(channel.get()));
    assert_eq!((channel.balance(), channel.putting(), channel.getting()), (-3, 0, 3));
}

#[test]
fn putters_are_served_in_fifo_order_in_any_full_queue() {
    fn check<O: Order<u32>>(queue: &OrderedQueue<u32, O>) {
        let _putters = [3, 1, 2].map(|item| ByHand::waiting(queue.put(item)));
        assert_eq!([(); 3].map(|()| queue.get_nowait().unwrap()), [3, 1, 2]);
    }
    check(&Queue::bounded(0));
    check(&PriorityQueue::bounded(0));
}

#[test]
fn resized_channel_is_a_queue_with_room() {
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
