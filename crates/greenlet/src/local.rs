//! [`Local`]: a variable with a value of its own in each greenlet; [`inherit_locals`].

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::current;

/// A variable with a value of its own in each greenlet. Outside any greenlet each thread has a
/// value. When its greenlet has finished, the values are dropped in the order in which they were
/// first set; their destructors may use and set locals. After 65,536 values the rest is leaked: a
/// destructor that always sets its own local would never be done.
///
/// It is declared with [`greenlet_local!`](crate::greenlet_local). In each greenlet it starts with
/// the declared value; [`inherit_locals`] starts a greenlet with the values of another. A task that
/// runs in place of its caller has values of its own.
///
/// Python: `gevent.local.local`, `eventlet.corolocal.local`.
///
/// ```
/// # mod spinney { pub use spinney_greenlet::{greenlet_local, spawn}; pub use spinney_hub::block_on; }
/// use spinney::{block_on, greenlet_local, spawn};
///
/// greenlet_local! {
///     /// The request that is being served.
///     static REQUEST: u32 = 0;
/// }
///
/// block_on(async {
///     REQUEST.set(17);
///     let other = spawn(async { REQUEST.get() });
///     assert_eq!((other.await.unwrap(), REQUEST.get()), (0, 17));
/// });
/// ```
#[doc(alias("corolocal", "task_local"))]
pub struct Local<T: 'static> {
    init: fn() -> T,
}

/// Declares [`Local`]s, like [`thread_local!`] for threads.
///
/// ```
/// # use spinney_greenlet as spinney;
/// use spinney::greenlet_local;
///
/// greenlet_local! {
///     static DEPTH: u32 = 0;
///     pub static USER: String = "nadine".to_owned();
/// }
/// assert_eq!(USER.with(|user| user.len()), 6);
/// assert_eq!(DEPTH.get(), 0);
/// ```
#[macro_export]
macro_rules! greenlet_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::Local<$type> = $crate::Local::new(|| $init);
    )*};
}

impl<T: Send + Sync + 'static> Local<T> {
    /// Creates a variable whose first value in each greenlet is what `init` returns. Use
    /// [`greenlet_local!`](crate::greenlet_local) to declare one.
    pub const fn new(init: fn() -> T) -> Self {
        Self { init }
    }

    /// Calls `look` with the value. If `look` [sets](Self::set) the variable, the next call sees
    /// the new value.
    ///
    /// # Panics
    ///
    /// Panics while the thread exits, once its own values have been destroyed.
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value())
    }

    /// Returns a clone of the value.
    ///
    /// # Panics
    ///
    /// The same as [`with`](Self::with).
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
    /// The same as [`with`](Self::with).
    pub fn set(&'static self, value: T) {
        let before = current::set_locals(|locals| locals.insert(self.key(), Arc::new(value)));
        drop(before.expect(GONE));
    }

    fn value(&'static self) -> Arc<T> {
        let there = current::locals(|locals| locals.get(self.key())).expect(GONE);
        let value = there.unwrap_or_else(|| {
            // Not under a borrow: `init` may use this and other locals.
            let value: Value = Arc::new((self.init)());
            current::set_locals(|locals| locals.insert(self.key(), Arc::clone(&value)));
            value
        });
        value.downcast().expect("a key has values of one type")
    }

    /// Its address, which is unique: it is never moved, and its size is not zero.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

const GONE: &str = "the thread is exiting, and its locals have been destroyed";

impl<T> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

/// Starts the greenlet that runs `future` with the locals that the current greenlet has now. The
/// values are shared; [setting](Local::set) a variable changes it in one greenlet only.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{greenlet_local, spawn}; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::inherit_locals; }
/// # }
/// use spinney::{block_on, greenlet_local, spawn};
/// use spinney::task::inherit_locals;
///
/// greenlet_local!(static REQUEST: u32 = 0;);
///
/// block_on(async {
///     REQUEST.set(17);
///     let child = spawn(inherit_locals(async { REQUEST.get() }));
///     assert_eq!(child.await.unwrap(), 17);
/// });
/// ```
pub fn inherit_locals<F: Future>(future: F) -> InheritLocals<F> {
    InheritLocals { inherited: Some(Inherited::capture()), future }
}

pin_project! {
    /// The future of [`inherit_locals`]. Dropping it drops the future inside, and the locals.
    #[must_use = "a future does nothing unless it is awaited or spawned"]
    pub struct InheritLocals<F> {
        // `None` once they are applied.
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

/// The locals of the caller at one moment. For containers: a map that inherits locals applies them
/// to each item. The values are shared. Dropping it drops the values that no greenlet holds.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::{greenlet_local, spawn}; pub use spinney_hub::block_on;
/// #     pub mod task { pub use spinney_greenlet::Inherited; }
/// # }
/// use spinney::{block_on, greenlet_local, spawn};
/// use spinney::task::Inherited;
///
/// greenlet_local!(static REQUEST: u32 = 0;);
///
/// block_on(async {
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
    /// Captures the locals of the current greenlet, or of the thread outside any greenlet.
    pub fn capture() -> Self {
        Self { locals: current::locals(Locals::clone).unwrap_or_default() }
    }

    /// Sets the captured locals in the current greenlet, or for the thread outside any greenlet.
    /// Other locals keep their values. A no-op if nothing was captured.
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

/// The locals of one greenlet. There are few, so they are searched linearly. Most greenlets have
/// none, so all are behind one pointer, which is swapped in and out at each poll.
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

    /// Returns the previous value.
    #[must_use = "a value is dropped once no borrow is active"]
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

    /// Removes the value that was set first.
    pub(crate) fn pop(&mut self) -> Option<Value> {
        let Entry { value, next, .. } = *self.first.take()?;
        *self = next;
        Some(value)
    }

    /// Returns the previous values.
    #[must_use = "values are dropped once no borrow is active"]
    fn extend(&mut self, others: &Self) -> Vec<Value> {
        let insert = |entry: &Entry| self.insert(entry.key, Arc::clone(&entry.value));
        others.iter().filter_map(insert).collect()
    }
}
