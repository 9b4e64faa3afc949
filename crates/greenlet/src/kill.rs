//! [`GreenletExit`], the kill of a greenlet; [`catch_exit`], which lets a greenlet see its kill and
//! clean up; [`shield`], which defers a kill while an operation is in progress.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use spinney_hub::{cancel, drop_contained};

use crate::control::Control;
use crate::{Handle, current};

/// The kill of a greenlet, with its reason if there is one.
///
/// Cloning is cheap.
///
/// Python: `gevent.GreenletExit`.
///
/// ```
/// # mod spinney { pub mod task { pub use spinney_greenlet::GreenletExit; } }
/// use spinney::task::GreenletExit;
///
/// assert_eq!(GreenletExit::new().to_string(), "killed");
/// assert_eq!(GreenletExit::because("too late").to_string(), "killed: too late");
/// ```
#[doc(alias = "CancelledError")]
#[derive(Clone, Default)]
pub struct GreenletExit {
    /// Behind two pointers, so that a kill is one pointer: every greenlet has room for it.
    shared: Option<Arc<Shared>>,
}

enum Shared {
    Because(Reason),
    /// The kill that ended this greenlet.
    Of(Handle, GreenletExit),
}

/// `None` while it is being dropped.
struct Reason(Option<Box<dyn Error + Send + Sync>>);

/// A reason may panic when it is dropped, on any thread. The panic hook reports it.
impl Drop for Reason {
    fn drop(&mut self) {
        let reason = self.0.take();
        drop_contained(reason);
    }
}

impl GreenletExit {
    /// A kill without a reason.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A kill with the reason `reason`: any error, or a text.
    pub fn because(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { shared: Some(Arc::new(Shared::Because(Reason(Some(reason.into()))))) }
    }

    /// The reason, if there is one.
    pub fn reason(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &**self.shared.as_ref()? {
            Shared::Because(reason) => reason.0.as_deref().map(|reason| reason as _),
            Shared::Of(_, exit) => exit.reason(),
        }
    }

    /// This kill, as the failure of `task`.
    pub(crate) fn of(self, task: &Handle) -> Self {
        Self { shared: Some(Arc::new(Shared::Of(task.clone(), self))) }
    }

    /// The greenlet that it ended, in a failure.
    pub(crate) fn task(&self) -> Option<&Handle> {
        match &**self.shared.as_ref()? {
            Shared::Because(_) => None,
            Shared::Of(task, _) => Some(task),
        }
    }

    /// This kill, attributed to no greenlet, to be sent.
    pub(crate) fn unowned(self) -> Self {
        match self.shared.as_deref() {
            Some(Shared::Of(_, exit)) => exit.clone(),
            _ => self,
        }
    }

    /// Ends the current greenlet as killed, after [`catch_exit`](crate::catch_exit) and the
    /// cleanup. The next `catch_exit` around this call sees the kill first, even if others beside
    /// it catch kills; a shielded operation around it still finishes.
    ///
    /// # Panics
    ///
    /// Panics outside any greenlet, and within a [`shield`](crate::shield), where it would wait for
    /// ever.
    ///
    /// # Cancel safety
    ///
    /// The first poll sends the kill; dropping the future after that changes nothing.
    ///
    /// Python: a bare `raise` in `except GreenletExit`.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::{catch_exit, spawn}; pub use spinney_hub::{LocalHub, yield_now};
    /// # }
    /// use spinney::{LocalHub, catch_exit, spawn, yield_now};
    ///
    /// LocalHub::new().block_on(async {
    ///     let tidy = spawn(async {
    ///         match catch_exit(std::future::pending()).await {
    ///             Ok(()) => "done",
    ///             Err(exit) => {
    ///                 yield_now().await; // Clean up.
    ///                 exit.resume().await
    ///             }
    ///         }
    ///     });
    ///     yield_now().await;
    ///     tidy.kill().await;
    ///     assert!(tidy.await.unwrap_err().is_killed());
    /// });
    /// ```
    pub async fn resume<T>(self) -> T {
        let greenlet = current::control().expect("only a greenlet can resume a kill");
        assert!(greenlet.resume(self), "a shield defers kills: resume this one outside the shield");
        drop(greenlet);
        std::future::pending().await
    }
}

impl fmt::Debug for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GreenletExit").field("reason", &self.reason()).finish()
    }
}

impl fmt::Display for GreenletExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "killed: {reason}"),
            None => f.write_str("killed"),
        }
    }
}

impl Error for GreenletExit {}

