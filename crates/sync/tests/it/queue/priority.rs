//! The smallest first; equal items in put order.

use std::cmp::{Ordering, Reverse};
use std::task::Poll;

use spinney_sync::PriorityQueue;
use spinney_test_support::ByHand;

use super::order::drain;

/// Compares by its rank alone.
#[derive(Debug)]
struct Job(u32, &'static str);

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Job {}

fn names(queue: &PriorityQueue<Job>) -> Vec<&'static str> {
    drain(queue).into_iter().map(|job| job.1).collect()
}

#[test]
fn priority_queue_returns_the_smallest_first() {
    let queue = PriorityQueue::unbounded();
    let mut items: Vec<u32> = (0..1000).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut items);
    for item in items {
        queue.put_nowait(item).unwrap();
    }
    assert_eq!(drain(&queue), (0..1000).collect::<Vec<_>>());
}

#[test]
fn reverse_returns_the_largest_first() {
    let queue = PriorityQueue::unbounded();
    for item in [2, 3, 1] {
        queue.put_nowait(Reverse(item)).unwrap();
    }
    assert_eq!(drain(&queue), [Reverse(3), Reverse(2), Reverse(1)]);
}

#[test]
fn equal_items_come_out_in_put_order() {
    let queue = PriorityQueue::unbounded();
    for job in [Job(2, "a"), Job(1, "b"), Job(2, "c"), Job(1, "d"), Job(2, "e")] {
        queue.put_nowait(job).unwrap();
    }
    assert_eq!(names(&queue), ["b", "d", "a", "c", "e"]);
}

#[test]
fn returned_item_comes_before_later_equals() {
    let queue = PriorityQueue::unbounded();
    let getter = ByHand::waiting(queue.get());
    for job in [Job(2, "given"), Job(2, "later"), Job(1, "small"), Job(3, "large")] {
        queue.put_nowait(job).unwrap();
    }
    drop(getter);
    assert_eq!(names(&queue), ["small", "given", "later", "large"]);
}

#[test]
fn taken_item_is_the_smallest_in_the_queue() {
    let queue = PriorityQueue::bounded(2);
    queue.put_nowait(5).unwrap();
    queue.put_nowait(6).unwrap();
    let mut putter = ByHand::waiting(queue.put(1));
    assert_eq!(queue.get_nowait(), Ok(5), "a waiting item came out");
    assert_eq!(putter.poll(), Poll::Ready(Ok(())));
    assert_eq!(drain(&queue), [1, 6]);
}
