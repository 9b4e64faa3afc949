//! Items that are put, got, cancelled and refused at the same time.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use spinney_sync::{PutError, Queue, ShutDown};

use crate::{join, model, model_within, once, spawn};

fn get(queue: &Arc<Queue<u32>>) -> impl Future<Output = Result<u32, ShutDown>> + use<> {
    let queue = Arc::clone(queue);
    async move { queue.get().await }
}

fn put(
    queue: &Arc<Queue<u32>>,
    item: u32,
) -> impl Future<Output = Result<(), ShutDown<u32>>> + use<> {
    let queue = Arc::clone(queue);
    async move { queue.put(item).await }
}

fn assert_at_rest(queue: &Queue<u32>) {
    assert_eq!((queue.len(), queue.getting(), queue.putting()), (0, 0, 0));
}

#[test]
fn two_items_reach_two_getters_at_capacity_one_or_zero() {
    for capacity in [0, 1] {
        // More preemptions take minutes.
        model_within(2, move || {
            let queue = Arc::new(Queue::bounded(capacity));
            let getters = [(); 2].map(|()| spawn(get(&queue)));
            block_on(put(&queue, 1)).unwrap();
            block_on(put(&queue, 2)).unwrap();
            let mut got = join(getters).map(Result::unwrap);
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
            assert_at_rest(&queue);
        });
    }
}

#[test]
fn two_waiting_putters_are_both_admitted() {
    model(|| {
        let queue = Arc::new(Queue::bounded(1));
        queue.put_nowait(0).unwrap();
        let putters = [1, 2].map(|item| spawn(put(&queue, item)));
        let mut got = [(); 3].map(|()| block_on(get(&queue)).unwrap());
        assert_eq!(join(putters), [Ok(()), Ok(())]);
        assert_eq!(got[0], 0);
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        assert_at_rest(&queue);
    });
}

#[test]
fn getter_dropped_as_it_is_served_passes_the_item_on() {
    model(|| {
        let queue = Arc::new(Queue::unbounded());
        let fickle = {
            let queue = Arc::clone(&queue);
            spawn(async move { once(&mut queue.get()).await })
        };
        let steady = spawn(get(&queue));
        queue.put_nowait(7).unwrap();
        // An item that one got is gone for the other.
        if let Some(got) = fickle.join().unwrap() {
            assert_eq!(got, Ok(7));
            queue.put_nowait(7).unwrap();
        }
        assert_eq!(steady.join().unwrap(), Ok(7));
        assert_at_rest(&queue);
    });
}

#[test]
fn cancelled_putter_has_its_item_or_has_put_it() {
    model(|| {
        let queue = Arc::new(Queue::bounded(0));
        let fickle = {
            let queue = Arc::clone(&queue);
            spawn(async move {
                let mut put = queue.put(7);
                if once(&mut put).await.is_some() { None } else { put.take_back() }
            })
        };
        let got = queue.get_nowait().ok();
        let back = fickle.join().unwrap();
        assert_eq!([got, back].iter().flatten().collect::<Vec<_>>(), [&7]);
        assert_at_rest(&queue);
    });
}

#[test]
fn shutdown_refuses_an_item_or_leaves_it_to_be_got() {
    model(|| {
        let queue = Arc::new(Queue::bounded(1));
        let putters = [1, 2].map(|item| spawn(put(&queue, item)));
        queue.shutdown();
        let refused = join(putters).map(|put| put.err().map(|ShutDown(item)| item));
        let mut items: Vec<_> = refused.into_iter().flatten().collect();
        while let Ok(item) = queue.get_nowait() {
            items.push(item);
        }
        items.sort_unstable();
        assert_eq!(items, [1, 2]);
        assert_eq!(queue.put_nowait(3), Err(PutError::ShutDown(3)));
        assert_at_rest(&queue);
    });
}

#[test]
fn shutdown_reaches_waiting_getters() {
    model(|| {
        let queue = Arc::new(Queue::unbounded());
        let getters = [(); 2].map(|()| spawn(get(&queue)));
        let put = queue.put_nowait(7);
        queue.shutdown();
        let got = join(getters);
        assert_eq!(put, Ok(()));
        assert_eq!(got.iter().filter(|got| **got == Ok(7)).count(), 1, "{got:?}");
        assert_at_rest(&queue);
    });
}

#[test]
fn join_ends_with_the_last_item() {
    model(|| {
        let queue = Arc::new(Queue::unbounded());
        queue.put_nowait(1).unwrap();
        queue.put_nowait(2).unwrap();
        let joins = {
            let queue = Arc::clone(&queue);
            spawn(async move { queue.join().await })
        };
        let reports = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.task_done().unwrap())
        };
        queue.task_done().unwrap();
        reports.join().unwrap();
        joins.join().unwrap();
        assert_eq!(queue.unfinished(), 0);
    });
}

#[test]
fn put_into_a_channel_returns_when_its_item_was_taken() {
    model(|| {
        let channel = Arc::new(Queue::bounded(0));
        let getter = spawn(get(&channel));
        block_on(put(&channel, 7)).unwrap();
        assert_eq!(channel.unfinished(), 1, "the item does not count once it is taken");
        assert_eq!(getter.join().unwrap(), Ok(7));
        assert_at_rest(&channel);
    });
}

#[test]
fn getter_dropped_at_a_channel_passes_the_item_on() {
    model(|| {
        let channel = Arc::new(Queue::bounded(0));
        let fickle = {
            let channel = Arc::clone(&channel);
            spawn(async move { once(&mut channel.get()).await })
        };
        let putter = spawn(put(&channel, 7));
        let got = match fickle.join().unwrap() {
            Some(got) => got,
            None => block_on(get(&channel)),
        };
        assert_eq!(got, Ok(7));
        assert_eq!(putter.join().unwrap(), Ok(()));
        assert_at_rest(&channel);
    });
}

#[test]
fn putter_dropped_at_a_channel_leaves_its_getter_waiting() {
    model(|| {
        let channel = Arc::new(Queue::bounded(0));
        let fickle = {
            let channel = Arc::clone(&channel);
            spawn(async move {
                let mut put = channel.put(7);
                if once(&mut put).await.is_some() { None } else { put.take_back() }
            })
        };
        let getter = spawn(get(&channel));
        if fickle.join().unwrap().is_some() {
            block_on(put(&channel, 7)).unwrap();
        }
        assert_eq!(getter.join().unwrap(), Ok(7));
        assert_at_rest(&channel);
    });
}