/// Runs `future`, and returns the kill instead of its result if one comes meanwhile. The code after
/// it may clean up, awaits included; it may [end the greenlet](GreenletExit::resume) or let it
/// live.
///
/// The kill is seen where `future` waits: `future` is dropped there, its destructors run, and
/// `catch_exit` returns. Of nested calls the innermost sees the kill; of several side by side, the
/// first that is polled. From its first poll until it has finished or is dropped, the future lets
/// no kill pass: drop a future that is no longer polled. An [abort](crate::Handle::abort) is not
/// caught. Outside any greenlet there is nothing to catch.
///
/// # Errors
///
/// The kill.
///
/// # Cancel safety
///
/// Dropping it drops `future`; a kill that was not seen is seen elsewhere.
///
/// Python: `except gevent.GreenletExit`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{catch_exit, spawn}; pub use spinney_hub::{LocalHub, yield_now};
/// # }
/// use spinney::{LocalHub, catch_exit, spawn, yield_now};
///
/// LocalHub::new().block_on(async {
///     let stubborn = spawn(async {
///         match catch_exit(std::future::pending::<()>()).await {
///             Err(exit) => format!("cleaned up, {exit}"),
///             Ok(()) => unreachable!("it waits for ever"),
///         }
///     });
///     yield_now().await;
///     stubborn.kill().await;
///     assert_eq!(stubborn.await.unwrap(), "cleaned up, killed");
/// });
/// ```
#[doc(alias = "on_cancel")]
pub fn catch_exit<F: Future>(future: F) -> CatchExit<F> {
    CatchExit { future: Some(future), scope: None }
}

pin_project! {
    /// The future of [`catch_exit`]. Dropping it drops the future inside, and catches nothing more.
    ///
    /// # Panics
    ///
    /// Panics if it is polled again after it has finished.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CatchExit<F> {
        // `None` once it has finished.
        #[pin]
        future: Option<F>,
        // `Some` from the first poll on, in a greenlet.
        scope: Option<Scope>,
    }
}

impl<F: Future> Future for CatchExit<F> {
    type Output = Result<F::Output, GreenletExit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        let future = this
            .future
            .as_mut()
            .as_pin_mut()
            .expect("`catch_exit` is not polled after it has finished");
        let is_first = this.scope.is_none();
        let Some(scope) = Scope::enter(this.scope, ScopeKind::Catch) else {
            return future.poll(cx).map(Ok);
        };
        // As everywhere, an earlier kill is seen where the future first waits.
        let seen = if is_first { None } else { scope.take_exit() };
        let seen = match seen {
            Some(exit) => exit,
            None => match scope.run(|| future.poll(cx)) {
                Poll::Ready(output) => {
                    this.future.set(None);
                    *this.scope = None;
                    return Poll::Ready(Ok(output));
                }
                Poll::Pending => match scope.take_exit_or_watch(cx.waker()) {
                    Some(exit) => exit,
                    None => return Poll::Pending,
                },
            },
        };
        cancel(|| this.future.set(None));
        *this.scope = None;
        Poll::Ready(Err(seen))
    }
}

impl<F> fmt::Debug for CatchExit<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchExit").field("done", &self.future.is_none()).finish()
    }
}

/// Runs `future` to its end even if its greenlet is killed meanwhile. The kill is seen at the end
/// of the outermost shield: `shield` does not return then, and the output of `future` is dropped.
/// So `future` itself must store a result that may not be lost.
///
/// As with [`catch_exit`](crate::catch_exit), no kill passes a shield that was polled and then
/// kept. A shield does not protect from being dropped for other reasons: by an
/// [abort](crate::Handle::abort), by a hub that shuts down, or by a time limit around it. A
/// greenlet that runs [in place](crate::InPlace) of its parent is also dropped, shields included,
/// when the parent is aborted or drops its wait, as time limits and `select` do. Outside any
/// greenlet `shield` is a no-op.
///
/// # Cancel safety
///
/// Dropping it drops `future`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{shield, spawn}; pub use spinney_hub::{LocalHub, yield_now}; pub use spinney_sync::AsyncResult;
/// # }
/// use std::sync::Arc;
/// use spinney::{AsyncResult, LocalHub, shield, spawn, yield_now};
///
/// LocalHub::new().block_on(async {
///     let saved = Arc::new(AsyncResult::<&str>::new());
///     let save = Arc::clone(&saved);
///     let greenlet = spawn(async move {
///         shield(async {
///             yield_now().await;
///             save.set("all of it")
///         })
///         .await
///     });
///     yield_now().await;
///     greenlet.kill().await;
///     assert_eq!(saved.get().await, Ok(&"all of it"));
/// });
/// ```
#[doc(alias = "uncancellable")]
pub fn shield<F: Future>(future: F) -> Shield<F> {
    Shield { future: Some(future), scope: None, output: None }
}

