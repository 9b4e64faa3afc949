//! [`Local`]: a variable that each greenlet has for itself; with it [`inherit_locals`].

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::current;

/// A variable that each greenlet has for itself, and that is dropped when the greenlet has ended.
/// Outside of any greenlet each thread has one. `gevent.local.local`,
/// `eventlet.corolocal.local`.
///
/// It is declared with [`greenlet_local!`](crate::greenlet_local), and starts in each greenlet as
/// what it is declared to be; one that is to start with the values of another is wrapped in
/// [`inherit_locals`]. A task that runs in place of its caller has its own.
///
/// ```
/// use spinney_greenlet::{greenlet_local, spawn};
///
/// greenlet_local! {
///     /// The request that is being served.
///     static REQUEST: u32 = 0;
/// }
///
/// spinney_hub::block_on(async {
///     REQUEST.set(17);
///     let other = spawn(async { REQUEST.get() });
///     assert_eq!((other.await.unwrap(), REQUEST.get()), (0, 17));
/// });
/// ```
pub struct Local<T: 'static> {
    init: fn() -> T,
}

/// Declares [`Local`]s, as [`thread_local!`] does those of threads.
///
/// ```
/// spinney_greenlet::greenlet_local! {
///     static DEPTH: u32 = 0;
///     pub static USER: String = "nobody".to_owned();
/// }
/// assert_eq!(USER.with(|user| user.len()), 6);
/// # assert_eq!(DEPTH.get(), 0);
/// ```
#[macro_export]
macro_rules! greenlet_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::Local<$type> = $crate::Local::new(|| $init);
    )*};
}

impl<T: Send + Sync + 'static> Local<T> {
    /// A variable that starts as what `init` returns. Mostly written as
    /// [`greenlet_local!`](crate::greenlet_local).
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Looks at the value. That which is [set](Self::set) meanwhile is seen by the next look.
    ///
    /// # Panics
    ///
    /// While the thread ends, once its own locals are gone.
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value())
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Replaces the value.
    ///
    /// # Panics
    ///
    /// As [`with`](Self::with).
    pub fn set(&'static self, value: T) {
        let before = current::set_locals(|locals| locals.insert(self.key(), Arc::new(value)));
        drop(before.expect(GONE));
    }

    fn value(&'static self) -> Arc<T> {
        let there = current::locals(|locals| locals.get(self.key())).expect(GONE);
        let value = there.unwrap_or_else(|| {
            // Not under a borrow: `init` may look at this and others.
            let value: Value = Arc::new((self.init)());
            current::set_locals(|locals| locals.insert(self.key(), Arc::clone(&value)));
            value
        });
        value.downcast().expect("a key has values of one type")
    }

    /// Its address, which no other has: it is never moved, and not of size zero.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

const GONE: &str = "the thread is about to end, and its locals are gone";

impl<T> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Lets the greenlet that runs `future` start with the locals that the current one has now.
/// The values are shared; to [set](Local::set) one is to change one's own.
///
/// ```
/// use spinney_greenlet::{greenlet_local, inherit_locals, spawn};
///
/// greenlet_local!(static REQUEST: u32 = 0;);
///
/// spinney_hub::block_on(async {
///     REQUEST.set(17);
///     let child = spawn(inherit_locals(async { REQUEST.get() }));
///     assert_eq!(child.await.unwrap(), 17);
/// });
/// ```
pub fn inherit_locals<F: Future>(future: F) -> InheritLocals<F> {
    InheritLocals { inherited: Some(Inherited::capture()), future }
}

pin_project! {
    /// The future of [`inherit_locals`]. Dropping it drops what it runs, and the locals.
    #[must_use = "a future does nothing unless it is awaited or spawned"]
    pub struct InheritLocals<F> {
        // None once they are there.
        inherited: Option<Inherited>,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for InheritLocals<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.inherited.take().iter().for_each(Inherited::apply);
        this.future.poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for InheritLocals<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InheritLocals").field(&self.future).finish()
    }
}

/// The locals that the caller had at one moment, for containers: they are given to each item of a
/// map that inherits them. The values are shared. Dropping it drops those that no greenlet has.
///
/// ```
/// use spinney_greenlet::{Inherited, greenlet_local, spawn};
///
/// greenlet_local!(static REQUEST: u32 = 0;);
///
/// spinney_hub::block_on(async {
///     REQUEST.set(17);
///     let inherited = Inherited::capture();
///     REQUEST.set(18);
///     let child = spawn(async move {
///         inherited.apply();
///         REQUEST.get()
///     });
///     assert_eq!(child.await.unwrap(), 17);
/// });
/// ```
#[derive(Clone, Default)]
pub struct Inherited {
    locals: Locals,
}

impl Inherited {
    /// The locals of the current greenlet, or of the thread outside of any.
    pub fn capture() -> Self {
        Self { locals: current::locals(Locals::clone).unwrap_or_default() }
    }

    /// Sets them in the current greenlet, or for the thread outside of any. Other locals stay. A
    /// no-op if there are none.
    pub fn apply(&self) {
        if !self.locals.is_empty() {
            let before = current::set_locals(|locals| locals.extend(&self.locals));
            drop(before);
        }
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inherited").field("len", &self.locals.iter().count()).finish()
    }
}

type Value = Arc<dyn Any + Send + Sync>;

/// The locals of one greenlet. Few, so they are searched one by one; and most have none, so that
/// they are one pointer, which goes in and out with each poll.
#[derive(Clone, Default)]
pub(crate) struct Locals {
    first: Option<Box<Entry>>,
}

#[derive(Clone)]
struct Entry {
    key: usize,
    value: Value,
    next: Locals,
}

impl Locals {
    pub(crate) const fn new() -> Self {
        Self { first: None }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        std::iter::successors(self.first.as_deref(), |entry| entry.next.first.as_deref())
    }

    fn get(&self, key: usize) -> Option<Value> {
        self.iter().find(|entry| entry.key == key).map(|entry| Arc::clone(&entry.value))
    }

    /// Returns the value before.
    #[must_use = "a value is dropped when nothing is borrowed any more"]
    fn insert(&mut self, key: usize, value: Value) -> Option<Value> {
        let mut place = &mut self.first;
        while let Some(entry) = place {
            if entry.key == key {
                return Some(std::mem::replace(&mut entry.value, value));
            }
            place = &mut entry.next.first;
        }
        *place = Some(Box::new(Entry { key, value, next: Self::new() }));
        None
    }

    /// Returns the values before.
    #[must_use = "values are dropped when nothing is borrowed any more"]
    fn extend(&mut self, others: &Self) -> Vec<Value> {
        let insert = |entry: &Entry| self.insert(entry.key, Arc::clone(&entry.value));
        others.iter().filter_map(insert).collect()
    }
}
