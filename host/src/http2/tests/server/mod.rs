//! The server half against real clients: h2's own, and one that writes frames by hand.

mod abort;
mod connection;
mod flood;
mod flow;
mod malformed;
mod pipe;
mod raw;
mod request;
mod response;
mod tunnel;

use crate::http::Scheme;
use crate::http2::server::{CloseReason, ConnectionError, ServerConnection, Settings};
use crate::net::stream::Stream;
use crate::net::timer;
use bytes::Bytes;
use h2::client::SendRequest;
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

const SETTINGS: Settings = Settings {
    streams_max: 100,
    stream_window: 65_535,
    connection_window: 1 << 20,
    header_bytes_max: 16 * 1024,
    headers_max: 20,
};

/// Runs a test on a worker: one thread with its timers.
async fn on_worker<F: Future>(test: F) -> F::Output {
    let local = LocalSet::new();
    local.spawn_local(timer::drive());
    local.run_until(test).await
}

enum Command {
    Drain,
    Close(CloseReason),
}

/// A connection served by a task.
struct Served<T> {
    /// The client's end, until a client takes it.
    socket: Option<T>,
    commands: UnboundedSender<Command>,
    open_streams: Rc<Cell<usize>>,
    /// How it ended.
    end: JoinHandle<Option<ConnectionError>>,
}

/// Serves each stream of a new connection by `spine`.
async fn serve<S, F>(settings: Settings, spine: S) -> Served<DuplexStream>
where
    S: Fn(Stream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (ours, theirs) = pipe::Pipe::pair();
    serve_on(Stream::Layered(ours), theirs, settings, spine)
}

/// As [`serve`], over TCP.
async fn serve_tcp<S, F>(settings: Settings, spine: S) -> Served<TcpStream>
where
    S: Fn(Stream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
    let ours = Stream::Tcp(ours.expect("accepts").0);
    serve_on(ours, theirs.expect("connects"), settings, spine)
}

fn serve_on<T, S, F>(ours: Stream, theirs: T, settings: Settings, spine: S) -> Served<T>
where
    S: Fn(Stream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (commands, received) = unbounded_channel();
    let open_streams = Rc::new(Cell::new(0));
    let end = spawn_local(accept_all(
        ours,
        settings,
        spine,
        received,
        open_streams.clone(),
    ));
    Served {
        socket: Some(theirs),
        commands,
        open_streams,
        end,
    }
}

async fn accept_all<S, F>(
    stream: Stream,
    settings: Settings,
    spine: S,
    mut commands: UnboundedReceiver<Command>,
    open_streams: Rc<Cell<usize>>,
) -> Option<ConnectionError>
where
    S: Fn(Stream) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let begun = ServerConnection::handshake(stream, &settings, Scheme::Http).await;
    let mut connection = match begun {
        Ok(connection) => connection,
        Err(error) => return Some(ConnectionError::Lost(error)),
    };
    loop {
        let accepted = tokio::select! {
            Some(command) = commands.recv() => {
                match command {
                    Command::Drain => connection.drain(),
                    Command::Close(why) => connection.close(why),
                }
                continue;
            }
            accepted = connection.accept() => accepted,
        };
        match accepted {
            Some(Ok(stream)) => {
                let work = spine(stream);
                let (activity, open_streams) = (connection.activity(), open_streams.clone());
                open_streams.set(activity.open());
                spawn_local(async move {
                    work.await;
                    open_streams.set(activity.open());
                });
            }
            Some(Err(error)) => {
                assert!(connection.accept().await.is_none());
                return Some(error);
            }
            None => return None,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Served<T> {
    /// An h2 client on it.
    async fn client(&mut self) -> SendRequest<Bytes> {
        self.client_with(&h2::client::Builder::new()).await
    }

    async fn client_with(&mut self, builder: &h2::client::Builder) -> SendRequest<Bytes> {
        let socket = self.socket.take().expect("one client");
        let (client, connection) = builder.handshake(socket).await.expect("begins");
        spawn_local(async move {
            // What the client thinks of the end is not what is tested.
            let _ = connection.await;
        });
        client.ready().await.expect("is ready")
    }

    async fn raw(&mut self) -> raw::Raw<T> {
        raw::Raw::begin(self.socket.take().expect("one client")).await
    }

    /// Lets everything happen that happens without anybody's doing.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

/// Reads a request to its end, in reads of at most `piece` bytes.
async fn read_request(stream: &mut Stream, piece: usize) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    while !is_whole(&text) {
        let mut buffer = vec![0; piece];
        match stream.read(&mut buffer).await? {
            0 => break,
            count => text.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(text)
}

fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    if head.contains("Transfer-Encoding: chunked") {
        let last = body
            .strip_prefix("0\r\n")
            .or(body.split_once("\r\n0\r\n").map(|split| split.1));
        return last.is_some_and(|last| last.ends_with("\r\n\r\n") || last == "\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}

/// Writes in pieces, as a spine does that gets them so.
async fn write_pieces(stream: &mut Stream, text: &[u8], piece: usize) -> std::io::Result<()> {
    for piece in text.chunks(piece) {
        stream.send(piece).await?;
    }
    Ok(())
}

/// A spine that answers every request with `response`.
fn answering(response: &'static str, piece: usize) -> impl Fn(Stream) -> AnyFuture {
    move |mut stream| {
        Box::pin(async move {
            read_request(&mut stream, 4096).await.expect("a request");
            write_pieces(&mut stream, response.as_bytes(), piece)
                .await
                .expect("is taken");
        })
    }
}

type AnyFuture = std::pin::Pin<Box<dyn Future<Output = ()>>>;