pin_project! {
    /// The future of [`shield`]. Dropping it drops the future inside, finished or not.
    ///
    /// # Panics
    ///
    /// Panics if it is polled again after it has finished.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Shield<F: Future> {
        // `None` once it has finished.
        #[pin]
        future: Option<F>,
        // `Some` from the first poll on, in a greenlet.
        scope: Option<Scope>,
        // Stored until the code around has seen the kill.
        output: Option<F::Output>,
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(output) = this.output.take() {
            // Another task saw the kill.
            return Poll::Ready(output);
        }
        let future = this
            .future
            .as_mut()
            .as_pin_mut()
            .expect("a shield is not polled after it has finished");
        let polled = match Scope::enter(this.scope, ScopeKind::Shield) {
            Some(scope) => scope.run(|| future.poll(cx)),
            None => future.poll(cx),
        };
        let Poll::Ready(output) = polled else { return Poll::Pending };
        this.future.set(None);
        if this.scope.take().is_some_and(Scope::close) {
            *this.output = Some(output);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(output)
    }
}

impl<F: Future> fmt::Debug for Shield<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("done", &self.future.is_none()).finish()
    }
}

/// How a scope reacts to a kill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScopeKind {
    /// It may see the kill.
    Catch,
    /// It defers the kill.
    Shield,
    /// It defers the kill while the greenlet runs a child in place.
    WaitInPlace,
}

/// An open scope of a greenlet. Dropping it closes the scope.
pub(crate) struct Scope {
    control: Arc<Control>,
    id: u64,
    /// The waker that a kill wakes.
    waker: Option<Waker>,
}

impl Scope {
    /// Opens a scope in the greenlet that is being polled; `None` outside any greenlet.
    fn open(kind: ScopeKind) -> Option<Self> {
        let control = current::control()?;
        let id = control.open_scope(current::scope(), kind);
        Some(Self { control, id, waker: None })
    }

    /// Makes `scope` one of the greenlet that is being polled, which may differ from the last
    /// poll's.
    pub(crate) fn enter(scope: &mut Option<Self>, kind: ScopeKind) -> Option<&mut Self> {
        if scope.as_ref().map(|scope| scope.control.id()) != current::id() {
            *scope = None;
            *scope = Self::open(kind);
        }
        scope.as_mut()
    }

    /// Like [`enter`](Self::enter), for a wait in place: it defers a kill as long as each poll of
    /// the greenlet polls it.
    pub(crate) fn enter_wait(scope: &mut Option<Self>) -> Option<&mut Self> {
        let has_lapsed = |scope: &Self| !scope.control.kills(|kills| kills.is_open(scope.id));
        if scope.as_ref().is_some_and(has_lapsed) {
            *scope = None;
        }
        let scope = Self::enter(scope, ScopeKind::WaitInPlace)?;
        scope.control.kills(|kills| kills.see_wait(scope.id));
        Some(scope)
    }

    /// Runs `code`, the poll of the future within this scope.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        current::in_scope(self.id, code)
    }

    /// Takes the kill if it is due at this scope.
    pub(crate) fn take_exit(&self) -> Option<GreenletExit> {
        self.control.take_exit_at(self.id)
    }

    /// Like [`take_exit`](Self::take_exit); if there is none, a later kill wakes `waker`.
    pub(crate) fn take_exit_or_watch(&mut self, waker: &Waker) -> Option<GreenletExit> {
        self.watch(waker);
        self.take_exit()
    }

    /// The pending kill, wherever it is due. A later kill wakes `waker`.
    pub(crate) fn exit_or_watch(&mut self, waker: &Waker) -> Option<GreenletExit> {
        self.watch(waker);
        self.control.exit()
    }

    fn watch(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|before| before.will_wake(waker)) {
            let before = self.control.kills(|kills| kills.watch(self.id, waker));
            drop(before);
            self.waker = Some(waker.clone());
        }
    }

    /// Closes the scope; `true` if a kill is pending that the code around must see now.
    pub(crate) fn close(self) -> bool {
        let control = Arc::clone(&self.control);
        drop(self);
        control.is_killed() && control.kills(|kills| kills.is_due_around(current::scope()))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.control.close_scope(self.id);
    }
}
