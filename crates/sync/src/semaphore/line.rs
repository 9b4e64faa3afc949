//! [`Line`]: the queue of a semaphore's waiters, and its rule of order; [`PriorityLine`]: the queue
//! of a plain semaphore.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::task::Waker;

use crate::waiters::Waiters;
use crate::{Closed, Semaphore};

/// The queue of the waiters of a [`Semaphore`](crate::Semaphore), and the rule by which they are
/// served: for containers with a rule of their own.
///
/// A line is plain data under the semaphore's lock. Its methods neither wake, drop nor call foreign
/// code, except [`read`](Self::read) and [`run`](Self::run), which run without the lock. Each
/// waiter has a ticket, which is unique among waiters with the same request.
///
/// ```
/// use spinney_sync::{PriorityLine, Semaphore};
///
/// // The rule of a plain semaphore.
/// let seats = Semaphore::with_line(2, PriorityLine::default());
/// assert_eq!(seats.available(), 2);
/// ```
pub trait Line {
    /// The request of a waiter, besides permits.
    type Request;
    /// Why a waiter is refused.
    type Refusal: From<Closed>;
    /// An external source to read before waiters are served: a clock, for example.
    type Source;
    /// The value read from the source.
    type Reading;
    /// An action to run after waiters were served: to set a timer, for example.
    type Action;

    /// The number of waiters.
    fn len(&self) -> usize;

    /// Whether the line is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a newcomer that finds enough free permits takes them without a place in the line,
    /// and permits are released without looking at the line.
    fn is_open(&self) -> bool {
        self.is_empty()
    }

    /// Completes the request of a newcomer that finds the line closed to it or too few permits,
    /// from the context of the caller. Runs without the lock.
    fn complete(_: &Semaphore<Self>, _: &mut Want<Self::Request>)
    where
        Self: Sized,
    {
    }

    /// Serves a newcomer without a place in the line, if no waiter is before it and there are enough
    /// permits for it. Stores a ticket if it was granted more than permits. Returns whether it was
    /// served.
    fn admit(
        &mut self,
        want: &Want<Self::Request>,
        room: PermitCounts,
        ticket: &mut Option<u64>,
    ) -> bool;

    /// Adds a waiter. Returns its ticket, and whether it may be the next one served.
    fn push(&mut self, waker: Waker, want: Want<Self::Request>) -> (u64, bool);

    /// Removes the next waiter, if there are enough permits for it. Returns the number of its
    /// permits, and its waker.
    fn serve(&mut self, room: PermitCounts) -> Option<(usize, Waker)>;

    /// Whether [`serve`](Self::serve) may find a waiter.
    fn may_serve(&mut self, room: PermitCounts) -> bool;

    /// The state of a waiter that has not left. A `newcomer` has just been pushed, and other
    /// waiters were served since.
    fn state_of(
        &mut self,
        place: Place<'_, Self::Request>,
        newcomer: bool,
    ) -> WaiterState<Self::Refusal>;

