//! [`Server`]: serves a [`Site`] on a port of its own, so that the crawl needs no network.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use bytes::Bytes;
use futures_lite::future::{FutureExt, yield_now};
use futures_lite::stream::{self, StreamExt};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use smol_hyper::rt::FuturesIo;
use spinney::Group;

use crate::fetch::MAX_BODY;
use crate::site::{Kind, Site};

/// How long a slow page takes.
const SLOW: Duration = Duration::from_millis(30);

/// A body that is sent in pieces, and may fail between them.
type Body = StreamBody<stream::Boxed<io::Result<Frame<Bytes>>>>;

/// The busy pages that were requested before.
type TurnedAway = Arc<Mutex<HashSet<Option<usize>>>>;

/// A web server on the loopback interface. Dropping it closes the port and all connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Owns the task that accepts connections, which owns their tasks.
    _accepting: Group,
}

impl Server {
    /// Serves `site` on an unused port.
    ///
    /// # Errors
    ///
    /// There is no unused port.
    pub(crate) async fn start(site: Site) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = Group::new();
        accepting.spawn(accept(listener, site).boxed()).detach();
        Ok(Self { address, _accepting: accepting })
    }

    /// The URL of the page from which all others can be reached.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, Site::path(0))
    }
}

/// Spawns a task for each connection, for ever.
async fn accept(listener: TcpListener, site: Site) {
    let turned_away = TurnedAway::default();
    let connections = Group::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, site, Arc::clone(&turned_away)).boxed()).detach();
            }
            // Most likely there are too few file descriptors: closing connections free some.
            Err(_) => spinney::sleep(SLOW).await,
        }
    }
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, site: Site, turned_away: TurnedAway) {
    let service = service_fn(move |request| answer(request, site, Arc::clone(&turned_away)));
    // An error means that the client left, or that a page is cut short on purpose.
    let _ = http1::Builder::new().serve_connection(FuturesIo::new(stream), service).await;
}

/// Answers one request.
async fn answer(
    request: Request<Incoming>,
    site: Site,
    turned_away: TurnedAway,
) -> Result<Response<Body>, Infallible> {
    let page = Site::page_at(request.uri().path());
    let kind = page.map_or(Kind::Missing, |page| site.kind(page));
    let html = page.map(|page| site.html(page)).unwrap_or_default();
    Ok(match kind {
        Kind::Slow => {
            spinney::sleep(SLOW).await;
            respond(StatusCode::OK, html.len(), whole(html))
        }
        Kind::Busy if turned_away.lock().unwrap_or_else(PoisonError::into_inner).insert(page) => {
            busy(page.unwrap_or_default())
        }
        Kind::Sound | Kind::Busy => respond(StatusCode::OK, html.len(), whole(html)),
        Kind::Missing => respond(StatusCode::NOT_FOUND, 0, whole(String::new())),
        Kind::CutShort => respond(StatusCode::OK, 2 * html.len(), cut_short(html)),
        Kind::Vast => respond(StatusCode::OK, MAX_BODY + 1, whole(" ".repeat(MAX_BODY + 1))),
    })
}

/// An answer that requests a retry.
fn busy(page: usize) -> Response<Body> {
    let (status, seconds) = match page % 2 {
        0 => (StatusCode::TOO_MANY_REQUESTS, "0"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "1"),
    };
    let mut response = respond(status, 0, whole(String::new()));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    response
}

/// An answer that announces `length` bytes of HTML.
fn respond(status: StatusCode, length: usize, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// A body in one piece.
fn whole(html: String) -> Body {
    StreamBody::new(stream::once(Ok(Frame::data(html.into()))).boxed())
}

/// A body that fails after its first piece.
fn cut_short(html: String) -> Body {
    let end = async {
        // The connection sends the first piece only when the body is pending.
        yield_now().await;
        Err(io::ErrorKind::ConnectionAborted.into())
    };
    StreamBody::new(
        stream::once(Ok(Frame::data(html.into()))).chain(stream::once_future(end)).boxed(),
    )
}
