//! A join waits until all items that were put are done.

use std::task::Poll;

use spinney_sync::{Channel, LifoQueue, PriorityQueue, Queue, TaskDoneError};
use spinney_test_support::ByHand;

#[test]
fn join_without_unfinished_items_is_ready() {
    let queue = Queue::<u32>::unbounded();
    assert!(ByHand::of(queue.join()).poll().is_ready());
    assert_eq!(queue.unfinished(), 0);
}

#[test]
fn last_task_done_ends_the_join() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    queue.put_nowait(2).unwrap();
    let mut join = ByHand::waiting(queue.join());
    queue.get_nowait().unwrap();
    queue.get_nowait().unwrap();
    assert_eq!((queue.unfinished(), queue.len()), (2, 0), "a taken item counts as done");
    queue.task_done().unwrap();
    assert!(join.poll().is_pending());
    assert_eq!((join.wakes(), queue.unfinished()), (0, 1));
    queue.task_done().unwrap();
    assert_eq!(join.wakes(), 1);
    assert!(join.poll().is_ready());
}

#[test]
fn every_kind_counts_unfinished_items() {
    let (pile, ranks) = (LifoQueue::unbounded(), PriorityQueue::unbounded());
    pile.put_nowait(1).unwrap();
    ranks.put_nowait(1).unwrap();
    let channel = Channel::new();
    let _getter = ByHand::waiting(channel.get());
    channel.put_nowait(1).unwrap();
    assert_eq!((pile.unfinished(), ranks.unfinished(), channel.unfinished()), (1, 1, 1));
}

#[test]
fn excess_task_done_is_an_error_and_changes_nothing() {
    let queue = Queue::unbounded();
    assert_eq!(queue.task_done(), Err(TaskDoneError));
    queue.put_nowait(1).unwrap();
    assert_eq!((queue.unfinished(), queue.task_done()), (1, Ok(())));
    assert_eq!((queue.unfinished(), queue.task_done()), (0, Err(TaskDoneError)));
    assert_eq!((queue.len(), queue.unfinished()), (1, 0));
}

#[test]
fn item_counts_as_unfinished_once_admitted() {
    let queue = Queue::bounded(1);
    queue.put_nowait(1).unwrap();
    let _putter = ByHand::waiting(queue.put(2));
    assert_eq!(queue.unfinished(), 1);
    queue.get_nowait().unwrap();
    assert_eq!(queue.unfinished(), 2);

    let channel = Channel::new();
    let _putter = ByHand::waiting(channel.put(1));
    assert_eq!(channel.unfinished(), 0);
    channel.get_nowait().unwrap();
    assert_eq!(channel.unfinished(), 1);
}

#[test]
fn returned_item_counts_once() {
    let queue = Queue::unbounded();
    let getter = ByHand::waiting(queue.get());
    queue.put_nowait(1).unwrap();
    drop(getter);
    assert_eq!(queue.unfinished(), 1);
    let mut getter = ByHand::of(queue.get());
    assert_eq!(getter.poll(), Poll::Ready(Ok(1)));
    drop(getter);
    assert_eq!((queue.unfinished(), queue.len()), (1, 0));
}

#[test]
fn join_ends_even_if_an_item_was_put_since() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    let mut early = ByHand::waiting(queue.join());
    queue.task_done().unwrap();
    queue.put_nowait(2).unwrap();
    let mut late = ByHand::waiting(queue.join());
    assert!(early.poll().is_ready());
    assert!(late.poll().is_pending());
    queue.task_done().unwrap();
    assert!(late.poll().is_ready());
}

#[test]
fn all_joins_end_and_a_dropped_one_affects_none() {
    let queue = Queue::unbounded();
    queue.put_nowait(1).unwrap();
    let mut asked: Vec<_> = (0..5).map(|_| ByHand::waiting(queue.join())).collect();
    asked.remove(2);
    queue.task_done().unwrap();
    assert!(asked.iter_mut().all(|join| join.wakes() == 1 && join.poll().is_ready()));
}
