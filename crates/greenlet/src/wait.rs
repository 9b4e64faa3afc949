//! Waiting for several greenlets: [`joinall`], [`try_joinall`] and [`killall`] for all of them,
//! [`iwait`] for each as it finishes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use spinney_hub::Within;
use spinney_sync::{BudgetedAwait, Wait};

use crate::collector::Collector;
use crate::handle::LinkId;
use crate::{Failure, GreenletExit, Handle};

/// Waits until all of `greenlets` have finished, and returns them in the order in which they did.
/// To keep them, pass a borrow: `joinall(&greenlets)`.
///
/// For their results, await each greenlet, or use [`iwait`]; to start and limit them as well, use a
/// pool.
///
/// # Cancel safety
///
/// The same as [`JoinAll`].
///
/// Python: `gevent.joinall`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::joinall; }
/// # }
/// use spinney::{block_on, spawn};
/// use spinney::task::joinall;
///
/// block_on(async {
///     let greenlets = [spawn(async { 1 }), spawn(async { 2 })];
///     joinall(&greenlets).await;
///     assert!(greenlets.iter().all(|greenlet| greenlet.is_ready()));
/// });
/// ```
#[doc(alias("join_all", "waitall"))]
#[track_caller]
pub fn joinall<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> JoinAll<G> {
    JoinAll {
        rest: iwait(greenlets),
        ended: Vec::new(),
        count: usize::MAX,
        budgeted: BudgetedAwait::default(),
        what: "joinall",
        at: Location::caller(),
    }
}

/// Like [`joinall`], but returns at the first panic, and leaves the other greenlets running.
/// Greenlets that had finished before the call count in the given order. A killed greenlet is not
/// an error.
///
/// # Errors
///
/// The first panic.
///
/// # Cancel safety
///
/// The same as [`JoinAll`].
///
/// Python: `gevent.joinall(raise_error=True)`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::try_joinall; }
/// # }
/// use spinney::{block_on, spawn};
/// use spinney::task::try_joinall;
///
/// block_on(async {
///     let greenlets = [spawn(async { 1 }), spawn(async { panic!("no luck") })];
///     let failure = try_joinall(&greenlets).await.unwrap_err();
///     assert!(failure.is_panic());
///     assert_eq!(failure.task(), Some(greenlets[1].handle()));
/// });
/// ```
#[doc(alias = "raise_error")]
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

/// Kills all of `greenlets`, and waits until they have finished, like [`joinall`]. The call itself
/// sends the kills.
///
/// # Cancel safety
///
/// The kills go ahead; otherwise the same as [`JoinAll`].
///
/// Python: `gevent.killall`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::killall; }
/// # }
/// use spinney::{block_on, spawn};
/// use spinney::task::killall;
///
/// block_on(async {
///     let endless = [spawn(std::future::pending::<()>()), spawn(std::future::pending())];
///     killall(&endless).await;
///     assert!(endless.iter().all(|greenlet| greenlet.failure().unwrap().is_killed()));
/// });
/// ```
#[doc(alias = "cancel_all")]
#[track_caller]
pub fn killall<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> JoinAll<G> {
    killall_with(greenlets, GreenletExit::new())
}

/// Like [`killall`], with a reason.
///
/// # Cancel safety
///
/// The same as [`killall`].
///
/// Python: `gevent.killall(exception=..)`.
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

/// Kills all of `greenlets` without waiting; see [`Handle::kill_with`].
///
/// Python: `gevent.killall(block=False)`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::{joinall, killall_now}; }
/// # }
/// use spinney::{block_on, spawn};
/// use spinney::task::{joinall, killall_now};
///
/// block_on(async {
///     let endless = [spawn(std::future::pending::<()>()), spawn(std::future::pending())];
///     killall_now(&endless);
///     joinall(&endless).await;
/// });
/// ```
pub fn killall_now<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) {
    killall_now_with(greenlets, GreenletExit::new());
}

/// Like [`killall_now`], with a reason.
///
/// Python: `gevent.killall(exception=.., block=False)`.
#[expect(clippy::needless_pass_by_value, reason = "like all kills")]
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
/// Dropping it drops the greenlets, or the borrows, that it was given; also those that have
/// finished.
#[must_use = "nothing is waited for unless it is awaited"]
pub struct JoinAll<G: AsRef<Handle>> {
    rest: Iwait<G>,
    ended: Vec<G>,
    count: usize,
    budgeted: BudgetedAwait,
    what: &'static str,
    /// The line of the call that waits.
    at: &'static Location<'static>,
}

