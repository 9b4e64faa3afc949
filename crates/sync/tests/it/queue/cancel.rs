//! Any wait may be dropped at any time, and no item is lost.

use std::pin::Pin;
use std::task::Poll;

use spinney_sync::{LifoQueue, Order, OrderedQueue, PriorityQueue, Queue};
use spinney_test_support::ByHand;

use super::order::drain;

/// The point in its life at which a future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Point {
    Unpolled,
    Waiting,
    Repolled,
    Served,
    Done,
}

use Point::{Done, Repolled, Served, Unpolled, Waiting};

/// A future of a queue that returns the item it got, if any.
pub(crate) type Life<'a> = Pin<Box<dyn Future<Output = Option<u32>> + 'a>>;

/// Drops the future of `wait` at each point of its life; `serve` lets it finish. Returns for each
/// point where all items are afterwards: the item of the future, the items that `serve` took, the
/// item of the next waiter, and the remaining items.
pub(crate) fn drop_at_each_point<O: Order<u32>>(
    queue: impl Fn() -> OrderedQueue<u32, O>,
    wait: impl for<'a> Fn(&'a OrderedQueue<u32, O>) -> Life<'a>,
    serve: impl Fn(&OrderedQueue<u32, O>) -> Option<u32>,
    behind: bool,
) -> Vec<(Point, Vec<u32>)> {
    let at = |point: Point| {
        let queue = queue();
        let mut found = Vec::new();
        let mut future = ByHand::of(wait(&queue));
        if point >= Waiting {
            assert!(future.poll().is_pending());
        }
        let mut next = behind.then(|| ByHand::waiting(wait(&queue)));
        if point >= Repolled {
            assert!(future.poll().is_pending());
        }
        if point >= Served {
            found.extend(serve(&queue));
            assert_eq!(future.wakes(), 1, "a served future was not woken");
        }
        if point == Done {
            let Poll::Ready(got) = future.poll() else { panic!("a served future is not ready") };
            found.extend(got);
        }
        drop(future);
        if point < Served {
            found.extend(serve(&queue));
        }
        if let Some(next) = &mut next {
            match next.poll() {
                Poll::Ready(got) => {
                    assert_eq!(next.wakes(), 1, "the next waiter was not woken");
                    found.extend(got);
                }
                Poll::Pending => assert_eq!(next.wakes(), 0),
            }
        }
        drop(next);
        assert_eq!((queue.getting(), queue.putting()), (0, 0), "a waiter remains");
        found.extend(drain(&queue));
        found.sort_unstable();
        (point, found)
    };
    [Unpolled, Waiting, Repolled, Served, Done].map(at).into()
}

/// The result is the same at each point.
fn always(found: &[u32]) -> Vec<(Point, Vec<u32>)> {
    [Unpolled, Waiting, Repolled, Served, Done].map(|point| (point, found.to_vec())).into()
}

fn get<O: Order<u32>>(queue: &OrderedQueue<u32, O>) -> Life<'_> {
    Box::pin(async { queue.get().await.ok() })
}

fn put_one<O: Order<u32>>(queue: &OrderedQueue<u32, O>) -> Option<u32> {
    queue.put_nowait(1).err().map(spinney_sync::PutError::into_item)
}

#[test]
fn dropped_get_loses_no_item() {
    for capacity in [1, 2, 10] {
        for behind in [false, true] {
            let each = drop_at_each_point(|| Queue::bounded(capacity), get, put_one, behind);
            assert_eq!(each, always(&[1]));
            let each = drop_at_each_point(|| LifoQueue::bounded(capacity), get, put_one, behind);
            assert_eq!(each, always(&[1]));
            let each =
                drop_at_each_point(|| PriorityQueue::bounded(capacity), get, put_one, behind);
            assert_eq!(each, always(&[1]));
        }
    }
}

#[test]
fn dropped_get_of_a_channel_loses_no_item() {
    for behind in [false, true] {
        let each = drop_at_each_point(|| Queue::bounded(0), get, put_one, behind);
        assert_eq!(each, always(&[1]));
    }
}

#[test]
fn dropped_peek_takes_nothing_and_delays_no_waiter() {
    fn peek<O: Order<u32>>(queue: &OrderedQueue<u32, O>) -> Life<'_> {
        Box::pin(async {
            queue.peek().await.unwrap();
            None
        })
    }
    for behind in [false, true] {
        let each = drop_at_each_point(|| Queue::bounded(1), peek, put_one, behind);
        assert_eq!(each, always(&[1]));
        let each = drop_at_each_point(|| PriorityQueue::bounded(1), peek, put_one, behind);
        assert_eq!(each, always(&[1]));
    }
}

#[test]
fn getter_behind_a_dropped_peek_gets_its_item() {
    let queue = Queue::bounded(1);
    let (early, served) = (ByHand::waiting(queue.peek()), ByHand::waiting(queue.peek()));
    let mut getter = ByHand::waiting(queue.get());
    drop(early);
    queue.put_nowait(1).unwrap();
    drop(served);
    assert_eq!((getter.wakes(), getter.poll()), (1, Poll::Ready(Ok(1))));
}

