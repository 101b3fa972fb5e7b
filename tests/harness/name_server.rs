//! A name server on the loopback address that answers what it is told to.

use super::PATIENCE;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Condvar, Mutex};

/// Answers by UDP. Shows itself as its address, so it fits into a configuration. A name that it was told nothing of does not exist.
pub(crate) struct NameServer {
    address: SocketAddr,
    zone: Arc<Zone>,
}

#[derive(Default)]
struct Zone {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    records: HashMap<String, Vec<Record>>,
    silent: bool,
    /// Questions received, whether or not they were answered.
    questions: usize,
}

impl NameServer {
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        let zone = Arc::<Zone>::default();
        let served = zone.clone();
        std::thread::spawn(move || serve(&socket, &served));
        NameServer { address, zone }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these are the IPv4 and IPv6 addresses of `name`; the answer is good for `ttl` seconds.
    pub(crate) fn tell(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let records = addresses.iter().map(|address| {
            let data = match address.parse().expect("an address") {
                IpAddr::V4(address) => RData::A(A(address)),
                IpAddr::V6(address) => RData::AAAA(AAAA(address)),
            };
            Record::from_rdata(parsed(name), ttl, data)
        });
        self.put(name, records.collect());
    }

    /// From now on these are the services at `name`: priority, weight, port and target of each.
    pub(crate) fn tell_services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let records = services.iter().map(|(priority, weight, port, target)| {
            let data = SRV::new(*priority, *weight, *port, parsed(target));
            Record::from_rdata(parsed(name), ttl, RData::SRV(data))
        });
        self.put(name, records.collect());
    }

    /// From now on no question is answered, or each is again.
    pub(crate) fn be_silent(&self, silent: bool) {
        self.zone.change(|state| state.silent = silent);
    }

    /// Questions so far.
    pub(crate) fn questions(&self) -> usize {
        self.zone.change(|state| state.questions)
    }

    /// Until there were `count` more questions than now.
    pub(crate) fn wait_for_questions(&self, count: usize) {
        let state = self.zone.state.lock().expect("nobody panics holding it");
        let wanted = state.questions + count;
        let waited = self
            .zone
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.questions < wanted);
        let (state, _) = waited.expect("nobody panics holding it");
        assert!(state.questions >= wanted, "the name server was not asked");
    }

    fn put(&self, name: &str, records: Vec<Record>) {
        self.zone
            .change(|state| state.records.insert(name.to_owned(), records));
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

fn parsed(name: &str) -> Name {
    let mut name = Name::from_ascii(name).expect("a name");
    name.set_fqdn(true);
    name
}

/// For as long as the test runs.
fn serve(socket: &UdpSocket, zone: &Zone) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        if let Some(answer) = zone.answer(&buffer[..length]) {
            // Who asked may be gone.
            let _ = socket.send_to(&answer, from);
        }
    }
}

impl Zone {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().expect("nobody panics holding it"));
        self.changed.notify_all();
        changed
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let name = query.name().to_ascii().to_lowercase();
        let records = self.change(|state| {
            state.questions += 1;
            let name = name.trim_end_matches('.');
            (!state.silent).then(|| state.records.get(name).cloned())
        })?;
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.recursion_available = true;
        match records {
            Some(records) => answer.add_answers(of_kind(records, query.query_type())),
            None => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                &mut answer
            }
        };
        answer.add_query(query);
        answer.to_vec().ok()
    }
}

fn of_kind(records: Vec<Record>, kind: RecordType) -> Vec<Record> {
    let records = records.into_iter();
    records
        .filter(|record| record.record_type() == kind)
        .collect()
}
