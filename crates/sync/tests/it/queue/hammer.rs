//! Threads that put, get, peek, cancel and resize.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use fastrand::Rng;
use futures_lite::future::{block_on, poll_once};
use spinney_sync::{LifoQueue, Order, OrderedQueue, PriorityQueue, Queue};

const PUTTERS: usize = 2;
const GETTERS: usize = 2;
const ITEMS: usize = 10_000;

#[test]
fn each_item_is_got_exactly_once() {
    for capacity in [0, 1, 3] {
        hammer(&Queue::bounded(capacity), &[]);
        hammer(&LifoQueue::bounded(capacity), &[]);
        hammer(&PriorityQueue::bounded(capacity), &[]);
    }
    hammer(&Queue::unbounded(), &[]);
}

#[test]
fn each_item_is_got_exactly_once_during_resizes() {
    hammer(&Queue::bounded(1), &[0, 1, 2, 3]);
    hammer(&LifoQueue::bounded(1), &[0, 4]);
    hammer(&PriorityQueue::bounded(1), &[3, 2, 1]);
}

#[test]
fn items_of_one_putter_reach_one_getter_in_order() {
    let queue = Queue::bounded(2);
    thread::scope(|scope| {
        scope.spawn(|| block_on(put_all(&queue, 0)));
        scope.spawn(|| {
            let mut rng = Rng::with_seed(1);
            for item in 0..ITEMS {
                assert_eq!(block_on(get_one(&queue, &mut rng)), Some(item));
            }
        });
    });
}

fn hammer<O: Order<usize>>(queue: &OrderedQueue<usize, O>, sizes: &[usize])
where
    OrderedQueue<usize, O>: Sync,
{
    let got: Vec<_> = (0..PUTTERS * ITEMS).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for seed in 0..GETTERS as u64 {
            let got = &got;
            scope.spawn(move || block_on(get_all(queue, seed, got)));
        }
        let putters: Vec<_> =
            (0..PUTTERS).map(|n| scope.spawn(move || block_on(put_all(queue, n)))).collect();
        for size in sizes.iter().cycle().take(ITEMS / 10 * sizes.len()) {
            queue.resize(*size);
            thread::yield_now();
        }
        for putter in putters {
            putter.join().unwrap();
        }
        // A channel is empty only after its last item was taken.
        block_on(queue.join());
        queue.shutdown();
    });
    assert!(got.iter().all(|times| times.load(SeqCst) == 1));
    assert_eq!((queue.len(), queue.unfinished()), (0, 0));
    assert_eq!((queue.getting(), queue.putting()), (0, 0));
}

/// Puts this putter's items in order; from time to time takes one back and tries again.
async fn put_all<O: Order<usize>>(queue: &OrderedQueue<usize, O>, putter: usize) {
    let mut rng = Rng::with_seed(putter as u64);
    for mut item in putter * ITEMS..(putter + 1) * ITEMS {
        loop {
            let mut put = queue.put(item);
            if rng.bool() {
                put.await.unwrap();
                break;
            }
            if let Some(done) = poll_once(&mut put).await {
                done.unwrap();
                break;
            }
            thread::yield_now();
            match put.take_back() {
                Some(back) => item = back,
                None => break,
            }
        }
    }
}

async fn get_all<O: Order<usize>>(queue: &OrderedQueue<usize, O>, seed: u64, got: &[AtomicUsize]) {
    let mut rng = Rng::with_seed(seed);
    while let Some(item) = get_one(queue, &mut rng).await {
        got[item].fetch_add(1, SeqCst);
        queue.task_done().unwrap();
    }
}

/// Gets an item, and from time to time cancels the wait; `None` at the end of the queue.
async fn get_one<O: Order<usize>>(queue: &OrderedQueue<usize, O>, rng: &mut Rng) -> Option<usize> {
    loop {
        match rng.u8(..4) {
            0 => {
                let mut get = pin!(queue.get());
                if let Some(got) = poll_once(get.as_mut()).await {
                    return got.ok();
                }
                thread::yield_now();
            }
            1 => drop(poll_once(queue.peek()).await),
            2 => {
                if let Ok(item) = queue.get_nowait() {
                    return Some(item);
                }
            }
            _ => return queue.get().await.ok(),
        }
    }
}
