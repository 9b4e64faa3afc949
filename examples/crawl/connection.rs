//! [`Connection`]: one HTTP/1.1 connection, for one request at a time.

use std::future;

use async_net::TcpStream;
use bytes::Bytes;
use futures_lite::future::or;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::http::response;
use smol_hyper::rt::FuturesIo;

use crate::error::FetchError;
use crate::fetch::MAX_BODY;

/// A connection to a server. It has no task of its own: the fetch that uses it drives it. So it
/// ends with a fetch that is killed or times out, and does nothing while it is idle.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: Driver,
}

/// Reads and writes the socket. Boxed, because it is large and moves into each fetch and out again.
type Driver = Box<http1::Connection<FuturesIo<TcpStream>, Empty<Bytes>>>;

/// The answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status and headers.
    pub(crate) head: response::Parts,
    /// The body, or why it could not be read completely.
    pub(crate) body: Result<Vec<u8>, FetchError>,
}

impl Connection {
    /// Creates a connection over a stream.
    ///
    /// # Errors
    ///
    /// The HTTP handshake failed.
    pub(crate) async fn new(stream: TcpStream) -> hyper::Result<Self> {
        let (sender, driver) = http1::handshake(FuturesIo::new(stream)).await?;
        Ok(Self { sender, driver: Box::new(driver) })
    }

    /// Sends a request and reads the whole answer. Returns the connection if it can be reused.
    ///
    /// # Errors
    ///
    /// The connection ended or broke the protocol before the head of the answer was received.
    pub(crate) async fn exchange(
        self,
        request: Request<Empty<Bytes>>,
    ) -> hyper::Result<(Answer, Option<Self>)> {
        let Self { mut sender, driver } = self;
        let mut driver = Some(driver);
        let exchange = async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = read(body).await;
            let reusable = body.is_ok() && sender.ready().await.is_ok();
            hyper::Result::Ok((Answer { head, body }, reusable))
        };
        let (answer, reusable) = or(exchange, drive(&mut driver)).await?;
        let driver = driver.filter(|_| reusable);
        Ok((answer, driver.map(|driver| Self { sender, driver })))
    }
}

/// Drives the socket until the connection ends, and then drops it, which ends its sender too. The
/// future itself never finishes.
async fn drive<T>(driver: &mut Option<Driver>) -> T {
    if let Some(connection) = driver {
        let _ = connection.await;
    }
    *driver = None;
    future::pending().await
}

/// Reads a body to its end, up to [`MAX_BODY`].
async fn read(mut body: Incoming) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::Truncated(bytes.len(), error))?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if bytes.len() > MAX_BODY {
            return Err(FetchError::TooLarge(MAX_BODY));
        }
    }
    Ok(bytes)
}
