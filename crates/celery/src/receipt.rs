//! [`Receipt`]: the right to acknowledge one message; [`Acks`]: the acknowledgements of a channel.
//!
//! Acknowledgements are collected. A task on the thread of the connection sends them after the tasks
//! that are ready there: one frame then acknowledges most of them, and the broker sends as many
//! messages in one piece.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_lite::future;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::DeliveryTag;
use spinney_sync::Event;

/// The right to acknowledge a message. Dropping it puts the message back. Once the connection is
/// lost, all of this is a no-op.
pub(crate) struct Receipt {
    acks: Weak<Acks>,
    tag: DeliveryTag,
    is_open: bool,
}

impl Receipt {
    /// The broker forgets the message.
    pub(crate) fn acknowledge(mut self) {
        if let Some(acks) = self.close() {
            acks.tags().acknowledge(self.tag);
            acks.pending.set();
        }
    }

    /// The broker drops the message, or sends it to the queue for such messages.
    pub(crate) fn reject(mut self) {
        if let Some(acks) = self.close() {
            let options = BasicRejectOptions { requeue: false };
            acks.refuse(self.tag, acks.channel.basic_reject(self.tag, options));
        }
    }

    fn close(&mut self) -> Option<Arc<Acks>> {
        let was_open = mem::replace(&mut self.is_open, false);
        if was_open { self.acks.upgrade() } else { None }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(acks) = self.close() {
            let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            acks.refuse(self.tag, acks.channel.basic_nack(self.tag, options));
        }
    }
}

/// The acknowledgements of one channel.
pub(crate) struct Acks {
    channel: Channel,
    tags: Mutex<Tags>,
    /// Set when there are some to send.
    pending: Event,
}

impl Acks {
    pub(crate) fn new(channel: Channel) -> Arc<Self> {
        Arc::new(Self { channel, tags: Mutex::default(), pending: Event::new() })
    }

    /// The receipt of a delivery.
    pub(crate) fn receipt(self: &Arc<Self>, tag: DeliveryTag) -> Receipt {
        self.tags().open(tag);
        Receipt { acks: Arc::downgrade(self), tag, is_open: true }
    }

    /// Sends acknowledgements as they come.
    pub(crate) async fn keep_sending(&self) {
        loop {
            self.pending.wait().await;
            self.pending.clear();
            self.send();
        }
    }

    /// Sends the acknowledgements that were collected.
    pub(crate) fn send(&self) {
        let acks = self.tags().take_acks();
        for (tag, multiple) in acks {
            send_now(self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        }
    }

    fn refuse(&self, tag: DeliveryTag, refusal: impl Future) {
        // Sent before it counts as settled, so that no later acknowledgement overtakes and covers it.
        send_now(refusal);
        self.tags().settle(tag);
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends an answer. The first poll queues it behind everything that was sent before; further polls
/// would only wait until it is written.
fn send_now(answer: impl Future) {
    let _ = future::block_on(future::poll_once(answer));
}

/// The deliveries of a channel, which are numbered from one.
#[derive(Default)]
struct Tags {
    /// The largest tag so far.
    last: DeliveryTag,
    /// Deliveries up to `last` that are neither acknowledged, rejected nor put back. Some may have no
    /// receipt yet, because each queue has a buffer of its own.
    open: BTreeSet<DeliveryTag>,
    /// Deliveries whose acknowledgements were not sent yet.
    acknowledged: Vec<DeliveryTag>,
}

impl Tags {
    fn open(&mut self, tag: DeliveryTag) {
        self.open.extend(self.last + 1..=tag);
        self.last = self.last.max(tag);
    }

    fn acknowledge(&mut self, tag: DeliveryTag) {
        self.acknowledged.push(tag);
        self.settle(tag);
    }

    fn settle(&mut self, tag: DeliveryTag) {
        self.open.remove(&tag);
    }

    /// The acknowledgements to send, each with whether it covers all deliveries before it.
    fn take_acks(&mut self) -> Vec<(DeliveryTag, bool)> {
        let first_open = self.open.first().copied().unwrap_or(DeliveryTag::MAX);
        let (below, above): (Vec<_>, Vec<_>) =
            mem::take(&mut self.acknowledged).into_iter().partition(|tag| *tag < first_open);
        let multiple = below.into_iter().max().map(|tag| (tag, true));
        multiple.into_iter().chain(above.into_iter().map(|tag| (tag, false))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    #[test]
    fn one_ack_covers_deliveries_if_all_before_it_are_settled() {
        let mut tags = Tags::default();
        // The second one has no receipt yet.
        for tag in [1, 3, 4, 5] {
            tags.open(tag);
        }
        for tag in [3, 1, 5] {
            tags.acknowledge(tag);
        }
        assert_eq!(tags.take_acks(), [(1, true), (3, false), (5, false)]);
        // A delivery that is put back is no gap, and is not acknowledged itself.
        tags.open(2);
        tags.settle(2);
        assert_eq!(tags.take_acks(), []);
        tags.open(6);
        tags.acknowledge(6);
        tags.acknowledge(4);
        assert_eq!(tags.take_acks(), [(6, true)]);
        assert!(tags.open.is_empty());
    }
}
