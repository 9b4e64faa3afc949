//! The time of a [`Limited`] queue: its clock, its pause, and the setting of its alarm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use spinney_hub::Clock;

use super::Limited;
use crate::limits::SlotError;
use crate::limits::alarm::Setting;
use crate::limits::line::Stats;
use crate::limits::rate::Gcra;

/// The last known time of the queue.
#[derive(Default)]
pub(super) struct Time {
    /// The clock of the last request under limits that need one.
    pub(super) clock: Option<Clock>,
    /// The first known time.
    pub(super) start: Option<Instant>,
    /// In nanoseconds since `start`. It never goes back.
    pub(super) now: u128,
    /// Whether a rate has counted a start: the clock must not change.
    pub(super) is_in_use: bool,
}

pub(super) struct Pause {
    pub(super) since: Instant,
    pub(super) clock: Clock,
    /// In nanoseconds of the queue's time.
    pub(super) until: Option<u128>,
}

/// The time of the queue.
impl Limited {
    pub(super) fn needs_time(&self) -> bool {
        self.limits.have_rates() || self.has_pause_with_end()
    }

    fn has_pause_with_end(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.until.is_some())
    }

    /// The clock to read, unless it is the system's, which is read here.
    pub(crate) fn source(&mut self) -> Option<Clock> {
        let clock = self.time.clock.as_ref().filter(|_| self.needs_time())?;
        if !clock.is_system() {
            return Some(clock.clone());
        }
        let now = clock.now();
        self.see(now);
        None
    }

    pub(crate) fn see(&mut self, now: Instant) {
        self.set_now(now);
        let is_over = |pause: &mut Pause| pause.until.is_some_and(|until| until <= self.time.now);
        if let Some(pause) = self.pause.take_if(is_over) {
            let end = self.time.instant(pause.until.unwrap_or(0));
            self.stats.paused +=
                end.map_or(Duration::ZERO, |end| end.saturating_duration_since(pause.since));
        }
        while let Some((at, key)) =
            self.expiring.first().copied().filter(|(at, _)| *at <= self.time.now)
        {
            self.expiring.remove(&(at, key));
            self.refresh(key);
        }
    }

    pub(super) fn set_now(&mut self, now: Instant) {
        let start = *self.time.start.get_or_insert(now);
        self.time.now = self.time.now.max(now.saturating_duration_since(start).as_nanos());
    }

    /// Whether the queue needs no clock, or has that of the caller.
    pub(super) fn has_callers_clock(&self) -> bool {
        !self.needs_time() || self.time.clock.as_ref() == Some(&Clock::shared())
    }

    /// Checks the caller's clock for a request under rates or a pause: once a start was counted, and
    /// until a pause with an end has finished, it must tell the same time.
    pub(super) fn check_clock(&mut self, ticket: u64) {
        let clock = Clock::shared();
        match &self.time.clock {
            Some(other) if *other == clock => {}
            // Several hubs wait, and each may be gone before the others.
            Some(other) if clock.tells_time_of(other) => self.use_system_clock(),
            Some(_) if self.time.is_in_use || self.has_pause_with_end() => {
                self.refuse(ticket, SlotError::OtherClock);
            }
            _ => self.time = Time { clock: Some(clock), ..Time::default() },
        }
    }

    /// Replaces a clock that tells the same time as the system's, whose timers depend on no hub.
    pub(crate) fn use_system_clock(&mut self) {
        let system = Some(Clock::default());
        if self.time.clock != system {
            (self.time.clock, self.armed) = (system, None);
        }
    }

    /// When the rates of the pool allow the next start.
    pub(super) fn ready_at(&self) -> u128 {
        self.rates.iter().map(Gcra::ready_at).max().unwrap_or(0)
    }

    /// The new setting of the alarm, if it has changed.
    pub(crate) fn setting(&mut self) -> Option<Setting> {
        let alarm = self.alarm.as_ref()?;
        let pause = self.pause.as_ref();
        let any = self.offered.iter().any(|offered| !offered.is_empty());
        let rates = Some(self.ready_at()).filter(|at| any && *at > self.time.now);
        let start = match pause {
            // A pause without an end: no request starts, whatever the rates allow.
            Some(pause) => pause.until,
            None => rates.into_iter().chain(self.due.first().map(|(due, _)| *due)).min(),
        };
        if start == self.armed {
            return None;
        }
        self.armed = start;
        self.version += 1;
        let at = start.and_then(|at| self.time.instant(at)).zip(self.time.clock.clone());
        let at = at.map(|(at, clock)| (clock, at));
        Some(Setting { alarm: Arc::clone(alarm), version: self.version, at })
    }
}

impl Time {
    /// The time that is `nanos` after the first known time; `None` if no clock can represent it.
    pub(super) fn instant(&self, nanos: u128) -> Option<Instant> {
        let nanos = u64::try_from(nanos).ok()?;
        self.start?.checked_add(Duration::from_nanos(nanos))
    }
}

/// The pause.
impl Limited {
    /// Pauses for `duration` from `now` on `clock`; without an end if `duration` is `None`.
    pub(crate) fn pause(&mut self, clock: Clock, now: Instant, duration: Option<Duration>) {
        let has_end = duration.is_some();
        if has_end && !self.time.is_in_use {
            self.time = Time { clock: Some(clock.clone()), ..Time::default() };
            self.armed = None;
        }
        if self.time.clock.as_ref().is_some_and(|own| own.tells_time_of(&clock)) {
            self.set_now(now);
        }
        let until = duration.map(|duration| self.time.now.saturating_add(duration.as_nanos()));
        match &mut self.pause {
            Some(pause) if pause.clock.tells_time_of(&clock) => pause.until = until,
            _ => self.pause = Some(Pause { since: now, clock, until }),
        }
    }

    /// Ends a pause at `now` on the clock of that pause.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Some(pause) = self.pause.take() {
            self.stats.paused += now.saturating_duration_since(pause.since);
        }
    }

    /// The clock of the pause, if there is one.
    pub(crate) fn pause_clock(&self) -> Option<Clock> {
        self.pause.as_ref().map(|pause| pause.clock.clone())
    }

    /// The effects of the limits until `now` on the clock of the pause.
    pub(crate) fn stats(&self, now: Option<Instant>) -> Stats {
        let mut stats = self.stats;
        if let Some((pause, now)) = self.pause.as_ref().zip(now) {
            let end = pause.until.and_then(|until| self.time.instant(until));
            let end = end.map_or(now, |end| end.min(now));
            stats.paused += end.saturating_duration_since(pause.since);
        }
        stats
    }
}
