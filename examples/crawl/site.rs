//! [`Site`]: generated pages, the same in each run, so that the expected results of a crawl are
//! known.

use std::fmt::Write;

/// How many child pages each page links to.
const CHILDREN: usize = 3;

/// Numbered pages. Each links to three more, so that all can be reached from page 0; further links
/// lead across, or to targets that a crawl must not visit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// How many pages there are.
    pages: usize,
}

/// How the server answers a request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Immediately.
    Sound,
    /// After a delay.
    Slow,
    /// First with 429 and no delay, or with 503 and a delay of one second; then immediately.
    Busy,
    /// With 404.
    Missing,
    /// With half of the page; then it closes the connection.
    CutShort,
    /// With more bytes than the limit.
    Vast,
}

impl Site {
    /// Creates a site of `pages` pages.
    pub(crate) const fn new(pages: usize) -> Self {
        Self { pages }
    }

    /// The kinds of all pages, by number.
    #[cfg(test)]
    pub(crate) fn kinds(self) -> impl Iterator<Item = Kind> {
        (0..self.pages).map(move |page| self.kind(page))
    }

    /// How the server answers for `page`. Pages that fail are leaves, so that all pages are
    /// reached.
    pub(crate) fn kind(self, page: usize) -> Kind {
        let leaf = CHILDREN * page + 1 >= self.pages;
        match page {
            _ if page >= self.pages => Kind::Missing,
            _ if leaf && page + 1 == self.pages => Kind::Vast,
            _ if leaf && page % 7 == 3 => Kind::Missing,
            _ if leaf && page % 11 == 4 => Kind::CutShort,
            _ if page % 13 == 5 => Kind::Slow,
            _ if page % 17 == 6 => Kind::Busy,
            _ => Kind::Sound,
        }
    }

    /// Whether `page` has a link that is not a URL.
    pub(crate) fn has_bad_link(page: usize) -> bool {
        page % 40 == 2
    }

    /// The path of `page`.
    pub(crate) fn path(page: usize) -> String {
        format!("/page/{page}")
    }

    /// The page at `path`.
    pub(crate) fn page_at(path: &str) -> Option<usize> {
        path.strip_prefix("/page/")?.parse().ok()
    }

    /// The HTML of `page`.
    pub(crate) fn html(self, page: usize) -> String {
        let mut html = format!("<!doctype html><title>Page {page}</title>\n<p>Page {page}\n");
        let children = (CHILDREN * page + 1..).take(CHILDREN).filter(|child| *child < self.pages);
        let across = [page / 2, (page * 7 + 3) % self.pages];
        for to in children.chain(across) {
            link(&mut html, &Self::path(to));
            link(&mut html, &format!("../page/{to}#middle"));
        }
        link(&mut html, "mailto:info@example.com");
        link(&mut html, "https://example.com/elsewhere");
        if Self::has_bad_link(page) {
            link(&mut html, &format!("http://[page-{page}/"));
        }
        html
    }
}

/// Adds a link to `html`.
fn link(html: &mut String, href: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(html, "<a href=\"{href}\">{href}</a>");
}
