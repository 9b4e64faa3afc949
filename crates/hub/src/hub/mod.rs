//! [`Hub`]: threads that share their tasks.

mod builder;
mod drive;
mod own;
mod threads;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_executor::StaticExecutor;

use crate::current::{self, Host};
use crate::{Clock, Context, Spawn};

pub use builder::HubBuilder;
pub use own::ShutdownReport;

use drive::drive;
pub use drive::hub_depth;
use own::{Core, Own};
use threads::ThreadSettings;

/// The environment variable with the number of threads of [`Hub::global`].
const THREADS_VARIABLE: &str = "SPINNEY_THREADS";

static GLOBAL: StaticExecutor = StaticExecutor::new();

/// An executor on several threads that take work from each other: the default hub.
///
/// A cheap handle. [`Hub::global`] is one for the whole process, which never stops. Dropping the
/// last handle of a hub of one's own ([`Hub::builder`]) stops it: its threads end, each after the
/// poll it is in, and are waited for (unless it is one of them that drops the handle), and the
/// tasks that are left are dropped. A task that holds a handle of its own hub keeps it alive; to
/// stop it all the same there is [`shutdown`](Self::shutdown).
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
            let settings = ThreadSettings::named("spinney");
            for index in 0..global_threads() {
                let run = || {
                    let _entered = WeakHub { kind: WeakKind::Global }.context().enter();
                    async_io::block_on(drive(&GLOBAL, std::future::pending::<()>()));
                };
                settings.start(index, run).expect("the global hub needs its threads");
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
        HubBuilder::new(cores())
    }

    /// Runs `future` to its end on this thread, which helps with the hub's other tasks while it
    /// waits.
    ///
    /// # Panics
    ///
    /// If the hub was [shut down](Self::shutdown).
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.downgrade().context().enter();
        match &self.kind {
            Kind::Global => async_io::block_on(drive(&GLOBAL, future)),
            Kind::Own(own) => {
                assert!(!own.core.is_closed(), "a hub that was shut down runs nothing");
                async_io::block_on(drive(&own.core.executor, future))
            }
        }
    }

    /// Gives the tasks `grace` to end, then stops the threads and drops what is left, whoever
    /// holds handles. Blocks this thread meanwhile. What is spawned afterwards is dropped.
    ///
    /// Called by a task of the hub itself it waits for no thread, so that the tasks that are left,
    /// this one among them, are dropped only later. The [global](Self::global) hub is not stopped:
    /// for it this returns at once, with an empty report.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spinney_hub::{Hub, Spawn};
    ///
    /// let hub = Hub::builder().threads(1).build()?;
    /// hub.spawn(async {});
    /// hub.spawn(std::future::pending());
    /// let report = hub.shutdown(Duration::from_millis(10));
    /// assert_eq!(report.dropped, 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let _entered = self.downgrade().context().enter();
        match &self.kind {
            Kind::Global => ShutdownReport::default(),
            Kind::Own(own) => own.shutdown(grace),
        }
    }

    fn downgrade(&self) -> WeakHub {
        match &self.kind {
            Kind::Global => WeakHub { kind: WeakKind::Global },
            Kind::Own(own) => WeakHub::of(own),
        }
    }
}

/// The hub of [`Hub::current`].
impl Default for Hub {
    fn default() -> Self {
        Self::current()
    }
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for Hub {
    fn spawn(&self, future: F) {
        match &self.kind {
            Kind::Global => GLOBAL.spawn(future).detach(),
            Kind::Own(own) => own.core.spawn(future),
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Hub");
        match &self.kind {
            Kind::Global => text.field("global", &true),
            Kind::Own(own) => {
                text.field("threads", &own.threads()).field("tasks", &own.core.alive())
            }
        };
        text.finish()
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
    Own(Arc<Core>, Weak<Own>),
}

impl WeakHub {
    fn of(own: &Arc<Own>) -> Self {
        Self { kind: WeakKind::Own(Arc::clone(&own.core), Arc::downgrade(own)) }
    }

    pub(crate) fn upgrade(&self) -> Option<Hub> {
        let kind = match &self.kind {
            WeakKind::Global => Kind::Global,
            WeakKind::Own(_, own) => Kind::Own(own.upgrade()?),
        };
        Some(Hub { kind })
    }

    fn context(self) -> Context {
        Context::of(Clock::default(), Host::Hub(self))
    }
}

/// A hub that was stopped drops the future.
impl<F: Future<Output = ()> + Send + 'static> Spawn<F> for WeakHub {
    fn spawn(&self, future: F) {
        match &self.kind {
            WeakKind::Global => GLOBAL.spawn(future).detach(),
            WeakKind::Own(core, _) => core.spawn(future),
        }
    }
}

fn global_threads() -> usize {
    let Some(text) = std::env::var_os(THREADS_VARIABLE) else { return cores() };
    let threads = text.to_str().and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(threads > 0, "{THREADS_VARIABLE} must be a number above zero, but is {text:?}");
    threads
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
