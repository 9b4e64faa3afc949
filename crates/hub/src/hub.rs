//! [`Hub`]: threads that share their tasks.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle, ThreadId};

use async_channel::{Receiver, Sender};
use async_executor::{Executor, StaticExecutor};

use crate::{Context, Spawn, current};

/// The environment variable with the number of threads of [`Hub::global`].
const THREADS_VARIABLE: &str = "SPINNEY_THREADS";

static GLOBAL: StaticExecutor = StaticExecutor::new();

/// An executor on several threads that take work from each other: the default hub.
///
/// A cheap handle. [`Hub::global`] is one for the whole process, which never stops. Dropping the
/// last handle of a hub of one's own ([`Hub::builder`]) stops it: its threads end, each after the
/// poll it is in, and are waited for (unless it is one of them that drops the handle), and the
/// tasks that are left are dropped. A task that holds a handle of its own hub keeps it alive.
///
/// Not for work that is not `Send`: that is [`LocalHub`](crate::LocalHub)'s.
///
/// ```
/// use spinney_hub::Hub;
///
/// let hub = Hub::builder().threads(2).name("mine").build()?;
/// assert_eq!(hub.block_on(async { "done" }), "done");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Hub {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Global,
    Own(Arc<Own>),
}

/// A hub that stops when its last handle goes.
struct Own {
    executor: Arc<Executor<'static>>,
    /// The threads stop when this is closed.
    stop: Sender<()>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Hub {
    /// The hub of the whole process. It starts at the first call, with one thread per core or as
    /// many as the environment variable `SPINNEY_THREADS` says.
    ///
    /// # Panics
    ///
    /// If `SPINNEY_THREADS` is set to anything but a number above zero, or if the system refuses
    /// to start its threads.
    pub fn global() -> Self {
        static STARTED: OnceLock<()> = OnceLock::new();
        STARTED.get_or_init(|| {
            for index in 0..global_threads() {
                let run = || {
                    let _entered = Context::of_hub(WeakHub { kind: WeakKind::Global }).enter();
                    async_io::block_on(GLOBAL.run(std::future::pending::<()>()));
                };
                start_thread(&format!("spinney-{index}"), run)
                    .expect("the global hub needs its threads");
            }
        });
        Self { kind: Kind::Global }
    }

    /// The hub that is polling on this thread; where that is none or not a `Hub`,
    /// [`Hub::global`]. gevent's `get_hub()`.
    ///
    /// # Panics
    ///
    /// As [`Hub::global`].
    pub fn current() -> Self {
        current::hub().unwrap_or_else(Self::global)
    }

    /// Sets up a hub of one's own: one thread per core, named `hub-0` and so on, unless told
    /// otherwise.
    pub fn builder() -> HubBuilder {
        HubBuilder { threads: cores(), name: "hub".to_owned() }
    }

    /// Runs `future` to its end on this thread, which helps with the hub's other tasks while it
    /// waits.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = Context::of_hub(self.downgrade()).enter();
        match &self.kind {
            Kind::Global => async_io::block_on(GLOBAL.run(future)),
            Kind::Own(own) => async_io::block_on(own.executor.run(future)),
        }
    }

    fn downgrade(&self) -> WeakHub {
        let kind = match &self.kind {
            Kind::Global => WeakKind::Global,
            Kind::Own(own) => WeakKind::Own(Arc::downgrade(own)),
        };
        WeakHub { kind }
    }
}

/// The hub of [`Hub::current`].
impl Default for Hub {
    fn default() -> Self {
        Self::current()
    }
}

impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Hub {
    fn spawn(&self, future: F) {
        match &self.kind {
            Kind::Global => GLOBAL.spawn(future).detach(),
            Kind::Own(own) => own.executor.spawn(future).detach(),
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Global => f.debug_struct("Hub").field("global", &true).finish(),
            Kind::Own(own) => {
                let threads = lock(&own.threads).len();
                f.debug_struct("Hub").field("global", &false).field("threads", &threads).finish()
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop.close();
        let threads = std::mem::take(&mut *lock(&self.threads));
        if !is_one_of(&threads, thread::current().id()) {
            for thread in threads {
                // A worker's panic has been reported by the panic hook; the others still stop.
                drop(thread.join());
            }
        }
    }
}

/// Sets up a [`Hub`] of one's own; see [`Hub::builder`]. Dropping it starts nothing.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct HubBuilder {
    threads: usize,
    name: String,
}

impl HubBuilder {
    /// How many threads; default: one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// What the threads are called, before their number; default: `hub`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Starts the hub.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is to have no thread, or a name with a NUL byte in it;
    /// the system's error if it refuses to start a thread. Those already started end again.
    pub fn build(self) -> io::Result<Hub> {
        if self.threads == 0 {
            return Err(invalid_input("a hub needs at least one thread"));
        }
        if self.name.contains('\0') {
            return Err(invalid_input("a thread's name must not contain NUL"));
        }
        let (stop, stopped) = async_channel::bounded(1);
        let executor = Arc::new(Executor::new());
        let own = Arc::new(Own { executor, stop, threads: Mutex::default() });
        for index in 0..self.threads {
            let run = worker(&own, stopped.clone());
            let thread = start_thread(&format!("{}-{index}", self.name), run)?;
            lock(&own.threads).push(thread);
        }
        Ok(Hub { kind: Kind::Own(own) })
    }
}

/// A hub that may be gone: what threads know of the one they work for, so that they do not keep
/// it alive.
#[derive(Clone)]
pub(crate) struct WeakHub {
    kind: WeakKind,
}

#[derive(Clone)]
enum WeakKind {
    Global,
    Own(Weak<Own>),
}

impl WeakHub {
    pub(crate) fn upgrade(&self) -> Option<Hub> {
        let kind = match &self.kind {
            WeakKind::Global => Kind::Global,
            WeakKind::Own(own) => Kind::Own(own.upgrade()?),
        };
        Some(Hub { kind })
    }
}

/// A hub that is gone drops the future.
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for WeakHub {
    fn spawn(&self, future: F) {
        if let Some(hub) = self.upgrade() {
            hub.spawn(future);
        }
    }
}

fn worker(own: &Arc<Own>, stopped: Receiver<()>) -> impl FnOnce() + Send + use<> {
    let executor = Arc::clone(&own.executor);
    let context = WeakKind::Own(Arc::downgrade(own));
    move || {
        let _entered = Context::of_hub(WeakHub { kind: context }).enter();
        // Nothing is ever sent: the answer is that the channel was closed.
        let _closed = async_io::block_on(executor.run(stopped.recv()));
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn is_one_of(threads: &[JoinHandle<()>], id: ThreadId) -> bool {
    threads.iter().any(|thread| thread.thread().id() == id)
}

fn global_threads() -> usize {
    let Ok(text) = std::env::var(THREADS_VARIABLE) else { return cores() };
    let threads = text.parse().map(NonZeroUsize::get).ok().unwrap_or_default();
    assert!(threads > 0, "{THREADS_VARIABLE} must be a number above zero, but is {text:?}");
    threads
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn invalid_input(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