    /// The waker of a waiter; `None` unless it waits.
    fn waker(&mut self, place: Place<'_, Self::Request>) -> Option<&mut Waker>;

    /// Removes a waiter. Returns its waker; `None` unless it waits.
    fn remove(&mut self, place: Place<'_, Self::Request>) -> Option<Waker>;

    /// Releases what a served waiter was granted besides permits.
    fn give_back(&mut self, place: Place<'_, Self::Request>);

    /// Refuses all waiters, except those that wait despite a close. Returns their wakers.
    fn close(&mut self) -> Vec<Waker>;

    /// The ticket below which all waiters whose place [is usual](Self::is_usual) were served. It
    /// never decreases.
    fn served_below(&self) -> u64;

    /// Whether [`served_below`](Self::served_below) applies to waiters with this request.
    fn is_usual(request: &Self::Request) -> bool;

    /// The source to read before waiters are served; `None` for none. A line reads its own sources
    /// here, those that run no foreign code.
    fn source(&mut self) -> Option<Self::Source>;

    /// Reads the source, without the lock.
    fn read(source: &Self::Source) -> Self::Reading;

    /// Stores the value that was read.
    fn set_reading(&mut self, reading: Self::Reading);

    /// The action to run once no further waiter can be served; `None` for none.
    fn action(&mut self) -> Option<Self::Action>;

    /// Runs the action, without the lock.
    fn run(action: Self::Action);
}

/// The request of a waiter.
#[derive(Clone, Debug, Default)]
pub struct Want<R = i32> {
    /// The number of permits, which are granted together.
    pub permits: usize,
    /// Whether it keeps waiting after a close.
    pub despite_close: bool,
    /// The request besides permits; in a plain line, the priority.
    pub request: R,
}

/// A waiter's ticket and request.
#[derive(Debug)]
pub struct Place<'a, R = i32> {
    /// The ticket.
    pub ticket: u64,
    /// The request.
    pub want: &'a Want<R>,
}

/// The permits of a semaphore that are available to the next waiter.
#[derive(Clone, Copy, Debug)]
pub struct PermitCounts {
    /// The number of permits.
    pub capacity: usize,
    /// The number of permits that are not out.
    pub free: usize,
}

/// The state of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaiterState<E = Closed> {
    /// In the line.
    Waits,
    /// Its permits are out.
    Served,
    /// Refused, and no longer in the line.
    Refused(E),
}

/// The line of a plain semaphore: by priority, FIFO among equals. A waiter for more permits than
/// are free holds up those behind it.
///
/// ```
/// use spinney_sync::{Line, PriorityLine};
///
/// assert_eq!(PriorityLine::default().len(), 0);
/// ```
#[derive(Debug, Default)]
pub struct PriorityLine {
    /// The waiters with priority 0.
    usual: Class,
    /// The waiters with other priorities; after a close, also classes without waiters.
    others: BTreeMap<Reverse<i32>, Class>,
    /// The number of waiters of all classes.
    len: usize,
    /// All tickets of removed classes are below this.
    floor: u64,
}

/// The waiters with one priority.
#[derive(Default)]
struct Class {
    waiters: Waiters<Want>,
    /// `Some` once the line is closed: the first ticket that was not served by then. Tickets from
    /// there on were refused, unless they wait despite the close.
    refused_from: Option<u64>,
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Class").field("waiting", &self.waiters.len()).finish_non_exhaustive()
    }
}

impl PriorityLine {
    /// Creates an empty line whose tickets begin at `ticket`.
    pub fn starting_at(ticket: u64) -> Self {
        Self { usual: Class::starting_at(ticket), floor: ticket, ..Self::default() }
    }

    /// Whether the line was closed.
    pub fn is_closed(&self) -> bool {
        self.usual.refused_from.is_some()
    }

    /// The ticket of the next waiter with priority 0.
    pub fn next_ticket(&self) -> u64 {
        self.usual.waiters.next_ticket()
    }

    /// Removes all waiters unserved, in the order in which they would be served. Returns them with
    /// their tickets.
    pub fn take_all(&mut self) -> Vec<(u64, Waker, Want)> {
        let mut all = Vec::new();
        while let Some(priority) = self.first() {
            let class = self.class_mut(priority);
            let left = class.into_iter().flat_map(|class| class.waiters.dismiss());
            all.extend(left.map(|(ticket, waiter)| (ticket, waiter.waker, waiter.want)));
            self.forget(priority);
        }
        self.len = 0;
        all
    }

    /// The priority of the next waiter.
    #[inline]
    fn first(&self) -> Option<i32> {
        if self.others.is_empty() {
            return (!self.usual.waiters.is_empty()).then_some(0);
        }
        self.first_of_all()
    }

    #[cold]
    fn first_of_all(&self) -> Option<i32> {
        let others = self.others.iter().filter(|(_, class)| !class.waiters.is_empty());
        let first = others.map(|(Reverse(priority), _)| *priority).next();
        match first {
            Some(priority) if priority > 0 || self.usual.waiters.is_empty() => Some(priority),
            _ => (!self.usual.waiters.is_empty()).then_some(0),
        }
    }

    #[inline]
    fn class_mut(&mut self, priority: i32) -> Option<&mut Class> {
        if priority == 0 { Some(&mut self.usual) } else { self.others.get_mut(&Reverse(priority)) }
    }

    /// Drops the class of `priority` if it is no longer needed.
    #[inline]
    fn forget(&mut self, priority: i32) {
        if priority != 0 {
            self.forget_other(priority);
        }
    }

