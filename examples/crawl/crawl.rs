//! [`Crawl`]: feeds a pool with fetches, and the frontier with the links they find.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::future::{FutureExt, or};
use spinney::Pool;
use url::Url;

use crate::args::Settings;
use crate::client::Client;
use crate::errand::{Errand, Outcome};
use crate::error::FetchError;
use crate::frontier::Frontier;
use crate::progress::Progress;
use crate::report::Report;

/// A crawl: one loop owns all that is known, the pool does all that waits.
#[derive(Debug)]
pub(crate) struct Crawl {
    pool: Pool,
    client: Arc<Client>,
    timeout: Duration,
    frontier: Frontier,
    /// How many errands have not reported yet.
    in_flight: usize,
    reports: Sender<Outcome>,
    outcomes: Receiver<Outcome>,
    report: Report,
    progress: Progress,
}

impl Crawl {
    /// A crawl that is ready to start. URLs that make no sense are in its report already.
    pub(crate) fn new(settings: &Settings) -> Self {
        let (reports, outcomes) = async_channel::unbounded();
        let mut crawl = Self {
            pool: Pool::new(settings.concurrency.get()),
            client: Arc::default(),
            timeout: settings.timeout,
            frontier: Frontier::new(settings.max_pages.get()),
            in_flight: 0,
            reports,
            outcomes,
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

    /// Crawls until all is visited or `stop` is over, whichever comes first.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Report {
        let start = Instant::now();
        or(self.visit_all(), stop).await;
        self.pool.kill().await;
        self.settle_all();
        self.report.finish(start.elapsed(), self.client.opened(), self.frontier.len())
    }

    /// Visits one URL after the other; ends when none waits and none is on its way.
    async fn visit_all(&mut self) {
        loop {
            if let Some(url) = self.frontier.next() {
                self.visit(url).await;
            } else if self.in_flight == 0 {
                return;
            } else if let Ok(outcome) = self.outcomes.recv().await {
                self.settle(outcome);
            }
            self.settle_all();
        }
    }

    /// Sends for `url`, after waiting for a place in the pool.
    async fn visit(&mut self, url: Url) {
        let errand = Errand::new(url, self.reports.clone());
        let (client, timeout) = (Arc::clone(&self.client), self.timeout);
        self.in_flight += 1;
        let run = async move { errand.run(&client, timeout).await };
        self.pool.spawn(run.boxed()).await.detach();
    }

    /// Takes in every outcome that is there already.
    fn settle_all(&mut self) {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.settle(outcome);
        }
    }

    /// Takes in what became of a URL: counts it, and adds its links to the frontier.
    fn settle(&mut self, (url, result): Outcome) {
        self.in_flight -= 1;
        let links = match result {
            Ok(page) => self.report.fetched(page),
            Err(error) => {
                self.report.failed(url.as_str(), &error);
                if let FetchError::Status(_, Some(to)) = error { vec![to] } else { Vec::new() }
            }
        };
        for link in links {
            if let Err(error) = self.frontier.link(&url, &link) {
                self.report.failed(&link, &error);
            }
        }
        self.show();
    }

    /// Brings the progress bar up to date.
    fn show(&mut self) {
        let ended = self.report.ended();
        let known = ended + self.in_flight + self.frontier.admitted();
        self.progress.show(ended, known, self.report.errors());
    }
}
