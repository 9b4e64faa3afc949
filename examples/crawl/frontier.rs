//! [`Frontier`]: which URL is next.

use std::collections::{HashSet, VecDeque};

use url::{Origin, ParseError, Url};

use crate::error::FetchError;

/// The URLs found and not yet visited, first in, first out; it hands out each of them once.
#[derive(Debug)]
pub(crate) struct Frontier {
    /// The hosts (with their ports) that the crawl stays on.
    hosts: HashSet<Origin>,
    /// Every URL ever offered, so that none is visited or reported twice.
    seen: HashSet<String>,
    /// What is still to be visited.
    queue: VecDeque<Url>,
    /// How many more it may hand out.
    budget: usize,
}

impl Frontier {
    /// A frontier without URLs that will hand out at most `max_pages`.
    pub(crate) fn new(max_pages: usize) -> Self {
        Self {
            hosts: HashSet::new(),
            seen: HashSet::new(),
            queue: VecDeque::new(),
            budget: max_pages,
        }
    }

    /// Adds a URL to start from, and its host to those that may be visited.
    ///
    /// # Errors
    ///
    /// If it is not an `http://` URL.
    pub(crate) fn seed(&mut self, text: &str) -> Result<(), FetchError> {
        let url = self.parsed(text, Url::parse(text))?;
        if let Some(url) = url {
            if url.scheme() != "http" {
                return Err(FetchError::BadUrl(format!("{}:// is not http://", url.scheme())));
            }
            self.hosts.insert(url.origin());
            self.queue.push_back(url);
        }
        Ok(())
    }

    /// Adds where `page` links to, unless that is known already or on a host not to be visited.
    ///
    /// # Errors
    ///
    /// If it is not a URL at all; the second time it counts as known.
    pub(crate) fn link(&mut self, page: &Url, href: &str) -> Result<(), FetchError> {
        let url = self.parsed(href, page.join(href))?;
        self.queue.extend(url.filter(|url| self.hosts.contains(&url.origin())));
        Ok(())
    }

    /// The URL to visit next, unless none is left or all have been handed out that may be.
    pub(crate) fn next(&mut self) -> Option<Url> {
        let left = self.budget.checked_sub(1)?;
        let url = self.queue.pop_front()?;
        self.budget = left;
        Some(url)
    }

    /// How many URLs wait.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many of those that wait will have their turn.
    pub(crate) fn admitted(&self) -> usize {
        self.len().min(self.budget)
    }

    /// The URL without its fragment, if it was not seen before.
    fn parsed(
        &mut self,
        text: &str,
        parsed: Result<Url, ParseError>,
    ) -> Result<Option<Url>, FetchError> {
        match parsed {
            Ok(mut url) => {
                url.set_fragment(None);
                Ok(self.seen.insert(url.to_string()).then_some(url))
            }
            Err(error) if self.seen.insert(text.to_owned()) => {
                Err(FetchError::BadUrl(error.to_string()))
            }
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_url_on_the_hosts_given_comes_once_and_in_order() {
        let mut frontier = Frontier::new(9);
        frontier.seed("http://a/x/").unwrap();
        let page = frontier.next().unwrap();
        for href in ["one", "../two#here", "/x/one", "", "http://b/", "https://a/", "mailto:a@a"] {
            frontier.link(&page, href).unwrap();
        }
        let rest: Vec<_> = std::iter::from_fn(|| frontier.next()).map(String::from).collect();
        assert_eq!(rest, ["http://a/x/one", "http://a/two"]);
    }

    #[test]
    fn what_is_no_url_is_reported_once() {
        let mut frontier = Frontier::new(9);
        assert!(frontier.seed("a").is_err() && frontier.seed("https://a/").is_err());
        let page = Url::parse("http://a/").unwrap();
        assert!(frontier.link(&page, "http://[").is_err());
        assert!(frontier.link(&page, "http://[").is_ok());
        assert!(frontier.next().is_none());
    }

    #[test]
    fn no_more_than_the_budget_is_handed_out() {
        let mut frontier = Frontier::new(1);
        frontier.seed("http://a/1").unwrap();
        frontier.seed("http://a/2").unwrap();
        assert_eq!((frontier.len(), frontier.admitted()), (2, 1));
        assert!(frontier.next().is_some() && frontier.next().is_none());
        assert_eq!((frontier.len(), frontier.admitted()), (1, 0));
    }
}
