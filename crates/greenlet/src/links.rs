//! [`Links`]: what is told of a greenlet's end, in the order in which it asked.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use spinney_hub::contain;

use crate::Failure;
use crate::collector::Collector;

/// Called at a greenlet's end.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// Called by the task while it still holds the result, with the failure if there is none.
pub(crate) type ResultLink = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// Names a link of one greenlet; later links have greater keys.
pub(crate) type LinkKey = NonZeroU64;

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
    first: Option<(LinkKey, Link)>,
    others: BTreeMap<LinkKey, Link>,
    /// The last key that was given, if any was.
    last: Option<LinkKey>,
    /// Links up to this one have been told of the end, or are being told.
    told: Option<LinkKey>,
}

impl Links {
    pub(crate) fn push(&mut self, link: Link) -> LinkKey {
        let key = self.last.map_or(LinkKey::MIN, |last| last.saturating_add(1));
        self.last = Some(key);
        if self.first.is_none() && self.others.is_empty() {
            self.first = Some((key, link));
        } else {
            self.others.insert(key, link);
        }
        key
    }

    /// The next one to tell.
    pub(crate) fn pop(&mut self) -> Option<Link> {
        let (key, link) = self.first.take().or_else(|| self.others.pop_first())?;
        self.told = Some(key);
        Some(link)
    }

    pub(crate) fn is_told(&self, key: LinkKey) -> bool {
        self.told.is_some_and(|told| key <= told)
    }

    /// Puts `link` in the place of the one with this key, which is returned. If there is none, it
    /// is the last.
    pub(crate) fn set(&mut self, key: &mut Option<LinkKey>, link: Link) -> Option<Link> {
        if let Some(there) = key.and_then(|key| self.find(key)) {
            return Some(std::mem::replace(there, link));
        }
        *key = Some(self.push(link));
        None
    }

    pub(crate) fn remove(&mut self, key: LinkKey) -> Option<Link> {
        let first = self.first.take_if(|(first, _)| *first == key).map(|(_, link)| link);
        first.or_else(|| self.others.remove(&key))
    }

    /// Those that collect greenlets.
    pub(crate) fn collectors(&self) -> impl Iterator<Item = &Collector> {
        let first = self.first.as_ref().map(|(_, link)| link);
        first.into_iter().chain(self.others.values()).filter_map(|link| match link {
            Link::Collect(collector) => Some(&**collector),
            _ => None,
        })
    }

    fn find(&mut self, key: LinkKey) -> Option<&mut Link> {
        match &mut self.first {
            Some((first, link)) if *first == key => Some(link),
            _ => self.others.get_mut(&key),
        }
    }
}
