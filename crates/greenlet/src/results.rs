//! [`ResultBuffer`]: orders the results of a map, and bounds how many items are open; [`Outcomes`]:
//! counts them.

use std::collections::VecDeque;
use std::fmt;

pub use crate::report::Outcomes;

/// The order in which results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the items: a result is read after those of all items before it.
    Input,
    /// The order in which the results are put.
    Completion,
}

/// Whether more items may be taken from the input: returned by [`ResultBuffer::open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// At most this many items, one or more, may be taken; they are open now.
    Opened(usize),
    /// No item may be taken until a result has been read.
    Full,
    /// No item may be taken any more.
    Over,
}

/// The results of a map, for containers: the buffer orders them, and bounds how far the map runs
/// ahead of its reader.
///
/// An item is *open* from the decision to take it from the input until its result has been read. At
/// most `maxsize` items are open, and one more while the reader waits. Items have the indices 0, 1,
/// 2 and so on, in input order.
///
/// The buffer is plain data that a container keeps under its own lock. Its methods neither drop
/// results nor wake tasks, so no foreign code runs under that lock. Dropping the buffer drops the
/// results in it.
///
/// ```
/// use spinney_greenlet::results::{Order, ResultBuffer, Capacity};
///
/// let mut results = ResultBuffer::new(Order::Input, 2);
/// assert_eq!(results.open(3, false), Capacity::Opened(2));
/// results.put(1, "one");
/// assert_eq!(results.pop(), None);
/// results.put(0, "zero");
/// assert_eq!(results.pop(), Some("zero"));
/// assert_eq!(results.open(3, false), Capacity::Opened(1));
/// ```
pub struct ResultBuffer<T> {
    order: Order,
    maxsize: usize,
    open: usize,
    exhausted: bool,
    /// The readable results, in order.
    ready: VecDeque<T>,
    /// In input order: the results of the item `next` and later items, which wait for their turn.
    /// Either empty, or the first element is `Some`.
    early: VecDeque<Option<T>>,
    /// How many results `early` holds.
    early_results: usize,
    /// In input order: the item whose result is read after those in `ready`.
    next: usize,
}

impl<T> ResultBuffer<T> {
    /// Creates a buffer in which at most `maxsize` items are open, and one more while the reader
    /// waits.
    pub fn new(order: Order, maxsize: usize) -> Self {
        let (ready, early) = (VecDeque::new(), VecDeque::new());
        Self { order, maxsize, open: 0, exhausted: false, ready, early, early_results: 0, next: 0 }
    }

    /// How many items may be open while the reader does not wait.
    pub fn maxsize(&self) -> usize {
        self.maxsize
    }

    /// How many items are open.
    pub fn open_items(&self) -> usize {
        self.open
    }

    /// How many results can be read.
    pub fn readable(&self) -> usize {
        self.ready.len()
    }

    /// How many results are in the buffer, including those that wait for their turn.
    pub fn stored(&self) -> usize {
        self.ready.len() + self.early_results
    }

    /// Whether no further item will be opened.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether no item is open, and none will be opened.
    pub fn is_finished(&self) -> bool {
        self.exhausted && self.open == 0
    }

    /// How many more items may be opened.
    pub fn room(&self, reader_waits: bool) -> usize {
        let limit = self.maxsize.saturating_add(usize::from(reader_waits));
        if self.exhausted { 0 } else { limit.saturating_sub(self.open) }
    }

    /// Opens as many items as there is room for, at most `most`.
    pub fn open(&mut self, most: usize, reader_waits: bool) -> Capacity {
        if self.exhausted {
            return Capacity::Over;
        }
        match self.room(reader_waits).min(most) {
            0 => Capacity::Full,
            items => {
                self.open += items;
                Capacity::Opened(items)
            }
        }
    }

    /// Opens one item, even beyond the bound, and no item after it. Returns whether it did: a no-op
    /// if no further item could be opened before.
    pub fn open_last(&mut self) -> bool {
        let opens = !std::mem::replace(&mut self.exhausted, true);
        self.open += usize::from(opens);
        opens
    }

    /// Ends the input: no further item will be opened.
    pub fn exhaust(&mut self) {
        self.exhausted = true;
    }

    /// Closes `items` open items: their results have been read, or will never come.
    ///
    /// # Panics
    ///
    /// Panics if fewer items are open.
    pub fn close(&mut self, items: usize) {
        self.open = self.open.checked_sub(items).expect("only open items are closed");
    }

    /// Stores the result of the item `index`, which is open.
    ///
    /// # Panics
    ///
    /// In [input order](Order::Input), panics if the item already had a result.
    pub fn put(&mut self, index: usize, result: T) {
        let in_turn = index == self.next && self.early.is_empty();
        if in_turn || self.order == Order::Completion {
            self.ready.push_back(result);
            self.next += 1;
        } else {
            self.put_early(index, result);
        }
    }

    /// Stores a result that comes before its turn, or that other results wait for.
    #[inline(never)]
    fn put_early(&mut self, index: usize, result: T) {
        let place = index.checked_sub(self.next).expect("an item has one result");
        if self.early.len() <= place {
            self.early.resize_with(place + 1, || None);
        }
        assert!(self.early[place].is_none(), "an item has one result");
        self.early[place] = Some(result);
        let turns = self.early.iter().take_while(|early| early.is_some()).count();
        self.ready.extend(self.early.drain(..turns).flatten());
        self.next += turns;
        self.early_results = self.early_results + 1 - turns;
    }

    /// Takes the next result, and closes its item.
    pub fn pop(&mut self) -> Option<T> {
        let next = self.ready.pop_front()?;
        self.close(1);
        Some(next)
    }

    /// Moves all readable results to the end of `read`. Their items stay open until they are
    /// [closed](Self::close).
    pub fn take(&mut self, read: &mut VecDeque<T>) {
        if read.is_empty() {
            // Swapping keeps the memory of both lists.
            std::mem::swap(&mut self.ready, read);
        } else {
            read.append(&mut self.ready);
        }
    }

    /// Takes all results, including those that wait for their turn, and closes their items. For a
    /// reader that leaves: in input order, a result that is put later may stay unreadable.
    pub fn take_all(&mut self) -> VecDeque<T> {
        let mut results = std::mem::take(&mut self.ready);
        results.extend(std::mem::take(&mut self.early).into_iter().flatten());
        self.early_results = 0;
        self.close(results.len());
        results
    }

    /// Formats the state of the map called `name`, without its results.
    ///
    /// # Errors
    ///
    /// If writing to `f` fails.
    pub fn fmt_as(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("order", &self.order)
            .field("open", &self.open)
            .field("maxsize", &self.maxsize)
            .field("exhausted", &self.exhausted)
            .finish()
    }
}

impl<T> fmt::Debug for ResultBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(f, "ResultBuffer")
    }
}
