//! [`SlotLine`]: the queue of a pool's requests, plain or [`Limited`].

use std::ops::AddAssign;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_greenlet::ContainerLimits;
use spinney_hub::Clock;
use spinney_sync::{Line, PermitCounts, Place, PriorityLine, Semaphore, WaiterState, Want};

use super::alarm::{Alarm, Setting};
use super::limited::Limited;
use super::{Key, Limits, SlotError};
use crate::in_place;

/// The request of a waiter, without its weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) priority: i32,
    pub(crate) key: Option<Key>,
    /// The ticket of the request of the greenlet in place that makes this one. That greenlet may have
    /// to wait for its own slot first, so this request never goes ahead of it.
    pub(crate) behind: Option<u64>,
}

impl Request {
    /// The key among whose running tasks the task is counted.
    pub(crate) fn counted_key(&self) -> Option<Key> {
        self.key.filter(|_| self.kind != Kind::InPlaceOfKey)
    }
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A slot, to start a task in.
    #[default]
    Slot,
    /// A start in place of a member, which needs no slot.
    InPlace,
    /// A start in place of a member with the same key, which needs no further permit of the key.
    InPlaceOfKey,
}

/// The queue of a pool's requests.
pub(crate) struct SlotLine {
    /// The requests while there is no limit, weight or priority.
    plain: PriorityLine,
    /// The requests otherwise.
    limited: Option<Box<Limited>>,
    /// The counts of earlier limited queues.
    stats: Stats,
}

/// The effects of the limits so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// How long the pool was paused.
    pub(crate) paused: Duration,
    /// How many requests were refused because too many waited.
    pub(crate) shed: usize,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.paused += other.paused;
        self.shed += other.shed;
    }
}

impl SlotLine {
    pub(crate) fn new() -> Self {
        Self { plain: PriorityLine::default(), limited: None, stats: Stats::default() }
    }

    /// The limits.
    pub(crate) fn limits(&self) -> Limits {
        self.limited.as_ref().map_or_else(Limits::default, |limited| limited.limits().clone())
    }

    /// Changes the limits. `clock` is the caller's, for requests that wait already.
    pub(crate) fn set_limits(
        &mut self,
        limits: Limits,
        clock: Clock,
        alarm: impl FnOnce() -> Arc<Alarm>,
    ) {
        let limited = self.limited();
        limited.set_alarm(alarm);
        limited.set_limits(limits, clock);
    }

    /// Pauses for `duration` from `now` on `clock`; without an end if `duration` is `None`.
    pub(crate) fn pause(
        &mut self,
        (clock, now): (Clock, Instant),
        duration: Option<Duration>,
        alarm: impl FnOnce() -> Arc<Alarm>,
    ) {
        let limited = self.limited();
        limited.set_alarm(alarm);
        limited.pause(clock, now, duration);
    }

    /// Ends a pause at `now` on the clock of the pause.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Some(limited) = &mut self.limited {
            limited.resume(now);
        }
    }

    /// The clock of the pause, if there is one.
    pub(crate) fn pause_clock(&self) -> Option<Clock> {
        self.limited.as_ref()?.pause_clock()
    }

    /// The effects of the limits until `now` on the clock of the pause.
    pub(crate) fn stats(&self, now: Option<Instant>) -> Stats {
        let mut stats = self.stats;
        stats += self.limited.as_ref().map_or_else(Stats::default, |limited| limited.stats(now));
        stats
    }

    /// The limits, for reports, at `now` on the clock of the pause.
    pub(crate) fn describe(&self, now: Option<Instant>) -> ContainerLimits {
        self.limited.as_ref().map(|limited| limited.describe(now)).unwrap_or_default()
    }

    /// The limited queue. Requests of the plain one move there, with their tickets.
    fn limited(&mut self) -> &mut Limited {
        let plain = &mut self.plain;
        self.limited.get_or_insert_with(|| {
            let mut limited = Box::new(Limited::new(plain.next_ticket()));
            for (ticket, waker, want) in plain.take_all() {
                let request = Request::default();
                let Want { permits, despite_close, .. } = want;
                limited.insert(ticket, waker, &Want { permits, despite_close, request });
            }
            limited
        })
    }

    /// Returns to the plain queue if the limited one has no effect any more.
    fn simplify(&mut self) {
        // A closed queue stores which of its waiters were refused.
        if self.plain.is_closed() {
            return;
        }
        if let Some(limited) = self.limited.take_if(|limited| limited.is_plain()) {
            self.plain = PriorityLine::starting_at(limited.next_ticket());
            self.stats += limited.stats(None);
        }
    }

    /// Records that the alarm has rung.
    pub(crate) fn alarm_rang(&mut self) {
        if let Some(limited) = &mut self.limited {
            limited.armed = None;
        }
    }

    /// Records that the clock of the alarm sets no timers any more.
    pub(crate) fn alarm_lost_its_clock(&mut self) {
        if let Some(limited) = &mut self.limited {
            limited.armed = None;
            limited.use_system_clock();
        }
    }

    /// Records that a task with this key has finished.
    pub(crate) fn return_key(&mut self, key: Key) {
        if let Some(limited) = &mut self.limited {
            limited.return_key(key);
            self.simplify();
        }
    }

    /// Records that the task of the request `ticket` has started in place: the request, without its
    /// key, now waits for a slot alone.
    pub(crate) fn has_started(&mut self, ticket: u64, want: &mut Want<Request>) {
        want.request.key = None;
        if let Some(limited) = &mut self.limited {
            limited.has_started(ticket);
        }
    }
}

