//! How a crew ends: [`close`](Crew::close), [`shutdown`](Crew::shutdown), [`drain`](Crew::drain).

use std::panic::Location;
use std::time::Duration;

use spinney_greenlet::GreenletExit;
use spinney_hub::Within;
use spinney_sync::GiveWay;

use crate::{Crew, InsideGroup, Report};

impl<X> Crew<X> {
    /// Lets nobody in any more. Those who wait for a slot are refused, and so is who comes; members
    /// go on. A map ends after the items that are running: the next one fails, killed because of
    /// [`Closed`](spinney_sync::Closed).
    pub fn close(&self) -> Report {
        let refused = self.core.roster.close();
        Report { refused, running: self.core.roster.count(), ..Report::default() }
    }

    /// [Closes](Self::close) it, kills the members, and waits until nobody is left. The call itself
    /// closes it and sends the kills; the future only waits.
    ///
    /// # Cancel safety
    ///
    /// The kills go ahead whether the wait is dropped or not.
    #[track_caller]
    pub fn shutdown(&self, exit: GreenletExit) -> impl Future<Output = Report> {
        let at = Location::caller();
        let roster = &self.core.roster;
        let before = roster.tally();
        let refused = roster.close();
        roster.kill_again(&exit);
        GiveWay::around(async move {
            roster.kill(&exit, at).await;
            roster.tally().since(before, refused, roster.count())
        })
    }

    /// [Closes](Self::close) it, waits until the members have ended, but for `limit` at the most,
    /// and then kills those that are left. The call itself closes it.
    ///
    /// # Errors
    ///
    /// [`InsideGroup`] if a member asks, which would wait for itself; it is not closed then.
    ///
    /// # Cancel safety
    ///
    /// It stays closed when this is dropped; members go on.
    #[track_caller]
    pub fn drain(&self, limit: Duration) -> impl Future<Output = Result<Report, InsideGroup>> {
        let at = Location::caller();
        let roster = &self.core.roster;
        let before = roster.tally();
        let refused = if roster.is_inside() { Err(InsideGroup) } else { Ok(roster.close()) };
        GiveWay::around(async move {
            let refused = refused?;
            let late = roster.join(at).within(limit).await.is_err();
            if late {
                let exit = GreenletExit::because("the group was drained");
                roster.kill_again(&exit);
                roster.kill(&exit, at).await;
            }
            Ok(roster.tally().since(before, refused, roster.count()))
        })
    }
}
