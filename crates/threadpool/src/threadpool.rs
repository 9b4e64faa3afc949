//! [`ThreadPool`]: threads of one's own, at most so many.

use std::fmt;
use std::sync::Arc;

use spinney_greenlet::Failure;
use spinney_sync::{Acquire, Permit, Semaphore};

use crate::job::Job;
use crate::workers::Workers;
use crate::{NoThreads, ThreadResult};

/// How many closures may wait for each thread before `spawn` waits, too.
const QUEUED_PER_THREAD: usize = 64;

/// Threads that run closures, at most so many at a time. `gevent.threadpool.ThreadPool`.
///
/// A cheap handle, for any task on any hub and for any thread. Threads start when there is work
/// for them. Dropping the last handle refuses what has not started, and lets the rest end without
/// waiting for it.
///
/// For a call that only blocks, take [`unblock`](crate::unblock); to split one computation, rayon.
/// A process that forks must not use it in the child.
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
    owner: Arc<Owner>,
}

impl ThreadPool {
    /// A pool of at most `maxsize` threads, none of them started. Up to 64 closures a thread wait
    /// in its queue.
    ///
    /// # Errors
    ///
    /// [`NoThreads`] if `maxsize` is zero.
    pub fn new(maxsize: usize) -> Result<Self, NoThreads> {
        if maxsize == 0 {
            return Err(NoThreads);
        }
        let places = maxsize.saturating_mul(1 + QUEUED_PER_THREAD);
        let workers = Arc::new(Workers::new(maxsize));
        let owner = Owner { places: Arc::new(Semaphore::new(places)), workers };
        Ok(Self { owner: Arc::new(owner) })
    }

    /// Waits for a place in the queue and has `closure` run by a thread. `spawn`.
    ///
    /// What cannot run any more ends as killed: with
    /// [`ThreadPoolClosed`](crate::ThreadPoolClosed) for a reason after a [`kill`](Self::kill),
    /// with the system's error if it refuses to start a thread and there is none yet.
    ///
    /// # Cancel safety
    ///
    /// Dropping it before it is done drops `closure`, which has not started.
    pub async fn spawn<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> ThreadResult<T> {
        let place = self.owner.take_place().await;
        let (job, result) = Job::new(closure, place);
        self.owner.workers.push(job);
        result
    }

    /// Runs `closure` on a thread and waits for its result. `apply`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the closure panicked, or could not run any more.
    ///
    /// # Cancel safety
    ///
    /// A closure that is in the queue runs, whether its result is still waited for or not.
    pub async fn apply<T: Send + 'static>(
        &self,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.spawn(closure).await.await
    }

    /// Refuses new closures and those in the queue, and waits until the threads are done with
    /// what they are running and have ended. `kill`, but for the queue, which gevent runs empty.
    ///
    /// A closure of the pool itself must not wait for it: that would be for its own end.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed by the first poll; dropping it then only ends the wait.
    pub async fn kill(&self) {
        self.owner.close();
        self.owner.workers.join().await;
    }

    /// How many threads are alive. `size`.
    pub fn size(&self) -> usize {
        self.owner.workers.size()
    }

    /// How many threads there are at the most. `maxsize`.
    pub fn maxsize(&self) -> usize {
        self.owner.workers.maxsize()
    }

    /// How many closures are running or in the queue. `len`.
    pub fn len(&self) -> usize {
        self.owner.places.out()
    }

    /// Whether no closure is running or in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
struct Owner {
    /// One for each closure that is running or in the queue.
    places: Arc<Semaphore>,
    workers: Arc<Workers>,
}

impl Owner {
    /// Waits for a place; there is always one in a closed pool, which then refuses the job.
    async fn take_place(&self) -> Option<Permit<Arc<Semaphore>>> {
        Acquire::of(Arc::clone(&self.places)).await.ok()
    }

    fn close(&self) {
        // The workers first: who is woken by the other finds them closed.
        self.workers.close();
        self.places.close();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.close();
    }
}
