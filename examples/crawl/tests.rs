//! The promises of a crawl, tested with scripted servers.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use futures_lite::future::zip;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt, io::BufReader};
use spinney::block_on;
use url::Url;

use crate::args::Settings;
use crate::client::Client;
use crate::crawl::Crawl;
use crate::report::Report;
use crate::server::Server;
use crate::site::{Kind, Site};

const SITE: Site = Site::new(200);

#[test]
fn every_page_is_found_once_and_every_error_counted() {
    let report = block_on(async {
        let server = Server::start(SITE).await.unwrap();
        crawl(&settings([server.url()])).await
    });
    let count = |kinds: &[Kind]| SITE.kinds().filter(|kind| kinds.contains(kind)).count();
    assert_eq!(report.pages(), count(&[Kind::Sound, Kind::Slow, Kind::Busy]));
    let again = format!("tried again {:>20}\n", count(&[Kind::Busy]));
    assert!(report.to_string().contains(&again), "{report}");
    let readable = |(page, kind): &(usize, Kind)| {
        Site::has_bad_link(*page) && matches!(kind, Kind::Sound | Kind::Slow | Kind::Busy)
    };
    assert_errors(
        &report,
        &[
            ("bad URL", SITE.kinds().enumerate().filter(readable).count()),
            ("oversized body", count(&[Kind::Vast])),
            ("status not 2xx", count(&[Kind::Missing])),
            ("truncated body", count(&[Kind::CutShort])),
        ],
    );
    let broken = count(&[Kind::CutShort, Kind::Vast]);
    assert!(report.connections() <= Settings::default().concurrency.get() + broken);
}

#[test]
fn at_most_max_pages_are_requested() {
    let report = block_on(async {
        let server = Server::start(SITE).await.unwrap();
        let max_pages = NonZeroUsize::new(10).unwrap();
        crawl(&Settings { max_pages, ..settings([server.url()]) }).await
    });
    assert_eq!(report.pages(), 10);
}

#[test]
fn bad_url_is_reported_and_the_crawl_goes_on() {
    let report = block_on(async {
        let server = Server::start(Site::new(1)).await.unwrap();
        let closed = listen().await.1;
        crawl(&settings(["here".into(), closed, "ftp://a/".into(), server.url()])).await
    });
    assert_errors(&report, &[("bad URL", 2), ("no connection", 1), ("oversized body", 1)]);
}

#[test]
fn fetch_of_a_silent_server_times_out() {
    let report = block_on(async {
        let (_listener, url) = listen().await;
        crawl(&Settings { timeout: Duration::from_millis(20), ..settings([url]) }).await
    });
    assert_errors(&report, &[("timed out", 1)]);
}

#[test]
fn stopped_crawl_kills_its_fetches() {
    let report = block_on(async {
        let (listener, url) = listen().await;
        let urls = ["1", "2", "3"].map(|page| url.clone() + page);
        let concurrency = NonZeroUsize::MIN;
        let mut asked = None;
        let stop = async { asked = listener.accept().await.ok() };
        Crawl::new(&Settings { concurrency, ..settings(urls) }).run(stop).await
    });
    // One URL was requested, the others waited for slots of the pool.
    assert_errors(&report, &[("unfinished", 1)]);
    assert!(report.to_string().contains("not visited                    2\n"), "{report}");
}

#[test]
fn redirect_is_reported_and_followed() {
    let report = block_on(async {
        let (listener, url) = listen().await;
        let redirect = "HTTP/1.1 302 Found\r\nlocation: /to\r\ncontent-length: 0\r\n\r\n";
        let server = async {
            let (mut stream, _) = listener.accept().await?;
            answer(&mut stream, redirect).await?;
            answer(&mut stream, OK).await
        };
        zip(crawl(&settings([url])), server).await.0
    });
    assert_errors(&report, &[("status not 2xx", 1)]);
    assert_eq!(report.pages(), 1);
}

#[test]
fn request_on_a_dead_connection_is_sent_again() {
    block_on(async {
        let (listener, url) = listen().await;
        let (client, url) = (Client::default(), Url::parse(&url).unwrap());
        for connections in [1, 2] {
            // The server's end of the connection is closed after the answer.
            let server = async {
                let (mut stream, _) = listener.accept().await?;
                answer(&mut stream, OK).await.map(|()| stream)
            };
            let (answer, _stream) = zip(client.get(&url), server).await;
            assert!(answer.is_ok_and(|answer| answer.body.is_ok()));
            assert_eq!(client.opened(), connections);
        }
    });
}

#[test]
fn busy_server_is_asked_again_retries_times() {
    let report = block_on(async {
        let (listener, url) = listen().await;
        let busy = "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
        let server = async {
            let (mut stream, _) = listener.accept().await?;
            for _ in 0..3 {
                answer(&mut stream, busy).await?;
            }
            io::Result::Ok(stream)
        };
        zip(crawl(&Settings { retries: 2, ..settings([url]) }), server).await.0
    });
    assert_errors(&report, &[("server busy", 1)]);
}

/// An answer without a page.
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Listens on a local port. Returns the URL of that port, too.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Reads a request and writes `answer`.
async fn answer(stream: &mut TcpStream, answer: &str) -> io::Result<()> {
    let mut lines = BufReader::new(&mut *stream).lines();
    while lines.next().await.transpose()?.is_some_and(|line| !line.is_empty()) {}
    stream.write_all(answer.as_bytes()).await
}

/// The default settings, for `urls`.
fn settings(urls: impl Into<Vec<String>>) -> Settings {
    Settings { urls: urls.into(), ..Settings::default() }
}

/// Runs a crawl to its end.
async fn crawl(settings: &Settings) -> Report {
    Crawl::new(settings).run(pending()).await
}

/// Asserts that these are all errors, and that the summary lists them.
fn assert_errors(report: &Report, expected: &[(&'static str, usize)]) {
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    assert_eq!(report.errors_by_kind().collect::<BTreeMap<_, _>>(), expected, "{report}");
}
