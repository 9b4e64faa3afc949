//! Connections that are used again: fifty requests from ten tasks, over three TCP connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use async_net::{TcpListener, TcpStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use spinney::{Group, Pool, ResourcePool, block_on};

/// Sends every byte back, increased by one, on each connection that comes in, and counts those.
async fn serve(listener: TcpListener, accepted: Arc<AtomicUsize>) {
    let connections = Group::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        accepted.fetch_add(1, SeqCst);
        let echo = async move {
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                byte[0] += 1;
                if stream.write_all(&byte).await.is_err() {
                    return;
                }
            }
        };
        connections.spawn(echo).detach();
    }
}

async fn ask(connection: &mut TcpStream, number: u8) -> io::Result<u8> {
    let mut answer = [number];
    connection.write_all(&answer).await?;
    connection.read_exact(&mut answer).await?;
    Ok(answer[0])
}

fn main() -> io::Result<()> {
    block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let server = spinney::spawn(serve(listener, Arc::clone(&accepted)));

        let connections = ResourcePool::builder(move || TcpStream::connect(address))
            .max_size(3)
            .idle_timeout(Duration::from_secs(60))
            .create_timeout(Duration::from_secs(5))
            .build();
        let used = connections.clone();
        let request = move |number: u8| {
            let connections = used.clone();
            async move {
                let item = connections.item().await;
                let mut connection = item.map_err(io::Error::other)?;
                let answer = ask(&mut connection, number).await;
                if answer.is_err() {
                    // The next request has another one.
                    connection.discard();
                }
                answer
            }
        };
        let answers = Pool::new(10).map(request, 0..50).await.expect("no request panics");

        for (number, answer) in (0..).zip(answers) {
            assert_eq!(answer?, number + 1_u8);
        }
        let made = accepted.load(SeqCst);
        assert!(made <= 3 && connections.len() == made, "{made} connections");
        println!("50 requests over at most 3 connections, which are all idle now");
        assert_eq!((connections.available(), connections.waiting()), (3, 0));
        server.kill().await;
        Ok(())
    })
}
