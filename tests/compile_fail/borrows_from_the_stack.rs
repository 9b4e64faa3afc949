//! Tasks that borrow from the function that spawns them, one by a capture, one by an argument.
//!
//! - error[E0373]: async block may outlive the current function, but it borrows `word`
//! - error[E0597]: `text` does not live long enough

use spinney::{Pool, block_on};

async fn length(text: &str) -> usize {
    text.len()
}

fn main() {
    block_on(async {
        let pool = Pool::new(2);
        let (word, text) = (String::from("wood"), String::from("a wood"));
        pool.spawn(async { word.len() }).await.detach();
        pool.spawn(length(&text)).await.detach();
    });
}
