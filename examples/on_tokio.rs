//! A pool in a service on tokio (here hyper's): a request fans out, and at most `n` look-ups run
//! concurrently, for any number of requests.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use hyper_util::rt::TokioIo;
use spinney::hub::TokioHub;
use spinney::{Group, Pool, Within};
use tokio::net::{TcpListener, TcpStream};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The largest number of concurrent look-ups, for all requests together.
const LOOKUPS: usize = 4;

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Stands for a request to another service. Everything of tokio works inside the pool.
async fn look_up(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(n % 5)).await;
    n * n
}

/// Answers `/N` with the sum of the look-ups of all numbers up to N.
async fn answer(lookups: Pool<TokioHub>, path: String) -> Response<Full<Bytes>> {
    let (status, text) = match path.trim_start_matches('/').parse::<u64>() {
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        // A request that takes too long, or whose client is gone, kills its look-ups.
        Ok(n) => match lookups.map(look_up, 1..=n).within(LIMIT).await {
            Ok(Ok(squares)) => (StatusCode::OK, squares.iter().sum::<u64>().to_string()),
            Ok(Err(failed)) => (StatusCode::BAD_GATEWAY, failed.to_string()),
            Err(late) => (StatusCode::GATEWAY_TIMEOUT, late.to_string()),
        },
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

/// Serves each connection in a greenlet of `connections`.
async fn serve(listener: TcpListener, connections: Group<TokioHub>, lookups: Pool<TokioHub>) {
    while let Ok((stream, _)) = listener.accept().await {
        let lookups = lookups.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(lookups.clone(), request.uri().path().to_owned());
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = server::conn::http1::Builder::new();
        connections.spawn(connection.serve_connection(TokioIo::new(stream), service)).detach();
    }
}

/// Sends one request.
async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = client::conn::http1::handshake(stream).await?;
    // It ends when the sender is dropped.
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().into())?;
    Ok(format!("GET {path}: {}, {text}", head.status))
}

async fn run() -> Result<()> {
    let hub = TokioHub::current();
    let (connections, lookups) = (Group::on(&hub), Pool::on(&hub, LOOKUPS));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(serve(listener, connections.clone(), lookups.clone()));

    let request = move |path| get(address, path);
    let paths = ["/3", "/10", "/200", "/nonsense"];
    for answer in Pool::on(&hub, paths.len()).map(request, paths).await? {
        println!("{}", answer?);
    }

    serving.abort();
    let report = connections.drain(LIMIT).await?;
    println!(
        "{} connections are left, and {} of {LOOKUPS} slots are free",
        report.running,
        lookups.available()
    );
    Ok(())
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { TokioHub::current().scope(run()).await })
}
