//! [`Session`]: a connection to the broker that is made again when it is lost.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind};
use spinney_hub::{Within, sleep};
use spinney_sync::Event;

use crate::message::{RawMessage, amqp_text, short};
use crate::outbox::{NotSent, Outbox};
use crate::receipt::Acks;

/// How long one attempt to connect may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why an app cannot run, or cannot send a call. It names the broker, the queue or the backend.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An address is malformed.
    Url {
        /// The address, without its password.
        url: String,
        /// The fault in it.
        reason: String,
    },
    /// The broker refused the connection: wrong credentials, or no such virtual host.
    Refused {
        /// The broker, without its password.
        broker: String,
        /// The broker's answer.
        reason: String,
    },
    /// The broker could not be reached within [`connect_patience`](crate::App::connect_patience).
    Unreachable {
        /// The broker, without its password.
        broker: String,
        /// The error of the last attempt.
        reason: String,
    },
    /// The broker refuses to deliver from a queue.
    Queue {
        /// Its name.
        queue: String,
        /// The broker's answer.
        reason: String,
    },
    /// The result backend cannot be reached.
    Results {
        /// The error of the last attempt.
        reason: String,
    },
    /// A message could not be sent.
    Send {
        /// The queue that it was for.
        queue: String,
        /// The error of the last attempt.
        reason: String,
    },
    /// The system refused to start a thread, or to handle signals.
    System(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, reason } => write!(f, "the address {url} cannot be read: {reason}"),
            Self::Refused { broker, reason } => {
                write!(f, "the broker {broker} refused the connection: {reason}")
            }
            Self::Unreachable { broker, reason } => {
                write!(f, "the broker {broker} is out of reach: {reason}")
            }
            Self::Queue { queue, reason } => {
                write!(f, "the queue {queue:?} cannot be consumed from: {reason}")
            }
            Self::Results { reason } => write!(f, "the results are out of reach: {reason}"),
            Self::Send { queue, reason } => {
                write!(f, "a message for the queue {queue:?} could not be sent: {reason}")
            }
            Self::System(error) => write!(f, "the system refused: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::System(error) = self { Some(error) } else { None }
    }
}

/// A queue that is consumed from.
#[derive(Clone, Debug)]
pub(crate) struct QueueSettings {
    pub(crate) name: Arc<str>,
    pub(crate) max_priority: Option<u8>,
}

/// One connection, with its channels. Dropping it closes the connection.
pub(crate) struct Link {
    connection: Connection,
    /// Calls of tasks: none must vanish because its queue is missing.
    calls: Arc<Outbox>,
    /// Results: those without a reader may vanish.
    results: Arc<Outbox>,
    /// For messages that may be lost: replies and events.
    pub(crate) control: Channel,
    pub(crate) work: Channel,
    /// The acknowledgements of the channel `work`.
    pub(crate) acks: Arc<Acks>,
    /// Set when a channel of it has failed.
    broken: Event,
}

/// A connection to the broker that is made again when it is lost. Dropping it is a no-op.
pub(crate) struct Session {
    url: String,
    name: String,
    link: Mutex<Option<Arc<Link>>>,
    linked: Event,
}

