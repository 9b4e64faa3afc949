//! [`Outbox`]: messages that the broker confirms, sent in batches.
//!
//! While the broker confirms one batch, the next is collected: batches grow with the load, and a
//! message that is alone is sent immediately. A batch costs one write and one wake-up of the
//! connection's thread, where messages on their own would cost one each.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use spinney_hub::yield_now;
use spinney_sync::{AsyncResult, Event, Setter, SetterDropped};

use crate::message::{RawMessage, short};

/// The messages that are sent on one channel. Dropping it drops those that were not sent.
pub(crate) struct Outbox {
    channel: Channel,
    /// Whether the broker returns a message that it can put into no queue.
    mandatory: bool,
    next: NextBatch,
}

/// Why a message was not sent.
#[derive(Clone, Debug)]
pub(crate) enum NotSent {
    /// The broker has no queue for it.
    Returned(String),
    /// The broker does not let its queue be declared.
    Forbidden(String),
    /// The broker refused it: its queue is full, for example.
    Refused(String),
    /// The connection was lost. The message may have been sent.
    Lost(String),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(reason)
            | Self::Forbidden(reason)
            | Self::Refused(reason)
            | Self::Lost(reason) => f.write_str(reason),
        }
    }
}

impl From<SetterDropped> for NotSent {
    fn from(_: SetterDropped) -> Self {
        Self::Lost("the connection to the broker was lost".to_owned())
    }
}

impl From<lapin::Error> for NotSent {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl Outbox {
    /// The outbox of a channel that confirms messages.
    pub(crate) fn new(channel: Channel, mandatory: bool) -> Arc<Self> {
        Arc::new(Self { channel, mandatory, next: NextBatch::new() })
    }

    /// Sends a message and waits until the broker confirms it.
    ///
    /// # Errors
    ///
    /// [`NotSent::Returned`] only if the outbox is for mandatory messages.
    ///
    /// # Cancel safety
    ///
    /// The message may be sent when this is dropped.
    pub(crate) async fn send(&self, raw: Box<RawMessage>) -> Result<(), NotSent> {
        let sent = self.next.add(raw);
        sent.get().await.copied().map_err(Clone::clone)
    }

    /// Sends messages, one batch after the other.
    pub(crate) async fn keep_sending(&self) {
        loop {
            let batch = self.next.take().await;
            self.send_batch(batch).await;
            // The senders go on first: what they send now, and what they acknowledge, goes out with the
            // next batch.
            yield_now().await;
        }
    }

    /// Fails all messages that were not sent, and those to come.
    pub(crate) fn close(&self) {
        self.next.close();
    }

    async fn send_batch(&self, batch: Vec<Letter>) {
        let send = |Letter { raw, sender }| {
            let address = self.mandatory.then(|| Address::of(&raw));
            Sending { address, sender, outcome: None, future: Box::pin(self.publish(raw)) }
        };
        let mut batch: Vec<_> = batch.into_iter().map(send).collect();
        batch.iter_mut().for_each(Sending::start);
        // Most of a batch is confirmed together: after the last one, the others need no wake-up.
        for sending in batch.iter_mut().rev() {
            sending.finish().await;
        }
        // lapin hands a message that was returned to any of those that are confirmed together.
        let mut returned: Vec<_> = batch.iter_mut().filter_map(Sending::take_returned).collect();
        for sending in batch {
            sending.tell_sender(&mut returned);
        }
    }

    async fn publish(&self, mut raw: Box<RawMessage>) -> Result<Confirmation, lapin::Error> {
        let options =
            BasicPublishOptions { mandatory: self.mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (short(&raw.exchange), short(&raw.routing_key));
        let properties = std::mem::take(&mut raw.properties);
        self.channel.basic_publish(exchange, key, options, &raw.body, properties).await?.await
    }
}

/// A message, and its sender.
struct Letter {
    raw: Box<RawMessage>,
    sender: Setter<(), NotSent>,
}

/// The messages that wait until the broker has confirmed those before them.
struct NextBatch {
    /// `None` once the connection is lost.
    letters: Mutex<Option<Vec<Letter>>>,
    /// Set when there are some.
    pending: Event,
}

impl NextBatch {
    fn new() -> Self {
        Self { letters: Mutex::new(Some(Vec::new())), pending: Event::new() }
    }

