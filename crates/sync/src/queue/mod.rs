//! [`OrderedQueue`]: passes items from tasks that put them to tasks that get them.
//!
//! The kinds of queue are one type with different [orders](Order): [`Queue`], [`LifoQueue`] and
//! [`PriorityQueue`]. Each counts unfinished items, so each is a [`JoinableQueue`].

mod errors;
mod futures;
mod order;
mod state;
#[cfg(feature = "stream")]
mod stream;

use std::fmt;
use std::ops::Deref;
use std::panic::Location;

pub use self::errors::{GetError, PutError, ShutDown, TaskDoneError};
pub use self::futures::{Get, Peek, Put};
pub use self::order::{Fifo, Lifo, Order, Priority};
use self::state::{State, Want};
#[cfg(feature = "stream")]
pub use self::stream::Items;
use crate::budget;
use crate::primitive::{self, Mutex, MutexGuard};

/// A queue with an [`Order`]: getters and putters are served in FIFO order. [`Queue`],
/// [`LifoQueue`] and [`PriorityQueue`] are its kinds, [`Channel`] holds one.
///
/// An item that is put while getters wait goes to the first of them, and free room goes to the
/// first waiting putter; so no later task overtakes a waiter. With a capacity of 0 a put finishes
/// when a getter has taken its item: see [`Channel`].
///
/// Dropping the queue drops its items; waiters borrow it. A panic of a waker is contained: the
/// other waiters are woken, and no item is lost.
///
/// ```
/// # mod spinney { pub mod sync { pub use spinney_sync::{Lifo, OrderedQueue, PutError}; } }
/// use spinney::sync::{Lifo, OrderedQueue, PutError};
///
/// let pile = OrderedQueue::<_, Lifo>::bounded(2);
/// pile.put_nowait("lower")?;
/// pile.put_nowait("upper")?;
/// assert!(pile.is_full());
/// assert_eq!(pile.get_nowait(), Ok("upper"));
/// Ok::<(), PutError<&str>>(())
/// ```
pub struct OrderedQueue<T, O: Order<T>> {
    state: Mutex<State<T, O>>,
}

impl<T, O: Order<T>> OrderedQueue<T, O> {
    /// Creates a queue that holds at most `capacity` items.
    ///
    /// Python: `gevent.queue.Queue(maxsize)`.
    pub fn bounded(capacity: usize) -> Self {
        Self { state: Mutex::new(State::new(Some(capacity))) }
    }

    /// Creates a queue without a limit: putting never waits.
    ///
    /// Python: `gevent.queue.Queue()`.
    pub fn unbounded() -> Self {
        Self { state: Mutex::new(State::new(None)) }
    }

