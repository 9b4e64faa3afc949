//! [`fetch`]: one URL to one [`Page`].

use std::time::{Duration, Instant};

use hyper::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use spinney::Within;
use url::Url;

use crate::client::Client;
use crate::connection::Answer;
use crate::error::FetchError;
use crate::links::hrefs;

/// The longest body that is read, in bytes.
pub(crate) const MAX_BODY: usize = 4 << 20;

/// The parts of a page that the crawl needs.
#[derive(Debug)]
pub(crate) struct Page {
    /// The URL of the page.
    pub(crate) url: Url,
    /// The length of its body.
    pub(crate) bytes: usize,
    /// The targets of its links, as written.
    pub(crate) links: Vec<String>,
    /// How long the fetch took.
    pub(crate) latency: Duration,
}

/// Fetches the page at `url` within `timeout`, body included.
///
/// # Errors
///
/// Why there is no page; see [`FetchError`].
pub(crate) async fn fetch(
    client: &Client,
    url: Url,
    timeout: Duration,
) -> Result<Page, FetchError> {
    let start = Instant::now();
    let answer = client.get(&url).within(timeout).await;
    let latency = start.elapsed();
    let answer = answer.unwrap_or(Err(FetchError::TimedOut(timeout)));
    let page = answer.and_then(read);
    let asked_to_wait =
        if let Err(FetchError::Busy(_, Some(after))) = page { after } else { Duration::ZERO };
    client.spend(latency + asked_to_wait);
    page.map(|(bytes, links)| Page { url, bytes, links, latency })
}

/// Returns the length and the links of a page.
fn read(answer: Answer) -> Result<(usize, Vec<String>), FetchError> {
    let Answer { head, body } = answer;
    if matches!(head.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let after =
            head.headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
        return Err(FetchError::Busy(head.status, after.map(Duration::from_secs)));
    }
    if !head.status.is_success() {
        let location = head.headers.get(LOCATION).filter(|_| head.status.is_redirection());
        let location = location.map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        return Err(FetchError::Status(head.status, location));
    }
    let body = body?;
    let links = if is_html(&head.headers) { hrefs(&body) } else { Vec::new() };
    Ok((body.len(), links))
}

/// Whether the body is HTML.
fn is_html(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&[][..], |kind| kind.as_bytes());
    kind.to_ascii_lowercase().starts_with(b"text/html")
}