impl<G: AsRef<Handle>> JoinAll<G> {
    /// Waits for the first `count` greenlets only, and then drops the others.
    ///
    /// Python: `gevent.joinall(count=..)`.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
    /// #     pub mod task { pub use spinney_greenlet::joinall; }
    /// # }
    /// use spinney::{block_on, spawn};
    /// use spinney::task::joinall;
    ///
    /// block_on(async {
    ///     let greenlets = [spawn(std::future::pending()), spawn(async {})];
    ///     let first = joinall(&greenlets).count(1).await;
    ///     assert_eq!(first[0].id(), greenlets[1].id());
    ///     greenlets[0].kill_now();
    /// });
    /// ```
    pub fn count(mut self, count: usize) -> Self {
        self.count = count;
        self
    }

    /// Waits at most `limit`, and returns all greenlets: the finished ones and the rest.
    /// [`within`](spinney_hub::Within::within) would drop them at the limit.
    ///
    /// To go on waiting without the lists, limit a borrow: `(&mut all).within(limit)`.
    ///
    /// # Cancel safety
    ///
    /// The same as [`JoinAll`].
    ///
    /// Python: `gevent.joinall(timeout=..)`.
    ///
    /// ```
    /// # mod spinney {
    /// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
    /// #     pub mod task { pub use spinney_greenlet::{joinall, killall}; }
    /// # }
    /// use std::time::Duration;
    /// use spinney::{block_on, spawn};
    /// use spinney::task::{joinall, killall};
    ///
    /// block_on(async {
    ///     let greenlets = [spawn(async { 1 }), spawn(std::future::pending())];
    ///     let joined = joinall(greenlets).timeout(Duration::from_millis(100)).await;
    ///     assert_eq!((joined.ready.len(), joined.rest.len()), (1, 1));
    ///     killall(joined.rest).await;
    /// });
    /// ```
    pub async fn timeout(mut self, limit: Duration) -> Joined<G> {
        let mut ready = match (&mut self).within(limit).await {
            Ok(ready) => ready,
            Err(_) => std::mem::take(&mut self.ended),
        };
        // Greenlets that finished since then, or while this task yielded.
        while ready.len() < self.count {
            let Some(greenlet) = self.rest.try_next() else { break };
            ready.push(greenlet);
        }
        Joined { ready, rest: self.rest.take_all() }
    }

    /// Waits for the count, or for the first greenlet for which `stop` returns a value.
    fn poll_until<S>(
        &mut self,
        cx: &mut Context<'_>,
        stop: impl Fn(&G) -> Option<S>,
    ) -> Poll<Option<S>> {
        let mut budgeted = std::mem::take(&mut self.budgeted);
        let polled = budgeted.poll(cx, |cx| {
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
        self.budgeted = budgeted;
        if polled.is_pending() {
            Wait::note(self.what, self.at);
        }
        polled
    }
}

/// No field is structurally pinned.
impl<G: AsRef<Handle>> Unpin for JoinAll<G> {}

impl<G: AsRef<Handle>> Future for JoinAll<G> {
    type Output = Vec<G>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<G>> {
        let ended = self.poll_until(cx, |_| None::<Infallible>);
        ended.map(|_| std::mem::take(&mut self.ended))
    }
}

/// The result of [`JoinAll::timeout`]: the greenlets that it was given, in two lists.
///
/// Dropping it drops them, which detaches a [`Greenlet`](crate::Greenlet).
#[derive(Clone, Debug)]
pub struct Joined<G> {
    /// The greenlets that finished in time, in the order in which they did.
    pub ready: Vec<G>,
    /// The others, in the order in which they were created.
    pub rest: Vec<G>,
}

impl<G: AsRef<Handle>> fmt::Debug for JoinAll<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("ended", &self.ended.len()).field("of", &self.rest).finish()
    }
}

/// Returns a stream of `greenlets` as they finish.
///
/// Python: `gevent.iwait`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::iwait; }
/// # }
/// use spinney::{block_on, spawn};
/// use spinney::task::iwait;
///
/// block_on(async {
///     let mut ended = iwait([spawn(async { 1 }), spawn(async { 2 })]);
///     let mut sum = 0;
///     while let Some(greenlet) = ended.next().await {
///         sum += greenlet.await.unwrap();
///     }
///     assert_eq!(sum, 3);
/// });
/// ```
#[doc(alias = "as_completed")]
#[track_caller]
pub fn iwait<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> Iwait<G> {
    let mut set = Iwait::new();
    set.extend(greenlets);
    set
}

/// A set of greenlets that yields each of them once it has finished: a stream, which ends while the
/// set is empty, and goes on after another [push](Self::push).
///
/// Greenlets run in the background, whether the stream is polled or not. Dropping it drops the
/// greenlets in it, which detaches each [`Greenlet`](crate::Greenlet).
///
/// Greenlets come out in the order in which they finished. A greenlet that was killed before it
/// began comes out when its hub has come to its task, and delays no other until then.
///
/// Several tasks may wait for the same set, behind their own lock: each finished greenlet goes to
/// one of them.
#[must_use = "dropping it detaches its greenlets: read it"]
pub struct Iwait<G: AsRef<Handle>> {
    waiting: BTreeMap<u64, (G, LinkId)>,
    ended: Arc<Collector>,
    budgeted: BudgetedAwait,
    /// The line that created it: where it waits, when read as a stream.
    at: &'static Location<'static>,
}