    /// Puts an item once there is room; with a capacity of 0, waits until a getter has taken it.
    ///
    /// # Errors
    ///
    /// [`ShutDown`], with the item, if the queue was shut down before.
    ///
    /// # Panics
    ///
    /// Panics if comparing the item panics; the item is lost then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line, and drops the item unless it was put;
    /// [`Put::take_back`] recovers it.
    ///
    /// Python: `gevent.queue.Queue.put`.
    #[track_caller]
    pub fn put(&self, item: T) -> Put<'_, T, O> {
        Put::new(self, item, Location::caller())
    }

    /// Puts an item without waiting. With a capacity of 0 it does not wait until the getter runs.
    ///
    /// # Errors
    ///
    /// [`PutError::Full`] if there is no room and no getter waits, [`PutError::ShutDown`] if the
    /// queue was shut down; either holds the item.
    ///
    /// # Panics
    ///
    /// The same as [`put`](Self::put).
    ///
    /// Python: `gevent.queue.Queue.put_nowait`.
    pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        self.change(|state| state.put_nowait(item))
    }

    /// Takes the next item, behind earlier getters.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] if the queue was shut down and is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line. An item that it was given already goes to the next
    /// getter, or back to its old place in the queue, even if that has no room left; a putter that
    /// it met in a queue with a capacity of 0 waits again.
    ///
    /// Python: `gevent.queue.Queue.get`.
    #[track_caller]
    pub fn get(&self) -> Get<'_, T, O> {
        Get::new(self, Location::caller())
    }

    /// Takes the next item without waiting; never an item that was given to a getter.
    ///
    /// # Errors
    ///
    /// [`GetError::Empty`] if there is none, [`GetError::ShutDown`] if none will come.
    ///
    /// Python: `gevent.queue.Queue.get_nowait`.
    pub fn get_nowait(&self) -> Result<T, GetError> {
        self.serve(Want::Get)
    }

    /// Copies the next item once there is one, and leaves it in the queue.
    ///
    /// It waits in one line with the getters: it copies the item of its turn, and the next getter
    /// in the line takes that item.
    ///
    /// # Errors
    ///
    /// [`ShutDown`] if the queue was shut down and is empty.
    ///
    /// # Panics
    ///
    /// Panics if the item's [`Clone`] panics. `Clone` runs while the queue is locked: it must not
    /// use the queue.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line, and delays no other waiter.
    ///
    /// Python: `gevent.queue.Queue.peek`.
    #[track_caller]
    pub fn peek(&self) -> Peek<'_, T, O>
    where
        T: Clone,
    {
        Peek::new(self, Location::caller())
    }

    /// Copies the next item without waiting, and leaves it in the queue.
    ///
    /// # Errors
    ///
    /// The same as [`get_nowait`](Self::get_nowait).
    ///
    /// # Panics
    ///
    /// The same as [`peek`](Self::peek).
    ///
    /// Python: `gevent.queue.Queue.peek_nowait`.
    pub fn peek_nowait(&self) -> Result<T, GetError>
    where
        T: Clone,
    {
        self.serve(Want::Peek(T::clone))
    }

    /// Reports an item that was put as done.
    ///
    /// # Errors
    ///
    /// [`TaskDoneError`] if no item is unfinished; nothing changes then.
    ///
    /// Python: `gevent.queue.JoinableQueue.task_done`.
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        self.change(|state| {
            let any = state.unfinished > 0;
            state.finish(1);
            if any { Ok(()) } else { Err(TaskDoneError) }
        })
    }

    /// Waits until all items that were put have been reported [done](Self::task_done); returns
    /// immediately if they have. A waiter goes on even if another item was put since.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// Python: `gevent.queue.JoinableQueue.join`.
    #[track_caller]
    pub fn join(&self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let joined = self.lock().joined();
            match joined {
                Some(joined) => joined.wait_for("Queue::join", at).await,
                None => budget::ready().await,
            }
        }
    }

    /// Changes the capacity; `None` removes the limit. A larger capacity admits as many waiting
    /// putters as fit; a smaller one admits none until enough items have been taken.
    ///
    /// Python: `gevent.queue.Queue.resize`.
    pub fn resize(&self, capacity: impl Into<Option<usize>>) {
        let capacity = capacity.into();
        self.change(|state| state.resize(capacity));
    }

    /// Refuses all putters, waiting or new. Items in the queue can still be taken; once it is empty
    /// all getters are refused. A second call is a no-op.
    ///
    /// A getter that was given an item keeps it. If it is dropped before it runs, the item goes
    /// back to the queue; with a capacity of 0, the put that it met is refused.
    ///
    /// Python: `gevent.queue.Queue.shutdown()`.
    pub fn shutdown(&self) {
        self.change(State::shut_down);
    }

    /// Shuts the queue down, like [`shutdown`](Self::shutdown), and returns the items in the queue.
    /// They count as done.
    ///
    /// The items of getters that have not run yet are among them, before all others. With a
    /// capacity of 0 an item that was not taken goes back to its put, which is refused.
    ///
    /// Python: `gevent.queue.Queue.shutdown(immediate=True)`.
    #[must_use = "it holds the remaining items"]
    pub fn shutdown_now(&self) -> Vec<T> {
        self.change(|state| {
            state.shut_down();
            state.drain()
        })
    }

    /// Whether it was shut down.
    ///
    /// Python: `gevent.queue.Queue.is_shutdown`.
    pub fn is_shut_down(&self) -> bool {
        self.lock().shut_down
    }

    /// The number of items in the queue, without the items of getters that have not run yet.
    ///
    /// Python: `gevent.queue.Queue.qsize`.
    #[doc(alias = "qsize")]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no item is in the queue.
    ///
    /// Python: `gevent.queue.Queue.empty`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for another item; always `true` with a capacity of 0.
    ///
    /// Python: `gevent.queue.Queue.full`.
    pub fn is_full(&self) -> bool {
        !self.lock().has_room()
    }

    /// The largest number of items in the queue; `None` without a limit.
    ///
    /// Python: `gevent.queue.Queue.maxsize`.
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> Option<usize> {
        self.lock().capacity
    }

    /// The number of items that were put and have not been reported [done](Self::task_done). With a
    /// capacity of 0 an item counts once it is taken.
    ///
    /// Python: `gevent.queue.JoinableQueue.unfinished_tasks`.
    #[doc(alias = "unfinished_tasks")]
    pub fn unfinished(&self) -> usize {
        self.lock().unfinished
    }

    /// The number of waiting getters; waits to peek do not count.
    ///
    /// Python: `eventlet.queue.Queue.getting`.
    pub fn getting(&self) -> usize {
        self.lock().getting()
    }

    /// The number of waiting putters.
    ///
    /// Python: `eventlet.queue.Queue.putting`.
    pub fn putting(&self) -> usize {
        self.lock().putting()
    }

    fn serve(&self, want: Want<T>) -> Result<T, GetError> {
        let (answer, shut_down) = self.change(|state| (state.serve(want), state.shut_down));
        match answer {
            Some(answer) => Ok(answer.into_item()),
            None if shut_down => Err(GetError::ShutDown),
            None => Err(GetError::Empty),
        }
    }

    /// Changes the state and serves the waiters that can be served. Wakers run, panics resume and
    /// the result of `change` is dropped after the lock is released.
    fn change<R>(&self, change: impl FnOnce(&mut State<T, O>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let later = if state.is_settled() { None } else { state.settle() };
        drop(state);
        if let Some(later) = later {
            later.run();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<T, O>> {
        primitive::lock(&self.state)
    }
}

/// Creates a queue without a limit, with the given items in their order.
///
/// Python: `gevent.queue.Queue(None, items)`.
///
/// ```
/// # use spinney_sync as spinney;
/// use spinney::Queue;
///
/// let queue: Queue<_> = ["first", "second"].into_iter().collect();
/// assert_eq!(queue.get_nowait(), Ok("first"));
/// ```
impl<T, O: Order<T>> FromIterator<T> for OrderedQueue<T, O> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let queue = Self::unbounded();
        for item in items {
            // There is room, and no other task can have shut it down yet.
            let _put = queue.put_nowait(item);
        }
        queue
    }
}