    #[cold]
    fn forget_other(&mut self, priority: i32) {
        let is_useless = |class: &Class| class.waiters.is_empty() && class.refused_from.is_none();
        if self.others.get(&Reverse(priority)).is_some_and(is_useless) {
            let class = self.others.remove(&Reverse(priority));
            let next = class.map_or(0, |class| class.waiters.next_ticket());
            self.floor = self.floor.max(next);
        }
    }
}

impl Class {
    fn starting_at(ticket: u64) -> Self {
        Self { waiters: Waiters::starting_at(ticket), refused_from: None }
    }
}

impl Line for PriorityLine {
    type Request = i32;
    type Refusal = Closed;
    type Source = ();
    type Reading = ();
    type Action = ();

    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn admit(&mut self, want: &Want, room: PermitCounts, _: &mut Option<u64>) -> bool {
        self.is_empty() && want.permits <= room.free
    }

    #[inline]
    fn push(&mut self, waker: Waker, want: Want) -> (u64, bool) {
        let priority = want.request;
        let floor = self.floor;
        let class = if priority == 0 {
            &mut self.usual
        } else {
            self.others.entry(Reverse(priority)).or_insert_with(|| Class::starting_at(floor))
        };
        self.len += 1;
        let is_first = class.waiters.is_empty();
        (class.waiters.push(waker, want), is_first)
    }

    #[inline]
    fn serve(&mut self, room: PermitCounts) -> Option<(usize, Waker)> {
        let priority = self.first()?;
        let class = self.class_mut(priority)?;
        let waiter = class.waiters.pop_if(|want| want.permits <= room.free)?;
        self.len -= 1;
        self.forget(priority);
        Some((waiter.want.permits, waiter.waker))
    }

    #[inline]
    fn may_serve(&mut self, room: PermitCounts) -> bool {
        let first = self.first().and_then(|priority| self.class_mut(priority)?.waiters.first());
        first.is_some_and(|want| want.permits <= room.free)
    }

    #[inline]
    fn state_of(&mut self, place: Place<'_>, _newcomer: bool) -> WaiterState {
        let Some(class) = self.class_mut(place.want.request) else { return WaiterState::Served };
        if !class.waiters.is_served(place.ticket) {
            let is_refused = class.refused_from.is_some() && !place.want.despite_close;
            return if is_refused { WaiterState::Refused(Closed) } else { WaiterState::Waits };
        }
        let was_refused = class.refused_from.is_some_and(|from| place.ticket >= from);
        let is_served = place.want.despite_close || !was_refused;
        if is_served { WaiterState::Served } else { WaiterState::Refused(Closed) }
    }

    #[inline]
    fn waker(&mut self, place: Place<'_>) -> Option<&mut Waker> {
        self.class_mut(place.want.request)?.waiters.waker(place.ticket)
    }

    #[inline]
    fn remove(&mut self, place: Place<'_>) -> Option<Waker> {
        let priority = place.want.request;
        let waiter = self.class_mut(priority)?.waiters.remove(place.ticket);
        self.len -= usize::from(waiter.is_some());
        self.forget(priority);
        waiter.map(|waiter| waiter.waker)
    }

    fn give_back(&mut self, _: Place<'_>) {}

    fn close(&mut self) -> Vec<Waker> {
        let classes = std::iter::once(&mut self.usual).chain(self.others.values_mut());
        let refused = classes.flat_map(|class| {
            class.refused_from.get_or_insert(class.waiters.served_below());
            class.waiters.dismiss_if(|want| !want.despite_close)
        });
        let refused: Vec<Waker> = refused.map(|waiter| waiter.waker).collect();
        self.len -= refused.len();
        refused
    }

    #[inline]
    fn served_below(&self) -> u64 {
        self.usual.waiters.served_below()
    }

    #[inline]
    fn is_usual(priority: &i32) -> bool {
        *priority == 0
    }

    fn source(&mut self) -> Option<()> {
        None
    }

    fn read((): &()) {}

    fn set_reading(&mut self, (): ()) {}

    fn action(&mut self) -> Option<()> {
        None
    }

    fn run((): ()) {}
}
