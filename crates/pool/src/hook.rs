//! [`SpawnHook`]: what a group wraps around each of its greenlets.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use spinney_greenlet::Handle;

/// What a group wraps around each greenlet that it makes: to name it, to set its locals, to trace
/// it. Those in which maps run their items are such greenlets, too. `greenlet_class`.
///
/// A method that panics does so in the greenlet, which that ends; if a map runs an item there, that
/// is what comes of the item.
///
/// ```
/// use spinney_greenlet::{Handle, greenlet_local};
/// use spinney_pool::{Pool, SpawnHook};
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
/// spinney_hub::block_on(async {
///     let pool = Pool::builder().hook(Label("the crawler")).pool(5);
///     assert_eq!(pool.spawn(async { ORIGIN.get() }).await.await.unwrap(), "the crawler");
/// });
/// ```
pub trait SpawnHook: Send + Sync {
    /// Called in `greenlet`, before it runs for the first time.
    fn started(&self, greenlet: &Handle) {
        let _ = greenlet;
    }

    /// Called in `greenlet` each time that it runs, until it next waits: which it does in `run`.
    /// That is to be called once.
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
    /// In a box: every greenlet has room for one, and few groups have one.
    pub(crate) fn of(hook: &Hook) -> Option<Box<Self>> {
        let hooking = |hook| Box::new(Self { hook: Arc::clone(hook), started: false });
        hook.as_ref().map(hooking)
    }

    /// Lets the hook `poll` the current greenlet.
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
            // The hook has not run it this time.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

pin_project! {
    /// The future of a task that a group makes: with the group's [`SpawnHook`] around it. Dropping
    /// it drops the task's future; the hook hears nothing of that.
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
