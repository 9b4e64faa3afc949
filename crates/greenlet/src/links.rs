//! [`Links`]: the callbacks and wakers of a greenlet's end, in the order in which they were added.

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

/// Identifies a link of one greenlet; later links have greater keys.
pub(crate) type LinkKey = NonZeroU64;

pub(crate) enum Link {
    Wake(Waker),
    Call(Callback),
    Collect(Arc<Collector>),
}

impl Link {
    /// Reports the end of the greenlet `id`.
    pub(crate) fn call(self, id: u64) {
        match self {
            Self::Wake(waker) => contain(|| waker.wake()),
            Self::Call(callback) => contain(callback),
            Self::Collect(collector) => contain(|| collector.publish(id)),
        }
    }
}

#[derive(Default)]
pub(crate) struct Links {
    /// The first link; most greenlets have no other.
    first: Option<(LinkKey, Link)>,
    others: BTreeMap<LinkKey, Link>,
    /// The greatest key so far.
    last: Option<LinkKey>,
    /// All links up to this one have been called, or are being called.
    called: Option<LinkKey>,
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

    /// Removes the next link to call.
    pub(crate) fn pop(&mut self) -> Option<Link> {
        let (key, link) = self.first.take().or_else(|| self.others.pop_first())?;
        self.called = Some(key);
        Some(link)
    }

    pub(crate) fn is_called(&self, key: LinkKey) -> bool {
        self.called.is_some_and(|called| key <= called)
    }

    /// Replaces the link with this key by `link`, and returns it. If there is none, adds `link`
    /// last.
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

    /// The links that are collectors.
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