#[test]
fn dropped_put_drops_its_item_unless_it_was_put() {
    fn full() -> Queue<u32> {
        let queue = Queue::bounded(1);
        queue.put_nowait(1).unwrap();
        queue
    }
    fn put(queue: &Queue<u32>) -> Life<'_> {
        Box::pin(async {
            queue.put(2).await.unwrap();
            None
        })
    }
    let take_one = |queue: &Queue<u32>| queue.get_nowait().ok();
    let each = drop_at_each_point(full, put, take_one, false);
    let (along, stays) = (vec![1], vec![1, 2]);
    let expected = [
        (Unpolled, along.clone()),
        (Waiting, along.clone()),
        (Repolled, along),
        (Served, stays.clone()),
        (Done, stays),
    ];
    assert_eq!(each, expected);

    // The next putter is admitted in its place.
    let each = drop_at_each_point(full, put, take_one, true);
    assert_eq!(each, always(&[1, 2]));
}

#[test]
fn dropped_channel_put_drops_its_item_unless_it_was_taken() {
    fn put(queue: &Queue<u32>) -> Life<'_> {
        Box::pin(async {
            queue.put(2).await.unwrap();
            None
        })
    }
    let take_one = |queue: &Queue<u32>| queue.get_nowait().ok();
    let each = drop_at_each_point(|| Queue::bounded(0), put, take_one, false);
    let expected = [
        (Unpolled, vec![]),
        (Waiting, vec![]),
        (Repolled, vec![]),
        (Served, vec![2]),
        (Done, vec![2]),
    ];
    assert_eq!(each, expected);
}

#[test]
fn dropped_join_changes_nothing() {
    fn busy() -> Queue<u32> {
        let queue = Queue::unbounded();
        queue.put_nowait(1).unwrap();
        queue
    }
    fn join(queue: &Queue<u32>) -> Life<'_> {
        Box::pin(async {
            queue.join().await;
            None
        })
    }
    fn done(queue: &Queue<u32>) -> Option<u32> {
        queue.task_done().unwrap();
        None
    }
    for behind in [false, true] {
        assert_eq!(drop_at_each_point(busy, join, done, behind), always(&[1]));
    }
}

#[test]
fn take_back_returns_the_item() {
    let queue = Queue::bounded(1);
    let mut unpolled = queue.put(1);
    assert_eq!(unpolled.take_back(), Some(1));
    assert_eq!(unpolled.take_back(), None);

    queue.put_nowait(2).unwrap();
    let mut waiting = queue.put(3);
    assert!(ByHand::of(&mut waiting).poll().is_pending());
    assert_eq!(waiting.take_back(), Some(3));
    assert_eq!(queue.putting(), 0);

    let mut admitted = queue.put(4);
    assert!(ByHand::of(&mut admitted).poll().is_pending());
    assert_eq!(queue.get_nowait(), Ok(2));
    assert_eq!(admitted.take_back(), None, "an item in the queue was returned");
    assert_eq!(drain(&queue), [4]);
}

#[test]
fn item_passes_along_a_line_of_dropped_getters() {
    let queue = Queue::bounded(1);
    let getters: Vec<_> = (0..100).map(|_| ByHand::waiting(queue.get())).collect();
    let mut last = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    // In FIFO order: each is given the item and dropped with it.
    for getter in getters {
        assert_eq!(getter.wakes(), 1);
    }
    assert_eq!(last.poll(), Poll::Ready(Ok(1)));
}

#[test]
fn item_of_a_dropped_getter_goes_to_the_next_in_line() {
    let queue = Queue::bounded(1);
    let first = ByHand::waiting(queue.get());
    let mut second = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    drop(first);
    assert_eq!((second.wakes(), queue.len()), (1, 0));
    assert!(queue.get_nowait().is_err());
    assert_eq!(second.poll(), Poll::Ready(Ok(1)));
}

#[test]
fn finished_future_takes_nothing_when_dropped() {
    let queue = Queue::bounded(1);
    let mut get = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    assert_eq!(get.poll(), Poll::Ready(Ok(1)));
    drop(get);
    assert_eq!((queue.len(), queue.unfinished()), (0, 1));
}

#[test]
fn many_dropped_getters_keep_the_others_in_order() {
    const GETTERS: usize = 100_000;
    let queue = Queue::unbounded();
    let mut getters: Vec<_> = (0..GETTERS).map(|_| Some(ByHand::waiting(queue.get()))).collect();
    let mut places: Vec<_> = (0..GETTERS).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut places);
    for place in &places[100..] {
        getters[*place] = None;
    }
    assert_eq!(queue.getting(), 100);
    for (item, getter) in getters.iter_mut().flatten().enumerate() {
        queue.put_nowait(item).unwrap();
        assert_eq!(getter.poll(), Poll::Ready(Ok(item)));
    }
}
