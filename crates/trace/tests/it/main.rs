//! The promises of dumps, the watchdog, and the numbers of hubs. One observer sees the whole process,
//! so the tests look for their own greenlets alone.

mod dump;
mod hubs;
mod text;
mod timeline;
mod watchdog;

use std::sync::{Arc, Condvar, Mutex};

use spinney_hub::Hub;
use spinney_trace::{Dump, GreenletInfo, dump, start};

/// A hub with threads of its own.
fn hub(threads: usize) -> Hub {
    start().unwrap();
    Hub::builder().threads(threads).name("traced").build().unwrap()
}

/// The greenlets of `dump` that were spawned in `file`, between the lines `from` and `to`.
fn spawned_between(dump: &Dump, file: &str, from: u32, to: u32) -> Vec<GreenletInfo> {
    let here = |greenlet: &&GreenletInfo| {
        let at = greenlet.spawned_at;
        at.file() == file && (from..to).contains(&at.line())
    };
    dump.greenlets.iter().filter(here).cloned().collect()
}

/// Dumps until `is_right`, on this thread.
fn dump_when(is_right: impl Fn(&Dump) -> bool) -> Dump {
    loop {
        let dump = dump();
        if is_right(&dump) {
            return dump;
        }
        std::thread::yield_now();
    }
}

/// Blocks threads, not tasks, until it is opened.
#[derive(Default)]
struct Block(Mutex<bool>, Condvar);

impl Block {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn wait(&self) {
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}
