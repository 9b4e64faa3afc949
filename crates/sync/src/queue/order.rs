//! [`Order`]: which item comes out next.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Which item of an [`OrderedQueue`](crate::OrderedQueue) comes out next: [`Fifo`], [`Lifo`] or
/// [`Priority`]. There are no others, and none can be made.
#[expect(private_bounds, reason = "that is what keeps others from being made")]
pub trait Order<T>: Store<T> {}

/// First in, first out.
#[derive(Debug)]
pub enum Fifo {}

/// Last in, first out.
#[derive(Debug)]
pub enum Lifo {}

/// The smallest first; of equal ones the first that was put.
#[derive(Debug)]
pub enum Priority {}

/// What a panic carries.
pub(super) type Panic = Box<dyn Any + Send>;

/// An item, and how many were put before it: so one that comes back finds its old place.
pub(super) struct Numbered<T> {
    pub(super) item: T,
    pub(super) number: u64,
}

pub(super) trait Store<T> {
    type Items: Default;

    /// Puts an item into its place, whether it is new or comes back. If other people's code
    /// panics in between, then all is as before, but for the item, which is lost.
    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic>;

    /// Takes out the next item. Runs no code of other people.
    fn take(items: &mut Self::Items) -> Option<Numbered<T>>;

    /// The next item.
    fn first(items: &Self::Items) -> Option<&T>;

    fn len(items: &Self::Items) -> usize;
}

impl<T> Order<T> for Fifo {}

impl<T> Store<T> for Fifo {
    type Items = VecDeque<Numbered<T>>;

    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic> {
        insert_by_number(items, item);
        Ok(())
    }

    fn take(items: &mut Self::Items) -> Option<Numbered<T>> {
        items.pop_front()
    }

    fn first(items: &Self::Items) -> Option<&T> {
        items.front().map(|first| &first.item)
    }

    fn len(items: &Self::Items) -> usize {
        items.len()
    }
}

impl<T> Order<T> for Lifo {}

impl<T> Store<T> for Lifo {
    type Items = VecDeque<Numbered<T>>;

    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic> {
        insert_by_number(items, item);
        Ok(())
    }

    fn take(items: &mut Self::Items) -> Option<Numbered<T>> {
        items.pop_back()
    }

    fn first(items: &Self::Items) -> Option<&T> {
        items.back().map(|last| &last.item)
    }

    fn len(items: &Self::Items) -> usize {
        items.len()
    }
}

fn insert_by_number<T>(items: &mut VecDeque<Numbered<T>>, item: Numbered<T>) {
    if items.back().is_some_and(|last| last.number > item.number) {
        // It comes back while later ones are there.
        let place = items.partition_point(|other| other.number < item.number);
        items.insert(place, item);
    } else {
        items.push_back(item);
    }
}

impl<T: Ord> Order<T> for Priority {}

/// A tree, not a heap: a heap compares when an item is taken out of it, and loses that item if a
/// comparison panics.
impl<T: Ord> Store<T> for Priority {
    type Items = BTreeSet<Numbered<T>>;

    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic> {
        // Finding the place compares, and only then the tree changes.
        catch_unwind(AssertUnwindSafe(|| items.insert(item))).map(drop)
    }

    fn take(items: &mut Self::Items) -> Option<Numbered<T>> {
        items.pop_first()
    }

    fn first(items: &Self::Items) -> Option<&T> {
        items.first().map(|first| &first.item)
    }

    fn len(items: &Self::Items) -> usize {
        items.len()
    }
}

impl<T: Ord> Ord for Numbered<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.item.cmp(&other.item).then(self.number.cmp(&other.number))
    }
}

impl<T: Ord> PartialOrd for Numbered<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Numbered<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Numbered<T> {}
