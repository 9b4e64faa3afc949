//! [`Crew::apply`] and its like: running one thing, now or later.

use std::convert::Infallible;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use spinney_greenlet::{Failure, Greenlet, pair};

use super::core::refused;
use super::enter::Entry;
use super::{Late, Then};
use crate::hook::Hooked;
use crate::map::{IntoSource, Map};
use crate::{Crew, Runs, RunsMap};

impl<X> Crew<X> {
    /// Runs `future` as a member, when there is a slot for it, and gives its result. For a member
    /// that asks, it runs in place. `apply`.
    ///
    /// # Errors
    ///
    /// The failure it ended with; if the crew was closed before there was a slot, a kill.
    ///
    /// # Cancel safety
    ///
    /// What has started runs on when it is dropped, as a member, unless it ran in place.
    #[track_caller]
    pub fn apply<F>(&self, future: F) -> impl Future<Output = Result<F::Output, Failure>>
    where
        F: Future,
        X: Runs<F>,
    {
        let at = Location::caller();
        let entry = self.core.enter();
        async move {
            let entry = if self.is_inside() { Ok(Entry::InPlace(None)) } else { entry.await };
            self.core.go_ahead(entry, future).await.await
        }
    }

    /// As [`apply`](Self::apply), and calls `callback` with the result, in the greenlet, right
    /// before that ends; not if it fails. `apply_cb`.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply). A `callback` that panics changes nothing; the panic hook reports
    /// it.
    ///
    /// # Cancel safety
    ///
    /// As [`apply`](Self::apply).
    #[track_caller]
    pub fn apply_cb<F, C>(
        &self,
        future: F,
        callback: C,
    ) -> impl Future<Output = Result<F::Output, Failure>>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>,
    {
        self.apply(Then::new(future, callback))
    }

    /// Runs `future` as a member, when there is a slot for it, and does not wait. While there is
    /// none its greenlet is no member: it is then neither waited for nor killed with the others.
    /// Any number may be waiting so. `apply_async`.
    ///
    /// Should the crew be closed before there is a slot, the greenlet is killed, with
    /// [`Closed`](spinney_sync::Closed) for the reason.
    #[track_caller]
    pub fn apply_async<F>(&self, future: F) -> Greenlet<F::Output>
    where
        F: Future,
        X: Runs<F>,
    {
        let greenlet = if let Ok(slot) = self.core.roster.slots.try_acquire() {
            slot.forget();
            self.core.start(future).unwrap_or_else(refused)
        } else {
            let (task, greenlet) = pair(Hooked::new(&self.core.settings.hook, future), ());
            let handle = greenlet.handle().clone();
            self.core.hub.spawn(Late::new(&self.core.roster, handle, task));
            greenlet
        };
        greenlet
    }

    /// As [`apply_async`](Self::apply_async), and calls `callback` as
    /// [`apply_cb`](Self::apply_cb). `apply_async(callback)`.
    #[track_caller]
    pub fn apply_async_cb<F, C>(&self, future: F, callback: C) -> Greenlet<F::Output>
    where
        F: Future,
        C: FnOnce(&F::Output),
        X: Runs<Then<F, C>>,
    {
        self.apply_async(Then::new(future, callback))
    }

    /// Runs `func` on each of `items`, as [`map`](Self::map), in the background. What it gives is a
    /// greenlet of the list, which is no member; it fails as the map does, and to kill it is to
    /// drop the map. `map_async`.
    #[track_caller]
    pub fn map_async<I, F, Fut>(&self, func: F, items: I) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        X: RunsMap<I, F, Fut>,
    {
        let (task, greenlet) = pair(MapAsync::new(self.map(func, items)), ());
        self.core.hub.spawn(task);
        greenlet
    }

    /// As [`map_async`](Self::map_async), and calls `callback` with the list; not if it fails.
    /// `map_async(callback)`.
    #[track_caller]
    pub fn map_async_cb<I, F, Fut, C>(
        &self,
        func: F,
        items: I,
        callback: C,
    ) -> Greenlet<Vec<Fut::Output>>
    where
        I: IntoSource,
        F: Fn(I::Item) -> Fut,
        Fut: Future,
        C: FnOnce(&Vec<Fut::Output>),
        X: RunsMap<I, F, Fut> + Runs<Then<MapAsync<Fut::Output, X>, C>>,
    {
        let map = MapAsync::new(self.map(func, items));
        let (task, greenlet) = pair(Then::new(map, callback), ());
        self.core.hub.spawn(task);
        greenlet
    }
}

/// The future of [`Crew::map_async`]: a map that fails its greenlet if it fails. Dropping it is
/// dropping the map.
pub struct MapAsync<T, X> {
    map: Map<T, X>,
    /// The end of the greenlet, if the map has failed.
    failed: Option<Pin<Box<dyn Future<Output = Infallible> + Send>>>,
}

impl<T, X> MapAsync<T, X> {
    fn new(map: Map<T, X>) -> Self {
        Self { map, failed: None }
    }
}

impl<T, X> Future for MapAsync<T, X> {
    type Output = Vec<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<T>> {
        let this = &mut *self;
        if this.failed.is_none() {
            match ready!(Pin::new(&mut this.map).poll(cx)) {
                Ok(list) => return Poll::Ready(list),
                Err(error) => this.failed = Some(Box::pin(error.into_error().resume())),
            }
        }
        let failed = this.failed.as_mut().expect("it has failed");
        failed.as_mut().poll(cx).map(|never| match never {})
    }
}

/// Nothing of it is pinned in place.
impl<T, X> Unpin for MapAsync<T, X> {}

impl<T, X> fmt::Debug for MapAsync<T, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapAsync").field(&self.map).finish()
    }
}
