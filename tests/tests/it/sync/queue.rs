//! The promises of queues and channels, between greenlets.

use std::cmp::Ordering;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::sync::{
    Channel, GetError, JoinableQueue, LifoQueue, Order, OrderedQueue, PriorityQueue, PutError,
    ShutDown,
};
use spinney::task::joinall;
use spinney::task::spawn_on;
use spinney::{Greenlet, Pool, Queue, Spawn, yield_now};
use spinney_greenlet::Task;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Count, Log, gate, let_others_run, polled};

/// The number of putters, and of getters.
const THREE: usize = 3;
/// The number of items of each putter.
const ITEMS: usize = 20;

/// The putter, and the sequence number of the item.
type Item = (usize, usize);

/// The work of a putter, which returns the refused items, or of a getter, which returns its items.
type Work = Pin<Box<dyn Future<Output = Vec<Item>> + Send>>;

fn put_all<O>(queue: &Arc<OrderedQueue<Item, O>>, producer: usize) -> Work
where
    O: Order<Item> + 'static,
    OrderedQueue<Item, O>: Send + Sync,
{
    let queue = Arc::clone(queue);
    Box::pin(async move {
        let mut refused = Vec::new();
        for n in 0..ITEMS {
            if let Err(ShutDown(item)) = queue.put((producer, n)).await {
                refused.push(item);
            }
        }
        refused
    })
}

fn get_all<O>(queue: &Arc<OrderedQueue<Item, O>>) -> Work
where
    O: Order<Item> + 'static,
    OrderedQueue<Item, O>: Send + Sync,
{
    let queue = Arc::clone(queue);
    Box::pin(async move {
        let mut got = Vec::new();
        while let Ok(item) = queue.get().await {
            got.push(item);
            queue.task_done().unwrap();
            yield_now().await;
        }
        got
    })
}

fn start(
    hub: &impl Spawn<Task<Work>>,
    work: impl FnMut(usize) -> Work,
) -> Vec<Greenlet<Vec<Item>>> {
    (0..THREE).map(work).map(|work| spawn_on(hub, work)).collect()
}

async fn results(greenlets: Vec<Greenlet<Vec<Item>>>) -> Vec<Vec<Item>> {
    let mut results = Vec::new();
    for greenlet in greenlets {
        results.push(greenlet.await.unwrap());
    }
    results
}

/// Three putters and three getters. Returns the items of each getter.
async fn pass_all<O>(hub: &impl Spawn<Task<Work>>, queue: OrderedQueue<Item, O>) -> Vec<Vec<Item>>
where
    O: Order<Item> + 'static,
    OrderedQueue<Item, O>: Send + Sync,
{
    let queue = Arc::new(queue);
    let getters = start(hub, |_| get_all(&queue));
    let putters = start(hub, |producer| put_all(&queue, producer));
    assert!(results(putters).await.iter().all(Vec::is_empty), "an item was refused");
    queue.join().await;
    queue.shutdown();
    let got = results(getters).await;
    assert_all_once(got.concat());
    assert_eq!((queue.len(), queue.getting(), queue.putting()), (0, 0, 0));
    got
}

/// Asserts that each item of each producer is there, once.
#[track_caller]
fn assert_all_once(mut items: Vec<Item>) {
    items.sort_unstable();
    let all = (0..THREE).flat_map(|producer| (0..ITEMS).map(move |n| (producer, n)));
    assert_eq!(items, all.collect::<Vec<_>>());
}

/// Asserts that the items of one producer reached each getter in order.
#[track_caller]
fn assert_each_in_order(got: &[Vec<Item>]) {
    for items in got {
        assert_in_order(items);
    }
}

#[track_caller]
fn assert_in_order(items: &[Item]) {
    for producer in 0..THREE {
        let its = items.iter().filter(|(who, _)| *who == producer);
        assert!(its.is_sorted(), "the items of {producer} are mixed: {items:?}");
    }
}

