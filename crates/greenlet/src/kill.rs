//! [`GreenletExit`], what a kill delivers; [`catch_exit`], which lets a greenlet see its kill, and
//! clean up; [`shield`], which keeps a kill off what must not be left half-done.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use spinney_hub::{cancel, drop_contained};

use crate::control::Control;
use crate::{Handle, current};

/// The kill of a greenlet, with the reason for it if there is one. `gevent.GreenletExit`.
///
/// A cheap handle.
///
/// ```
/// use spinney_greenlet::GreenletExit;
///
/// assert_eq!(GreenletExit::new().to_string(), "killed");
/// assert_eq!(GreenletExit::because("too late").to_string(), "killed: too late");
/// ```
#[derive(Clone, Default)]
pub struct GreenletExit {
    /// Behind two pointers, so that a kill is one: every greenlet has room for one.
    shared: Option<Arc<Shared>>,
}

enum Shared {
    Because(Reason),
    /// The kill, which has ended this greenlet.
    Of(Handle, GreenletExit),
}

/// None while it is being dropped.
struct Reason(Option<Box<dyn Error + Send + Sync>>);

/// It may panic when it is dropped, which may be anywhere. The panic hook reports it.
impl Drop for Reason {
    fn drop(&mut self) {
        let reason = self.0.take();
        drop_contained(reason);
    }
}

impl GreenletExit {
    /// A kill for no stated reason.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A kill for `reason`: any error, or a text.
    pub fn because(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { shared: Some(Arc::new(Shared::Because(Reason(Some(reason.into()))))) }
    }

    /// Why, if that was said.
    pub fn reason(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &**self.shared.as_ref()? {
            Shared::Because(reason) => reason.0.as_deref().map(|reason| reason as _),
            Shared::Of(_, exit) => exit.reason(),
        }
    }

    /// This kill as the failure of `task`.
    pub(crate) fn of(self, task: &Handle) -> Self {
        Self { shared: Some(Arc::new(Shared::Of(task.clone(), self))) }
    }

    /// The greenlet that it has ended, in a failure.
    pub(crate) fn task(&self) -> Option<&Handle> {
        match &**self.shared.as_ref()? {
            Shared::Because(_) => None,
            Shared::Of(task, _) => Some(task),
        }
    }

    /// This kill as one to be sent: of no greenlet yet.
    pub(crate) fn unowned(self) -> Self {
        match self.shared.as_deref() {
            Some(Shared::Of(_, exit)) => exit.clone(),
            _ => self,
        }
    }

