//! [`joinall`], [`try_joinall`] and [`killall`]: waiting for several greenlets at once.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use spinney_hub::Within;
use spinney_sync::{GiveWay, Wait};

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
    JoinAll {
        rest: iwait(greenlets),
        ended: Vec::new(),
        count: usize::MAX,
        give_way: GiveWay::default(),
        what: "joinall",
        at: Location::caller(),
    }
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
    let mut all = joinall(greenlets);
    all.what = "try_joinall";
    poll_fn(move |cx| {
        all.poll_until(cx, |greenlet| greenlet.as_ref().failure().filter(Failure::is_panic))
            .map(|panicked| panicked.map_or_else(|| Ok(std::mem::take(&mut all.ended)), Err))
    })
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
pub fn killall_with<G: AsRef<Handle>>(
    greenlets: impl IntoIterator<Item = G>,
    exit: GreenletExit,
) -> JoinAll<G> {
    let mut killed = joinall(greenlets);
    killed.what = "killall";
    killall_now_with(killed.rest.iter(), exit);
    killed
}

/// Kills all of `greenlets` without waiting. See [`Handle::kill_with`].
///
/// Python: `gevent.killall(block=False)`.
///
/// ```
/// use spinney_greenlet::{joinall, killall_now, spawn};
///
/// spinney_hub::block_on(async {
///     let endless = [spawn(std::future::pending::<()>()), spawn(std::future::pending())];
///     killall_now(&endless);
///     joinall(&endless).await;
/// });
/// ```
pub fn killall_now<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) {
    killall_now_with(greenlets, GreenletExit::new());
}

/// As [`killall_now`], for a reason.
///
/// Python: `gevent.killall(exception=.., block=False)`.
#[expect(clippy::needless_pass_by_value, reason = "as all kills")]
pub fn killall_now_with<G: AsRef<Handle>>(
    greenlets: impl IntoIterator<Item = G>,
    exit: GreenletExit,
) {
    for greenlet in greenlets {
        greenlet.as_ref().kill_now_with(exit.clone());
    }
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
    give_way: GiveWay,
    what: &'static str,
    /// The line that waits.
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

    /// Waits for no longer than `limit`, and gives all greenlets back: those that have ended, and
    /// the rest. [`within`](spinney_hub::Within::within) drops them when time runs out.
    ///
    /// To go on waiting without asking for the lists, limit a borrow: `(&mut all).within(limit)`.
    ///
    /// # Cancel safety
    ///
    /// As [`JoinAll`].
    ///
    /// Python: `gevent.joinall(timeout=..)`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use spinney_greenlet::{joinall, killall, spawn};
    ///
    /// spinney_hub::block_on(async {
    ///     let greenlets = [spawn(async { 1 }), spawn(std::future::pending())];
    ///     let joined = joinall(greenlets).timeout(Duration::from_millis(1)).await;
    ///     assert_eq!((joined.ready.len(), joined.rest.len()), (1, 1));
    ///     killall(joined.rest).await;
    /// });
    /// ```
    pub async fn timeout(mut self, limit: Duration) -> Joined<G> {
        let mut ready = match (&mut self).within(limit).await {
            Ok(ready) => ready,
            Err(_) => std::mem::take(&mut self.ended),
        };
        // Those that ended since, or while this gave way.
        while ready.len() < self.count {
            let Some(greenlet) = self.rest.try_next() else { break };
            ready.push(greenlet);
        }
        Joined { ready, rest: self.rest.take_all() }
    }

    /// Waits for the count, or for the first greenlet of which `stop` tells something.
    fn poll_until<S>(
        &mut self,
        cx: &mut Context<'_>,
        stop: impl Fn(&G) -> Option<S>,
    ) -> Poll<Option<S>> {
        let mut give_way = std::mem::take(&mut self.give_way);
        let polled = give_way.poll(cx, |cx| {
            while self.ended.len() < self.count {
                let Some(greenlet) = ready!(self.rest.poll_ended(cx)) else { break };
                let stopped = stop(&greenlet);
                self.ended.push(greenlet);
                if stopped.is_some() {
                    return Poll::Ready(stopped);
                }
            }
            Poll::Ready(None)
        });
        self.give_way = give_way;
        if polled.is_pending() {
            Wait::note(self.what, self.at);
        }
        polled
    }
}

/// No greenlet is pinned in place.
impl<G: AsRef<Handle>> Unpin for JoinAll<G> {}

impl<G: AsRef<Handle>> Future for JoinAll<G> {
    type Output = Vec<G>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<G>> {
        let ended = self.poll_until(cx, |_| None::<Infallible>);
        ended.map(|_| std::mem::take(&mut self.ended))
    }
}

/// What [`JoinAll::timeout`] returns: the greenlets that it was given, in two lists.
///
/// Dropping it drops them, which detaches a [`Greenlet`](crate::Greenlet).
#[derive(Clone, Debug)]
pub struct Joined<G> {
    /// Those that ended in time, in the order in which they did.
    pub ready: Vec<G>,
    /// The others, in the order in which they were made.
    pub rest: Vec<G>,
}

impl<G: AsRef<Handle>> fmt::Debug for JoinAll<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("ended", &self.ended.len()).field("of", &self.rest).finish()
    }
}
