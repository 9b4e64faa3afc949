//! [`catch_exit`]: lets a greenlet see its kill, and clean up.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::GreenletExit;
use crate::scope::Scope;

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
        let Some(scope) = Scope::enter(this.scope, false) else {
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
        this.future.set(None);
        *this.scope = None;
        Poll::Ready(Err(seen))
    }
}

impl<F> fmt::Debug for CatchExit<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchExit").field("done", &self.future.is_none()).finish()
    }
}
