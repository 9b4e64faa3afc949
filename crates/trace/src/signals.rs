//! [`dump_on_signal`]: a dump when the process gets a signal.

use std::io::{self, Write};
use std::thread;

use signal_hook::consts::{SIGQUIT, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::dump;

/// Starts observing, and writes a [dump](dump()) to the standard error at each SIGUSR1 and SIGQUIT,
/// from a thread of its own, as long as the process lives: `kill -USR1 PID`, or Ctrl-\ in its
/// terminal. SIGQUIT no longer ends the process.
///
/// # Errors
///
/// The system's error if a handler or the thread cannot be started; an error of the kind
/// [`Other`](io::ErrorKind::Other) if something else [observes](crate::start) greenlets.
pub fn dump_on_signal() -> io::Result<()> {
    dump_on_signal_to(io::stderr())
}

/// Like [`dump_on_signal`], but writes to `writer`. After a failed write the next signal is tried
/// again.
///
/// # Errors
///
/// The same as [`dump_on_signal`].
pub fn dump_on_signal_to(mut writer: impl Write + Send + 'static) -> io::Result<()> {
    crate::start().map_err(io::Error::other)?;
    let mut signals = Signals::new([SIGUSR1, SIGQUIT])?;
    let run = move || {
        for _ in signals.forever() {
            // There is no reader of an error, and the next dump may succeed.
            let _ = write!(writer, "{}", dump()).and_then(|()| writer.flush());
        }
    };
    thread::Builder::new().name("spinney-dump".to_owned()).spawn(run).map(drop)
}
