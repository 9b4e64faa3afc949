//! [`ResourceError`]: why a caller gets no item; [`DrainReport`].

use std::error::Error;
use std::fmt;

use spinney_hub::Timeout;
use spinney_sync::Closed;

/// Why a caller gets no item of a [`ResourcePool`](super::ResourcePool).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
/// #     pub mod pile { pub use spinney_pile::ResourceError; }
/// # }
/// use std::io;
/// use spinney::{ResourcePool, block_on};
/// use spinney::pile::ResourceError;
///
/// block_on(async {
///     let refused = || async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
///     let pool = ResourcePool::builder(refused).build();
///     let error = pool.item().await.unwrap_err();
///     assert_eq!(error.to_string(), "the pool could not create an item: connection refused");
///     pool.close();
///     assert!(matches!(pool.item().await, Err(ResourceError::Closed)));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceError<E> {
    /// `create` failed.
    Create(E),
    /// `create` took longer than [`create_timeout`](super::ResourcePoolBuilder::create_timeout).
    CreateTimedOut(Timeout),
    /// The pool was closed.
    Closed,
}

impl<E> ResourceError<E> {
    /// Returns the error of `create`, if this is one.
    pub fn into_create(self) -> Option<E> {
        match self {
            Self::Create(error) => Some(error),
            Self::CreateTimedOut(_) | Self::Closed => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ResourceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(error) => write!(f, "the pool could not create an item: {error}"),
            Self::CreateTimedOut(timeout) => {
                write!(f, "the pool could not create an item: {timeout}")
            }
            Self::Closed => f.write_str("the pool was closed"),
        }
    }
}

impl<E: Error + 'static> Error for ResourceError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Create(error) => Some(error),
            Self::CreateTimedOut(timeout) => Some(timeout),
            Self::Closed => None,
        }
    }
}

impl<E> From<Closed> for ResourceError<E> {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// The result of [`ResourcePool::drain`](super::ResourcePool::drain).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pile::ResourcePool;
/// #     pub mod pile { pub use spinney_pile::ResourceError; }
/// # }
/// use std::convert::Infallible;
/// use std::time::Duration;
/// use spinney::{ResourcePool, block_on};
/// use spinney::pile::ResourceError;
///
/// block_on(async {
///     let pool = ResourcePool::builder(|| async { Ok::<_, Infallible>("a connection") }).build();
///     let item = pool.item().await?;
///     let report = pool.drain(Duration::from_millis(1)).await;
///     assert_eq!((report.returned, report.left), (0, 1));
///     drop(item);
///     Ok::<(), ResourceError<Infallible>>(())
/// }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many items were in use or being created, and were dropped in time.
    pub returned: usize,
    /// How many items are still in use. Each is dropped when it comes back.
    pub left: usize,
}