/// Equal to all others of its priority.
struct Job {
    priority: usize,
    n: usize,
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> Ordering {
        self.priority.cmp(&other.priority)
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

on_every_hub! {
    async fn each_item_is_got_once_in_the_order_of_its_putter(hub) {
        for capacity in [0, 1, 3] {
            assert_each_in_order(&pass_all(hub, Queue::bounded(capacity)).await);
        }
        assert_each_in_order(&pass_all(hub, Queue::unbounded()).await);
    }

    async fn each_item_is_got_once_in_any_queue_order(hub) {
        for capacity in [0, 2] {
            pass_all(hub, LifoQueue::bounded(capacity)).await;
            pass_all(hub, PriorityQueue::bounded(capacity)).await;
        }
        pass_all(hub, LifoQueue::unbounded()).await;
        pass_all(hub, PriorityQueue::unbounded()).await;
    }

    async fn queued_items_never_exceed_the_capacity(hub) {
        let queue = Arc::new(Queue::bounded(2));
        let putters = start(hub, |producer| put_all(&queue, producer));
        let mut got = Vec::new();
        for _ in 0..THREE * ITEMS {
            assert!(queue.len() <= 2);
            got.push(queue.get().await.unwrap());
        }
        assert_eq!(queue.get_nowait(), Err(GetError::Empty));
        assert_in_order(&got);
        assert_all_once(got);
        results(putters).await;
    }

    async fn shutdown_loses_no_item(hub) {
        let queue = Arc::new(Queue::bounded(1));
        let getters = start(hub, |_| get_all(&queue));
        let putters = start(hub, |producer| put_all(&queue, producer));
        for _ in 0..10 {
            yield_now().await;
        }
        queue.shutdown();
        let refused = results(putters).await;
        let got = results(getters).await;
        assert_all_once([refused.concat(), got.concat()].concat());
        assert_eq!(queue.put((0, 0)).await, Err(ShutDown((0, 0))));
        assert_eq!(queue.put_nowait((0, 0)), Err(PutError::ShutDown((0, 0))));
    }

    async fn immediate_shutdown_returns_the_remaining_items(hub) {
        let queue = Arc::new(Queue::bounded(3));
        let getters = start(hub, |_| get_all(&queue));
        let putters = start(hub, |producer| put_all(&queue, producer));
        for _ in 0..10 {
            yield_now().await;
        }
        // Getters with an item that they have not reported done would be one too many.
        let left = queue.shutdown_now();
        let refused = results(putters).await;
        let got: Vec<_> = joinall(getters).await;
        let mut items = [refused.concat(), left].concat();
        for getter in got {
            match getter.await {
                Ok(got) => items.extend(got),
                Err(failure) => panic!("{failure}"),
            }
        }
        assert_all_once(items);
        queue.join().await;
    }

    async fn join_waits_until_the_last_item_is_done(hub) {
        let (jobs, done) = (Arc::new(JoinableQueue::unbounded()), Count::to(ITEMS));
        let pool = Pool::on(hub, THREE);
        for _ in 0..THREE {
            let (jobs, done) = (Arc::clone(&jobs), done.clone());
            let work = async move {
                while jobs.get().await.is_ok() {
                    yield_now().await;
                    done.add();
                    jobs.task_done().unwrap();
                }
            };
            pool.spawn(work).await.detach();
        }
        for n in 0..ITEMS {
            jobs.put_nowait(n).unwrap();
        }
        jobs.join().await;
        assert_eq!((done.get(), jobs.unfinished()), (ITEMS, 0));
        jobs.shutdown();
        pool.join().await.unwrap();
    }

    async fn smallest_item_comes_out_first_and_equal_ones_in_fifo_order(hub) {
        let jobs = Arc::new(PriorityQueue::unbounded());
        for (n, priority) in [2, 1, 3, 1, 2].into_iter().enumerate() {
            jobs.put_nowait(Job { priority, n }).unwrap();
        }
        jobs.shutdown();
        let worker = {
            let jobs = Arc::clone(&jobs);
            spawn_on(hub, async move { jobs.stream().map(|job| job.n).collect::<Vec<_>>().await })
        };
        assert_eq!(worker.await.unwrap(), [1, 3, 0, 4, 2]);
    }

    async fn last_item_comes_out_first(hub) {
        let pile = Arc::new(LifoQueue::unbounded());
        for n in 0..3 {
            pile.put_nowait((0, n)).unwrap();
        }
        pile.shutdown();
        assert_eq!(spawn_on(hub, get_all(&pile)).await.unwrap(), [(0, 2), (0, 1), (0, 0)]);
    }

    async fn streams_share_the_items_and_end_with_the_queue(hub) {
        let queue = Arc::new(Queue::bounded(2));
        let getters = start(hub, |_| {
            let queue = Arc::clone(&queue);
            Box::pin(async move { queue.stream().collect().await })
        });
        let putters = start(hub, |producer| put_all(&queue, producer));
        results(putters).await;
        queue.shutdown();
        let got = results(getters).await;
        assert_each_in_order(&got);
        assert_all_once(got.concat());
    }

    async fn killed_stream_leaves_its_items_to_others(hub) {
        let (queue, waits) = (Arc::new(Queue::unbounded()), gate());
        let killed = {
            let (queue, waits) = (Arc::clone(&queue), Arc::clone(&waits));
            spawn_on(hub, async move {
                let mut items = pin!(queue.stream());
                polled(waits, items.next()).await
            })
        };
        waits.wait().await;
        queue.put_nowait((0, 0)).unwrap();
        killed.kill_now();
        match killed.await {
            Ok(item) => assert_eq!(item, Some((0, 0))),
            Err(_) => assert_eq!(queue.get_nowait(), Ok((0, 0))),
        }
    }

    async fn put_into_a_channel_finishes_once_the_item_is_taken(hub) {
        let (channel, log) = (Arc::new(Channel::new()), Log::default());
        let putter = {
            let (channel, log) = (Arc::clone(&channel), log.clone());
            spawn_on(hub, async move {
                for n in 0..3 {
                    channel.put(n).await.unwrap();
                    log.add(n);
                }
            })
        };
        for n in 0..3 {
            let_others_run().await;
            assert_eq!(log.take().len(), usize::from(n > 0), "an untaken item was put");
            while channel.balance() != 1 {
                yield_now().await;
            }
            assert_eq!(channel.get_nowait(), Ok(n));
            // Its put has finished, and may log that before the next.
            while channel.balance() != 1 && !putter.is_ready() {
                yield_now().await;
            }
        }
        putter.await.unwrap();
        assert_eq!((channel.balance(), channel.len()), (0, 0));
    }

    async fn put_nowait_of_a_channel_succeeds_if_a_getter_waits(hub) {
        let (channel, waits) = (Arc::new(Channel::new()), gate());
        assert_eq!(channel.put_nowait(1), Err(PutError::Full(1)));
        assert_eq!(channel.get_nowait(), Err(GetError::Empty));
        let getter = {
            let (channel, waits) = (Arc::clone(&channel), Arc::clone(&waits));
            spawn_on(hub, async move { polled(waits, channel.get()).await })
        };
        waits.wait().await;
        assert_eq!(channel.balance(), -1);
        assert_eq!(channel.put_nowait(2), Ok(()));
        assert_eq!(channel.put_nowait(3), Err(PutError::Full(3)));
        assert_eq!(getter.await.unwrap(), Ok(2));
    }

    async fn peek_copies_the_item_of_the_next_get(hub) {
        let (queue, waits) = (Arc::new(Queue::bounded(1)), gate());
        let peeks = {
            let (queue, waits) = (Arc::clone(&queue), Arc::clone(&waits));
            spawn_on(hub, async move { polled(waits, queue.peek()).await })
        };
        waits.wait().await;
        assert!(poll_once(queue.put(7)).await.is_some());
        assert_eq!(peeks.await.unwrap(), Ok(7));
        assert_eq!(queue.get().await, Ok(7));
    }
}
