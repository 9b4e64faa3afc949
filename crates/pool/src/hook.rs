//! [`SpawnHook`]: a wrapper around each greenlet of a group.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use spinney_greenlet::Handle;

/// A wrapper around each greenlet that a group creates: to name it, to set its locals, to trace it.
/// The greenlets that run the items of maps are included.
///
/// A panicking hook ends the greenlet; in a map it fails the current item.
///
/// Python: `gevent.pool.Group.greenlet_class`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{Handle, greenlet_local}; pub use spinney_hub::block_on; pub use spinney_pool::Pool;
/// #     pub mod pool { pub use spinney_pool::SpawnHook; }
/// # }
/// use spinney::{Handle, Pool, block_on, greenlet_local};
/// use spinney::pool::SpawnHook;
///
/// greenlet_local!(static ORIGIN: &'static str = "nowhere";);
///
/// struct Label(&'static str);
///
/// impl SpawnHook for Label {
///     fn started(&self, _: &Handle) {
///         ORIGIN.set(self.0);
///     }
/// }
///
/// block_on(async {
///     let pool = Pool::builder().hook(Label("the crawler")).pool(5);
///     assert_eq!(pool.spawn(async { ORIGIN.get() }).await.await.unwrap(), "the crawler");
/// });
/// ```
pub trait SpawnHook: Send + Sync {
    /// Called in `greenlet` before its first poll.
    fn started(&self, greenlet: &Handle) {
        let _ = greenlet;
    }

    /// Called in `greenlet` for each of its polls; `run` performs the poll, and must be called
    /// once.
    fn running(&self, greenlet: &Handle, run: &mut dyn FnMut()) {
        let _ = greenlet;
        run();
    }
}

/// The hook of a group, if it has one.
pub(crate) type Hook = Option<Arc<dyn SpawnHook>>;

/// The hook of one greenlet.
pub(crate) struct Hooking {
    hook: Arc<dyn SpawnHook>,
    started: bool,
}

impl Hooking {
    /// Boxed: every greenlet has room for a hook, and few groups have one.
    pub(crate) fn of(hook: &Hook) -> Option<Box<Self>> {
        let hooking = |hook| Box::new(Self { hook: Arc::clone(hook), started: false });
        hook.as_ref().map(hooking)
    }

    /// Calls the hook, which polls the current greenlet with `poll`.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Some(greenlet) = Handle::current() else { return poll(cx) };
        if !std::mem::replace(&mut self.started, true) {
            self.hook.started(&greenlet);
        }
        let mut polled = None;
        self.hook.running(&greenlet, &mut || {
            polled.get_or_insert_with(|| poll(cx));
        });
        polled.unwrap_or_else(|| {
            // The hook did not call `run` this time.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

pin_project! {
    /// The future of a group's task, wrapped in the group's [`SpawnHook`]. Dropping it drops the
    /// task's future; the hook is not called.
    pub struct Hooked<F> {
        hooking: Option<Box<Hooking>>,
        #[pin]
        future: F,
    }
}

impl<F> Hooked<F> {
    pub(crate) fn new(hook: &Hook, future: F) -> Self {
        Self { hooking: Hooking::of(hook), future }
    }

    pub(crate) fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Hooked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        match this.hooking {
            Some(hooking) => hooking.poll(cx, |cx| this.future.as_mut().poll(cx)),
            None => this.future.poll(cx),
        }
    }
}

impl<F: fmt::Debug> fmt::Debug for Hooked<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooked").field(&self.future).finish()
    }
}
