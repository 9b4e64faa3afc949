//! The kinds of queue: [`Queue`], [`LifoQueue`], [`PriorityQueue`] and [`JoinableQueue`].

use super::{Fifo, Lifo, OrderedQueue, Priority};

/// A queue whose items come out in the order they were put. `gevent.queue.Queue`,
/// `eventlet.queue.Queue`.
///
/// [`OrderedQueue`] tells what it can do.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let queue = spinney_sync::Queue::bounded(2);
/// queue.put("one").await?;
/// queue.put("two").await?;
/// assert!(queue.put_nowait("three").is_err());
/// queue.shutdown();
/// let mut got = Vec::new();
/// while let Ok(item) = queue.get().await {
///     got.push(item);
/// }
/// assert_eq!(got, ["one", "two"]);
/// # Ok::<(), spinney_sync::ShutDown<&str>>(())
/// # }).unwrap();
/// ```
pub type Queue<T> = OrderedQueue<T, Fifo>;

/// A queue of which the item that was put last comes out first. `LifoQueue`.
///
/// ```
/// let queue = spinney_sync::LifoQueue::unbounded();
/// for item in [1, 2, 3] {
///     queue.put_nowait(item)?;
/// }
/// assert_eq!(queue.get_nowait(), Ok(3));
/// # Ok::<(), spinney_sync::PutError<i32>>(())
/// ```
pub type LifoQueue<T> = OrderedQueue<T, Lifo>;

/// A queue of which the smallest item comes out first, and of equal ones the first that was put.
/// `PriorityQueue`.
///
/// [`Reverse`](std::cmp::Reverse) lets the largest come out first. The items' [`Ord`] runs while
/// the queue is locked: it must not use the queue. If it panics when an item is put, that put
/// panics and the item is lost; nothing else is. The item is dropped then and there, so its
/// destructor must not use the queue, either.
///
/// ```
/// let queue = spinney_sync::PriorityQueue::unbounded();
/// for job in [(2, "sweep"), (1, "cook"), (2, "dust")] {
///     queue.put_nowait(job)?;
/// }
/// assert_eq!(queue.get_nowait(), Ok((1, "cook")));
/// # Ok::<(), spinney_sync::PutError<(i32, &str)>>(())
/// ```
pub type PriorityQueue<T> = OrderedQueue<T, Priority>;

/// A queue that can be [joined](OrderedQueue::join), as any can: another name of [`Queue`].
/// `gevent.queue.JoinableQueue`.
///
/// ```
/// let queue = spinney_sync::JoinableQueue::unbounded();
/// queue.put_nowait("a job").unwrap();
/// assert_eq!(queue.get_nowait(), Ok("a job"));
/// assert_eq!(queue.unfinished(), 1);
/// queue.task_done().unwrap();
/// futures_lite::future::block_on(queue.join());
/// ```
pub type JoinableQueue<T> = Queue<T>;
