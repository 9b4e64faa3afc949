//! W11: GETs over keep-alive connections to a local server on the same executor.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_channel::Sender;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::rt::{Read, Write};
use hyper::service::service_fn;
use hyper::{Request, Response, client, header, server};
use hyper_util::rt::TokioIo;
use smol_hyper::rt::FuturesIo;
use spinney::{Pool, Spawn};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::answers::sum_below;
use crate::load::Load;
use crate::on;
use crate::target::Target;
use crate::workload::Workload;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Stream<N> = <N as Net>::Stream;

pub(super) fn workload() -> Workload {
    let load = Load { items: 50_000, slots: 100 };
    Workload::new("W11", "keep-alive GETs to a local server, 100 at a time", load, sum_below)
        .rival("hyper on tokio", |load| {
            on::tokio_with_io(all::<Tokio>(load, |task| drop(tokio::spawn(task))))
        })
        .rival("hyper on tokio, 2 threads", |load| {
            on::tokio_threads(all::<Tokio>(load, |task| drop(tokio::spawn(task))))
        })
        .rival("hyper on async-executor", |load| on_executor(1, load))
        .rival("hyper on async-executor, 2 threads", |load| on_executor(2, load))
        .rival("a task each, JoinSet", |load| on::tokio_with_io(through_join_set(load)))
        .rival("a task each, JoinSet, 2 threads", |load| on::tokio_threads(through_join_set(load)))
        .ours("a task each, Pool on tokio", |load| on::tokio_with_io(through_pool(load)))
        .ours("a task each, Pool on tokio, 2 threads", |load| on::tokio_threads(through_pool(load)))
        .ours("hyper on LocalHub", |load| {
            on::local_hub(|hub| all::<Smol>(load, move |task| hub.spawn(task)))
        })
        .on_hub("hyper on Hub", |load| {
            on::hub(|hub| all::<Smol>(load, move |task| hub.spawn(task)))
        })
        .target(Target::wall("hyper on LocalHub").of("hyper on tokio"))
        .target(Target::wall("hyper on Hub, 1 thread").of("hyper on tokio").at_most(1.1))
        .target(Target::wall("a task each, Pool on tokio").of("a task each, JoinSet").at_most(1.02))
}

fn on_executor(threads: usize, load: Load) -> u64 {
    on::executor_with_io(threads, async |executor| {
        all::<Smol>(load, |task| executor.spawn(task).detach()).await
    })
}

/// Distributes the requests among clients, and sums the bodies of all responses.
async fn all<N: Net>(load: Load, spawn: impl Fn(Task)) -> u64 {
    let (done, all_done) = async_channel::unbounded();
    for (first, sender) in load.numbers().zip(clients::<N>(load, &spawn).await) {
        let numbers = (first..u64::from(load.items)).step_by(load.slots);
        spawn(Box::pin(request_all(sender, numbers, done.clone())));
    }
    drop(done);
    let mut total = 0;
    while let Ok(sum) = all_done.recv().await {
        total += sum;
    }
    total
}

/// A task each for the requests, through a pool.
async fn through_pool(load: Load) -> u64 {
    let idle = Idle::new(load).await;
    let pool = Pool::new(load.slots);
    let mut greenlets = Vec::new();
    for number in load.numbers() {
        greenlets.push(pool.spawn(idle.clone().request(number)).await);
    }
    let mut total = 0;
    for greenlet in greenlets {
        total += greenlet.await.expect("the server answers");
    }
    total
}

/// A task each for the requests, through a `JoinSet` and a semaphore.
async fn through_join_set(load: Load) -> u64 {
    let idle = Idle::new(load).await;
    let slots = Arc::new(Semaphore::new(load.slots));
    let mut set = JoinSet::new();
    for number in load.numbers() {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let request = idle.clone().request(number);
        set.spawn(async move {
            let _slot = slot;
            request.await
        });
    }
    set.join_all().await.into_iter().sum()
}

/// The connections on tokio that no request uses.
#[derive(Clone)]
struct Idle(Arc<Mutex<Vec<SendRequest<Empty<Bytes>>>>>);

