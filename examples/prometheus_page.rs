//! A service (here axum's) with a page for Prometheus: how full its pool is, how long its hub's
//! queue, how many greenlets wait.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use spinney::{Pool, sleep, trace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The largest number of concurrent look-ups, for all requests together.
const LOOKUPS: usize = 4;

/// Stands for a request to another service.
async fn look_up(n: u64) -> u64 {
    sleep(Duration::from_millis(n % 5)).await;
    n * n
}

/// Answers with the sum of the look-ups of all numbers up to `n`.
async fn squares(State(lookups): State<Pool>, Path(n): Path<u64>) -> Result<String, String> {
    let squares = lookups.map(look_up, 1..=n).await;
    squares.map(|squares| squares.iter().sum::<u64>().to_string()).map_err(|e| e.to_string())
}

/// Publishes the numbers when they are read: between two readings they cost nothing.
async fn metrics(State(page): State<PrometheusHandle>) -> String {
    trace::publish_metrics();
    page.render()
}

/// Sends one request, and returns the body of the answer.
async fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    trace::start()?;
    let page = PrometheusBuilder::new().install_recorder()?;
    let lookups = Pool::new(LOOKUPS);
    let service = Router::new()
        .route("/squares/{n}", get(squares))
        .with_state(lookups.clone())
        .merge(Router::new().route("/metrics", get(metrics)).with_state(page));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(axum::serve(listener, service).into_future());

    for path in ["/squares/3", "/squares/200"] {
        println!("GET {path}: {}", fetch(address, path).await?);
    }
    // What Prometheus reads, in part.
    let page = fetch(address, "/metrics").await?;
    let mut lines: Vec<&str> = page.lines().filter(|l| l.starts_with("spinney_pool")).collect();
    lines.sort_unstable();
    println!("{}", lines.join("\n"));
    serving.abort();
    Ok(())
}