impl Session {
    pub(crate) fn new(url: String, name: String) -> Self {
        Self { url, name, link: Mutex::new(None), linked: Event::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection; waits while there is none.
    pub(crate) async fn link(&self) -> Arc<Link> {
        loop {
            if let Some(link) = self.lock().clone() {
                return link;
            }
            self.linked.wait().await;
        }
    }

    /// Whether there is a connection.
    pub(crate) fn is_linked(&self) -> bool {
        self.lock().is_some()
    }

    fn set_link(&self, link: Option<Arc<Link>>) {
        let is_there = link.is_some();
        if !is_there {
            self.linked.clear();
        }
        let before = std::mem::replace(&mut *self.lock(), link);
        drop(before);
        if is_there {
            self.linked.set();
        }
    }

    /// Keeps a connection and runs `serve` on each, until that returns `true`. `lost` is called when
    /// a connection has gone.
    ///
    /// # Errors
    ///
    /// If the first connection is refused, or is not made within `patience`; if `serve` fails.
    pub(crate) async fn keep(
        &self,
        patience: Duration,
        mut serve: impl AsyncFnMut(Arc<Link>) -> Result<bool, Error>,
        lost: impl Fn(),
    ) -> Result<(), Error> {
        let mut link = Arc::new(self.connect_first(patience).await?);
        loop {
            self.set_link(Some(Arc::clone(&link)));
            let served = serve_and_send(&link, &mut serve).await;
            self.set_link(None);
            if !matches!(served, Ok(false)) {
                link.close().await;
                return served.map(|_| ());
            }
            drop(link);
            lost();
            link = Arc::new(self.connect_again().await);
        }
    }

    async fn connect_first(&self, patience: Duration) -> Result<Link, Error> {
        let mut pauses = pauses();
        let mut reason = "no attempt was made".to_owned();
        let attempts = async {
            loop {
                match self.connect().await {
                    Ok(link) => return Ok(link),
                    Err(error) if is_refusal(&error) => {
                        return Err(Error::Refused {
                            broker: self.broker(),
                            reason: error.to_string(),
                        });
                    }
                    Err(error) => reason = error.to_string(),
                }
                tracing::warn!(broker = self.broker(), reason, "no connection; trying again");
                sleep(pauses()).await;
            }
        };
        match attempts.within(patience).await {
            Ok(connected) => connected,
            Err(_) => Err(Error::Unreachable { broker: self.broker(), reason }),
        }
    }

    async fn connect_again(&self) -> Link {
        let mut pauses = pauses();
        loop {
            sleep(pauses()).await;
            match self.connect().await {
                Ok(link) => {
                    tracing::info!(broker = self.broker(), "connected again");
                    return link;
                }
                Err(error) => {
                    tracing::warn!(broker = self.broker(), %error, "no connection; trying again");
                }
            }
        }
    }

    async fn connect(&self) -> Result<Link, lapin::Error> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connect = Connection::connect(&self.url, properties);
        let Ok(connection) = connect.within(CONNECT_LIMIT).await else {
            return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        };
        let connection = connection?;
        let confirmed = async || {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>(channel)
        };
        let calls = Outbox::new(confirmed().await?, true);
        let results = Outbox::new(confirmed().await?, false);
        let control = connection.create_channel().await?;
        let work = connection.create_channel().await?;
        let acks = Acks::new(work.clone());
        Ok(Link { connection, calls, results, control, work, acks, broken: Event::new() })
    }

    /// The address without its password.
    pub(crate) fn broker(&self) -> String {
        without_password(&self.url)
    }

    /// Sends the call of a task and waits until the broker confirms it. A missing queue is declared.
    ///
    /// # Errors
    ///
    /// The error of the attempt; the message may have been sent, or not.
    ///
    /// # Cancel safety
    ///
    /// The message may be sent when this is dropped.
    pub(crate) async fn publish_call(&self, raw: &RawMessage) -> Result<(), NotSent> {
        let link = self.link().await;
        link.check(link.publish_call(raw).await)
    }

    /// Sends a result and waits until the broker confirms it.
    ///
    /// # Errors
    ///
    /// The same as [`publish_call`](Self::publish_call).
    ///
    /// # Cancel safety
    ///
    /// The message may be sent when this is dropped.
    pub(crate) async fn publish_result(&self, raw: Box<RawMessage>) -> Result<(), NotSent> {
        let link = self.link().await;
        link.check(link.results.send(raw).await)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("broker", &self.broker()).finish_non_exhaustive()
    }
}

impl Link {
    /// Passes the outcome of a message on. A connection that lost it is broken.
    fn check(&self, sent: Result<(), NotSent>) -> Result<(), NotSent> {
        if let Err(NotSent::Lost(_)) = sent {
            self.broken.set();
        }
        sent
    }

    /// Waits until a channel has failed.
    pub(crate) async fn broken(&self) {
        let mut events = pin!(self.connection.events_listener());
        let failed = async {
            while let Some(event) = events.next().await {
                // It tells of channels, too.
                if let lapin::Event::Error(error) = event
                    && !self.connection.status().connected()
                {
                    tracing::warn!(%error, "connection lost");
                    return;
                }
            }
        };
        futures_lite::future::or(self.broken.wait(), failed).await;
    }

    /// Sends the call of a task. A missing queue is declared.
    async fn publish_call(&self, raw: &RawMessage) -> Result<(), NotSent> {
        let sent = self.calls.send(Box::new(raw.clone())).await;
        if !matches!(sent, Err(NotSent::Returned(_))) {
            return sent;
        }
        tracing::info!(queue = raw.routing_key, "declares a queue that is not there");
        match Box::pin(self.queue(&raw.routing_key, FieldTable::default())).await {
            Err(error) if error.is_amqp_soft_error() => {
                return Err(NotSent::Forbidden(error.to_string()));
            }
            declared => declared?,
        }
        self.calls.send(Box::new(raw.clone())).await
    }

    /// Sends a message that may be lost.
    pub(crate) async fn publish_unconfirmed(&self, raw: RawMessage) -> Result<(), lapin::Error> {
        let (exchange, key) = (short(&raw.exchange), short(&raw.routing_key));
        let options = BasicPublishOptions::default();
        self.control.basic_publish(exchange, key, options, &raw.body, raw.properties).await?;
        Ok(())
    }

    /// Declares an exchange, unless there is one of this name.
    pub(crate) async fn exchange(
        &self,
        name: &str,
        kind: ExchangeKind,
        durable: bool,
    ) -> Result<(), lapin::Error> {
        let options = ExchangeDeclareOptions { durable, ..ExchangeDeclareOptions::default() };
        let channel = self.connection.create_channel().await?;
        let none = FieldTable::default();
        close_declared(&channel, channel.exchange_declare(short(name), kind, options, none).await)
            .await
    }

