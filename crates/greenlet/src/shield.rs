//! [`shield`]: keeps a kill off what must not be left half-done.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::scope::Scope;

/// Runs `future` to its end even if its greenlet is killed meanwhile. The kill is seen at the end
/// of the outermost shield: this does not return then, and what it was to return is dropped. So
/// what must not be lost is left somewhere by `future` itself.
///
/// As for [`catch_exit`](crate::catch_exit), no kill goes past one that was polled and then kept.
/// It is no protection against being dropped otherwise: by an [abort](crate::Handle::abort), by a
/// hub that stops, or by a time limit around it. Outside of any greenlet it is a no-op.
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
        let polled = match Scope::enter(this.scope, true) {
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
