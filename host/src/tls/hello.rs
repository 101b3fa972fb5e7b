//! The hello of a client whose TLS is passed through: which name and protocols it asks for.

use rustls::server::{Accepted, Acceptor};

/// What a caller buffers at most before it calls a hello too long: one record of full size. The longest in use, with several post-quantum key
/// shares and an encrypted inner hello, take about 4 KiB.
pub const HELLO_BYTES_MAX: usize = 5 + 16 * 1024 + 256;

/// The record type of handshakes, and the major version of TLS.
const HANDSHAKE: [u8; 2] = [22, 3];

/// What a client asks for, in the clear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name, lower case; none if there is none or it is an IP address.
    pub sni: Option<Box<str>>,
    /// The protocols that it offers, in its order, those that are text.
    pub alpns: Vec<Box<str>>,
}

/// How far a hello has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloRead {
    /// A beginning of one: more bytes are needed.
    Partial,
    /// These bytes do not begin a TLS connection.
    NotTls,
    /// Malformed, longer than [`HELLO_BYTES_MAX`], or of a client that does not even speak TLS 1.2.
    Bad,
    Hello(Hello),
}

/// Reads the hello at the start of `bytes`, which is all that has arrived so far; what follows it does not matter. Consumes nothing.
///
/// The parser is the library's own, so that a hello means here what it would mean to a server. Parses from the start each time: callers
/// bound the number of calls by [`HELLO_BYTES_MAX`], and peers by sending pieces of a sane size.
pub fn read_hello(bytes: &[u8]) -> HelloRead {
    let known = bytes.len().min(HANDSHAKE.len());
    if bytes[..known] != HANDSHAKE[..known] {
        return HelloRead::NotTls;
    }
    match feed(&mut Acceptor::default(), &mut &bytes[..]) {
        Ok(Some(accepted)) => HelloRead::Hello(Hello::new(&accepted)),
        Ok(None) if bytes.len() < HELLO_BYTES_MAX => HelloRead::Partial,
        Ok(None) | Err(_) => HelloRead::Bad,
    }
}

impl Hello {
    fn new(accepted: &Accepted) -> Hello {
        let hello = accepted.client_hello();
        let text = |protocol: &[u8]| std::str::from_utf8(protocol).ok().map(Box::from);
        Hello {
            sni: sni(&hello),
            alpns: hello
                .alpn()
                .into_iter()
                .flatten()
                .filter_map(text)
                .collect(),
        }
    }
}

/// The name that is asked for, lower case, without a dot at its end.
pub(super) fn sni(hello: &rustls::server::ClientHello<'_>) -> Option<Box<str>> {
    let name = hello.server_name()?;
    let name = name.strip_suffix('.').unwrap_or(name);
    Some(name.to_ascii_lowercase().into())
}

/// The library's refusal of a hello, with the alert for it.
pub(super) type BadHello = (rustls::Error, Option<rustls::server::AcceptedAlert>);

/// Gives `bytes` to `acceptor` until it has the hello, and takes what it has used off them.
pub(super) fn feed(
    acceptor: &mut Acceptor,
    bytes: &mut &[u8],
) -> Result<Option<Accepted>, BadHello> {
    while !bytes.is_empty() {
        let before = bytes.len();
        // A hello that does not end fills the library's buffer.
        let read = acceptor.read_tls(bytes);
        if read.is_err() || bytes.len() == before {
            return Err((rustls::Error::General("the hello is too long".into()), None));
        }
        let accepted = acceptor.accept();
        if let Some(accepted) = accepted.map_err(|(error, alert)| (error, Some(alert)))? {
            return Ok(Some(accepted));
        }
    }
    Ok(None)
}
