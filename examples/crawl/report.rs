//! [`Report`]: the results of a crawl, and its summary.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use unit_prefix::NumberPrefix;

use crate::client::Client;
use crate::error::FetchError;
use crate::fetch::Page;

/// How many URLs are named for each kind of error.
const NAMED: usize = 5;

/// The results of a crawl so far. Its `Display` is the summary.
#[derive(Debug, Default)]
pub(crate) struct Report {
    bytes: u64,
    /// How long each page took; sorted once the crawl has finished.
    latencies: Vec<Duration>,
    failures: BTreeMap<&'static str, Failures>,
    elapsed: Duration,
    /// The total time of all fetches.
    one_by_one: Duration,
    connections: usize,
    most_at_once: usize,
    retries: usize,
    not_visited: usize,
}

/// The failures of one kind.
#[derive(Debug, Default)]
struct Failures {
    count: usize,
    /// The first failures, each with its URL.
    named: Vec<String>,
}

impl Report {
    /// Counts a page, and returns its links.
    pub(crate) fn fetched(&mut self, page: &mut Page) -> Vec<String> {
        self.bytes += page.bytes as u64;
        self.latencies.push(page.latency);
        std::mem::take(&mut page.links)
    }

    /// Counts a URL without a page.
    pub(crate) fn failed(&mut self, url: &str, error: &FetchError) {
        let failures = self.failures.entry(error.kind()).or_default();
        failures.count += 1;
        if failures.named.len() < NAMED {
            failures.named.push(format!("{url}  {error}"));
        }
    }

    /// Adds the data that is known only when the crawl has finished.
    pub(crate) fn finish(
        mut self,
        elapsed: Duration,
        client: &Client,
        left: usize,
        retries: usize,
    ) -> Self {
        self.latencies.sort_unstable();
        let (connections, most_at_once) = (client.opened(), client.most_at_once());
        let one_by_one = client.spent();
        Self { elapsed, one_by_one, connections, most_at_once, retries, not_visited: left, ..self }
    }

    /// How many pages there are.
    pub(crate) fn pages(&self) -> usize {
        self.latencies.len()
    }

    /// How many URLs have no page.
    pub(crate) fn errors(&self) -> usize {
        self.errors_by_kind().map(|(_, count)| count).sum()
    }

    /// How many URLs have no page, for each kind of error.
    pub(crate) fn errors_by_kind(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.failures.iter().map(|(kind, failures)| (*kind, failures.count))
    }

    /// How many URLs are finished.
    pub(crate) fn ended(&self) -> usize {
        self.pages() + self.errors()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// How many pages were fetched per second.
    fn rate(&self) -> f64 {
        let pages = u32::try_from(self.pages()).unwrap_or(u32::MAX);
        f64::from(pages) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency within which `percent` of the pages were fetched; `-` without pages.
    fn percentile(&self, percent: usize) -> String {
        let rank = (self.pages() * percent).div_ceil(100);
        let latency = rank.checked_sub(1).and_then(|index| self.latencies.get(index));
        latency.map_or("-".to_owned(), |latency| format!("{latency:.1?}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "pages", &self.pages())?;
        row(f, "bytes", &size(self.bytes))?;
        row(f, "errors", &self.errors())?;
        for (kind, count) in self.errors_by_kind() {
            row(f, &format!("  {kind}"), &count)?;
        }
        row(f, "not visited", &self.not_visited)?;
        row(f, "tried again", &self.retries)?;
        row(f, "connections", &self.connections())?;
        row(f, "most at once", &self.most_at_once)?;
        row(f, "seconds", &format_args!("{:.2}", self.elapsed.as_secs_f64()))?;
        row(f, "seconds one by one", &format_args!("{:.2}", self.one_by_one.as_secs_f64()))?;
        row(f, "pages per second", &format_args!("{:.1}", self.rate()))?;
        row(f, "latency p50", &self.percentile(50))?;
        row(f, "latency p99", &self.percentile(99))?;
        self.failures.iter().try_for_each(|(kind, failures)| failures.list(f, kind))
    }
}

impl Failures {
    /// Writes the first failures, and the number of further ones.
    fn list(&self, f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
        writeln!(f, "\n{kind}:")?;
        self.named.iter().try_for_each(|failure| writeln!(f, "  {failure}"))?;
        match self.count - self.named.len() {
            0 => Ok(()),
            more => writeln!(f, "  ... and {more} more"),
        }
    }
}

/// A number of bytes with its unit.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two decimals are printed")]
    match NumberPrefix::binary(bytes as f64) {
        NumberPrefix::Standalone(bytes) => format!("{bytes:.0} B"),
        NumberPrefix::Prefixed(prefix, number) => format!("{number:.2} {prefix}B"),
    }
}

/// Writes one line of the table.
fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<20}{:>12}", value.to_string())
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    #[test]
    fn summary_counts_all_and_names_the_first() {
        let mut report = Report::default();
        for millis in (1..=100).rev() {
            let latency = Duration::from_millis(millis);
            let url = Url::parse("http://a/").unwrap();
            report.fetched(&mut Page { url, bytes: 1024, links: Vec::new(), latency });
        }
        for page in 0..7 {
            report.failed(&format!("http://a/{page}"), &FetchError::TooLarge(9));
        }
        let summary = report.finish(Duration::from_secs(2), &Client::default(), 3, 4).to_string();
        let words = summary.split_whitespace().collect::<Vec<_>>().join(" ");
        for row in [
            "pages 100 bytes 100.00 KiB errors 7 oversized body 7 not visited 3 tried again 4",
            "most at once 0 seconds 2.00 seconds one by one 0.00 pages per second 50.0 latency p50 50.0ms latency p99 99.0ms",
            "oversized body: http://a/0 longer than 9 bytes",
            "http://a/4 longer than 9 bytes ... and 2 more",
        ] {
            assert!(words.contains(row), "{summary}");
        }
    }

    #[test]
    fn empty_crawl_has_a_summary() {
        let summary = Report::default().to_string();
        assert!(summary.contains("pages per second             0.0\n"), "{summary}");
        assert!(summary.ends_with("latency p99                    -\n"), "{summary}");
    }
}
