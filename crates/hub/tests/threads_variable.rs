//! `SPINNEY_THREADS`: the number of threads of the global hub.
//!
//! It is read once in a process, so each test runs itself again in a process of its own.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use spinney_hub::{Hub, Spawn};

const VARIABLE: &str = "SPINNEY_THREADS";
const CHILD: &str = "SPINNEY_TEST_CHILD";

/// Runs the test `name` in a process where the variable is `value`.
fn run_again(name: &str, value: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").env(VARIABLE, value);
    command.output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
fn variable_of_three_gives_three_threads() {
    if !is_child() {
        let output = run_again("variable_of_three_gives_three_threads", "3");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let all = Arc::new(Barrier::new(3));
    let (send, receive) = channel();
    for _ in 0..3 {
        let (send, all) = (send.clone(), Arc::clone(&all));
        Hub::global().spawn(async move {
            all.wait();
            send.send(thread::current().name().unwrap().to_owned()).unwrap();
        });
    }
    drop(send);
    let names: BTreeSet<_> = receive.iter().collect();
    assert_eq!(names, ["spinney-0", "spinney-1", "spinney-2"].map(String::from).into());
    assert_eq!(Hub::global().block_on(async { 42 }), 42);
}

#[test]
fn variable_below_one_or_no_number_panics() {
    if is_child() {
        Hub::global();
        return;
    }
    for value in ["0", "-1", "many", "", "1.5", " 2"] {
        let output = run_again("variable_below_one_or_no_number_panics", value);
        let told = String::from_utf8_lossy(&output.stderr);
        let message = format!("SPINNEY_THREADS must be a number above zero, not {value:?}");
        assert!(!output.status.success() && told.contains(&message), "{value:?}: {told}");
    }
}

/// A value that is not text is not a number either.
#[cfg(unix)]
#[test]
fn variable_that_is_no_text_panics() {
    use std::os::unix::ffi::OsStrExt;

    if is_child() {
        Hub::global();
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "variable_that_is_no_text_panics"]).env(CHILD, "1");
    command.env(VARIABLE, std::ffi::OsStr::from_bytes(&[0xff, b'3']));
    assert!(!command.output().unwrap().status.success());
}