impl<T, O: Order<T>> fmt::Debug for OrderedQueue<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("len", &state.len())
            .field("capacity", &state.capacity)
            .field("getting", &state.getting())
            .field("putting", &state.putting())
            .field("unfinished", &state.unfinished)
            .field("shut_down", &state.shut_down)
            .finish()
    }
}

/// A FIFO queue. [`OrderedQueue`] has its methods.
///
/// Python: `gevent.queue.Queue`, `eventlet.queue.Queue`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on; pub use spinney_sync::Queue;
/// #     pub mod sync { pub use spinney_sync::ShutDown; }
/// # }
/// use spinney::{Queue, block_on};
/// use spinney::sync::ShutDown;
///
/// block_on(async {
///     let queue = Queue::bounded(2);
///     queue.put("one").await?;
///     queue.put("two").await?;
///     assert!(queue.put_nowait("three").is_err());
///     queue.shutdown();
///     let mut got = Vec::new();
///     while let Ok(item) = queue.get().await {
///         got.push(item);
///     }
///     assert_eq!(got, ["one", "two"]);
///     Ok::<(), ShutDown<&str>>(())
/// }).unwrap();
/// ```
#[doc(alias("mpsc", "mpmc"))]
pub type Queue<T> = OrderedQueue<T, Fifo>;

/// A LIFO queue: the item that was put last comes out first.
///
/// Python: `gevent.queue.LifoQueue`, `eventlet.queue.LifoQueue`.
///
/// ```
/// # mod spinney { pub mod sync { pub use spinney_sync::{LifoQueue, PutError}; } }
/// use spinney::sync::{LifoQueue, PutError};
///
/// let queue = LifoQueue::unbounded();
/// for item in [1, 2, 3] {
///     queue.put_nowait(item)?;
/// }
/// assert_eq!(queue.get_nowait(), Ok(3));
/// Ok::<(), PutError<i32>>(())
/// ```
pub type LifoQueue<T> = OrderedQueue<T, Lifo>;

