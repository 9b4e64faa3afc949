//! [`Iwait`]: greenlets as they end; with it [`iwait`].

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use spinney_sync::{GiveWay, Wait};

use crate::Handle;
use crate::collector::Collector;
use crate::handle::LinkId;

/// The greenlets of `greenlets`, as they end. `gevent.iwait`.
///
/// ```
/// use spinney_greenlet::{iwait, spawn};
///
/// spinney_hub::block_on(async {
///     let mut ended = iwait([spawn(async { 1 }), spawn(async { 2 })]);
///     let mut sum = 0;
///     while let Some(greenlet) = ended.next().await {
///         sum += greenlet.await.unwrap();
///     }
///     assert_eq!(sum, 3);
/// });
/// ```
#[track_caller]
pub fn iwait<G: AsRef<Handle>>(greenlets: impl IntoIterator<Item = G>) -> Iwait<G> {
    let mut set = Iwait::new();
    set.extend(greenlets);
    set
}

/// A set of greenlets that gives each of them back when it has ended: a stream, which is over
/// while the set is empty, and goes on when another was [pushed](Self::push).
///
/// Greenlets end in the background, whether it is polled or not. Dropping it drops what is in it:
/// for a [`Greenlet`](crate::Greenlet) that is to detach it.
///
/// They come out in the order in which they ended. One that was killed before it began comes when
/// its hub has come to its task, and holds up no other until then.
///
/// Several tasks may wait for the same set, behind a lock of theirs: each ended greenlet goes to
/// one of them.
#[must_use = "dropping it leaves its greenlets to themselves: read it"]
pub struct Iwait<G: AsRef<Handle>> {
    waiting: BTreeMap<u64, (G, LinkId)>,
    ended: Arc<Collector>,
    give_way: GiveWay,
    /// The line that made it: where it waits, read as a stream.
    at: &'static Location<'static>,
}

impl<G: AsRef<Handle>> Iwait<G> {
    /// An empty set.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            ended: Arc::default(),
            give_way: GiveWay::default(),
            at: Location::caller(),
        }
    }

    /// Adds a greenlet; one that has ended already is the next to come out, behind others that
    /// have. A greenlet that is in the set is not added again.
    pub fn push(&mut self, greenlet: G) {
        let id = greenlet.as_ref().id();
        if self.waiting.contains_key(&id) {
            return;
        }
        let link = greenlet.as_ref().collect(Arc::clone(&self.ended));
        self.waiting.insert(id, (greenlet, link));
    }

    /// Takes the first greenlet that has ended and was not taken yet, without waiting.
    pub fn try_next(&mut self) -> Option<G> {
        while let Some(id) = self.ended.take() {
            if let Some(greenlet) = self.take(id) {
                return Some(greenlet);
            }
        }
        None
    }

    /// Takes `greenlet` out, whether it has ended or not; None if it is not in the set.
    pub fn remove(&mut self, greenlet: &Handle) -> Option<G> {
        let taken = self.take(greenlet.id())?;
        self.ended.remove(greenlet.id());
        Some(taken)
    }

    /// How many greenlets are in the set, ended or not.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The greenlets in the set, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &G> {
        self.waiting.values().map(|(greenlet, _)| greenlet)
    }

    /// Whether no greenlet is in the set.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for the next greenlet to end and takes it; None while the set is empty. What
    /// `StreamExt::next` does, without the trait.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when it is dropped.
    #[track_caller]
    #[expect(clippy::should_implement_trait, reason = "it is the name that streams have for it")]
    pub fn next(&mut self) -> impl Future<Output = Option<G>> {
        let at = Location::caller();
        poll_fn(move |cx| self.poll_next_for(cx, "Iwait::next", at))
    }

    /// The next one, as an await for `what` at the line `at`.
    fn poll_next_for(
        &mut self,
        cx: &mut Context<'_>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Poll<Option<G>> {
        let mut give_way = std::mem::take(&mut self.give_way);
        let next = give_way.poll(cx, |cx| self.poll_ended(cx));
        self.give_way = give_way;
        if next.is_pending() {
            Wait::note(what, at);
        }
        next
    }

    /// The next one, as a part of an await for several.
    pub(crate) fn poll_ended(&mut self, cx: &Context<'_>) -> Poll<Option<G>> {
        while !self.waiting.is_empty() {
            let Some(id) = self.ended.take_or_wait(cx) else { return Poll::Pending };
            if let Some(greenlet) = self.take(id) {
                return Poll::Ready(Some(greenlet));
            }
        }
        Poll::Ready(None)
    }

    /// Takes all that are in it, in the order in which they were made.
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

/// No greenlet is pinned in place.
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

/// Takes its links back, so that none stays with a greenlet that lives on.
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