    /// Adds a message, which fails if the connection is lost.
    fn add(&self, raw: Box<RawMessage>) -> Arc<AsyncResult<(), NotSent>> {
        let sent = Arc::new(AsyncResult::new());
        let letter = Letter { raw, sender: sent.setter() };
        match &mut *self.lock() {
            Some(letters) => letters.push(letter),
            // Its sender fails when it is dropped.
            None => return sent,
        }
        self.pending.set();
        sent
    }

    /// Waits for messages, and takes them all.
    async fn take(&self) -> Vec<Letter> {
        self.pending.wait().await;
        self.pending.clear();
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn close(&self) {
        let unsent = self.lock().take();
        drop(unsent);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Letter>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Identifies a message that was returned.
struct Address {
    key: ShortString,
    id: Option<ShortString>,
}

impl Address {
    fn of(raw: &RawMessage) -> Self {
        Self { key: short(&raw.routing_key), id: raw.properties.correlation_id().clone() }
    }

    fn is_of(&self, returned: &BasicReturnMessage) -> bool {
        self.key == returned.routing_key && self.id == *returned.properties.correlation_id()
    }
}

/// A message of the batch that is being sent.
struct Sending<F> {
    /// There if the message may be returned.
    address: Option<Address>,
    sender: Setter<(), NotSent>,
    future: Pin<Box<F>>,
    outcome: Option<Result<Confirmation, lapin::Error>>,
}

impl<F: Future<Output = Result<Confirmation, lapin::Error>>> Sending<F> {
    /// Queues the message for the broker: the first poll does.
    fn start(&mut self) {
        let mut unwoken = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.future.as_mut().poll(&mut unwoken) {
            self.outcome = Some(outcome);
        }
    }

    /// Waits until the message is confirmed.
    async fn finish(&mut self) {
        if self.outcome.is_none() {
            self.outcome = Some(self.future.as_mut().await);
        }
    }

    fn take_returned(&mut self) -> Option<BasicReturnMessage> {
        let Some(Ok(Confirmation::Ack(returned) | Confirmation::Nack(returned))) =
            &mut self.outcome
        else {
            return None;
        };
        returned.take()
    }

    /// Tells the sender of the message what became of it. `returned` are the messages of the batch
    /// that were returned; this one is removed.
    fn tell_sender(self, returned: &mut Vec<BasicReturnMessage>) {
        let is_this = |other: &_| self.address.as_ref().is_some_and(|address| address.is_of(other));
        let sent = match self.outcome {
            Some(Ok(Confirmation::Ack(_))) => match returned.iter().position(is_this) {
                Some(at) => Err(NotSent::Returned(returned.remove(at).reply_text.to_string())),
                None => Ok(()),
            },
            Some(Err(error)) => Err(error.into()),
            refused => {
                Err(NotSent::Refused(format!("the broker refused the message: {refused:?}")))
            }
        };
        // Its sender may have gone.
        let _ = match sent {
            Ok(()) => self.sender.set(()).is_ok(),
            Err(error) => self.sender.set_error(error).is_ok(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{NextBatch, NotSent};

    #[test]
    fn message_fails_if_the_connection_is_lost_before_or_after() {
        let next = NextBatch::new();
        let before = next.add(Box::default());
        assert!(!before.is_ready());
        next.close();
        for sent in [before, next.add(Box::default())] {
            assert!(matches!(sent.try_get(), Some(Err(NotSent::Lost(_)))));
        }
    }
}
