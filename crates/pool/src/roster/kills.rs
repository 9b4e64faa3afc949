//! How a roster kills its members.

use std::panic::Location;
use std::sync::Arc;

use spinney_greenlet::{GreenletExit, Handle};
use spinney_hub::contain;

use super::Roster;

/// How many members are marked as dying under one lock.
const KILLED_TOGETHER: usize = 64;

impl Roster {
    /// Kills each member once, then whoever came in meanwhile, until nobody is left.
    pub(crate) async fn kill(&self, exit: &GreenletExit, at: &'static Location<'static>) {
        loop {
            let died = {
                let mut members = self.lock();
                if members.list.is_empty() {
                    return;
                }
                Arc::clone(members.died.get_or_insert_default())
            };
            self.kill_now(exit);
            died.wait_for("Crew::kill", at).await;
        }
    }

    /// Kills each member once, without waiting.
    pub(crate) fn kill_now(&self, exit: &GreenletExit) {
        self.kill_each(exit, false);
    }

    /// As [`kill_now`](Self::kill_now), also those that were killed here before and live on: for
    /// the end of the group, which nobody is to outlive.
    pub(crate) fn kill_again(&self, exit: &GreenletExit) {
        self.kill_each(exit, true);
    }

    /// A few at a time: what is touched of each to mark it is then at hand to kill it.
    fn kill_each(&self, exit: &GreenletExit, again: bool) {
        let newest = self.lock().next_stamp;
        let (mut from, mut more) = (0, true);
        let mut condemned = Vec::with_capacity(KILLED_TOGETHER);
        while more {
            more = self.lock().condemn(&mut from, newest, again, &mut condemned);
            for member in condemned.drain(..) {
                contain(|| member.kill_now_with(exit.clone()));
            }
        }
    }

    /// Kills `greenlet`, if it is a member that has not been killed here before.
    pub(crate) fn kill_one(&self, greenlet: &Handle, exit: GreenletExit) {
        let mut members = self.lock();
        let Some(key) = members.find(greenlet).filter(|key| !members.list[*key].dying) else {
            return;
        };
        members.list[key].dying = true;
        members.dying += 1;
        drop(members);
        greenlet.kill_now_with(exit);
    }
}
