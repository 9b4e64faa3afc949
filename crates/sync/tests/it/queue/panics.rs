//! A panic in an item's `Ord` or `Clone` hits the caller of that put or peek alone.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use spinney_sync::{PriorityQueue, Queue};
use spinney_test_support::ByHand;

use super::order::drain;

/// Zero panics when it is compared or copied.
#[derive(Debug)]
struct Touchy(u32);

impl Touchy {
    fn touch(&self) {
        assert_ne!(self.0, 0, "do not touch");
    }
}

impl Ord for Touchy {
    fn cmp(&self, other: &Self) -> Ordering {
        self.touch();
        other.touch();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Touchy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Touchy {}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        self.touch();
        Self(self.0)
    }
}

/// Whether `run` panics with the panic of the items.
#[track_caller]
fn panics<R>(run: impl FnOnce() -> R) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { panic!("the call did not panic") };
    assert!(panic.downcast_ref::<String>().unwrap().contains("do not touch"));
}

fn fill(queue: &PriorityQueue<Touchy>) {
    for item in [2, 1] {
        queue.put_nowait(Touchy(item)).unwrap();
    }
}

fn left(queue: &PriorityQueue<Touchy>) -> Vec<u32> {
    drain(queue).into_iter().map(|item| item.0).collect()
}

#[test]
fn panicking_comparison_loses_only_its_item() {
    let queue = PriorityQueue::unbounded();
    fill(&queue);
    panics(|| queue.put_nowait(Touchy(0)));
    panics(|| ByHand::of(queue.put(Touchy(0))).poll());
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    queue.put_nowait(Touchy(3)).unwrap();
    assert_eq!(left(&queue), [1, 2, 3]);
}

#[test]
fn panic_of_an_admitted_item_goes_to_its_putter() {
    let queue = PriorityQueue::bounded(2);
    fill(&queue);
    let mut touchy = ByHand::waiting(queue.put(Touchy(0)));
    let mut behind = ByHand::waiting(queue.put(Touchy(3)));
    assert_eq!(queue.get_nowait(), Ok(Touchy(1)));
    assert_eq!((touchy.wakes(), behind.wakes()), (1, 1), "the next putter was not admitted");
    panics(|| touchy.poll());
    assert_eq!(behind.poll(), Poll::Ready(Ok(())));
    assert_eq!((queue.unfinished(), left(&queue)), (3, vec![2, 3]));
}

#[test]
fn take_back_after_a_panicked_put_panics() {
    let queue = PriorityQueue::bounded(2);
    fill(&queue);
    let mut put = queue.put(Touchy(0));
    let dropped = ByHand::waiting(queue.put(Touchy(0)));
    assert!(ByHand::of(&mut put).poll().is_pending());
    queue.resize(4);
    assert_eq!(queue.len(), 2);
    panics(|| put.take_back());
    drop(dropped);
    assert_eq!(left(&queue), [1, 2]);
}

#[test]
fn returned_item_that_panics_is_lost_and_done() {
    let queue = PriorityQueue::unbounded();
    let getter = ByHand::waiting(queue.get());
    let mut join = ByHand::of(queue.join());
    queue.put_nowait(Touchy(0)).unwrap();
    assert!(join.poll().is_pending());
    fill(&queue);
    panics(|| drop(getter));
    assert_eq!((queue.unfinished(), left(&queue)), (2, vec![1, 2]));
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    assert!(join.poll().is_ready());
}

#[test]
fn getter_dropped_by_a_panic_does_not_abort() {
    let queue = PriorityQueue::unbounded();
    let getter = ByHand::waiting(queue.get());
    queue.put_nowait(Touchy(0)).unwrap();
    fill(&queue);
    let unwinding = catch_unwind(AssertUnwindSafe(|| {
        let _getter = getter;
        panic!("something else");
    }));
    assert_eq!(unwinding.unwrap_err().downcast_ref(), Some(&"something else"));
    assert_eq!(left(&queue), [1, 2]);
}

#[test]
fn panicking_clone_panics_the_peek_and_leaves_the_item() {
    let queue = Queue::unbounded();
    let mut peek = ByHand::waiting(queue.peek());
    let mut behind = ByHand::waiting(queue.get());
    queue.put_nowait(Touchy(0)).unwrap();
    assert_eq!((peek.wakes(), behind.wakes()), (1, 1));
    panics(|| peek.poll());
    assert_eq!(behind.poll(), Poll::Ready(Ok(Touchy(0))));

    queue.put_nowait(Touchy(0)).unwrap();
    panics(|| queue.peek_nowait());
    panics(|| ByHand::of(queue.peek()).poll());
    assert_eq!((queue.len(), queue.get_nowait()), (1, Ok(Touchy(0))));
}

#[test]
fn poll_after_the_end_panics_and_affects_no_waiter() {
    let queue = Queue::bounded(1);
    let mut put = ByHand::of(queue.put(1));
    assert!(put.poll().is_ready());
    catch_unwind(AssertUnwindSafe(|| put.poll())).unwrap_err();
    let mut get = ByHand::of(queue.get());
    assert!(get.poll().is_ready());
    catch_unwind(AssertUnwindSafe(|| get.poll())).unwrap_err();
    assert_eq!(queue.put_nowait(2), Ok(()));
}
