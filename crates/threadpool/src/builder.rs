//! [`ThreadPoolBuilder`]: the settings of a thread pool.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use spinney_hub::{BoxTask, Spawn};

use crate::settings::Settings;
use crate::{NoThreads, ThreadPool};

/// Sets up a [`ThreadPool`]; see [`ThreadPool::builder`]. Dropping it starts nothing.
///
/// ```
/// use std::time::Duration;
/// use spinney_threadpool::ThreadPool;
///
/// let pool = ThreadPool::builder()
///     .maxsize(2)
///     .queue(100)
///     .name("cruncher")
///     .idle_timeout(Duration::from_secs(10))
///     .on_start(|index| println!("cruncher-{index} starts"))
///     .build()?;
/// assert_eq!(pool.maxsize(), 2);
/// # Ok::<(), spinney_threadpool::NoThreads>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ThreadPoolBuilder {
    maxsize: usize,
    settings: Settings,
}

impl ThreadPoolBuilder {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { maxsize: cores, settings: Settings::default() }
    }

    /// How many threads there are at the most; default: one per core. `maxsize`.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = maxsize;
        self
    }

    /// How many closures may wait for a thread before [`spawn`](ThreadPool::spawn) waits, too;
    /// `usize::MAX` is no limit. Default: 64 for each thread.
    ///
    /// With a queue of none a closure gets in when a thread is free for it.
    pub fn queue(mut self, closures: usize) -> Self {
        self.settings.queue = Some(closures);
        self
    }

    /// How long a thread that has nothing to do stays; default: for as long as the pool.
    /// `idle_task_timeout`.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = Some(timeout);
        self
    }

    /// What the threads are called, before their number; default: `spinney-worker`. With a NUL
    /// byte in it no thread can be started.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// The size of each thread's stack, in bytes; default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Has `hook` called by each thread when it starts, with its number, which is below
    /// [`maxsize`](Self::maxsize) and which no other thread of the pool has meanwhile: the place to
    /// pin threads to cores. A panic of the hook harms nobody; the panic hook reports it.
    ///
    /// ```
    /// use spinney_threadpool::ThreadPool;
    ///
    /// # fn pin_to(_core: usize) {}
    /// // `pin_to` being that of your platform, or of a crate like `core_affinity`.
    /// let pinned = ThreadPool::builder().on_start(|index| pin_to(index)).build()?;
    /// # Ok::<(), spinney_threadpool::NoThreads>(())
    /// ```
    pub fn on_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_start = Some(Arc::new(hook));
        self
    }

    /// Has `hook` called by each thread before it ends, with its number. A panic of the hook harms
    /// nobody; the panic hook reports it.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.settings.on_stop = Some(Arc::new(hook));
        self
    }

    /// Where the callbacks of [`apply_async`](ThreadPool::apply_async) run; default: on the hub
    /// that is current at the call. `hub`.
    pub fn hub(mut self, hub: impl Spawn<BoxTask> + Send + Sync + 'static) -> Self {
        self.settings.hub = Some(Arc::new(hub));
        self
    }

    /// Makes the pool; no thread is started yet.
    ///
    /// # Errors
    ///
    /// [`NoThreads`] if it is to have none.
    pub fn build(self) -> Result<ThreadPool, NoThreads> {
        ThreadPool::with(self.maxsize, self.settings)
    }
}
