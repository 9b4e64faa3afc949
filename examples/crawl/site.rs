//! [`Site`]: a web of made-up pages, the same each time, so that what a crawl must find is known.

use std::fmt::Write;

/// How many pages each page leads to first.
const CHILDREN: usize = 3;

/// So many numbered pages. Each leads to three more, so that page 0 leads to all; other links go
/// across, or to nowhere that a crawl may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// How many pages there are.
    pages: usize,
}

/// How the server answers for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At once.
    Sound,
    /// After a while.
    Slow,
    /// The first time with 429 and no time to wait, or with 503 and a second; then at once.
    Busy,
    /// With 404.
    Missing,
    /// With half of the page; then it closes the connection.
    CutShort,
    /// With more bytes than any page should have.
    Vast,
}

impl Site {
    /// A site of `pages` pages.
    pub(crate) const fn new(pages: usize) -> Self {
        Self { pages }
    }

    /// The kinds of all pages, by number.
    #[cfg(test)]
    pub(crate) fn kinds(self) -> impl Iterator<Item = Kind> {
        (0..self.pages).map(move |page| self.kind(page))
    }

    /// How the server answers for `page`. Pages that fail lead nowhere, so that all are reached.
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

    /// What stands on `page`.
    pub(crate) fn html(self, page: usize) -> String {
        let mut html = format!("<!doctype html><title>Page {page}</title>\n<p>Page {page}\n");
        let children = (CHILDREN * page + 1..).take(CHILDREN).filter(|child| *child < self.pages);
        let across = [page / 2, (page * 7 + 3) % self.pages];
        for to in children.chain(across) {
            link(&mut html, &Self::path(to));
            link(&mut html, &format!("../page/{to}#middle"));
        }
        link(&mut html, "mailto:nobody@example.com");
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
