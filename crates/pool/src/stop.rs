//! How a set of tasks is stopped, rung by rung: [`close`](TaskSet::close), [`kill`](TaskSet::kill),
//! [`abort`](TaskSet::abort), and [`drain`](TaskSet::drain), which takes one after the other.

use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::GreenletExit;
use spinney_hub::Within;
use spinney_sync::GiveWay;

use crate::{InsideGroup, Report, TaskSet};

/// How long members that were killed have at least to clean up, and those that were aborted to reach
/// their next poll.
const LIMIT: Duration = Duration::from_secs(1);

impl<X> TaskSet<X> {
    /// Refuses all calls from now on, and those that wait for a slot. Members go on, and so do maps
    /// that were started before: to the end of their input, or until the set is
    /// [killed](Self::kill).
    ///
    /// A call of a map is refused by its first item, which fails: killed because of
    /// [`Closed`](spinney_sync::Closed). Closing again is a no-op.
    pub fn close(&self) -> Report {
        self.inner().close();
        self.stats()
    }

    /// Whether the set was closed.
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// What became of everything that was started here so far.
    pub fn stats(&self) -> Report {
        self.inner().report()
    }

    /// Kills each member once, then those that came in meanwhile, and waits until none is left. The
    /// set stays open: waiters get slots, and maps go on with their next items. Once it is
    /// [closed](Self::close), this ends maps, too: the next item of each fails, killed because of
    /// [`Closed`](spinney_sync::Closed).
    ///
    /// The call itself kills those that are members; the future waits, and kills the others. It
    /// waits for members that refuse their kill, too: [`drain`](Self::drain) does not.
    ///
    /// # Cancel safety
    ///
    /// The kills that were sent go ahead when it is dropped; tasks that come in later are spared.
    ///
    /// Python: `gevent.pool.Group.kill`.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = Report> {
        self.kill_with(GreenletExit::new())
    }

    /// Kills the members as [`kill`](Self::kill) does, for a reason.
    ///
    /// # Cancel safety
    ///
    /// The kills that were sent go ahead when it is dropped; tasks that come in later are spared.
    ///
    /// Python: `gevent.pool.Group.kill(exception)`.
    #[track_caller]
    pub fn kill_with(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.inner().kill_now(&exit);
        GiveWay::around(async move {
            self.inner().kill(&exit, at).await;
            self.stats()
        })
    }

    /// Kills each member once, without waiting, as [`kill`](Self::kill) does.
    ///
    /// Python: `gevent.pool.Group.kill(block=False)`.
    pub fn kill_now(&self) {
        self.kill_now_with(GreenletExit::new());
    }

    /// Kills each member once, for a reason, without waiting.
    ///
    /// Python: `gevent.pool.Group.kill(exception, block=False)`.
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn kill_now_with(&self, exit: GreenletExit) {
        self.inner().kill_now(&exit);
    }

    /// [Aborts](spinney_greenlet::Handle::abort) each member, without waiting: its future is dropped at
    /// its next poll, whatever it catches or shields. It ends the maps of a closed set, as
    /// [`kill`](Self::kill) does.
    pub fn abort(&self) {
        self.inner().abort();
    }

    /// [Closes](Self::close) the set, kills the members for the reason `exit`, ends the maps, and waits
    /// until none is left. Members that are left after a second are [aborted](Self::abort); a member that never
    /// awaits is not waited for, but reported as running.
    ///
    /// The call itself closes the set and sends the kills; the future only waits.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead whether the wait is dropped or not.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn shutdown(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.inner().close();
        self.inner().kill_again(&exit);
        GiveWay::around(self.end_killed(LIMIT, at))
    }

    /// [Closes](Self::close) the set and waits until the members, and the maps that were started, have
    /// finished. What is left after `grace` is [killed](Self::kill), and maps end; a map whose results
    /// are not read takes that long. Killed members have `grace` once more to clean up, or a second if
    /// that is longer; those that are left then are [aborted](Self::abort). A member that does not
    /// come to its next poll within a second is not waited for, but reported as running.
    ///
    /// The call itself closes the set.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if the caller is a member, which would wait for itself; the set is not closed
    /// then.
    ///
    /// # Cancel safety
    ///
    /// The set stays closed when this is dropped; members go on.
    #[track_caller]
    pub fn drain(&self, grace: Duration) -> impl Future<Output = Result<Report, InsideGroup>> {
        let at = Location::caller();
        let inside = self.is_inside();
        if !inside {
            self.inner().close();
        }
        GiveWay::around(async move {
            if inside {
                return Err(InsideGroup);
            }
            if self.drained_within(grace, at).await {
                return Ok(self.stats());
            }
            self.inner().kill_again(&GreenletExit::because("the group was drained"));
            Ok(self.end_killed(grace.max(LIMIT), at).await)
        })
    }

    /// Waits until the members, which were killed, have finished; aborts those that are left after
    /// `limit`.
    async fn end_killed(&self, limit: Duration, at: &'static Location<'static>) -> Report {
        if !self.drained_within(limit, at).await {
            self.abort();
            self.drained_within(LIMIT, at).await;
        }
        self.stats()
    }

    /// Whether all that was started in the closed set has ended before `limit` has passed.
    async fn drained_within(&self, limit: Duration, at: &'static Location<'static>) -> bool {
        let Some(drained) = self.inner().drained() else { return true };
        drained.wait_for("TaskSet::drain", at).within(limit).await.is_ok()
    }
}
