//! [`Hub`]: a handle to an executor.

mod block_on;
mod builder;
mod core;
mod workers;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_executor::StaticExecutor;

#[cfg(feature = "smol")]
use crate::SmolHub;
#[cfg(feature = "tokio")]
use crate::TokioHub;
use crate::local::LocalHandle;
use crate::{BoxTask, Clock, Context, Executor, LocalHub, Spawn, current, require_threads};

pub use builder::HubBuilder;

pub(crate) use self::core::BlockingGuard;
pub use self::core::ThreadParks;
use self::core::{Core, Engine};
use workers::ThreadSettings;

/// The environment variable with the number of threads of [`Hub::global`].
const THREADS_VARIABLE: &str = "SPINNEY_THREADS";

/// How long stopping waits for polls in progress.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

static GLOBAL: StaticExecutor = StaticExecutor::new();

/// A handle to an executor: it determines where code runs.
///
/// | | runs on | dropping the handle |
/// |---|---|---|
/// | [`Hub::global`] | threads of the whole process | no-op: the hub never stops |
/// | [`Hub::builder`] | its own threads | the last handle stops the hub |
/// | [`Hub::current`] | the caller's executor | no-op: the handle is weak |
/// | [`Hub::following`] | the caller's executor at each call | no-op |
///
/// The threads of a hub steal work from each other. Dropping the last handle of a hub that was
/// [built](Hub::builder) drops the remaining tasks and ends its threads, each after the poll in
/// progress. The drop waits for them, up to the [limit](HubBuilder::shutdown_limit), unless the
/// handle is dropped inside a hub. A task that holds a handle of its own hub keeps the hub alive;
/// [`shutdown`](Self::shutdown) stops it anyway. A weak handle to a hub that is gone drops the
/// futures that are spawned on it.
///
/// For tasks that are not `Send` use [`LocalHub`].
///
/// ```
/// # use spinney_hub as spinney;
/// use spinney::Hub;
///
/// let hub = Hub::builder().threads(2).name("mine").build()?;
/// assert_eq!(hub.block_on(async { "done" }), "done");
/// Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("runtime", "executor"))]
#[derive(Clone)]
pub struct Hub {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Global,
    /// One that was built; weak without the second half.
    Own(Arc<Core>, #[expect(dead_code, reason = "it keeps the hub alive")] Option<Arc<KeepAlive>>),
    Local(LocalHandle),
    #[cfg(feature = "smol")]
    Smol,
    #[cfg(feature = "tokio")]
    Tokio(TokioHub),
    Custom(Arc<Custom>),
    Following,
}

struct Custom {
    clock: Clock,
    hub: Arc<dyn Spawn<BoxTask> + Send + Sync>,
}

impl Hub {
    /// The hub of the whole process. The first call starts it, with one thread per core, or the
    /// number in the environment variable `SPINNEY_THREADS`.
    ///
    /// # Panics
    ///
    /// Panics if `SPINNEY_THREADS` is not a number above zero, if the system refuses to start the
    /// threads, and while threads are [forbidden](crate::ForbidThreads).
    #[track_caller]
    pub fn global() -> Self {
        require_threads("the global hub");
        global_core();
        Self { kind: Kind::Global }
    }

    /// The innermost hub of this code: the hub that polls it on this thread; with the feature
    /// `tokio`, a runtime that was entered later; otherwise [`Hub::global`].
    ///
    /// The handle is weak: it does not keep the hub alive, and drops futures that are spawned after
    /// the hub is gone.
    ///
    /// # Panics
    ///
    /// Panics as [`Hub::global`] does, if there is no other hub.
    ///
    /// Python: `gevent.get_hub`.
    #[doc(alias = "get_hub")]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_else(Self::global)
    }

    /// [`Hub::current`], or `None` outside any hub. It does not start the global hub.
    pub fn try_current() -> Option<Self> {
        current::hub()
    }

    /// The hub that resolves to [`Hub::current`] at each call: its tasks run where they are
    /// started. Pools and groups use it by default.
    #[must_use]
    pub fn following() -> Self {
        Self { kind: Kind::Following }
    }

    /// Creates a hub from `clock` and `hub`, which runs its tasks.
    ///
    /// `hub` should not keep the real executor alive, because handles may be kept for a long time.
    /// It should drop the futures that it gets after the executor is gone.
    pub fn custom(clock: Clock, hub: Arc<dyn Spawn<BoxTask> + Send + Sync>) -> Self {
        Self { kind: Kind::Custom(Arc::new(Custom { clock, hub })) }
    }

    /// Configures a hub with its own threads. Default: one per core, named `hub-0` and so on.
    pub fn builder() -> HubBuilder {
        HubBuilder::new(cores())
    }

    /// This hub, or [`Hub::current`] if it is the [following](Self::following) one.
    #[must_use]
    pub fn resolve(&self) -> Self {
        match self.kind {
            Kind::Following => Self::current(),
            _ => self.clone(),
        }
    }

