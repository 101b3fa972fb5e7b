//! A service of words, and a client of it.

use crate::harness::h2::{beside, wait_for};
use crate::harness::{Gate, PATIENCE, TlsClient};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, StreamingService};
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// The one message there is.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Word {
    #[prost(string, tag = "1")]
    pub(super) text: String,
}

pub(super) fn word(text: &str) -> Word {
    Word {
        text: text.to_owned(),
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<Word, Status>> + Send>>;

/// A running server with the words and the usual health service. Shows itself as its address.
pub(super) struct Words {
    pub(super) address: SocketAddr,
    /// Opened when a call of `Hang` or of `Drip` is dropped.
    pub(super) cancelled: Gate,
    /// Opened when a call of `Hang` has begun.
    pub(super) begun: Gate,
    pub(super) health: tonic_health::server::HealthReporter,
}

/// The service; the method is told by the path.
#[derive(Clone)]
struct Methods {
    cancelled: Gate,
    begun: Gate,
}

/// A call of one method.
struct Method {
    path: String,
    methods: Methods,
}

struct OpensWhenDropped(Gate);

impl Drop for OpensWhenDropped {
    fn drop(&mut self) {
        self.0.open();
    }
}

impl Words {
    pub(super) fn start() -> Words {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let (cancelled, begun) = (Gate::default(), Gate::default());
        let methods = Methods {
            cancelled: cancelled.clone(),
            begun: begun.clone(),
        };
        let (health, health_service) = tonic_health::server::health_reporter();
        beside(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("an event loop");
            let incoming = TcpListenerStream::new(listener);
            let mut server = Server::builder();
            let server = server.add_service(methods).add_service(health_service);
            // It serves until the tests are over.
            let _ = server.serve_with_incoming(incoming).await;
        });
        Words {
            address,
            cancelled,
            begun,
            health,
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl NamedService for Methods {
    const NAME: &'static str = "words.Words";
}

impl Service<http::Request<Body>> for Methods {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method {
            path: request.uri().path().to_owned(),
            methods: self.clone(),
        };
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Word, Word>::default());
        Box::pin(async move { Ok(grpc.streaming(method, request).await) })
    }
}

impl StreamingService<Word> for Method {
    type Response = Word;
    type ResponseStream = Answers;
    type Future = BoxFuture<Response<Answers>, Status>;

    fn call(&mut self, request: Request<Streaming<Word>>) -> Self::Future {
        let name = self.path.rsplit('/').next().unwrap_or_default().to_owned();
        Box::pin(answer(name, self.methods.clone(), request))
    }
}

/// On the wire each kind of call is a stream of messages both ways.
async fn answer(
    name: String,
    methods: Methods,
    request: Request<Streaming<Word>>,
) -> Result<Response<Answers>, Status> {
    let asked = request.metadata().get("x-asked").cloned();
    let mut words = request.into_inner();
    let answers: Answers = match &*name {
        // Each word as it comes.
        "Talk" | "Echo" => Box::pin(words),
        "Count" => {
            let count: u32 = next(&mut words).await?.text.parse().expect("a number");
            Box::pin(tokio_stream::iter(0..count).map(|number| Ok(word(&number.to_string()))))
        }
        "Join" => {
            let mut all = String::new();
            while let Some(next) = words.message().await? {
                all.push_str(&next.text);
            }
            Box::pin(tokio_stream::once(Ok(word(&all))))
        }
        "Fail" => {
            let mut status = Status::failed_precondition("not now, maybe later: 50%");
            let value = "in trailers".parse().expect("ASCII");
            status.metadata_mut().insert("x-why", value);
            return Err(status);
        }
        "FailLate" => {
            let answers = [Ok(word("one")), Err(Status::data_loss("half of it"))];
            Box::pin(tokio_stream::iter(answers))
        }
        "Hang" => {
            let _dropped = OpensWhenDropped(methods.cancelled);
            methods.begun.open();
            std::future::pending::<()>().await;
            unreachable!("nobody wakes it")
        }
        "Drip" => {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            let dropped = OpensWhenDropped(methods.cancelled);
            sender.send(Ok(word("a drop"))).await.expect("it is held");
            tokio::spawn(async move {
                sender.closed().await;
                drop(dropped);
            });
            Box::pin(ReceiverStream::new(receiver))
        }
        _ => return Err(Status::unimplemented("no such method")),
    };
    let mut response = Response::new(answers);
    if let Some(asked) = asked {
        response.metadata_mut().insert("x-told", asked);
    }
    Ok(response)
}

async fn next(words: &mut Streaming<Word>) -> Result<Word, Status> {
    let word = words.message().await?;
    word.ok_or_else(|| Status::invalid_argument("no message"))
}

/// A client over one connection.
pub(super) struct Client {
    channel: Channel,
}

/// Connects to what is connected already.
struct Connected(Option<TcpStream>);

impl Service<Uri> for Connected {
    type Response = TokioIo<tokio::net::TcpStream>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take().ok_or(std::io::ErrorKind::NotConnected.into());
        let stream = stream.and_then(tokio::net::TcpStream::from_std);
        ready(stream.map(TokioIo::new))
    }
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the proxy listens");
        Client::over(stream)
    }

    pub(super) fn tls(tls: &TlsClient, address: SocketAddr) -> Client {
        let (client, _) = tls.clone().alpn(&["h2"]).shake(address).expect("shaken");
        Client::over(client.stream().try_clone().expect("a socket"))
    }

    fn over(stream: TcpStream) -> Client {
        stream.set_nonblocking(true).expect("a TCP socket");
        let endpoint = Endpoint::from_static("http://test");
        let connected = endpoint.connect_with_connector(Connected(Some(stream)));
        let channel = wait_for("a channel", connected).expect("a connection");
        Client { channel }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn path(method: &str) -> http::uri::PathAndQuery {
        format!("/words.Words/{method}").parse().expect("a path")
    }

    async fn ready(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("a connection");
        grpc
    }

    pub(super) fn unary(
        &self,
        method: &str,
        request: Request<Word>,
    ) -> Result<Response<Word>, Status> {
        wait_for("an answer", async {
            let mut grpc = self.ready().await;
            let codec = ProstCodec::default();
            grpc.unary(request, Client::path(method), codec).await
        })
    }

    pub(super) fn say(&self, method: &str, text: &str) -> Result<Response<Word>, Status> {
        self.unary(method, Request::new(word(text)))
    }

    /// A unary call that goes on by itself until it is aborted.
    pub(super) fn begin(&self, method: &'static str) -> tokio::task::JoinHandle<()> {
        let client = Client {
            channel: self.channel.clone(),
        };
        beside(async move {
            let mut grpc = client.ready().await;
            let codec = ProstCodec::<Word, Word>::default();
            let request = Request::new(word(""));
            // Aborted before it is answered.
            let _ = grpc.unary(request, Client::path(method), codec).await;
        })
    }

    pub(super) fn server_streaming(
        &self,
        method: &str,
        text: &str,
    ) -> Result<Response<Streaming<Word>>, Status> {
        wait_for("an answer", async {
            let mut grpc = self.ready().await;
            let codec = ProstCodec::default();
            let request = Request::new(word(text));
            grpc.server_streaming(request, Client::path(method), codec)
                .await
        })
    }

    pub(super) fn client_streaming(
        &self,
        method: &str,
        words: Vec<Word>,
    ) -> Result<Response<Word>, Status> {
        wait_for("an answer", async {
            let mut grpc = self.ready().await;
            let codec = ProstCodec::default();
            let request = Request::new(tokio_stream::iter(words));
            grpc.client_streaming(request, Client::path(method), codec)
                .await
        })
    }

    pub(super) fn talk(
        &self,
        method: &str,
        words: ReceiverStream<Word>,
    ) -> Result<Response<Streaming<Word>>, Status> {
        wait_for("an answer", async {
            let mut grpc = self.ready().await;
            let codec = ProstCodec::default();
            grpc.streaming(Request::new(words), Client::path(method), codec)
                .await
        })
    }
}

/// The next message; none at the end.
pub(super) fn message(words: &mut Streaming<Word>) -> Result<Option<String>, Status> {
    let word = wait_for("a message", words.message())?;
    Ok(word.map(|word| word.text))
}
