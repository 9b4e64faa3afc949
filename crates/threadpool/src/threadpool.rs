//! [`ThreadPool`]: threads of one's own, at most so many.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use futures_lite::future;
use spinney_greenlet::Failure;
use spinney_sync::{GiveWay, TryAcquireError};

use crate::call::run_in_place;
use crate::job::Job;
use crate::place::Place;
use crate::settings::Settings;
use crate::workers::Workers;
use crate::{NoThreads, ThreadPoolBuilder, ThreadPoolFull, ThreadResult, seldom};

/// Threads that run closures, at most so many at a time. `gevent.threadpool.ThreadPool`.
///
/// A cheap handle, for any task on any hub and for any thread. Threads start when there is work
/// for them. Dropping the last handle refuses what has not started, and lets the rest end without
/// waiting for it.
///
/// A closure may use hubs, greenlets and channels; `Hub::block_on` is how it awaits. It may spawn
/// into its own pool, and [`apply`](Self::apply) there.
///
/// For a call that only blocks, take [`unblock`](crate::unblock); to split one computation, rayon.
/// A process that forks must not use it in the child, which has none of its threads.
///
/// ```
/// use spinney_threadpool::ThreadPool;
///
/// spinney_hub::block_on(async {
///     let pool = ThreadPool::new(2)?;
///     let mut results = Vec::new();
///     for n in 1..=4_u64 {
///         results.push(pool.spawn(move || (1..=n).product::<u64>()).await);
///     }
///     for (result, factorial) in results.into_iter().zip([1, 2, 6, 24]) {
///         assert_eq!(result.await.unwrap(), factorial);
///     }
///     # Ok::<(), spinney_threadpool::NoThreads>(())
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    pub(crate) owner: Arc<Owner>,
}

impl ThreadPool {
    /// A pool of at most `maxsize` threads, none of them started. Up to 64 closures a thread wait
    /// in its queue.
    ///
    /// # Errors
    ///
    /// [`NoThreads`] if `maxsize` is zero.
    pub fn new(maxsize: usize) -> Result<Self, NoThreads> {
        Self::builder().maxsize(maxsize).build()
    }