    /// Runs `code` with this hub as the current one. `code` may block: this thread runs none of the
    /// hub's tasks.
    ///
    /// ```
    /// # use spinney_hub as spinney;
    /// use spinney::{Hub, block_on, spawn};
    ///
    /// let hub = Hub::builder().threads(1).name("mine").build()?;
    /// hub.enter(|| spawn(async { /* on mine-0 */ }));
    /// Ok::<(), std::io::Error>(())
    /// ```
    pub fn enter<T>(&self, code: impl FnOnce() -> T) -> T {
        let hub = self.resolve();
        #[cfg(feature = "tokio")]
        let _runtime = hub.enter_runtime();
        let _entered = Context::blocking(hub.clone().downgrade()).enter_apart();
        code()
    }

    /// Gives the tasks `grace` to finish, then drops the remaining ones and stops the threads, even
    /// if handles exist. Later spawns are dropped.
    ///
    /// It blocks this thread at most for `grace` plus the hub's
    /// [limit](HubBuilder::shutdown_limit), whatever the tasks do. A task that does not return from
    /// its poll in time is reported as running; it stays on its thread, and is dropped when the
    /// poll returns. A task of the hub that calls this is among the running ones.
    ///
    /// Only a hub that was [built](Self::builder) is stopped. For all others this returns
    /// immediately, with an empty report.
    ///
    /// ```
    /// # use spinney_hub as spinney;
    /// use std::time::Duration;
    /// use spinney::{Hub, Spawn};
    ///
    /// let hub = Hub::builder().threads(1).build()?;
    /// hub.spawn(async {});
    /// hub.spawn(std::future::pending());
    /// let report = hub.shutdown(Duration::from_millis(100));
    /// assert_eq!((report.dropped, report.running), (1, 0));
    /// Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, grace: Duration) -> ShutdownReport {
        match &self.kind {
            Kind::Own(core, _) => core.shutdown(grace),
            _ => ShutdownReport::default(),
        }
    }

    /// How many spare threads the system refused to start so far: threads for the work of tasks that
    /// blocked in a [`block_on`](Self::block_on).
    pub fn refused_threads(&self) -> usize {
        match &self.kind {
            Kind::Global => global_core().workers.refused(),
            Kind::Own(core, _) => core.workers.refused(),
            _ => 0,
        }
    }

    /// The threads and tasks of this hub now. The numbers are known for the global hub and for hubs
    /// that were [built](Self::builder); of others only the name.
    ///
    /// ```
    /// # use spinney_hub as spinney;
    /// use spinney::Hub;
    ///
    /// let hub = Hub::builder().threads(2).name("mine").build()?;
    /// let stats = hub.stats();
    /// assert_eq!((stats.name.as_str(), stats.threads), ("mine", Some(2)));
    /// Ok::<(), std::io::Error>(())
    /// ```
    pub fn stats(&self) -> HubStats {
        match &self.kind {
            Kind::Global => global_core().stats(),
            Kind::Own(core, _) => core.stats(),
            _ => HubStats { name: self.kind_name().to_owned(), ..HubStats::default() },
        }
    }

    /// Whether this hub polls the caller.
    pub(crate) fn is_innermost(&self) -> bool {
        Self::try_current().is_some_and(|innermost| *self == innermost)
    }

    fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Own(..) => "own",
            Kind::Global => "global",
            Kind::Local(_) => "local",
            #[cfg(feature = "smol")]
            Kind::Smol => "smol",
            #[cfg(feature = "tokio")]
            Kind::Tokio(_) => "tokio",
            Kind::Custom(_) => "custom",
            Kind::Following => "following",
        }
    }

    fn own(core: Arc<Core>) -> Self {
        let keep_alive = Some(Arc::new(KeepAlive(Arc::clone(&core))));
        Self { kind: Kind::Own(core, keep_alive) }
    }

    /// A weak handle of a hub with threads.
    fn weak(core: &Arc<Core>) -> Self {
        let kind = if core.is_global() { Kind::Global } else { Kind::Own(Arc::clone(core), None) };
        Self { kind }
    }

    /// The same hub, not kept alive.
    fn downgrade(self) -> Self {
        match self.kind {
            Kind::Own(core, _) => Self { kind: Kind::Own(core, None) },
            _ => self,
        }
    }

    /// The kind of hub that drives a thread, for messages.
    pub(crate) fn kind_of_thread(&self) -> &'static str {
        if let Kind::Local(_) = self.kind { "LocalHub" } else { "simulation or a custom hub" }
    }

    pub(crate) fn clock(&self) -> Clock {
        match &self.kind {
            #[cfg(feature = "tokio")]
            Kind::Tokio(hub) => hub.clock(),
            Kind::Custom(custom) => custom.clock.clone(),
            Kind::Own(core, _) => core.clock.clone(),
            Kind::Local(hub) => hub.clock(),
            _ => Clock::default(),
        }
    }

    #[cfg(feature = "tokio")]
    fn enter_runtime(&self) -> Option<::tokio::runtime::EnterGuard<'_>> {
        if let Kind::Tokio(hub) = &self.kind { Some(hub.handle().enter()) } else { None }
    }
}

