//! [`Client`]: requests pages, and keeps connections for further requests.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_net::TcpStream;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{ACCEPT, HOST, USER_AGENT};
use url::{Position, Url};

use crate::connection::{Answer, Connection};
use crate::error::FetchError;

/// An HTTP client that any number of tasks may share.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// The unused connections, by host and port, the last used last. There are never more than
    /// requests were in flight at once.
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    /// How many connections were opened.
    opened: AtomicUsize,
    /// How many requests are in flight, and the most that ever were.
    in_flight: AtomicUsize,
    most: AtomicUsize,
    /// The total time of all requests, with the delays that busy servers requested.
    spent: Mutex<Duration>,
}

impl Client {
    /// Requests a page, over an idle connection if there is one.
    ///
    /// # Errors
    ///
    /// Any failure before the head of the answer was received.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes its connection.
    pub(crate) async fn get(&self, url: &Url) -> Result<Answer, FetchError> {
        let _inside = InFlight::enter(self);
        let request = request(url)?;
        let host = host(url)?;
        if let Some(connection) = self.take(&host) {
            // Servers close idle connections, which only a request reveals. Any failure may have
            // that cause, so it is retried once.
            if let Ok((answer, connection)) = connection.exchange(request.clone()).await {
                self.keep(host, connection);
                return Ok(answer);
            }
        }
        let connection = self.connect(&host).await?;
        let (answer, connection) =
            connection.exchange(request).await.map_err(FetchError::Broken)?;
        self.keep(host, connection);
        Ok(answer)
    }

    /// How many connections were opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Relaxed)
    }

    /// Adds the time of a request.
    pub(crate) fn spend(&self, time: Duration) {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    /// The total time of all requests: how long they would have taken one by one.
    pub(crate) fn spent(&self) -> Duration {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most requests that were in flight at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Opens a connection.
    async fn connect(&self, host: &str) -> Result<Connection, FetchError> {
        let stream = TcpStream::connect(host).await.map_err(FetchError::Connect)?;
        self.opened.fetch_add(1, Relaxed);
        Connection::new(stream).await.map_err(FetchError::Broken)
    }

    /// Takes the idle connection to `host` that was used last, which most likely still works.
    fn take(&self, host: &str) -> Option<Connection> {
        self.idle().get_mut(host)?.pop()
    }

    /// Keeps a connection for the next request, if it can be reused.
    fn keep(&self, host: String, connection: Option<Connection>) {
        if let Some(connection) = connection {
            self.idle().entry(host).or_default().push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight. Dropping it ends the request.
struct InFlight<'a>(&'a Client);

impl<'a> InFlight<'a> {
    fn enter(client: &'a Client) -> Self {
        let now = client.in_flight.fetch_add(1, Relaxed) + 1;
        client.most.fetch_max(now, Relaxed);
        Self(client)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The host and port of `url`, in the form for the resolver.
fn host(url: &Url) -> Result<String, FetchError> {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(FetchError::BadUrl("the URL names no host".to_owned())),
    }
}

/// The request for the page at `url`.
fn request(url: &Url) -> Result<Request<Empty<Bytes>>, FetchError> {
    Request::get(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(ACCEPT, "text/html")
        .header(USER_AGENT, concat!("spinney-crawl/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .map_err(|error| FetchError::BadUrl(error.to_string()))
}
