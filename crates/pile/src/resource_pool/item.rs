//! [`Item`]: a thing in use.

use std::fmt;
use std::ops::{Deref, DerefMut};

use spinney_hub::contain;

use super::ResourcePool;

/// A thing of a [`ResourcePool`], in use. Dropping it gives it back.
pub struct Item<T, C> {
    pool: ResourcePool<T, C>,
    /// None once it was taken out.
    value: Option<T>,
}

impl<T, C> Item<T, C> {
    pub(super) fn new(pool: ResourcePool<T, C>, value: T) -> Self {
        Self { pool, value: Some(value) }
    }

    /// The thing itself, which is to be [`put`](ResourcePool::put) back.
    pub fn into_inner(mut self) -> T {
        self.pool.shared.lock().loose += 1;
        self.take()
    }

    /// Takes the thing out for good: there is room for another one.
    pub fn discard(mut self) -> T {
        self.pool.shared.lock().size -= 1;
        contain(|| self.pool.shared.tokens.release(1));
        self.take()
    }

    fn take(&mut self) -> T {
        match self.value.take() {
            Some(value) => value,
            None => unreachable!("it is taken out once"),
        }
    }
}

impl<T, C> Deref for Item<T, C> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until it is taken out")
    }
}

impl<T, C> DerefMut for Item<T, C> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is there until it is taken out")
    }
}

impl<T, C> Drop for Item<T, C> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.pool.shared.give_back(value);
        }
    }
}

impl<T: fmt::Debug, C> fmt::Debug for Item<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&self.value).finish()
    }
}
