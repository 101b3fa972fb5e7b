//! A name server that answers as it is told and reports each question.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::PATIENCE;

/// What a question is answered with.
#[derive(Clone)]
pub(super) enum Reply {
    Records {
        answers: Vec<Record>,
        additionals: Vec<Record>,
    },
    Code(ResponseCode),
    Silence,
    /// By UDP cut short and empty; by TCP these.
    Truncated(Vec<Record>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: String,
    pub(super) kind: RecordType,
    pub(super) by_tcp: bool,
}

/// What is not told is answered with NXDOMAIN.
#[derive(Default)]
struct Zone {
    replies: Mutex<HashMap<(String, RecordType), Reply>>,
}

pub(super) struct NameServer {
    pub(super) address: SocketAddr,
    zone: Arc<Zone>,
    questions: UnboundedReceiver<Question>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    pub(super) async fn start() -> NameServer {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("bound");
        let zone = Arc::new(Zone::default());
        let (asked, questions) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, zone.clone(), asked.clone()));
        tasks.spawn(serve_tcp(tcp, zone.clone(), asked));
        NameServer {
            address,
            zone,
            questions,
            _tasks: tasks,
        }
    }

    pub(super) fn tell(&self, name: &str, kind: RecordType, reply: Reply) {
        let mut replies = self.zone.replies.lock().expect("no test panicked");
        replies.insert((name.to_lowercase(), kind), reply);
    }

    /// The addresses of a name; of a kind without any there is no record, and no error.
    pub(super) fn tell_addresses(&self, name: &str, ttl: u32, addresses: &[&str]) {
        for kind in [RecordType::A, RecordType::AAAA] {
            let records = addresses.iter().map(|text| address(name, ttl, text));
            let answers = records.filter(|record| record.record_type() == kind);
            self.tell(name, kind, records_only(answers.collect()));
        }
    }

    pub(super) async fn next_question(&mut self) -> Question {
        let next = tokio::time::timeout(PATIENCE, self.questions.recv()).await;
        next.expect("asked in time").expect("the server is running")
    }

    /// Until looks that began after this call are over: the third question of a kind comes when the answer to the second was taken.
    pub(super) async fn looks_pass(&mut self, kind: RecordType) {
        while self.questions.try_recv().is_ok() {}
        let mut seen = 0;
        while seen < 3 {
            seen += usize::from(self.next_question().await.kind == kind);
        }
    }

    pub(super) fn questions_so_far(&mut self) -> Vec<Question> {
        std::iter::from_fn(|| self.questions.try_recv().ok()).collect()
    }
}

pub(super) fn records_only(answers: Vec<Record>) -> Reply {
    Reply::Records {
        answers,
        additionals: Vec::new(),
    }
}

pub(super) fn address(name: &str, ttl: u32, text: &str) -> Record {
    let data = match text.parse().expect("an address") {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(self::name(name), ttl, data)
}

pub(super) fn alias(from: &str, ttl: u32, to: &str) -> Record {
    Record::from_rdata(name(from), ttl, RData::CNAME(CNAME(name(to))))
}

/// Priority, weight, port, target.
pub(super) fn service(owner: &str, ttl: u32, record: (u16, u16, u16, &str)) -> Record {
    let (priority, weight, port, target) = record;
    let data = SRV::new(priority, weight, port, name(target));
    Record::from_rdata(name(owner), ttl, RData::SRV(data))
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// One port for both.
async fn sockets() -> (UdpSocket, TcpListener) {
    // Bounded by luck: another program must hold the same TCP port each time.
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let address = udp.local_addr().expect("bound");
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Zone>, asked: UnboundedSender<Question>) {
    let mut buffer = [0; 4096];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.expect("receives");
        if let Some(reply) = zone.answer(&buffer[..len], false, &asked) {
            socket.send_to(&reply, from).await.expect("sends");
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Zone>, asked: UnboundedSender<Question>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        connections.spawn(serve_connection(stream, zone.clone(), asked.clone()));
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    zone: Arc<Zone>,
    asked: UnboundedSender<Question>,
) {
    while let Ok(len) = stream.read_u16().await {
        let mut request = vec![0; len.into()];
        stream.read_exact(&mut request).await.expect("reads");
        if let Some(reply) = zone.answer(&request, true, &asked) {
            let len = u16::try_from(reply.len()).expect("fits a message");
            stream.write_u16(len).await.expect("writes");
            stream.write_all(&reply).await.expect("writes");
        }
    }
}

impl Zone {
    fn answer(
        &self,
        request: &[u8],
        by_tcp: bool,
        asked: &UnboundedSender<Question>,
    ) -> Option<Vec<u8>> {
        let request = Message::from_vec(request).expect("a proper request");
        let query = request.queries.first().expect("one question").clone();
        let name = query.name().to_ascii().trim_end_matches('.').to_lowercase();
        let kind = query.query_type();
        let key = (name.clone(), kind);
        // The test may have ended.
        let _ = asked.send(Question { name, kind, by_tcp });
        let replies = self.replies.lock().expect("no test panicked");
        let unknown = Reply::Code(ResponseCode::NXDomain);
        let reply = replies.get(&key).cloned().unwrap_or(unknown);
        let message = reply.message(&request, query, by_tcp)?;
        Some(message.to_vec().expect("can be written"))
    }
}

impl Reply {
    fn message(self, request: &Message, query: Query, by_tcp: bool) -> Option<Message> {
        let mut message = Message::response(request.metadata.id, request.metadata.op_code);
        message.add_query(query);
        message.metadata.recursion_available = true;
        match self {
            Reply::Records {
                answers,
                additionals,
            } => {
                message.add_answers(answers);
                message.add_additionals(additionals);
            }
            Reply::Code(code) => message.metadata.response_code = code,
            Reply::Silence => return None,
            Reply::Truncated(answers) if by_tcp => {
                message.add_answers(answers);
            }
            Reply::Truncated(_) => message.metadata.truncation = true,
        }
        Some(message)
    }
}
