//! [`Failures`]: the members of a group that panicked.

use std::error::Error;
use std::fmt;

use spinney_greenlet::Failure;

use crate::InsideGroup;

/// The members of a group that panicked: their number, and the first failures, each of which names
/// [its greenlet](Failure::task). A killed member is not counted.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on; pub use spinney_pool::Group;
/// #     pub mod pool { pub use spinney_pool::JoinError; }
/// #     pub mod task { pub use spinney_greenlet::named; }
/// # }
/// use spinney::{Group, block_on};
/// use spinney::pool::JoinError;
/// use spinney::task::named;
///
/// block_on(async {
///     let group = Group::new();
///     group.spawn(named("fetch 1", async { panic!("no luck") })).detach();
///     let Err(JoinError::Failed(failures)) = group.try_join().await else { unreachable!() };
///     assert_eq!(failures.count(), 1);
///     let text = failures.to_string();
///     assert!(text.contains("\"fetch 1\" (spawned at ") && text.ends_with(") panicked: no luck"));
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Failures {
    first: Vec<Failure>,
    count: usize,
    /// How many failures are stored.
    limit: usize,
}

impl Failures {
    pub(crate) fn new(limit: usize) -> Self {
        Self { first: Vec::new(), count: 0, limit }
    }

    pub(crate) fn extend(&mut self, failure: Option<Failure>) {
        let room = self.limit - self.first.len();
        self.count += usize::from(failure.is_some());
        self.first.extend(failure.into_iter().take(room));
    }

    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.limit))
    }

    /// How many members panicked.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first failures in the order in which the members finished, as many as the group
    /// [keeps](crate::PoolBuilder::keep_failures).
    pub fn first(&self) -> &[Failure] {
        &self.first
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.first.first()) {
            (1, Some(failure)) => failure.fmt(f),
            (count, Some(failure)) => write!(f, "{count} members failed, the first: {failure}"),
            (count, None) => write!(f, "{count} members failed"),
        }
    }
}

impl Error for Failures {}

/// Why [`try_join`](crate::TaskSet::try_join) failed.
#[derive(Clone, Debug)]
pub enum JoinError {
    /// The caller is a member, which would wait for itself.
    Inside(InsideGroup),
    /// The group is empty, and some of its members panicked.
    Failed(Failures),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inside(inside) => inside.fmt(f),
            Self::Failed(failures) => failures.fmt(f),
        }
    }
}

impl Error for JoinError {}

impl From<Failures> for JoinError {
    fn from(failures: Failures) -> Self {
        Self::Failed(failures)
    }
}

impl From<InsideGroup> for JoinError {
    fn from(inside: InsideGroup) -> Self {
        Self::Inside(inside)
    }
}
