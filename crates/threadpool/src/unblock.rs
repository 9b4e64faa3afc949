//! [`unblock`]: a closure on threads that the whole process shares.

use std::panic::Location;
use std::sync::Arc;

use spinney_greenlet::Inherited;

use crate::ThreadResult;
use crate::job::Job;

/// Runs `closure` on the process-wide threads of the crate [`blocking`], which grow with demand: for
/// calls that block without computing, such as those to the file system. Work that computes goes to a
/// [`ThreadPool`](crate::ThreadPool).
///
/// ```
/// let name = spinney_threadpool::unblock(|| std::fs::canonicalize("."));
/// assert!(spinney_hub::block_on(name).unwrap().is_ok());
/// ```
#[track_caller]
pub fn unblock<T: Send + 'static>(closure: impl FnOnce() -> T + Send + 'static) -> ThreadResult<T> {
    let at = Location::caller();
    let job = Job::new(closure, false, Inherited::default(), at);
    job.announce(None);
    let result = ThreadResult::new(Arc::clone(&job) as _, None, at);
    blocking::unblock(move || job.run_here(None)).detach();
    result
}