impl<G: AsRef<Handle>> Iwait<G> {
    /// An empty set.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            ended: Arc::default(),
            budgeted: BudgetedAwait::default(),
            at: Location::caller(),
        }
    }

    /// Adds a greenlet. A greenlet that has finished already comes out next, behind other finished
    /// ones. A greenlet that is in the set already is not added again.
    pub fn push(&mut self, greenlet: G) {
        let id = greenlet.as_ref().id();
        if self.waiting.contains_key(&id) {
            return;
        }
        let link = greenlet.as_ref().collect(Arc::clone(&self.ended));
        self.waiting.insert(id, (greenlet, link));
    }

    /// Takes the greenlet that finished first, without waiting.
    pub fn try_next(&mut self) -> Option<G> {
        while let Some(id) = self.ended.take() {
            if let Some(greenlet) = self.take(id) {
                return Some(greenlet);
            }
        }
        None
    }

    /// Removes `greenlet`, finished or not; `None` if it is not in the set.
    pub fn remove(&mut self, greenlet: &Handle) -> Option<G> {
        let taken = self.take(greenlet.id())?;
        self.ended.remove(greenlet.id());
        Some(taken)
    }

    /// How many greenlets are in the set, finished or not.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The greenlets in the set, in the order in which they were created.
    pub fn iter(&self) -> impl Iterator<Item = &G> {
        self.waiting.values().map(|(greenlet, _)| greenlet)
    }

    /// Whether no greenlet is in the set.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for the next greenlet to finish and takes it; `None` while the set is empty. The same
    /// as `StreamExt::next`, without the trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "streams use this name")]
    pub fn next(&mut self) -> impl Future<Output = Option<G>> {
        let at = Location::caller();
        poll_fn(move |cx| self.poll_next_for(cx, "Iwait::next", at))
    }

    /// Polls for the next one, as an await for `what` at the line `at`.
    fn poll_next_for(
        &mut self,
        cx: &mut Context<'_>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Poll<Option<G>> {
        let mut budgeted = std::mem::take(&mut self.budgeted);
        let next = budgeted.poll(cx, |cx| self.poll_ended(cx));
        self.budgeted = budgeted;
        if next.is_pending() {
            Wait::note(what, at);
        }
        next
    }

    /// Polls for the next one, as a part of an await for several.
    pub(crate) fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<Option<G>> {
        while !self.waiting.is_empty() {
            let Some(id) = self.ended.take_or_wait(cx) else { return Poll::Pending };
            if let Some(greenlet) = self.take(id) {
                return Poll::Ready(Some(greenlet));
            }
        }
        Poll::Ready(None)
    }

    /// Takes all greenlets of the set, in the order in which they were created.
    pub(crate) fn take_all(&mut self) -> Vec<G> {
        let mut all = Vec::with_capacity(self.len());
        for (greenlet, link) in std::mem::take(&mut self.waiting).into_values() {
            greenlet.as_ref().unlink(link);
            all.push(greenlet);
        }
        all
    }

    fn take(&mut self, id: u64) -> Option<G> {
        let (greenlet, link) = self.waiting.remove(&id)?;
        greenlet.as_ref().unlink(link);
        if self.waiting.is_empty() {
            self.ended.wake_all();
        }
        Some(greenlet)
    }
}

/// No field is structurally pinned.
impl<G: AsRef<Handle>> Unpin for Iwait<G> {}

impl<G: AsRef<Handle>> Stream for Iwait<G> {
    type Item = G;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<G>> {
        let at = self.at;
        self.poll_next_for(cx, "Iwait", at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<G: AsRef<Handle>> FromIterator<G> for Iwait<G> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = G>>(greenlets: I) -> Self {
        iwait(greenlets)
    }
}

impl<G: AsRef<Handle>> Extend<G> for Iwait<G> {
    fn extend<I: IntoIterator<Item = G>>(&mut self, greenlets: I) {
        greenlets.into_iter().for_each(|greenlet| self.push(greenlet));
    }
}

impl<G: AsRef<Handle>> Default for Iwait<G> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Removes its links, so that none stays with a greenlet that lives on.
impl<G: AsRef<Handle>> Drop for Iwait<G> {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

impl<G: AsRef<Handle>> fmt::Debug for Iwait<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iwait").field("len", &self.len()).field("ended", &self.ended.len()).finish()
    }
}
