//! [`Order`]: determines which item comes out next.

use std::any::Any;
use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Determines which item of an [`OrderedQueue`](crate::OrderedQueue) comes out next: [`Fifo`],
/// [`Lifo`] or [`Priority`]. The trait is sealed.
#[expect(private_bounds, reason = "a private bound seals the trait")]
pub trait Order<T>: Store<T> {}

/// First in, first out.
#[derive(Debug)]
pub enum Fifo {}

/// Last in, first out.
#[derive(Debug)]
pub enum Lifo {}

/// The smallest first; among equal ones the first that was put.
#[derive(Debug)]
pub enum Priority {}

/// The payload of a panic.
pub(super) type Panic = Box<dyn Any + Send>;

/// An item, and how many were put before it: a returned item finds its old place by that number.
pub(super) struct Numbered<T> {
    pub(super) item: T,
    pub(super) number: u64,
}

pub(super) trait Store<T> {
    type Items: Default;

    /// Inserts an item, new or returned. If foreign code panics meanwhile, the item is lost and
    /// nothing else changes.
    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic>;

    /// Takes out the next item. Runs no foreign code.
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
        // A returned item has later ones behind it.
        let place = items.partition_point(|other| other.number < item.number);
        items.insert(place, item);
    } else {
        items.push_back(item);
    }
}

impl<T: Ord> Order<T> for Priority {}

/// A tree, not a heap: a heap compares when an item is taken out, and loses that item if a
/// comparison panics.
impl<T: Ord> Store<T> for Priority {
    type Items = BTreeSet<Numbered<T>>;

    fn insert(items: &mut Self::Items, item: Numbered<T>) -> Result<(), Panic> {
        // The search compares; the tree changes only after it.
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
