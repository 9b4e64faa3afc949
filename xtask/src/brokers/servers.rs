//! [`Servers`]: a `RabbitMQ` and a redis from Debian's packages, on ports and in a folder of their own.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use xshell::{Cmd, Shell, cmd};

use crate::Result;
use crate::workspace::Workspace;

/// Debian's packages, each with a command that works if its programs are there.
const PACKAGES: [(&str, &str); 4] = [
    ("rabbitmq-server", "test -x /usr/lib/rabbitmq/bin/rabbitmq-server"),
    ("redis-server", "redis-server --version"),
    ("openssl", "openssl version"),
    ("python3-pip", "python3 -m pip --version"),
];

/// The environment variables of the ports: of `RabbitMQ`, with TLS, of Erlang and its daemon, of redis.
const PORTS: [&str; 5] = ["AMQP_PORT", "AMQPS_PORT", "DIST_PORT", "EPMD_PORT", "REDIS_PORT"];

/// Installs the packages where that is allowed; otherwise says what to install.
pub(super) fn install(sh: &Shell) -> Result {
    let works = |command: &str| cmd!(sh, "sh -c {command}").quiet().ignore_stderr().read().is_ok();
    let missing = PACKAGES.iter().filter(|(_, command)| !works(command));
    let missing: Vec<&str> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0");
    let has_apt = cmd!(sh, "apt-get --version").quiet().read().is_ok();
    if !(is_root && has_apt) {
        let missing = missing.join(" ");
        return Err(format!("install Debian's packages first: apt-get install {missing}").into());
    }
    cmd!(sh, "apt-get update -qq").quiet().run()?;
    let install = cmd!(sh, "apt-get install -y -qq --no-install-recommends {missing...}");
    // Debian would start them as services of its own.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let is_new = !policy.exists();
    if is_new {
        fs::write(policy, "#!/bin/sh\nexit 101\n")?;
        cmd!(sh, "chmod +x {policy}").quiet().run()?;
    }
    let installed = install.env("DEBIAN_FRONTEND", "noninteractive").quiet().ignore_stdout().run();
    if is_new {
        fs::remove_file(policy)?;
    }
    Ok(installed?)
}

/// Servers that run. Dropping it stops them, and waits for their ends.
pub(super) struct Servers {
    sh: Shell,
    script: PathBuf,
    /// Where their state and logs are.
    folder: PathBuf,
    ports: [(&'static str, u16); PORTS.len()],
}

impl Servers {
    /// Starts them with a script; their state is in `folder`, which is emptied first.
    pub(super) fn start(workspace: &Workspace, script: PathBuf, folder: PathBuf) -> Result<Self> {
        let sh = workspace.sh.clone();
        sh.remove_path(&folder)?;
        let ports = free_ports()?;
        let servers = Self { sh, script, folder, ports };
        for server in ["rabbit", "redis"] {
            servers.control(server).ignore_stdout().run()?;
        }
        Ok(servers)
    }

    /// The address of `RabbitMQ`.
    pub(super) fn amqp(&self) -> String {
        let [(_, port), ..] = self.ports;
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    /// The address of redis, for results.
    pub(super) fn redis(&self) -> String {
        let [.., (_, port)] = self.ports;
        format!("redis://127.0.0.1:{port}/0")
    }

    /// Tells `command` where the servers are.
    pub(super) fn tell<'a>(&self, mut command: Cmd<'a>) -> Cmd<'a> {
        for (name, port) in self.ports {
            command = command.env(name, port.to_string());
        }
        command.env("DIR", &self.folder)
    }

    /// Where the logs of servers and workers are.
    pub(super) fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn control(&self, verb: &str) -> Cmd<'_> {
        let (script, folder) = (&self.script, &self.folder);
        self.tell(cmd!(self.sh, "bash {script} {verb} {folder}")).quiet()
    }
}

/// A free port for each of [`PORTS`], which no other servers of this program got.
fn free_ports() -> Result<[(&'static str, u16); PORTS.len()]> {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ports = PORTS.map(|name| (name, 0));
    // All are held until each is known: the system may offer a port again after its release.
    let mut held = Vec::new();
    for (_, port) in &mut ports {
        while *port == 0 {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            let offered = listener.local_addr()?.port();
            held.push(listener);
            *port = if taken.insert(offered) { offered } else { 0 };
        }
    }
    Ok(ports)
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Err(error) = self.control("stop").run() {
            eprintln!("the servers of {} were not stopped: {error}", self.folder.display());
        }
    }
}
