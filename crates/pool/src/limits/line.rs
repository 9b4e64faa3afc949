//! [`SlotLine`]: the line of a pool's requests, plain or [`Limited`].

use std::ops::AddAssign;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use spinney_hub::Clock;
use spinney_sync::{Fate, Line, Place, PriorityLine, Room, Want};

use super::alarm::{Alarm, Setting};
use super::limited::Limited;
use super::{Key, Limits, SlotError};

/// What a request asks for, beside its weight in slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) priority: i32,
    pub(crate) key: Option<Key>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A slot, to start something in.
    #[default]
    Slot,
    /// A start in the place of a member, which needs no slot.
    InPlace,
    /// The same, with the key of that member: it needs no further permit of it.
    InPlaceOfKey,
}

/// The line of the requests of a pool.
pub(crate) struct SlotLine {
    /// Where they stand while there is neither a limit, a weight nor a priority.
    plain: PriorityLine,
    /// Where they stand otherwise.
    limited: Option<Box<Limited>>,
    /// What the limited lines have counted that were there before.
    stats: Stats,
}

/// What limits have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// For how long nothing started.
    pub(crate) paused: Duration,
    /// The number of requests that were refused because too many waited.
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

    /// Changes the limits. `clock` is that of the caller, for requests that wait already.
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

    /// Pauses for `duration`, by `clock`, which tells `now`; without an end for None.
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

    /// Ends a pause, at `now` by its clock.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Some(limited) = &mut self.limited {
            limited.resume(now);
        }
    }

    /// The clock of the pause, if there is one.
    pub(crate) fn pause_clock(&self) -> Option<Clock> {
        self.limited.as_ref()?.pause_clock()
    }

    /// What the limits have done until `now` by the clock of the pause.
    pub(crate) fn stats(&self, now: Option<Instant>) -> Stats {
        let mut stats = self.stats;
        stats += self.limited.as_ref().map_or_else(Stats::default, |limited| limited.stats(now));
        stats
    }

    /// The limited line. Those that wait in the plain one go on there, with their tickets.
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

    /// Back to the plain line, if the limited one makes no difference any more.
    fn simplify(&mut self) {
        // A closed line knows which of its waiters were refused.
        if self.plain.is_closed() {
            return;
        }
        if let Some(limited) = self.limited.take_if(|limited| limited.is_plain()) {
            self.plain = PriorityLine::starting_at(limited.next_ticket());
            self.stats += limited.stats(None);
        }
    }

    /// The alarm has rung.
    pub(crate) fn alarm_rang(&mut self) {
        if let Some(limited) = &mut self.limited {
            limited.armed = None;
        }
    }

    /// The request at this ticket has started in place, and waits for its slot alone.
    pub(crate) fn has_started(&mut self, ticket: u64) {
        if let Some(limited) = &mut self.limited {
            limited.has_started(ticket);
        }
    }

    /// A task with this key has finished, whose request had this ticket.
    pub(crate) fn return_key(&mut self, key: Key, ticket: u64) {
        if let Some(limited) = &mut self.limited {
            limited.return_key(key, ticket);
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
    type Sight = Instant;
    type Errand = Setting;

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

    fn push(&mut self, waker: Waker, want: Want<Request>) -> (u64, bool) {
        let is_plain = want.permits <= 1 && want.request == Request::default();
        if is_plain && self.limited.is_none() {
            return self.plain.push(waker, plainly(&want));
        }
        (self.limited().push(waker, &want), true)
    }

    fn serve(&mut self, room: Room) -> Option<(usize, Waker)> {
        match &mut self.limited {
            None => self.plain.serve(room),
            Some(limited) => limited.serve(room),
        }
    }

    fn may_serve(&mut self, room: Room) -> bool {
        match &mut self.limited {
            None => self.plain.may_serve(room),
            Some(limited) => limited.may_serve(),
        }
    }

    fn fate(&mut self, place: Place<'_, Request>, newcomer: bool) -> Fate<SlotError> {
        // The plain line may have refused it before there were limits.
        let is_plain = self.plain.is_closed() && !place.want.despite_close;
        match &mut self.limited {
            Some(limited) if limited.contains(place.ticket) || !is_plain => {
                limited.fate(place.ticket, newcomer)
            }
            _ => {
                let want = &plainly(place.want);
                match self.plain.fate(Place { ticket: place.ticket, want }, newcomer) {
                    Fate::Waits => Fate::Waits,
                    Fate::Served => Fate::Served,
                    Fate::Refused(closed) => Fate::Refused(closed.into()),
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
        if let Some(key) = place.want.request.key {
            self.return_key(key, place.ticket);
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

    /// A ticket of the limited line is above all of the plain one that were served.
    #[inline]
    fn is_usual(_: &Request) -> bool {
        true
    }

    fn source(&self) -> Option<Clock> {
        self.limited.as_ref()?.source()
    }

    fn look(clock: &Clock) -> Instant {
        clock.now()
    }

    fn see(&mut self, now: Instant) {
        if let Some(limited) = &mut self.limited {
            limited.see(now);
        }
    }

    fn errand(&mut self) -> Option<Setting> {
        let setting = self.limited.as_mut()?.setting();
        self.simplify();
        setting
    }

    fn run(setting: Setting) {
        setting.make();
    }
}
