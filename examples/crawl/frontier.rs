//! [`Frontier`]: the URLs that are not visited yet.

use std::collections::{HashSet, VecDeque};

use url::{Origin, ParseError, Url};

use crate::error::FetchError;

/// The URLs found and not yet visited, first in, first out; each is returned once.
#[derive(Debug)]
pub(crate) struct Frontier {
    /// The hosts, with their ports, on which the crawl stays.
    hosts: HashSet<Origin>,
    /// Every URL that was found, so that none is visited or reported twice.
    seen: HashSet<String>,
    /// The URLs that are not visited yet.
    queue: VecDeque<Url>,
    /// How many more URLs may be returned.
    budget: usize,
}

impl Frontier {
    /// Creates an empty frontier that returns at most `max_pages` URLs.
    pub(crate) fn new(max_pages: usize) -> Self {
        Self {
            hosts: HashSet::new(),
            seen: HashSet::new(),
            queue: VecDeque::new(),
            budget: max_pages,
        }
    }

    /// Adds a URL to start from, and its host to the hosts to visit.
    ///
    /// # Errors
    ///
    /// The text is not an `http://` URL.
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

    /// Adds the target of a link of `page`, unless it is known already or on another host.
    ///
    /// # Errors
    ///
    /// The target is not a URL; the second time it counts as known.
    pub(crate) fn link(&mut self, page: &Url, href: &str) -> Result<(), FetchError> {
        let url = self.parsed(href, page.join(href))?;
        self.queue.extend(url.filter(|url| self.hosts.contains(&url.origin())));
        Ok(())
    }

    /// Returns the next URL; `None` if there is none, or the budget is used up.
    pub(crate) fn next(&mut self) -> Option<Url> {
        let left = self.budget.checked_sub(1)?;
        let url = self.queue.pop_front()?;
        self.budget = left;
        Some(url)
    }

    /// How many URLs are queued.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// How many queued URLs the budget allows.
    pub(crate) fn admitted(&self) -> usize {
        self.len().min(self.budget)
    }

    /// Returns the URL without its fragment, if it was not seen before.
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
    fn each_url_on_the_given_hosts_is_returned_once_in_order() {
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
    fn bad_url_is_reported_once() {
        let mut frontier = Frontier::new(9);
        assert!(frontier.seed("a").is_err() && frontier.seed("https://a/").is_err());
        let page = Url::parse("http://a/").unwrap();
        assert!(frontier.link(&page, "http://[").is_err());
        assert!(frontier.link(&page, "http://[").is_ok());
        assert!(frontier.next().is_none());
    }

    #[test]
    fn at_most_the_budget_is_handed_out() {
        let mut frontier = Frontier::new(1);
        frontier.seed("http://a/1").unwrap();
        frontier.seed("http://a/2").unwrap();
        assert_eq!((frontier.len(), frontier.admitted()), (2, 1));
        assert!(frontier.next().is_some() && frontier.next().is_none());
        assert_eq!((frontier.len(), frontier.admitted()), (1, 0));
    }
}
