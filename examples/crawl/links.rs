//! [`hrefs`]: the links of a page.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// Returns the targets of a page's `<a href>`, in order, as written.
///
/// Parses the bytes like browsers do, so tag soup, comments and scripts do no harm. `<base>` is
/// ignored.
pub(crate) fn hrefs(html: &[u8]) -> Vec<String> {
    let mut emitter = DefaultEmitter::<()>::default();
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).filter_map(|Ok(token)| href(token)).collect()
}

/// The target of `token`, if it opens a link.
fn href(token: Token) -> Option<String> {
    let Token::StartTag(tag) = token else { return None };
    let href = tag.attributes.get(b"href".as_slice()).filter(|_| *tag.name == b"a")?;
    Some(String::from_utf8_lossy(href).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_anchors_are_links() {
        let html = br#"<link href="no.css"><a name=x>no</a><A HREF='/one'>1</a><a
            class="b" href=two?a=1&amp;b=2>2<a href=" #three ">
            <!-- <a href=no> --><script>"<a href=no>"</script><a href="unclosed"#;
        assert_eq!(hrefs(html), ["/one", "two?a=1&b=2", "#three"]);
    }
}
