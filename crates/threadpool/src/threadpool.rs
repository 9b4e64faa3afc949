//! [`ThreadPool`]: a bounded set of threads that run closures, and its settings.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_lite::future;
use spinney_greenlet::{Failure, GreenletExit, Inherited, NewGreenlet};
use spinney_hub::{BoxTask, Spawn, Within, contain};
use spinney_sync::{Acquire, BudgetedAwait, Permit, Semaphore, TryAcquireError, Wait};

use crate::backoff::backoff_in_task;
use crate::job::{Call, Job, run_to_end};
use crate::workers::Workers;
use crate::{ThreadPoolClosed, ThreadPoolFull, ThreadResult};

/// A pool of threads: it runs closures in FIFO order, and at most as many at once as its capacity.
///
/// Cloning is cheap; the handle works in tasks on every hub and on plain threads. Threads are
/// started when there is work for them. Dropping the last handle kills the waiting closures, and
/// lets the running ones finish, without waiting for them.
///
/// A closure may use hubs, greenlets and channels; it awaits with `Hub::block_on`. It may spawn
/// into its own pool, and [`apply`](Self::apply) there. A started closure cannot be stopped.
///
/// A pool of threads can [pause](Self::pause), and [`try_spawn`](Self::try_spawn) refuses work
/// beyond the bound of its queue. Rates, priorities and limits per key are those of a pool of tasks,
/// whose tasks [`apply`](Self::apply) closures here: the queue of the threads is FIFO, so that a
/// closure is put in and taken out in constant time.
///
/// For a call that only blocks, use [`unblock`](crate::unblock); to split one computation, rayon. A
/// process that forks must not use the pool in the child, which has none of its threads. While
/// threads are [forbidden](spinney_hub::ForbidThreads), the verbs that take a closure panic.
///
/// Python: `gevent.threadpool.ThreadPool`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool; }
/// use spinney::{ThreadPool, block_on};
///
/// block_on(async {
///     let pool = ThreadPool::new(2);
///     let mut results = Vec::new();
///     for n in 1..=4_u64 {
///         results.push(pool.spawn(move || (1..=n).product::<u64>()).await);
///     }
///     for (result, factorial) in results.into_iter().zip([1, 2, 6, 24]) {
///         assert_eq!(result.await.unwrap(), factorial);
///     }
/// });
/// ```
#[doc(alias("spawn_blocking", "ThreadPoolExecutor"))]
#[derive(Clone)]
pub struct ThreadPool {
    pub(crate) owner: Arc<Owner>,
}

