//! A TCP server whose connections are the members of a pool: at most `n` of them, and a clean end.
//!
//! ```text
//! cargo run --example echo_server                     # a server and clients of its own
//! cargo run --example echo_server -- 127.0.0.1:7000   # serves until Ctrl-C
//! ```

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use async_signal::{Signal, Signals};
use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, io};
use spinney::pool::Report;
use spinney::{Pool, block_on, sleep, spawn};

const CONNECTIONS: usize = 4;
/// How long connections may go on after Ctrl-C.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until Ctrl-C, and then reports the outcome of its connections.
async fn serve(listener: TcpListener, mut ctrl_c: Signals) -> Report {
    let connections = Pool::new(CONNECTIONS);
    let accept = async {
        loop {
            // Connections are accepted only when one can be served: the system queues the others.
            connections.wait_available().await;
            match listener.accept().await {
                Ok((stream, _)) => connections.spawn(echo(stream)).await.detach(),
                Err(error) => eprintln!("a connection could not be accepted: {error}"),
            }
        }
    };
    or(accept, async { drop(ctrl_c.next().await) }).await;
    let drained = connections.drain(GRACE);
    // Later connections are refused, and so are those in the queue.
    drop(listener);
    drained.await.expect("this task is not a connection")
}

/// Echoes its input until the client closes its side.
async fn echo(stream: TcpStream) {
    if let Err(error) = io::copy(stream.clone(), stream).await {
        eprintln!("a connection broke: {error}");
    }
}

fn main() -> Result<()> {
    block_on(async {
        let address = std::env::args().nth(1);
        let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
        // From here on Ctrl-C does not end the program.
        let ctrl_c = Signals::new([Signal::Int])?;
        let server = listener.local_addr()?;
        let serving = spawn(serve(listener, ctrl_c));
        if address.is_none() {
            try_out(server).await?;
        }
        let report = serving.await.map_err(Error::other)?;
        println!("served to the end: {}, cut: {}", report.succeeded, report.killed);
        Ok(())
    })
}

/// Plays the clients, and then presses Ctrl-C while some of them are connected.
async fn try_out(server: SocketAddr) -> Result<()> {
    let short = move |_| async move { ask(TcpStream::connect(server).await?).await.map(drop) };
    let ended = Pool::new(50).try_map(short, 0..200).await.map_err(Error::other)?;
    println!("{} short connections", ended.len());

    // As many as fit. An answer shows that the connection is served, and not queued.
    let mut long = Vec::new();
    for _ in 0..CONNECTIONS {
        long.push(ask(TcpStream::connect(server).await?).await?);
    }
    println!("{} long connections, and Ctrl-C", long.len());
    signal_hook::low_level::raise(signal_hook::consts::SIGINT)?;
    // The server is full, so it accepts no connection; it has stopped listening once the system
    // refuses.
    while TcpStream::connect(server).await.is_ok() {
        sleep(Duration::from_millis(1)).await;
    }

    drop(ask(long.remove(0)).await?);
    println!("served connections go on");
    for mut connection in long {
        assert_eq!(connection.read(&mut [0]).await?, 0, "the server did not close the connection");
    }
    Ok(())
}

/// Requests an echo, and returns the connection.
async fn ask(mut connection: TcpStream) -> Result<TcpStream> {
    let mut heard = [0; 5];
    connection.write_all(b"hello").await?;
    connection.read_exact(&mut heard).await?;
    assert_eq!(&heard, b"hello");
    Ok(connection)
}
