//! [`named`]: names a task before it runs.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Handle;

/// Names the greenlet that runs `future`, before any code of `future` runs.
///
/// It works wherever a future becomes a greenlet: in [`spawn`](crate::spawn), in the spawns of a
/// pool, in `apply`, and in what the closure of a map returns. [`Greenlet::named`] names an
/// existing greenlet, which on a hub with threads may have run by then. A later name replaces this
/// one. The greenlet gets its name at the first poll; until then, and outside any greenlet, there
/// is no name.
///
/// Dropping it drops `future`.
///
/// # Cancel safety
///
/// The same as `future`.
///
/// Python: `gevent.Greenlet.name`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{Handle, spawn}; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::named; }
/// # }
/// use spinney::{Handle, block_on, spawn};
/// use spinney::task::named;
///
/// block_on(async {
///     let fetch = spawn(named("fetch 17", async { Handle::current().unwrap().name() }));
///     assert_eq!(fetch.await.unwrap().as_deref(), Some("fetch 17"));
/// });
/// ```
///
/// [`Greenlet::named`]: crate::Greenlet::named
pub fn named<F: Future>(name: impl Into<Arc<str>>, future: F) -> Named<F> {
    Named { name: Some(name.into()), future }
}

pin_project! {
    /// The future of [`named`]. Dropping it drops the future inside.
    #[must_use = "a future does nothing unless it is awaited or spawned"]
    pub struct Named<F> {
        // `None` once the name was given.
        name: Option<Arc<str>>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(name) = this.name.take() {
            Handle::current().inspect(|greenlet| greenlet.set_name(name));
        }
        this.future.poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for Named<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).field("future", &self.future).finish()
    }
}