/// Hubs are equal if their tasks run on the same executor. A hub that
/// [follows](Hub::following) its callers equals no hub.
impl PartialEq for Hub {
    fn eq(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Global, Kind::Global) => true,
            (Kind::Own(this, _), Kind::Own(other, _)) => Arc::ptr_eq(this, other),
            (Kind::Local(this), Kind::Local(other)) => this == other,
            #[cfg(feature = "smol")]
            (Kind::Smol, Kind::Smol) => true,
            #[cfg(feature = "tokio")]
            (Kind::Tokio(this), Kind::Tokio(other)) => this.handle().id() == other.handle().id(),
            (Kind::Custom(this), Kind::Custom(other)) => Arc::ptr_eq(this, other),
            _ => false,
        }
    }
}

/// The same as [`Hub::current`].
impl Default for Hub {
    fn default() -> Self {
        Self::current()
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Hub {
    fn spawn(&self, future: F) {
        // A dev build compiles the code of six executors for one type rather than for each task: the
        // program of the tests in 0.8 of the CPU time.
        #[cfg(debug_assertions)]
        let future: BoxTask = Box::pin(future);
        self.spawn_task(future);
    }
}

impl Hub {
    fn spawn_task<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        // Resolved here, so that the future is moved once.
        let current;
        let hub = if let Kind::Following = self.kind {
            current = Self::current();
            &current
        } else {
            self
        };
        match &hub.kind {
            // A current hub does not follow another one.
            Kind::Global | Kind::Following => spawn_global(future),
            Kind::Own(core, _) => core.spawn(future),
            Kind::Local(hub) => hub.spawn(future),
            #[cfg(feature = "smol")]
            Kind::Smol => SmolHub.spawn(future),
            #[cfg(feature = "tokio")]
            Kind::Tokio(hub) => hub.spawn(future),
            Kind::Custom(custom) => custom.hub.spawn(Box::pin(future)),
        }
    }
}

impl Executor for Hub {
    type AnyTask = BoxTask;

    fn is_current(&self) -> bool {
        matches!(self.kind, Kind::Following) || self.is_innermost()
    }
}

/// A weak handle to a hub that stays on its thread. It may be sent to other threads, and spawns
/// `Send` futures.
impl From<&LocalHub> for Hub {
    fn from(hub: &LocalHub) -> Self {
        hub.handle().into()
    }
}

impl From<LocalHandle> for Hub {
    fn from(hub: LocalHandle) -> Self {
        Self { kind: Kind::Local(hub) }
    }
}

#[cfg(feature = "smol")]
impl From<SmolHub> for Hub {
    fn from(_: SmolHub) -> Self {
        Self { kind: Kind::Smol }
    }
}

#[cfg(feature = "tokio")]
impl From<TokioHub> for Hub {
    fn from(hub: TokioHub) -> Self {
        Self { kind: Kind::Tokio(hub) }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Own(core, _) => core.describe(f),
            _ => f.debug_struct("Hub").field(self.kind_name(), &true).finish(),
        }
    }
}

/// Shared by the strong handles of a hub. Dropping it stops the hub.
struct KeepAlive(Arc<Core>);

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The result of a hub's [shutdown](Hub::shutdown).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How many tasks finished within the grace.
    pub ended: usize,
    /// How many remained then, and were dropped.
    pub dropped: usize,
    /// How many remained then, and still ran at the end of the limit.
    pub running: usize,
}

/// The threads and tasks of a hub: see [`Hub::stats`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// The name of its threads, without their number; otherwise the kind of the hub.
    pub name: String,
    /// How many threads should run tasks.
    pub threads: Option<usize>,
    /// How many threads run tasks: threads that block in `block_on` do not count.
    pub running: usize,
    /// How many threads wait to take over from a thread that blocks.
    pub spares: usize,
    /// How many tasks live, greenlets or not; `None` for the global hub.
    pub tasks: Option<usize>,
}

fn spawn_global(future: impl Future<Output = ()> + Send + 'static) {
    GLOBAL.spawn(future).detach();
}

fn global_core() -> &'static Arc<Core> {
    static CORE: OnceLock<Arc<Core>> = OnceLock::new();
    CORE.get_or_init(|| {
        let settings = ThreadSettings::named("spinney");
        let (engine, clock) = (Engine::Global(&GLOBAL), Clock::default());
        let core = Core::start(engine, global_threads(), settings, SHUTDOWN_LIMIT, clock);
        core.unwrap_or_else(|error| {
            panic!(
                "the global hub could not start its threads ({error}): set {THREADS_VARIABLE} to \
                 fewer, or run this inside of a LocalHub or another hub"
            )
        })
    })
}

fn global_threads() -> usize {
    let Some(text) = std::env::var_os(THREADS_VARIABLE) else { return cores() };
    let threads = text.to_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(threads > 0, "{THREADS_VARIABLE} must be a number above zero, not {text:?}");
    threads
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