impl Idle {
    /// As many connections as slots.
    async fn new(load: Load) -> Self {
        let clients = clients::<Tokio>(load, |task| drop(tokio::spawn(task))).await;
        Self(Arc::new(Mutex::new(clients)))
    }

    async fn request(self, number: u64) -> u64 {
        let sender = self.0.lock().expect("no holder panics").pop();
        let mut sender = sender.expect("there is a connection for each slot");
        let answer = request(&mut sender, number).await;
        self.0.lock().expect("no holder panics").push(sender);
        answer
    }
}

/// Connects as many clients as there are slots, each to its own task of the server.
async fn clients<N: Net>(load: Load, spawn: impl Fn(Task)) -> Vec<SendRequest<Empty<Bytes>>> {
    let listener = N::listen().await;
    let address = N::address(&listener);
    let mut clients = Vec::new();
    for _ in load.numbers().take(load.slots) {
        let client = N::connect(address).await;
        let service = service_fn(echo_number);
        let http = server::conn::http1::Builder::new();
        let served = http.serve_connection(N::accept(&listener).await, service);
        let connected = client::conn::http1::handshake(client).await;
        let (sender, connection) = connected.expect("a handshake needs no answer");
        // Both end with the client; the sums show whether they succeeded.
        spawn(Box::pin(async move { drop(served.await) }));
        spawn(Box::pin(async move { drop(connection.await) }));
        clients.push(sender);
    }
    clients
}

/// The number in the path.
async fn echo_number(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = request.uri().path().trim_start_matches('/').to_owned();
    Ok(Response::new(Full::from(number)))
}

/// Requests all `numbers`, and sums the answers.
async fn request_all(
    mut sender: SendRequest<Empty<Bytes>>,
    numbers: impl Iterator<Item = u64>,
    done: Sender<u64>,
) {
    let mut sum = 0;
    for number in numbers {
        sum += request(&mut sender, number).await;
    }
    done.try_send(sum).expect("the main task waits for all");
}

/// Requests `number`, and returns the answer.
async fn request(sender: &mut SendRequest<Empty<Bytes>>, number: u64) -> u64 {
    let request = Request::get(format!("/{number}")).header(header::HOST, "localhost");
    let request = request.body(Empty::<Bytes>::new()).expect("a number is a path");
    sender.ready().await.expect("the server keeps the connection");
    let response = sender.send_request(request).await.expect("the server answers");
    let body = response.into_body().collect().await.expect("the server answers in full");
    let text = String::from_utf8(body.to_bytes().into()).expect("digits are text");
    text.parse().expect("the body is a number")
}

/// The sockets of one runtime.
trait Net: 'static {
    type Stream: Read + Write + Send + Unpin + 'static;
    type Listener: Send + Sync;
    fn listen() -> impl Future<Output = Self::Listener> + Send;
    fn address(listener: &Self::Listener) -> SocketAddr;
    fn accept(listener: &Self::Listener) -> impl Future<Output = Self::Stream> + Send;
    fn connect(server: SocketAddr) -> impl Future<Output = Self::Stream> + Send;
}

macro_rules! nets {
    ($($net:ident, $listener:ty, $tcp:ty, $io:ident;)*) => {$(
        struct $net;

        impl Net for $net {
            type Stream = $io<$tcp>;
            type Listener = $listener;

            async fn listen() -> Self::Listener {
                let any = (Ipv4Addr::LOCALHOST, 0);
                <$listener>::bind(any).await.expect("some port is free")
            }

            fn address(listener: &Self::Listener) -> SocketAddr {
                listener.local_addr().expect("the listener is bound")
            }

            async fn accept(listener: &Self::Listener) -> Stream<Self> {
                let (stream, _) = listener.accept().await.expect("a client connects");
                stream.set_nodelay(true).expect("the socket is connected");
                $io::new(stream)
            }

            async fn connect(server: SocketAddr) -> Stream<Self> {
                let stream = <$tcp>::connect(server).await.expect("the server listens");
                stream.set_nodelay(true).expect("the socket is connected");
                $io::new(stream)
            }
        }
    )*};
}

nets! {
    Smol, async_net::TcpListener, async_net::TcpStream, FuturesIo;
    Tokio, tokio::net::TcpListener, tokio::net::TcpStream, TokioIo;
}