impl ThreadPool {
    /// Creates a pool with at most `capacity` threads, none of them started. Up to 64 closures per
    /// thread wait in its queue. A pool with capacity 0 is paused: it starts nothing until it is
    /// [resized](Self::resize).
    #[must_use]
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        Self::builder().capacity(capacity).build()
    }

    /// Returns the settings of a new pool. Default: one thread per core.
    pub fn builder() -> ThreadPoolBuilder {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        ThreadPoolBuilder { settings: Settings { capacity: cores, ..Settings::default() } }
    }

    pub(crate) fn workers(&self) -> &Arc<Workers> {
        &self.owner.workers
    }

    /// Runs `closure` on a thread, once there is a place in the queue.
    ///
    /// A closure that cannot run any more is killed: with the reason
    /// [`ThreadPoolClosed`](crate::ThreadPoolClosed) after a [`close`](Self::close), or
    /// [`ThreadRefused`](crate::ThreadRefused) if the system refuses to start a thread and the pool
    /// has no other.
    ///
    /// A closure of this pool that calls `spawn` does not wait for a place, because it may hold the
    /// place that it would wait for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has finished drops `closure`, which has not started.
    ///
    /// Python: `gevent.threadpool.ThreadPool.spawn`.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = ThreadResult<T>> {
        self.spawn_at(Location::caller(), closure)
    }

    /// Runs `closure` on a thread if there is a place in the queue now; there is none while others
    /// wait for one.
    ///
    /// # Errors
    ///
    /// [`ThreadPoolFull`], with the closure, if there is no place, or the pool was closed.
    #[track_caller]
    pub fn try_spawn<T, C>(&self, closure: C) -> Result<ThreadResult<T>, ThreadPoolFull<C>>
    where
        T: Send + 'static,
        C: FnOnce() -> T + Send + 'static,
    {
        match self.try_take_place() {
            Ok(place) => self.start_unless_closed(closure, place, Location::caller()),
            Err(error) => Err(ThreadPoolFull::new(closure, error == TryAcquireError::Closed)),
        }
    }

    /// Runs `closure` on a thread like [`spawn`](Self::spawn), if there is a place in the queue
    /// before `limit` has passed.
    ///
    /// # Errors
    ///
    /// [`ThreadPoolFull`], with the closure, if there was no place in time, or the pool was closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it has finished drops `closure`, which has not started.
    #[track_caller]
    pub fn spawn_within<T, C>(
        &self,
        limit: Duration,
        closure: C,
    ) -> impl Future<Output = Result<ThreadResult<T>, ThreadPoolFull<C>>>
    where
        T: Send + 'static,
        C: FnOnce() -> T + Send + 'static,
    {
        let at = Location::caller();
        BudgetedAwait::around(async move {
            match self.take_place(at).within(limit).await {
                Ok(place) => self.start_unless_closed(closure, place, at),
                Err(_) => Err(ThreadPoolFull::new(closure, false)),
            }
        })
    }

    /// Runs `closure` on a thread like [`spawn`](Self::spawn), and blocks this thread until there
    /// is a place in the queue: for plain threads.
    ///
    /// ```
    /// # use spinney_threadpool as spinney;
    /// use spinney::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// let result = pool.submit(|| 6 * 7);
    /// assert_eq!(result.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn submit<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadResult<T> {
        future::block_on(self.spawn(closure))
    }

    /// Runs `closure` on a thread, and waits for its result.
    ///
    /// If the caller is a closure of this pool, `closure` runs in place: on the caller's thread, as
    /// a greenlet of its own. So a closure never waits for its own pool.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or could not run any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills a closure that has not started; a started closure runs to its end,
    /// and its result is dropped.
    ///
    /// Python: `gevent.threadpool.ThreadPool.apply`, which lets the closure run.
    #[track_caller]
    pub fn apply<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> {
        let at = Location::caller();
        async move {
            if self.is_inside() {
                BudgetedAwait::around(async {}).await;
                return run_in_place(self.inherited(), closure, at);
            }
            let mut result = CancelOnDrop(self.spawn_at(at, closure).await);
            backoff_in_task(|| result.0.is_there());
            poll_fn(|cx| Pin::new(&mut result.0).poll(cx)).await
        }
    }

    /// Changes the capacity, and the length of a queue of default length. Additional threads start
    /// immediately if there is work for them, that of running maps included; surplus threads exit
    /// when they have finished their current entry. With capacity 0 nothing starts.
    ///
    /// Python: `gevent.threadpool.ThreadPool.maxsize`.
    pub fn resize(&self, capacity: usize) {
        self.workers().resize(capacity);
    }

    /// Starts nothing more until [`resume`](Self::resume): closures and maps wait in the queue.
    /// Running closures go on; a running map stops after the current items.
    pub fn pause(&self) {
        self.workers().set_paused(true);
    }

    /// Goes on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.workers().set_paused(false);
    }

    /// Whether the pool is paused, by [`pause`](Self::pause) or by a capacity of 0.
    pub fn is_paused(&self) -> bool {
        self.workers().is_paused() || self.capacity() == 0
    }

    /// The largest number of threads.
    ///
    /// Python: `gevent.threadpool.ThreadPool.maxsize`.
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> usize {
        self.workers().capacity()
    }

    /// How many threads are alive.
    ///
    /// Python: `gevent.threadpool.ThreadPool.size`.
    #[doc(alias = "size")]
    pub fn threads(&self) -> usize {
        self.workers().threads()
    }

    /// How many threads have no work.
    pub fn idle(&self) -> usize {
        self.workers().idle()
    }

    /// How many closures run or wait in the queue; a map counts once for each thread that runs or
    /// will run its items.
    ///
    /// Python: `len(pool)`.
    pub fn len(&self) -> usize {
        self.workers().len()
    }

    /// Whether no closure runs or waits in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many closures and maps wait in the queue, plus the callers that wait for a place in it.
    pub fn waiting(&self) -> usize {
        self.workers().queued() + self.workers().places.waiting()
    }

    /// Whether the caller is a closure of the pool.
    pub fn is_inside(&self) -> bool {
        self.workers().is_inside()
    }

    /// [`spawn`](Self::spawn), on behalf of the line `at`.
    async fn spawn_at<T: Send + 'static>(
        &self,
        at: &'static Location<'static>,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadResult<T> {
        let place = BudgetedAwait::around(self.take_place(at)).await;
        self.start(closure, place, at)
    }

    /// The locals with which a closure of the caller starts.
    fn inherited(&self) -> Inherited {
        if self.workers().settings.inherits { Inherited::capture() } else { Inherited::default() }
    }

    fn start_unless_closed<T, C>(
        &self,
        closure: C,
        place: Place<'_>,
        at: &'static Location<'static>,
    ) -> Result<ThreadResult<T>, ThreadPoolFull<C>>
    where
        T: Send + 'static,
        C: FnOnce() -> T + Send + 'static,
    {
        if self.is_closed() {
            return Err(ThreadPoolFull::new(closure, true));
        }
        Ok(self.start(closure, place, at))
    }

    #[track_caller]
    fn start<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        place: Place<'_>,
        at: &'static Location<'static>,
    ) -> ThreadResult<T> {
        let workers = self.workers();
        let job = Job::new(closure, place.is_some(), self.inherited(), at);
        if let Some(place) = place {
            // The job holds the place now.
            place.forget();
        }
        job.announce(Some(workers));
        let result = ThreadResult::new(Arc::clone(&job) as _, Some(Arc::clone(workers)), at);
        workers.push(job);
        result
    }

    /// Waits for a place, on behalf of the line `at`. In a closed pool there is none, and the
    /// closure is refused.
    async fn take_place(&self, at: &'static Location<'static>) -> Place<'_> {
        let workers = self.workers();
        if workers.is_inside() {
            return None;
        }
        match self.try_take_place() {
            Ok(place) => return place,
            Err(TryAcquireError::Closed) => return None,
            Err(TryAcquireError::WouldBlock) => {}
        }
        // For a few places at once; otherwise the caller would wait for each place that is freed.
        let few = workers.settings.few_places();
        backoff_in_task(|| workers.places.balance() >= few);
        let mut place = Acquire::of(&*workers.places);
        let taken = poll_fn(|cx| {
            let polled = Pin::new(&mut place).poll(cx);
            if polled.is_pending() {
                Wait::note("a place in a thread pool", at);
            }
            polled
        });
        taken.await.ok()
    }

    /// A place, or `None` if the queue has no bound.
    fn try_take_place(&self) -> Result<Place<'_>, TryAcquireError> {
        let workers = self.workers();
        if workers.is_bounded() { workers.places.try_acquire().map(Some) } else { Ok(None) }
    }
}

