//! Which route a TCP connection takes: by what it said in its TLS hello, where any route asks for that.

use super::connection::Connection;
use crate::config::HelloMatch;
use crate::net::buffer::Buffer;
use crate::route::sni_matches;
use crate::snapshot::{TcpListener, TcpRoute};
use crate::tls::{HELLO_BYTES_MAX, Hello, HelloRead, read_hello};
use std::sync::Arc;

/// The first route that takes the connection, with what was read to find it; none where no route does.
///
/// A connection that is no TLS, says too much, or nothing in time, has no hello: routes that ask for none take it.
pub(super) async fn choose(
    connection: &mut Connection,
    tcp: &TcpListener,
) -> Option<(Arc<TcpRoute>, Option<Buffer>)> {
    if !tcp.needs_hello {
        return tcp.routes.first().map(|route| (route.clone(), None));
    }
    if let Some(tls) = &connection.facts.tls {
        let hello = Hello {
            sni: tls.sni.clone(),
            alpns: tls.alpn.iter().cloned().collect(),
        };
        return find(tcp, &hello).map(|route| (route.clone(), None));
    }
    let mut first = Buffer::take();
    let hello = read(connection, tcp, &mut first).await;
    find(tcp, &hello).map(|route| (route.clone(), Some(first)))
}

fn find<'t>(tcp: &'t TcpListener, hello: &Hello) -> Option<&'t Arc<TcpRoute>> {
    tcp.routes
        .iter()
        .find(|route| matches(&route.matcher, hello))
}

fn matches(matcher: &HelloMatch, hello: &Hello) -> bool {
    let offers = |wanted: &String| hello.alpns.iter().any(|offered| **offered == **wanted);
    (matcher.snis.is_empty() || sni_matches(&matcher.snis, hello.sni.as_deref()))
        && (matcher.alpns.is_empty() || matcher.alpns.iter().any(offers))
}

/// Reads until the hello is whole, or it is clear that there is none.
async fn read(connection: &mut Connection, tcp: &TcpListener, first: &mut Buffer) -> Hello {
    connection.timer().set(tcp.hello_timeout);
    loop {
        let timer = connection.register.timer();
        let read = timer.within(connection.stream.receive(first)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return Hello::default();
        }
        match read_hello(first) {
            HelloRead::Partial if first.len() < HELLO_BYTES_MAX => {}
            HelloRead::Hello(hello) => return hello,
            HelloRead::Partial | HelloRead::NotTls | HelloRead::Bad => return Hello::default(),
        }
    }
}
