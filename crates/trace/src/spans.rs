//! [`Span`]: the span of a greenlet in the crate tracing; without the feature `tracing`, nothing.
//!
//! A span is entered for each poll. Its parent is the span in which the greenlet was spawned; of an
//! item of a map, the span of the greenlet that called the map. So what a task logs is inside the
//! request that it works for, on whatever thread and in whatever pool it runs.

#[cfg(feature = "tracing")]
pub(crate) use with_tracing::{Span, alarm};
#[cfg(not(feature = "tracing"))]
pub(crate) use without::{Span, alarm};

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::collections::HashMap;
    use std::mem::replace;
    use std::sync::{LazyLock, Mutex};

    use spinney_greenlet::{Failure, Handle, Spawned};
    use tracing::field::Empty;
    use tracing::{Level, span};

    use crate::Alarm;
    use crate::record::lock;

    /// The spans of the greenlets that live, by their ids: an item finds its parent here.
    static LIVING: LazyLock<Mutex<HashMap<u64, span::Id>>> = LazyLock::new(Mutex::default);

    pub(crate) struct Span(Mutex<Current>);

    /// The span of the current greenlet.
    struct Current {
        span: tracing::Span,
        is_named: bool,
    }

    impl Current {
        fn none() -> Self {
            Self { span: tracing::Span::none(), is_named: false }
        }

        fn of(spawned: Spawned<'_>) -> Self {
            let greenlet = spawned.greenlet;
            let parent = greenlet.parent().filter(|_| spawned.item.is_some());
            let parent = parent.and_then(|parent| lock(&LIVING).get(&parent).cloned());
            let parent = parent.or_else(|| tracing::Span::current().id());
            let span = tracing::span!(
                parent: parent,
                Level::INFO,
                "greenlet",
                id = greenlet.id(),
                parent_id = greenlet.parent(),
                name = Empty,
                pool = spawned.container.map(|container| container.kind()),
                item = spawned.item,
                spawned_at = %greenlet.spawned_at(),
            );
            if let Some(id) = span.id() {
                lock(&LIVING).insert(greenlet.id(), id);
            }
            Self { span, is_named: false }
        }
    }

    impl Span {
        pub(crate) fn none() -> Self {
            Self(Mutex::new(Current::none()))
        }

        /// Goes on as the span of a new greenlet.
        pub(crate) fn renew(&self, spawned: Spawned<'_>) {
            self.replace(Current::of(spawned));
        }

        fn replace(&self, next: Current) {
            let before = replace(&mut *lock(&self.0), next);
            drop(before);
        }

        fn get(&self) -> tracing::Span {
            lock(&self.0).span.clone()
        }

        pub(crate) fn enter(&self) {
            self.get().with_subscriber(|(id, dispatch)| dispatch.enter(id));
        }

        /// `greenlet` returns `None` if it has finished.
        pub(crate) fn exit(&self, greenlet: impl FnOnce() -> Option<Handle>) {
            let span = self.get();
            if !span.is_disabled() {
                greenlet().inspect(|greenlet| self.record_name(&span, greenlet));
                span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
            }
        }

        /// A greenlet may be named at any time, but a subscriber may append each value to those
        /// before: the first name is recorded, once.
        fn record_name(&self, span: &tracing::Span, greenlet: &Handle) {
            let Some(name) = greenlet.name() else { return };
            if !replace(&mut lock(&self.0).is_named, true) {
                span.record("name", &*name);
            }
        }

        pub(crate) fn end(&self, greenlet: &Handle, failure: Option<&Failure>) {
            let span = self.get();
            if !span.is_disabled() {
                lock(&LIVING).remove(&greenlet.id());
                self.record_name(&span, greenlet);
            }
            match failure {
                None => {}
                Some(Failure::Panicked(_)) => {
                    let failure = failure.map(ToString::to_string);
                    tracing::error!(parent: &span, failure, "a greenlet panicked");
                }
                Some(_) => {
                    let failure = failure.map(ToString::to_string);
                    tracing::info!(parent: &span, failure, "a greenlet was killed");
                }
            }
        }

        /// The task has finished: the span closes.
        pub(crate) fn close(&self) {
            self.replace(Current::none());
        }
    }

    /// Logs an alarm of the watchdog.
    pub(crate) fn alarm(alarm: &Alarm) {
        tracing::warn!("{alarm}");
    }
}

#[cfg(not(feature = "tracing"))]
mod without {
    use spinney_greenlet::{Failure, Handle, Spawned};

    use crate::Alarm;

    pub(crate) struct Span;

    #[expect(clippy::unused_self, reason = "as with the feature")]
    impl Span {
        pub(crate) fn none() -> Self {
            Self
        }

        pub(crate) fn renew(&self, _: Spawned<'_>) {}

        pub(crate) fn enter(&self) {}

        pub(crate) fn exit(&self, _: impl FnOnce() -> Option<Handle>) {}

        pub(crate) fn end(&self, _: &Handle, _: Option<&Failure>) {}

        pub(crate) fn close(&self) {}
    }

    pub(crate) fn alarm(_: &Alarm) {}
}