/// A priority queue: the smallest item comes out first, and of equal ones the first that was put.
///
/// [`Reverse`](std::cmp::Reverse) makes the largest come out first. The items' [`Ord`] runs while
/// the queue is locked: it must not use the queue. If it panics when an item is put, that put
/// panics and the item is lost; the other items are unaffected. The item is dropped under the lock,
/// so its destructor must not use the queue either.
///
/// Python: `gevent.queue.PriorityQueue`, `eventlet.queue.PriorityQueue`.
///
/// ```
/// # mod spinney { pub mod sync { pub use spinney_sync::{PriorityQueue, PutError}; } }
/// use spinney::sync::{PriorityQueue, PutError};
///
/// let queue = PriorityQueue::unbounded();
/// for job in [(2, "sweep"), (1, "cook"), (2, "dust")] {
///     queue.put_nowait(job)?;
/// }
/// assert_eq!(queue.get_nowait(), Ok((1, "cook")));
/// Ok::<(), PutError<(i32, &str)>>(())
/// ```
pub type PriorityQueue<T> = OrderedQueue<T, Priority>;

/// Another name of [`Queue`]: every queue can be [joined](OrderedQueue::join).
///
/// Python: `gevent.queue.JoinableQueue`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod sync { pub use spinney_sync::JoinableQueue; }
/// # }
/// use spinney::block_on;
/// use spinney::sync::JoinableQueue;
///
/// let queue = JoinableQueue::unbounded();
/// queue.put_nowait("a job").unwrap();
/// assert_eq!(queue.get_nowait(), Ok("a job"));
/// assert_eq!(queue.unfinished(), 1);
/// queue.task_done().unwrap();
/// block_on(queue.join());
/// ```
pub type JoinableQueue<T> = Queue<T>;

/// A queue that holds nothing: a put finishes when a getter has taken its item.
///
/// A put that finds a waiting getter wakes it, and waits until the getter has run and taken the
/// item. Both are woken, the getter first, so on a hub that runs tasks in FIFO order both go on
/// before any task that is woken later. If the getter is dropped before it runs, the item goes to
/// the next getter, or stays with the put, which is still pending; dropping the put drops the item,
/// and the getter waits again in its old place.
///
/// [`put_nowait`](crate::OrderedQueue::put_nowait) does not wait until the getter runs: it succeeds
/// exactly if a getter waits, and leaves the item with the queue for it. If that getter is dropped,
/// the item goes to the next one, now or later. [`get_nowait`](crate::OrderedQueue::get_nowait)
/// succeeds exactly if a put waits for a getter.
///
/// It is a [`Queue`] with a capacity of 0; resizing it changes that. Dropping it is harmless,
/// because waiters borrow it.
///
/// Python: `gevent.queue.Channel`, `eventlet.queue.Queue(0)`.
///
/// ```
/// # mod spinney {
/// #     pub use futures_lite::future::block_on;
/// #     pub mod sync { pub use spinney_sync::Channel; }
/// # }
/// use std::thread;
///
/// use spinney::block_on;
/// use spinney::sync::Channel;
///
/// let channel = Channel::new();
/// assert!(channel.put_nowait("no getter").is_err());
/// thread::scope(|scope| {
///     let getter = scope.spawn(|| block_on(channel.get()));
///     block_on(channel.put("an item")).unwrap();
///     assert_eq!(getter.join().unwrap(), Ok("an item"));
/// });
/// ```
#[doc(alias = "rendezvous")]
pub struct Channel<T>(Queue<T>);

impl<T> Channel<T> {
    /// Creates a channel without waiters.
    pub fn new() -> Self {
        Self(Queue::bounded(0))
    }

    /// The number of waiting puts minus the number of waiting gets. A put and a get that meet are
    /// not counted.
    ///
    /// Python: `gevent.queue.Channel.balance`.
    pub fn balance(&self) -> isize {
        let state = self.0.lock();
        signed(state.putting()) - signed(state.getting())
    }
}

/// `count`, or `isize::MAX` if that is smaller.
fn signed(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Channel<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.0).finish()
    }
}
