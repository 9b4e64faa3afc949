//! [`Errand`]: a fetch that reports what became of it, whatever becomes of it.

use std::mem;
use std::time::Duration;

use async_channel::Sender;
use url::Url;

use crate::client::Client;
use crate::error::FetchError;
use crate::fetch::{Page, fetch};

/// What became of a URL.
pub(crate) type Outcome = (Url, Result<Page, FetchError>);

/// A fetch that owes the crawl one outcome. Dropping it pays: with the page, or with
/// [`FetchError::Unfinished`] if it was killed or panicked, so that the crawl never waits in vain.
#[derive(Debug)]
pub(crate) struct Errand {
    url: Url,
    result: Result<Page, FetchError>,
    report: Sender<Outcome>,
}

impl Errand {
    /// An errand to `url` that has not started. `report` is of a channel without bound.
    pub(crate) fn new(url: Url, report: Sender<Outcome>) -> Self {
        Self { url, result: Err(FetchError::Unfinished), report }
    }

    /// Fetches the page and reports it.
    pub(crate) async fn run(mut self, client: &Client, timeout: Duration) {
        self.result = fetch(client, &self.url, timeout).await;
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let result = mem::replace(&mut self.result, Err(FetchError::Unfinished));
        // Fails only if the crawl is over and nobody wants to know.
        let _ = self.report.try_send((self.url.clone(), result));
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use spinney::{Pool, block_on};

    use super::*;

    #[test]
    fn errand_that_never_starts_reports() {
        let (report, outcomes) = async_channel::unbounded();
        drop(errand(report).run(&Client::default(), Duration::MAX));
        assert!(matches!(outcomes.try_recv(), Ok((_, Err(FetchError::Unfinished)))));
    }

    #[test]
    fn errand_that_panics_reports() {
        let (report, outcomes) = async_channel::unbounded();
        let errand = errand(report);
        let panics = poll_fn(move |_| -> Poll<()> { panic!("on purpose: {}", errand.url) });
        assert!(block_on(async { Pool::new(1).spawn(panics).await.await }).is_err());
        assert!(matches!(outcomes.try_recv(), Ok((_, Err(FetchError::Unfinished)))));
    }

    fn errand(report: Sender<Outcome>) -> Errand {
        Errand::new(Url::parse("http://localhost/").unwrap(), report)
    }
}