fn plainly(want: &Want<Request>) -> Want {
    Want { permits: want.permits, despite_close: want.despite_close, request: 0 }
}

impl Line for SlotLine {
    type Request = Request;
    type Refusal = SlotError;
    type Source = Clock;
    type Reading = Instant;
    type Action = Setting;

    #[inline]
    fn len(&self) -> usize {
        match &self.limited {
            None => self.plain.len(),
            Some(limited) => limited.len(),
        }
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.limited.is_none() && self.plain.is_open()
    }

    fn complete(slots: &Semaphore<Self>, want: &mut Want<Request>) {
        want.request.behind = in_place::request_around(slots).or(want.request.behind);
    }

    fn admit(
        &mut self,
        want: &Want<Request>,
        room: PermitCounts,
        ticket: &mut Option<u64>,
    ) -> bool {
        match &mut self.limited {
            None => self.plain.admit(&plainly(want), room, ticket),
            Some(limited) => limited.admit(want, room, ticket),
        }
    }

    fn push(&mut self, waker: Waker, want: Want<Request>) -> (u64, bool) {
        // A plain queue is in the order of arrival, and forgets which request is behind which.
        let is_plain = want.permits <= 1 && want.request == Request::default();
        if is_plain && self.limited.is_none() {
            return self.plain.push(waker, plainly(&want));
        }
        (self.limited().push(waker, &want), true)
    }

    fn serve(&mut self, room: PermitCounts) -> Option<(usize, Waker)> {
        match &mut self.limited {
            None => self.plain.serve(room),
            Some(limited) => limited.serve(room),
        }
    }

    fn may_serve(&mut self, room: PermitCounts) -> bool {
        match &mut self.limited {
            None => self.plain.may_serve(room),
            Some(limited) => limited.may_serve(),
        }
    }

    fn state_of(&mut self, place: Place<'_, Request>, newcomer: bool) -> WaiterState<SlotError> {
        // The plain queue may have refused the request before there were limits.
        let is_plain = self.plain.is_closed() && !place.want.despite_close;
        match &mut self.limited {
            Some(limited) if limited.contains(place.ticket) || !is_plain => {
                limited.state_of(place.ticket, newcomer)
            }
            _ => {
                let want = &plainly(place.want);
                match self.plain.state_of(Place { ticket: place.ticket, want }, newcomer) {
                    WaiterState::Waits => WaiterState::Waits,
                    WaiterState::Served => WaiterState::Served,
                    WaiterState::Refused(closed) => WaiterState::Refused(closed.into()),
                }
            }
        }
    }

    fn waker(&mut self, place: Place<'_, Request>) -> Option<&mut Waker> {
        match &mut self.limited {
            None => self.plain.waker(Place { ticket: place.ticket, want: &plainly(place.want) }),
            Some(limited) => limited.waker(place.ticket),
        }
    }

    fn remove(&mut self, place: Place<'_, Request>) -> Option<Waker> {
        match &mut self.limited {
            None => self.plain.remove(Place { ticket: place.ticket, want: &plainly(place.want) }),
            Some(limited) => limited.remove(place.ticket),
        }
    }

    fn give_back(&mut self, place: Place<'_, Request>) {
        if let Some(key) = place.want.request.counted_key() {
            self.return_key(key);
        }
    }

    fn close(&mut self) -> Vec<Waker> {
        match &mut self.limited {
            None => self.plain.close(),
            Some(limited) => limited.close(),
        }
    }

    fn served_below(&self) -> u64 {
        self.plain.served_below()
    }

    /// All tickets of the limited queue are above those that the plain one served.
    #[inline]
    fn is_usual(_: &Request) -> bool {
        true
    }

    fn source(&mut self) -> Option<Clock> {
        self.limited.as_mut()?.source()
    }

    fn read(clock: &Clock) -> Instant {
        clock.now()
    }

    fn set_reading(&mut self, now: Instant) {
        if let Some(limited) = &mut self.limited {
            limited.see(now);
        }
    }

    fn action(&mut self) -> Option<Setting> {
        let setting = self.limited.as_mut()?.setting();
        self.simplify();
        setting
    }

    fn run(setting: Setting) {
        setting.make();
    }
}
