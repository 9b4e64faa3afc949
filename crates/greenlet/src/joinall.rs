//! [`joinall`], [`try_joinall`] and [`killall`]: waiting for several greenlets at once.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::{Failure, GreenletExit, Handle, Iwait, iwait};

/// Waits until all of `greenlets` have ended, and returns them in the order in which they did.
/// Borrow them to keep them: `joinall(&greenlets)`. `gevent.joinall`.
///
/// For their results, await each greenlet in turn, or take [`iwait`]; to start and limit them as
/// well, a pool.
///
/// # Cancel safety
///
/// As [`JoinAll`].
///
/// ```
/// use spinney_greenlet::{joinall, spawn};
///
/// spinney_hub::block_on(async {
///     let greenlets = [spawn(async { 1 }), spawn(async { 2 })];
///     joinall(&greenlets).await;
///     assert!(greenlets.iter().all(|greenlet| greenlet.is_ready()));
/// });
/// ```
#[track_caller]
pub fn joinall<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> JoinAll<G> {
    let rest = iwait(greenlets);
    JoinAll { rest, ended: Vec::new(), count: usize::MAX, at: Location::caller() }
}

/// As [`joinall`], but ends with the first that panics, and leaves the others to themselves. Those
/// that had ended before the call count in the order given. One that was killed is no error.
/// `gevent.joinall(raise_error=True)`.
///
/// # Errors
///
/// The first panic.
///
/// # Cancel safety
///
/// As [`JoinAll`].
///
/// ```
/// use spinney_greenlet::{spawn, try_joinall};
///
/// spinney_hub::block_on(async {
///     let greenlets = [spawn(async { 1 }), spawn(async { panic!("no luck") })];
///     let failure = try_joinall(&greenlets).await.unwrap_err();
///     assert_eq!(failure.to_string(), "panicked: no luck");
/// });
/// ```
#[track_caller]
pub fn try_joinall<G: AsRef<Handle>>(
    greenlets: impl IntoIterator<Item = G>,
) -> impl Future<Output = Result<Vec<G>, Failure>> {
    let at = Location::caller();
    let mut rest = iwait(greenlets);
    let mut ended = Vec::new();
    async move {
        while let Some(greenlet) = poll_fn(|cx| rest.poll_next_for(cx, "try_joinall", at)).await {
            match greenlet.as_ref().failure() {
                Some(failure) if failure.is_panic() => return Err(failure),
                _ => ended.push(greenlet),
            }
        }
        Ok(ended)
    }
}

/// Kills all of `greenlets`, and waits until they have ended, as [`joinall`]. The call itself
/// sends the kills. `gevent.killall`.
///
/// # Cancel safety
///
/// As [`JoinAll`]; the kills go ahead.
///
/// ```
/// use spinney_greenlet::{killall, spawn};
///
/// spinney_hub::block_on(async {
///     let endless = [spawn(std::future::pending::<()>()), spawn(std::future::pending())];
///     killall(&endless).await;
///     assert!(endless.iter().all(|greenlet| greenlet.failure().unwrap().is_killed()));
/// });
/// ```
#[track_caller]
pub fn killall<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> JoinAll<G> {
    killall_with(greenlets, GreenletExit::new())
}

/// As [`killall`], for a reason. `gevent.killall(exception=..)`.
///
/// # Cancel safety
///
/// As [`killall`].
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "as all kills")]
pub fn killall_with<G: AsRef<Handle>>(
    greenlets: impl IntoIterator<Item = G>,
    exit: GreenletExit,
) -> JoinAll<G> {
    let killed = joinall(greenlets);
    killed.rest.iter().for_each(|greenlet| greenlet.as_ref().kill_now_with(exit.clone()));
    killed
}

/// The future of [`joinall`] and [`killall`].
///
/// # Cancel safety
///
/// Dropping it drops the greenlets it was given, or the borrows; those that have ended included.
#[must_use = "nothing is waited for unless it is awaited"]
pub struct JoinAll<G: AsRef<Handle>> {
    rest: Iwait<G>,
    ended: Vec<G>,
    count: usize,
    /// Who waits.
    at: &'static Location<'static>,
}

impl<G: AsRef<Handle>> JoinAll<G> {
    /// Waits for the first `count` only; the others are then dropped. gevent's `count`.
    ///
    /// ```
    /// use spinney_greenlet::{joinall, spawn};
    ///
    /// spinney_hub::block_on(async {
    ///     let greenlets = [spawn(std::future::pending()), spawn(async {})];
    ///     let first = joinall(&greenlets).count(1).await;
    ///     assert_eq!(first[0].id(), greenlets[1].id());
    /// #   greenlets[0].kill_now();
    /// });
    /// ```
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }
}

/// No greenlet is pinned in place.
impl<G: AsRef<Handle>> Unpin for JoinAll<G> {}

impl<G: AsRef<Handle>> Future for JoinAll<G> {
    type Output = Vec<G>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<G>> {
        let this = &mut *self;
        while this.ended.len() < this.count {
            match ready!(this.rest.poll_next_for(cx, "joinall", this.at)) {
                Some(greenlet) => this.ended.push(greenlet),
                None => break,
            }
        }
        Poll::Ready(std::mem::take(&mut this.ended))
    }
}

impl<G: AsRef<Handle>> fmt::Debug for JoinAll<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("ended", &self.ended.len()).field("of", &self.rest).finish()
    }
}