    /// Sets up a pool: one thread per core, unless told otherwise.
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::new()
    }

    pub(crate) fn with(maxsize: usize, settings: Settings) -> Result<Self, NoThreads> {
        if maxsize == 0 {
            return Err(NoThreads);
        }
        let workers = Arc::new(Workers::new(maxsize, settings));
        Ok(Self { owner: Arc::new(Owner { workers }) })
    }

    /// Waits for a place in the queue and has `closure` run by a thread. `spawn`.
    ///
    /// What cannot run any more ends as killed: with
    /// [`ThreadPoolClosed`](crate::ThreadPoolClosed) for a reason after a [`kill`](Self::kill),
    /// with [`ThreadRefused`](crate::ThreadRefused) if the system refuses to start a thread and
    /// there is none yet.
    ///
    /// From a closure of this pool it waits for no place, for that might be its own.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done drops `closure`, which has not started.
    #[track_caller]
    pub fn spawn<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = ThreadResult<T>> {
        self.spawn_at(Location::caller(), closure)
    }

    /// As [`spawn`](Self::spawn), if there is a place now: none is free while others wait.
    ///
    /// # Errors
    ///
    /// [`ThreadPoolFull`], with the closure in it, if there is none.
    #[track_caller]
    pub fn try_spawn<T, C>(&self, closure: C) -> Result<ThreadResult<T>, ThreadPoolFull<C>>
    where
        T: Send + 'static,
        C: FnOnce() -> T + Send + 'static,
    {
        match self.owner.try_take_place() {
            Some(place) => Ok(self.start(closure, place, Location::caller())),
            None => Err(ThreadPoolFull::new(closure)),
        }
    }

    /// As [`spawn`](Self::spawn), for plain threads: blocks this one until there is a place.
    ///
    /// ```
    /// let pool = spinney_threadpool::ThreadPool::new(1)?;
    /// let result = pool.submit(|| 6 * 7);
    /// assert_eq!(result.wait().unwrap(), 42);
    /// # Ok::<(), spinney_threadpool::NoThreads>(())
    /// ```
    #[track_caller]
    pub fn submit<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadResult<T> {
        future::block_on(self.spawn(closure))
    }

    /// Runs `closure` on a thread and waits for its result. `apply`.
    ///
    /// From a closure of this pool it runs in place, on the thread that asks: so it never waits
    /// for itself.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or could not run any more.
    ///
    /// # Cancel safety
    ///
    /// A closure that is in the queue runs, whether its result is still waited for or not.
    #[track_caller]
    pub fn apply<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> {
        let at = Location::caller();
        async move {
            if self.owner.workers.is_inside() {
                GiveWay::around(async {}).await;
                return run_in_place(closure);
            }
            let result = self.spawn_at(at, closure).await;
            seldom::look(|| result.is_there());
            result.await
        }
    }

    /// Changes how many threads there are at the most; with a queue of the default length, that
    /// too. More start at once if there is work for them; those that are too many end when they
    /// are done with what they are running. `maxsize`.
    ///
    /// # Errors
    ///
    /// [`NoThreads`] if there were to be none; nothing changes then.
    pub fn set_maxsize(&self, maxsize: usize) -> Result<(), NoThreads> {
        if maxsize == 0 {
            return Err(NoThreads);
        }
        self.owner.workers.resize(maxsize);
        Ok(())
    }

    /// How many threads there are at the most. `maxsize`.
    pub fn maxsize(&self) -> usize {
        self.owner.workers.maxsize()
    }

    /// How many threads are alive. `size`.
    pub fn size(&self) -> usize {
        self.owner.workers.size()
    }

    /// How many threads have nothing to do.
    pub fn idle(&self) -> usize {
        self.owner.workers.idle()
    }

    /// How many closures are running or in the queue; a map is one for each thread that works for
    /// it, or is to. `len`.
    pub fn len(&self) -> usize {
        self.owner.workers.unfinished.count()
    }

    /// Whether no closure is running or in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is called from a closure of the pool.
    pub fn is_inside(&self) -> bool {
        self.owner.workers.is_inside()
    }

    /// As [`spawn`](Self::spawn), on behalf of the line `at`.
    async fn spawn_at<T: Send + 'static>(
        &self,
        at: &'static Location<'static>,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadResult<T> {
        let place = GiveWay::around(self.owner.take_place(at)).await;
        self.start(closure, place, at)
    }

    #[track_caller]
    fn start<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
        place: Place,
        at: &'static Location<'static>,
    ) -> ThreadResult<T> {
        let (job, result) = Job::new(closure, Some(place), at);
        self.owner.workers.push(job);
        result
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("size", &self.size())
            .field("maxsize", &self.maxsize())
            .field("len", &self.len())
            .finish()
    }
}

/// What all handles share. Dropping it closes the pool.
pub(crate) struct Owner {
    pub(crate) workers: Arc<Workers>,
}

impl Owner {
    /// Waits for a place, on behalf of the line `at`; there is always one in a closed pool, which then refuses the job.
    async fn take_place(&self, at: &'static Location<'static>) -> Place {
        if !self.workers.is_bounded() || self.workers.is_inside() {
            return self.place(false);
        }
        if let Some(place) = self.try_take_place() {
            return place;
        }
        let places = &self.workers.unfinished.places;
        // For a few, or each that is freed would be waited for.
        let few = self.workers.settings.few_places();
        seldom::look(|| places.balance() >= few);
        if let Some(place) = self.try_take_place() {
            return place;
        }
        let counted = places.take(at).await;
        self.place(counted)
    }

    fn try_take_place(&self) -> Option<Place> {
        if !self.workers.is_bounded() {
            return Some(self.place(false));
        }
        match self.workers.unfinished.places.try_take() {
            Ok(()) => Some(self.place(true)),
            Err(TryAcquireError::Closed) => Some(self.place(false)),
            Err(_) => None,
        }
    }

    fn place(&self, counted: bool) -> Place {
        Place::new(&self.workers.unfinished, counted)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.workers.kill();
    }
}