    /// Declares a queue, unless there is one of this name.
    async fn queue(&self, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
        let channel = self.connection.create_channel().await?;
        let declared = channel.queue_declare(short(name), durable(), arguments).await;
        close_declared(&channel, declared.map(drop)).await
    }

    /// Consumes from a queue of tasks, which is declared if it is not there.
    pub(crate) async fn consume(&self, queue: &QueueSettings) -> Result<Consumer, lapin::Error> {
        let mut arguments = FieldTable::default();
        if let Some(most) = queue.max_priority {
            arguments.insert("x-max-priority".into(), AMQPValue::ShortShortUInt(most));
        }
        let name = || short(&queue.name);
        self.queue(&queue.name, arguments).await?;
        // Celery's producers may send by way of an exchange of the queue's name.
        self.exchange(&queue.name, ExchangeKind::Direct, true).await?;
        let (none, options) = (FieldTable::default(), QueueBindOptions::default());
        self.control.queue_bind(name(), name(), name(), options, none.clone()).await?;
        let options = BasicConsumeOptions::default();
        self.work.basic_consume(name(), "".into(), options, none).await
    }

    /// Consumes from a queue of this connection's own, bound to `exchange`; its messages need no
    /// acknowledgement.
    pub(crate) async fn consume_own(
        &self,
        queue: &str,
        exchange: Option<&str>,
    ) -> Result<Consumer, lapin::Error> {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-expires".into(),
            AMQPValue::LongInt(if exchange.is_some() { 10_000 } else { 86_400_000 }),
        );
        let options = QueueDeclareOptions {
            durable: false,
            auto_delete: exchange.is_some(),
            ..QueueDeclareOptions::default()
        };
        self.control.queue_declare(short(queue), options, arguments).await?;
        let none = FieldTable::default();
        if let Some(exchange) = exchange {
            let (queue, exchange) = (short(queue), short(exchange));
            let options = QueueBindOptions::default();
            self.control.queue_bind(queue, exchange, "".into(), options, none.clone()).await?;
        }
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        self.control.basic_consume(short(queue), "".into(), options, none).await
    }

    /// Limits how many deliveries may be unacknowledged; 0 is no limit.
    pub(crate) async fn set_prefetch(&self, count: u16) -> Result<(), lapin::Error> {
        self.work.basic_qos(count, BasicQosOptions { global: true }).await
    }

    /// Closes the connection once all that was sent is out.
    async fn close(&self) {
        let closed = self.connection.close(200, "OK".into()).within(CONNECT_LIMIT).await;
        if let Ok(Err(error)) = closed {
            tracing::debug!(%error, "the connection was not closed in order");
        }
    }
}

/// Runs `serve` on a connection, and sends its messages beside it.
async fn serve_and_send<F>(link: &Arc<Link>, serve: &mut F) -> Result<bool, Error>
where
    F: AsyncFnMut(Arc<Link>) -> Result<bool, Error>,
{
    let outboxes = [&link.calls, &link.results].map(Arc::clone);
    let _sends = outboxes.clone().map(|outbox| {
        // On its own, because a wake-up of this task polls all that serves the connection.
        spinney_greenlet::spawn(async move { outbox.keep_sending().await }).kill_on_drop()
    });
    let served = serve(Arc::clone(link)).await;
    for outbox in outboxes {
        outbox.close();
    }
    served
}

/// Whether the broker says that it will never accept this connection.
fn is_refusal(error: &lapin::Error) -> bool {
    // Access refused, and not allowed.
    has_code(error, &[403, 530])
}

/// Whether the broker cannot do what is asked of a queue.
pub(crate) fn is_unsupported(error: &lapin::Error) -> bool {
    // Access refused, resource locked, and not implemented.
    has_code(error, &[403, 405, 540])
}

/// Closes a channel that was only for a declaration. If the queue or exchange exists with other
/// settings, the broker has closed the channel, and the existing one is used.
async fn close_declared(
    channel: &Channel,
    declared: Result<(), lapin::Error>,
) -> Result<(), lapin::Error> {
    match declared {
        Ok(()) => channel.close(200, "OK".into()).await,
        Err(error) if has_code(&error, &[406]) => Ok(()),
        Err(error) => Err(error),
    }
}

fn has_code(error: &lapin::Error, codes: &[u16]) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if codes.contains(&error.get_id()))
}

fn durable() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

/// Pauses between attempts: from a tenth of a second, doubled each time, with jitter.
fn pauses() -> impl FnMut() -> Duration {
    let mut pause = Duration::from_millis(100);
    move || {
        let this = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        pause = (pause * 2).min(LONGEST_PAUSE);
        this
    }
}

/// An address without its password, for texts.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

/// The properties of events and replies.
pub(crate) fn header(key: &str, value: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(key.into(), amqp_text(value));
    headers
}
