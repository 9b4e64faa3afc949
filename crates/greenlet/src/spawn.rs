//! [`spawn`] and [`spawn_on`]: greenlets that belong to no group.

use spinney_hub::Spawn;

use crate::{Greenlet, Task, pair};

/// Starts `future` as a greenlet on the current hub; outside of any hub, on
/// [`Hub::global`](spinney_hub::Hub::global). `gevent.spawn`, `eventlet.spawn`.
///
/// # Panics
///
/// If the [global hub](spinney_hub::Hub::global) has to be started, and cannot be.
///
/// ```
/// let greenlet = spinney_greenlet::spawn(async { 42 });
/// assert_eq!(spinney_hub::block_on(greenlet).unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> Greenlet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (task, greenlet) = pair(future, ());
    spinney_hub::spawn(task);
    greenlet
}

/// Starts `future` as a greenlet on `hub`: one whose future is not `Send`, say, on a
/// [`LocalHub`](spinney_hub::LocalHub).
///
/// ```
/// use std::rc::Rc;
///
/// let hub = spinney_hub::LocalHub::new();
/// let greenlet = spinney_greenlet::spawn_on(&hub, async { Rc::new(42) });
/// assert_eq!(*hub.block_on(greenlet).unwrap(), 42);
/// ```
#[track_caller]
pub fn spawn_on<X, F>(hub: &X, future: F) -> Greenlet<F::Output>
where
    F: Future,
    X: Spawn<Task<F>>,
{
    let (task, greenlet) = pair(future, ());
    hub.spawn(task);
    greenlet
}