    /// Lets the current greenlet end as killed, after [`catch_exit`](crate::catch_exit) and what
    /// there was to clean up. Python's bare `raise`. The next `catch_exit` around it sees it first,
    /// though others may catch beside it; what is shielded there still comes to its end.
    ///
    /// # Panics
    ///
    /// Outside of any greenlet, and in a [`shield`](crate::shield), where it would wait for ever.
    ///
    /// # Cancel safety
    ///
    /// The first poll sends the kill; to drop it after that changes nothing.
    ///
    /// ```
    /// use spinney_greenlet::{catch_exit, spawn};
    ///
    /// spinney_hub::LocalHub::new().block_on(async {
    ///     let tidy = spawn(async {
    ///         match catch_exit(std::future::pending()).await {
    ///             Ok(()) => "done",
    ///             Err(exit) => {
    ///                 spinney_hub::yield_now().await; // Clean up.
    ///                 exit.resume().await
    ///             }
    ///         }
    ///     });
    ///     spinney_hub::yield_now().await;
    ///     tidy.kill().await;
    ///     assert!(tidy.await.unwrap_err().is_killed());
    /// });
    /// ```
    pub async fn resume<T>(self) -> T {
        let greenlet = current::control().expect("only a greenlet can end as killed");
        assert!(greenlet.resume(self), "a kill is not seen in a shield: resume it outside");
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

/// Runs `future`, and returns the kill instead of its result if one comes meanwhile. What follows
/// may clean up, awaits included; it may [end the greenlet](GreenletExit::resume) or let it live.
/// `except GreenletExit`.
///
/// The kill is seen where `future` waits: it is dropped there, its destructors run, and then this
/// returns. Of several around one another the innermost sees it; of several side by side, the first
/// that is polled. From its first poll on until it is done or dropped no kill goes past it: so do
/// not keep one that you poll no more. An [abort](crate::Handle::abort) is not caught. Outside of
/// any greenlet there is nothing to catch.
///
/// # Errors
///
/// The kill.
///
/// # Cancel safety
///
/// Dropping it drops `future`; a kill that nobody has seen is seen elsewhere.
///
/// ```
/// use spinney_greenlet::{catch_exit, spawn};
///
/// spinney_hub::LocalHub::new().block_on(async {
///     let stubborn = spawn(async {
///         match catch_exit(std::future::pending::<()>()).await {
///             Err(exit) => format!("cleaned up, {exit}"),
///             Ok(()) => unreachable!("it waits for ever"),
///         }
///     });
///     spinney_hub::yield_now().await;
///     stubborn.kill().await;
///     assert_eq!(stubborn.await.unwrap(), "cleaned up, killed");
/// });
/// ```
pub fn catch_exit<F: Future>(future: F) -> CatchExit<F> {
    CatchExit { future: Some(future), scope: None }
}

pin_project! {
    /// The future of [`catch_exit`]. Dropping it drops what it runs, and catches no more.
    ///
    /// # Panics
    ///
    /// If it is polled again after it was done.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct CatchExit<F> {
        // None once it was done.
        #[pin]
        future: Option<F>,
        // There from the first poll on, in a greenlet.
        scope: Option<Scope>,
    }
}

impl<F: Future> Future for CatchExit<F> {
    type Output = Result<F::Output, GreenletExit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.as_mut().project();
        let future = this.future.as_mut().as_pin_mut().expect("polled after it was done");
        let is_first = this.scope.is_none();
        let Some(scope) = Scope::enter(this.scope, ScopeKind::Catch) else {
            return future.poll(cx).map(Ok);
        };
        // A kill that came before is seen where the future first waits, as everywhere.
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
/// of the outermost shield: this does not return then, and what it was to return is dropped. So
/// what must not be lost is left somewhere by `future` itself.
///
/// As for [`catch_exit`](crate::catch_exit), no kill goes past one that was polled and then kept.
/// It is no protection against being dropped otherwise: by an [abort](crate::Handle::abort), by a
/// hub that stops, or by a time limit around it. A greenlet that runs [in place](crate::InPlace) of
/// its parent is dropped, too, shields included, when the parent is aborted, or drops its wait
/// because of a time limit or a `select`. Outside of any greenlet it is a no-op.
///
/// # Cancel safety
///
/// Dropping it drops `future`.
///
/// ```
/// use std::sync::Arc;
/// use spinney_greenlet::{shield, spawn};
/// use spinney_sync::AsyncResult;
///
/// spinney_hub::LocalHub::new().block_on(async {
///     let saved = Arc::new(AsyncResult::<&str>::new());
///     let save = Arc::clone(&saved);
///     let greenlet = spawn(async move {
///         shield(async {
///             spinney_hub::yield_now().await;
///             save.set("all of it")
///         })
///         .await
///     });
///     spinney_hub::yield_now().await;
///     greenlet.kill().await;
///     assert_eq!(saved.get().await, Ok(&"all of it"));
/// });
/// ```
pub fn shield<F: Future>(future: F) -> Shield<F> {
    Shield { future: Some(future), scope: None, output: None }
}

pin_project! {
    /// The future of [`shield`]. Dropping it drops what it runs, unfinished as that may be.
    ///
    /// # Panics
    ///
    /// If it is polled again after it was done.
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Shield<F: Future> {
        // None once it was done.
        #[pin]
        future: Option<F>,
        // There from the first poll on, in a greenlet.
        scope: Option<Scope>,
        // Kept for the moment that it takes whatever is around to see the kill.
        output: Option<F::Output>,
    }
}

impl<F: Future> Future for Shield<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        if let Some(output) = this.output.take() {
            // Somebody else saw the kill.
            return Poll::Ready(output);
        }
        let future = this.future.as_mut().as_pin_mut().expect("polled after it was done");
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

/// What a scope does with a kill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ScopeKind {
    /// It may see the kill.
    Catch,
    /// It keeps the kill off.
    Shield,
    /// It keeps the kill off while the greenlet runs a child in place.
    WaitInPlace,
}

/// An open scope of a greenlet. Dropping it closes it.
pub(crate) struct Scope {
    control: Arc<Control>,
    id: u64,
    /// The waker that a kill wakes.
    waker: Option<Waker>,
}

impl Scope {
    /// Opens one in the greenlet that is being polled; None if none is.
    fn open(kind: ScopeKind) -> Option<Self> {
        let control = current::control()?;
        let id = control.open_scope(current::scope(), kind);
        Some(Self { control, id, waker: None })
    }

    /// Makes sure that `scope` is one of the greenlet that is being polled, which may be another
    /// than the last time.
    pub(crate) fn enter(scope: &mut Option<Self>, kind: ScopeKind) -> Option<&mut Self> {
        if scope.as_ref().map(|scope| scope.control.id()) != current::id() {
            *scope = None;
            *scope = Self::open(kind);
        }
        scope.as_mut()
    }

    /// As [`enter`](Self::enter), of a wait in place: it keeps a kill off as long as each poll of the
    /// greenlet polls it.
    pub(crate) fn enter_wait(scope: &mut Option<Self>) -> Option<&mut Self> {
        let has_lapsed = |scope: &Self| !scope.control.kills(|kills| kills.is_open(scope.id));
        if scope.as_ref().is_some_and(has_lapsed) {
            *scope = None;
        }
        let scope = Self::enter(scope, ScopeKind::WaitInPlace)?;
        scope.control.kills(|kills| kills.see_wait(scope.id));
        Some(scope)
    }

    /// Runs `code`, the poll of what is in this scope.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        current::in_scope(self.id, code)
    }

    /// The kill, if it is to be seen here.
    pub(crate) fn take_exit(&self) -> Option<GreenletExit> {
        self.control.take_exit_at(self.id)
    }

    /// As [`take_exit`](Self::take_exit); if there is none, `waker` is woken when one comes.
    pub(crate) fn take_exit_or_watch(&mut self, waker: &Waker) -> Option<GreenletExit> {
        self.watch(waker);
        self.take_exit()
    }

    /// The kill that is pending, wherever it is to be seen. `waker` is woken when one comes.
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

    /// Closes it; true if there is a kill, and whatever is around this is to see it now.
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