/// The place of a closure in a bounded queue.
type Place<'a> = Option<Permit<&'a Semaphore>>;

/// Runs `closure` on this thread as a greenlet of its own, which starts with `locals`.
fn run_in_place<T>(
    locals: Inherited,
    closure: impl FnOnce() -> T,
    at: &'static Location<'static>,
) -> Result<T, Failure> {
    let call = Call::of(move || {
        locals.apply();
        closure()
    });
    let (task, greenlet) = NewGreenlet::new(at).pair(call, ());
    run_to_end(task);
    greenlet.try_get().unwrap_or_else(|_| unreachable!("a closure that was run has finished"))
}

/// Kills a closure that has not started, when it is dropped.
struct CancelOnDrop<T>(ThreadResult<T>);

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("threads", &self.threads())
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .finish()
    }
}

/// Shared by all handles. Dropping it shuts the pool down.
pub(crate) struct Owner {
    pub(crate) workers: Arc<Workers>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.workers.shut_down(&GreenletExit::because(ThreadPoolClosed));
    }
}

/// The settings of a [`ThreadPool`]; see [`ThreadPool::builder`]. Dropping it starts nothing.
///
/// ```
/// # use spinney_threadpool as spinney;
/// use std::time::Duration;
/// use spinney::ThreadPool;
///
/// let pool = ThreadPool::builder()
///     .capacity(2)
///     .queue(100)
///     .name("cruncher")
///     .idle_timeout(Duration::from_secs(10))
///     .on_start(|index| println!("cruncher-{index} starts"))
///     .build();
/// assert_eq!(pool.capacity(), 2);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ThreadPoolBuilder {
    settings: Settings,
}

