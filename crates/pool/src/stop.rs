//! How a set of tasks is stopped, in ascending order of force: [`close`](TaskSet::close),
//! [`kill`](TaskSet::kill) and [`abort`](TaskSet::abort); [`drain`](TaskSet::drain) does one after
//! the other.

use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::GreenletExit;
use spinney_hub::Within;
use spinney_sync::BudgetedAwait;

use crate::{InsideGroup, Report, TaskSet};

/// The least time that killed members have to clean up, and aborted members to reach their next
/// poll.
const LIMIT: Duration = Duration::from_secs(1);

impl<X> TaskSet<X> {
    /// Closes the set: new calls and callers that wait for a slot are refused. Members go on. Maps
    /// that started before go on to the end of their input, or until the set is
    /// [killed](Self::kill).
    ///
    /// The first item of a map that starts later is killed, with
    /// [`SlotError::Closed`](crate::SlotError::Closed) as its reason. Closing again is a no-op.
    pub fn close(&self) -> Report {
        self.inner().close();
        self.stats()
    }

    /// Whether the set was closed.
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed()
    }

    /// Returns the counts of all tasks that were started in the set so far.
    pub fn stats(&self) -> Report {
        self.inner().report()
    }

    /// Kills each member once, then each member that is added meanwhile, and waits until the set is
    /// empty. The set stays open: waiters get slots, and maps go on with their next items. In a
    /// [closed](Self::close) set, maps end too: the next item of each map is killed, with
    /// [`SlotError::Closed`](crate::SlotError::Closed) as its reason.
    ///
    /// The call itself kills the current members; the future waits, and kills the later ones. It
    /// also waits for members that refuse their kill; [`drain`](Self::drain) does not.
    ///
    /// # Cancel safety
    ///
    /// Kills that were sent go ahead when the future is dropped; members that are added later are
    /// not killed.
    ///
    /// Python: `gevent.pool.Group.kill`.
    #[track_caller]
    pub fn kill(&self) -> impl Future<Output = Report> {
        self.kill_with(GreenletExit::new())
    }

    /// Kills the members like [`kill`](Self::kill), with `exit` as the reason.
    ///
    /// # Cancel safety
    ///
    /// Kills that were sent go ahead when the future is dropped; members that are added later are
    /// not killed.
    ///
    /// Python: `gevent.pool.Group.kill(exception)`.
    #[track_caller]
    pub fn kill_with(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.inner().kill_now(&exit);
        BudgetedAwait::around(async move {
            self.inner().kill(&exit, at).await;
            self.stats()
        })
    }

    /// Kills each member once, without waiting. In a closed set, maps end too.
    ///
    /// Python: `gevent.pool.Group.kill(block=False)`.
    pub fn kill_now(&self) {
        self.kill_now_with(GreenletExit::new());
    }

    /// Kills each member once, without waiting, with `exit` as the reason. In a closed set, maps
    /// end too.
    ///
    /// Python: `gevent.pool.Group.kill(exception, block=False)`.
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn kill_now_with(&self, exit: GreenletExit) {
        self.inner().kill_now(&exit);
    }

    /// [Aborts](spinney_greenlet::Handle::abort) each member, without waiting: its future is
    /// dropped at its next poll, even if the member catches or shields kills. In a closed set, maps
    /// end too.
    pub fn abort(&self) {
        self.inner().abort();
    }

    /// [Closes](Self::close) the set, kills the members with `exit` as the reason, ends the maps,
    /// and waits until the set is empty. Members that remain after one second are
    /// [aborted](Self::abort). A member that never awaits is reported as running; `shutdown` does
    /// not wait for it.
    ///
    /// The call itself closes the set and sends the kills; the future only waits.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead even if the wait is dropped.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "as all kills")]
    pub fn shutdown(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        self.inner().close();
        self.inner().kill_again(&exit);
        BudgetedAwait::around(self.end_killed(LIMIT, at))
    }

    /// [Closes](Self::close) the set, and waits until the members and the started maps have
    /// finished. After `grace`, the remaining members are [killed](Self::kill) and the maps end; a
    /// map whose results are not read always takes that long. Killed members have `grace` again to
    /// clean up, but at least one second; then they are [aborted](Self::abort). A member that does
    /// not reach its next poll within one second is reported as running; `drain` does not wait for
    /// it.
    ///
    /// The call itself closes the set.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if the caller is a member, which would wait for itself; the set is not
    /// closed then.
    ///
    /// # Cancel safety
    ///
    /// The set stays closed when the future is dropped; members go on.
    #[track_caller]
    pub fn drain(&self, grace: Duration) -> impl Future<Output = Result<Report, InsideGroup>> {
        let at = Location::caller();
        let inside = self.is_inside();
        if !inside {
            self.inner().close();
        }
        BudgetedAwait::around(async move {
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

    /// Waits until the killed members have finished; aborts those that remain after `limit`.
    async fn end_killed(&self, limit: Duration, at: &'static Location<'static>) -> Report {
        if !self.drained_within(limit, at).await {
            self.abort();
            self.drained_within(LIMIT, at).await;
        }
        self.stats()
    }

    /// Whether all members and maps of the closed set have finished within `limit`.
    async fn drained_within(&self, limit: Duration, at: &'static Location<'static>) -> bool {
        let Some(drained) = self.inner().drained() else { return true };
        drained.wait_for("TaskSet::drain", at).within(limit).await.is_ok()
    }
}
