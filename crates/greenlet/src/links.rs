//! [`Links`]: who is to be told of a greenlet's end, in the order they asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use spinney_hub::contain;

use crate::collector::Collector;

/// Called at a greenlet's end.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

pub(crate) enum Link {
    Wake(Waker),
    Call(Callback),
    Collect(Arc<Collector>),
}

impl Link {
    /// Says that the greenlet `id` has ended.
    pub(crate) fn tell(self, id: u64) {
        match self {
            Self::Wake(waker) => contain(|| waker.wake()),
            Self::Call(callback) => contain(callback),
            Self::Collect(collector) => contain(|| collector.publish(id)),
        }
    }
}

#[derive(Default)]
pub(crate) struct Links {
    /// The first of all; most have no other.
    first: Option<(u64, Link)>,
    others: VecDeque<(u64, Link)>,
    next: u64,
    /// Links below this one have been told of the end, or are being told.
    told_below: u64,
}

impl Links {
    pub(crate) fn push(&mut self, link: Link) -> u64 {
        let id = self.next;
        self.next += 1;
        if self.first.is_none() && self.others.is_empty() {
            self.first = Some((id, link));
        } else {
            self.others.push_back((id, link));
        }
        id
    }

    /// The next one to tell.
    pub(crate) fn pop(&mut self) -> Option<Link> {
        let (id, link) = self.first.take().or_else(|| self.others.pop_front())?;
        self.told_below = id + 1;
        Some(link)
    }

    pub(crate) fn is_told(&self, id: u64) -> bool {
        id < self.told_below
    }

    /// Puts `link` in the place of the one with this id, which is returned. If there is none, it
    /// is the last.
    pub(crate) fn set(&mut self, id: &mut Option<u64>, link: Link) -> Option<Link> {
        if let Some(there) = id.and_then(|id| self.find(id)) {
            return Some(std::mem::replace(there, link));
        }
        *id = Some(self.push(link));
        None
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Link> {
        if self.is_first(id) {
            return self.first.take().map(|(_, link)| link);
        }
        let place = self.place(id)?;
        self.others.remove(place).map(|(_, link)| link)
    }

    /// Those that collect greenlets.
    pub(crate) fn collectors(&self) -> impl Iterator<Item = &Collector> {
        self.first.iter().chain(&self.others).filter_map(|(_, link)| match link {
            Link::Collect(collector) => Some(&**collector),
            _ => None,
        })
    }

    fn find(&mut self, id: u64) -> Option<&mut Link> {
        if self.is_first(id) {
            return self.first.as_mut().map(|(_, link)| link);
        }
        let place = self.place(id)?;
        Some(&mut self.others[place].1)
    }

    fn is_first(&self, id: u64) -> bool {
        self.first.as_ref().is_some_and(|(first, _)| *first == id)
    }

    /// Its place among the others.
    fn place(&self, id: u64) -> Option<usize> {
        self.others.binary_search_by_key(&id, |(id, _)| *id).ok()
    }
}
