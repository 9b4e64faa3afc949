//! [`Crawl`]: a map over a queue of URLs, whose results feed that queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future::{FutureExt, or};
use spinney::Retry;
use spinney::map::{Decision, TaskError, TryImap, from_stream};
use spinney::pool::SlotError;
use spinney::{ItemError, Pool, Rate};
use url::{Position, Url};

use crate::args::Settings;
use crate::client::Client;
use crate::error::FetchError;
use crate::fetch::{Page, fetch};
use crate::frontier::Frontier;
use crate::progress::Progress;
use crate::report::Report;

/// The result of the map for one URL.
type Outcome = Result<Page, ItemError<TaskError<FetchError>>>;

/// A crawl: one loop owns all state, and the pool runs all fetches.
///
/// The loop feeds the pool from a queue. If each page spawned the fetches of its links instead,
/// pages that hold a host and wait for another could wait for each other for ever.
#[derive(Debug)]
pub(crate) struct Crawl {
    pool: Pool,
    client: Arc<Client>,
    timeout: Duration,
    retries: u32,
    frontier: Frontier,
    queue: Sender<Url>,
    urls: Receiver<Url>,
    /// The URLs that were put into the queue, in that order.
    asked: Vec<Url>,
    /// How many of them have no outcome yet.
    in_flight: usize,
    report: Report,
    progress: Progress,
}

impl Crawl {
    /// Creates a crawl that is ready to start. Bad URLs are in its report already.
    pub(crate) fn new(settings: &Settings) -> Self {
        // The frontier's budget bounds its length.
        let (queue, urls) = async_channel::unbounded();
        let rate = Rate::per(settings.rate.get(), Duration::from_secs(1)).burst(10);
        let pool = Pool::builder().rate(rate).per_key(settings.per_host.get());
        let mut crawl = Self {
            pool: pool.pool(settings.concurrency.get()),
            client: Arc::default(),
            timeout: settings.timeout,
            retries: settings.retries,
            frontier: Frontier::new(settings.max_pages.get()),
            queue,
            urls,
            asked: Vec::new(),
            in_flight: 0,
            report: Report::default(),
            progress: Progress::new(),
        };
        for url in &settings.urls {
            if let Err(error) = crawl.frontier.seed(url) {
                crawl.report.failed(url, &error);
            }
        }
        crawl
    }

    /// Crawls until all URLs are visited or `stop` has finished, whichever comes first.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Report {
        let start = Instant::now();
        let mut outcomes = self.start();
        or(self.visit_all(&mut outcomes), stop).await;
        self.pool.close();
        self.pool.kill().await;
        self.queue.close();
        while let Some(outcome) = outcomes.next().await {
            self.settle(outcome);
        }
        let left = self.frontier.len() + self.in_flight;
        self.report.finish(start.elapsed(), &self.client, left, self.pool.stats().retried)
    }

    /// Starts the map, which waits for the first URL.
    fn start(&self) -> TryImap<Page, FetchError> {
        let (client, timeout) = (Arc::clone(&self.client), self.timeout);
        let work = move |url: Url| {
            let client = Arc::clone(&client);
            async move { fetch(&client, url, timeout).await }.boxed()
        };
        let retry = Retry::times(self.retries).when(|error: &FetchError| match error {
            FetchError::Busy(_, Some(after)) => Decision::RetryAfter(*after),
            FetchError::Busy(_, None) => Decision::Retry,
            _ => Decision::GiveUp,
        });
        let host = |url: &Url| url[Position::BeforeHost..Position::AfterPort].to_owned();
        let mapper = self.pool.mapper().key(host).retry(retry);
        mapper.try_imap_unordered(work, from_stream(self.urls.clone()))
    }

    /// Visits one URL after the other; returns when none is queued and none is in progress.
    async fn visit_all(&mut self, outcomes: &mut TryImap<Page, FetchError>) {
        loop {
            while let Some(url) = self.frontier.next() {
                self.in_flight += 1;
                self.asked.push(url.clone());
                // The queue is open and unbounded.
                let _ = self.queue.try_send(url);
            }
            if self.in_flight == 0 {
                return;
            }
            let Some(outcome) = outcomes.next().await else { return };
            self.settle(outcome);
        }
    }

    /// Handles the outcome of a URL: counts it, and adds its links to the frontier.
    fn settle(&mut self, outcome: Outcome) {
        let (url, links) = match outcome {
            Ok(mut page) => (page.url.clone(), self.report.fetched(&mut page)),
            // The fetch has not started: the URL counts as not visited.
            Err(refused) if is_refused(&refused) => return,
            Err(missed) => {
                // The input itself does not fail, so the item is a URL.
                let Some(url) = self.asked.get(missed.index()).cloned() else { return };
                let error = match missed.into_error() {
                    TaskError::Returned(error) => error,
                    TaskError::Failed(_) => FetchError::Unfinished,
                };
                self.report.failed(url.as_str(), &error);
                let to = if let FetchError::Status(_, to) = error { to } else { None };
                (url, to.into_iter().collect())
            }
        };
        self.in_flight -= 1;
        for link in links {
            if let Err(error) = self.frontier.link(&url, &link) {
                self.report.failed(&link, &error);
            }
        }
        self.show();
    }

    /// Updates the progress bar.
    fn show(&mut self) {
        let ended = self.report.ended();
        let known = ended + self.in_flight + self.frontier.admitted();
        self.progress.show(ended, known, self.report.errors());
    }
}

/// Whether the pool was closed before the item started.
fn is_refused(error: &ItemError<TaskError<FetchError>>) -> bool {
    let reason = error.killed().and_then(|exit| exit.reason());
    reason.and_then(|reason| reason.downcast_ref::<SlotError>()).is_some()
}
