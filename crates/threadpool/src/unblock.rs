//! [`unblock`]: runs a closure on threads that the whole process shares.

use std::panic::Location;
use std::sync::Arc;

use spinney_greenlet::Inherited;

use crate::ThreadResult;
use crate::job::Job;

/// Runs `closure` on the process-wide threads of the crate [`blocking`], which grow with demand:
/// for calls that block without computing, for example to the file system. Work that computes
/// belongs in a [`ThreadPool`](crate::ThreadPool). Dropping the result lets the closure run.
///
/// # Panics
///
/// Panics while threads are [forbidden](spinney_hub::ForbidThreads).
///
/// Python: `eventlet.tpool.execute`.
///
/// ```
/// # mod spinney { pub use spinney_hub::block_on; pub use spinney_threadpool::unblock; }
/// use spinney::{block_on, unblock};
///
/// let name = unblock(|| std::fs::canonicalize("."));
/// assert!(block_on(name).unwrap().is_ok());
/// ```
#[doc(alias = "spawn_blocking")]
#[track_caller]
pub fn unblock<T: Send + 'static>(closure: impl FnOnce() -> T + Send + 'static) -> ThreadResult<T> {
    let at = Location::caller();
    let job = Job::new(closure, false, Inherited::default(), at);
    job.announce(None);
    let result = ThreadResult::new(Arc::clone(&job) as _, None, at);
    blocking::unblock(move || job.run_here(None)).detach();
    result
}