impl ThreadPoolBuilder {
    /// The largest number of threads. Default: one per core. A pool with capacity 0 is paused.
    ///
    /// Python: `gevent.threadpool.ThreadPool.maxsize`.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.settings.capacity = capacity;
        self
    }

    /// How many closures may wait for a thread before [`spawn`](ThreadPool::spawn) waits as well;
    /// `usize::MAX` is no limit. Default: 64 for each thread. With 0 a closure is admitted when a
    /// thread is free for it.
    pub fn queue(mut self, closures: usize) -> Self {
        self.settings.queue = Some(closures);
        self
    }

    /// How long a thread without work is kept. Default: as long as the pool.
    ///
    /// Python: `gevent.threadpool.ThreadPool(idle_task_timeout)`.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = Some(timeout);
        self
    }

    /// The name of the threads, followed by their number. Default: `spinney-worker`. With a NUL
    /// byte in the name no thread can be started.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// The size of each thread's stack, in bytes. Default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Calls `hook` on each thread when it starts, with the thread's number: the number is below
    /// the highest capacity that the pool has had, and unique among its threads. Use it to pin
    /// threads to cores. A panic of the hook is contained; the panic hook reports it.
    ///
    /// ```
    /// # use spinney_threadpool as spinney;
    /// use spinney::ThreadPool;
    ///
    /// fn pin_to(_core: usize) {}
    /// // `pin_to` is that of your platform, or of a crate like `core_affinity`.
    /// let pinned = ThreadPool::builder().on_start(|index| pin_to(index)).build();
    /// ```
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_start = Some(Arc::new(hook));
        self
    }

    /// Calls `hook` on each thread before it ends, with the thread's number. A panic of the hook is
    /// contained; the panic hook reports it.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_stop = Some(Arc::new(hook));
        self
    }

    /// Starts each closure with the [locals](spinney_greenlet::Local) that the caller has when it
    /// spawns the closure. Default: none. Each closure sets its own values. For a map see
    /// [`ThreadMapper::inherit_locals`](crate::ThreadMapper::inherit_locals).
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::greenlet_local; pub use spinney_hub::block_on; pub use spinney_threadpool::ThreadPool;
    /// # }
    /// use spinney::{ThreadPool, block_on, greenlet_local};
    ///
    /// greenlet_local!(static REQUEST: u32 = 0;);
    ///
    /// block_on(async {
    ///     REQUEST.set(17);
    ///     let pool = ThreadPool::builder().capacity(1).inherit_locals().build();
    ///     assert_eq!(pool.apply(|| REQUEST.get()).await.unwrap(), 17);
    /// });
    /// ```
    pub fn inherit_locals(mut self) -> Self {
        self.settings.inherits = true;
        self
    }

    /// The hub of the greenlets of [`apply_async`](crate::gevent::ThreadPoolExt::apply_async), and
    /// so of their callbacks. Default: the hub that is current at the call.
    ///
    /// Python: `gevent.threadpool.ThreadPool.hub`.
    pub fn hub(mut self, hub: impl Spawn<BoxTask> + Send + Sync + 'static) -> Self {
        self.settings.hub = Some(Arc::new(hub));
        self
    }

    /// Builds the pool; no thread is started yet.
    #[track_caller]
    pub fn build(self) -> ThreadPool {
        ThreadPool { owner: Arc::new(Owner { workers: Arc::new(Workers::new(self.settings)) }) }
    }
}

/// Called on a thread, with the thread's number.
type Hook = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) capacity: usize,
    /// How many closures may wait; `None`: [`QUEUED_PER_THREAD`] for each thread.
    pub(crate) queue: Option<usize>,
    /// How long a thread without work is kept; `None`: as long as the pool.
    pub(crate) idle_timeout: Option<Duration>,
    name: String,
    stack_size: Option<usize>,
    on_start: Option<Hook>,
    on_stop: Option<Hook>,
    pub(crate) inherits: bool,
    /// Runs callbacks; `None`: the hub that is current at the call.
    pub(crate) hub: Option<Arc<dyn Spawn<BoxTask> + Send + Sync>>,
}

/// How many closures may wait for each thread before `spawn` waits as well.
const QUEUED_PER_THREAD: usize = 64;

/// How many free places are worth a wake-up, where there are that many.
const FEW: usize = 16;

impl Settings {
    /// How many closures may run or wait, with `threads` threads.
    pub(crate) fn places(&self, threads: usize) -> usize {
        let queue = self.queue.unwrap_or_else(|| threads.saturating_mul(QUEUED_PER_THREAD));
        threads.saturating_add(queue)
    }

    /// How many free places a caller that finds none waits for.
    fn few_places(&self) -> isize {
        self.queue.map_or(FEW, |queue| FEW.min(1 + queue / 2)).try_into().unwrap_or(isize::MAX)
    }

    /// Starts thread number `index`.
    pub(crate) fn start(
        &self,
        index: usize,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        if self.name.contains('\0') {
            let text = "a thread's name must not contain NUL";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut builder = thread::Builder::new().name(format!("{}-{index}", self.name));
        if let Some(stack_size) = self.stack_size {
            builder = builder.stack_size(stack_size);
        }
        builder.spawn(run)
    }

    pub(crate) fn thread_starts(&self, index: usize) {
        call(self.on_start.as_ref(), index);
    }

    pub(crate) fn thread_stops(&self, index: usize) {
        call(self.on_stop.as_ref(), index);
    }
}

/// Calls a hook. If it panics, the panic hook reports it, and the thread goes on.
fn call(hook: Option<&Hook>, index: usize) {
    if let Some(hook) = hook {
        contain(|| hook(index));
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capacity: 0,
            queue: None,
            idle_timeout: None,
            name: "spinney-worker".to_owned(),
            stack_size: None,
            on_start: None,
            on_stop: None,
            inherits: false,
            hub: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("capacity", &self.capacity)
            .field("queue", &self.queue)
            .field("idle_timeout", &self.idle_timeout)
            .field("name", &self.name)
            .field("stack_size", &self.stack_size)
            .field("on_start", &self.on_start.is_some())
            .field("on_stop", &self.on_stop.is_some())
            .field("inherits", &self.inherits)
            .field("hub", &self.hub.is_some())
            .finish()
    }
}
