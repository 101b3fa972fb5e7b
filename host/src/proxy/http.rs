//! The life of an HTTP request, in running order. Read this first. A stream of HTTP/2 comes here as a connection with one request.
//!
//! [`serve_connection`] waits without a buffer until bytes are there; `serve_requests` takes one request after the other off the connection;
//! `serve_request` carries one to its end: `plan` where it goes, `attempt::run` it there, or turn the [`Stop`] into a local reply, then write
//! the access line.

use super::attempt::{self, Target, Timeouts};
use super::connection::Connection;
use super::context::{LentContext, RequestContext};
use super::ending::finish;
use super::local_reply::{self, Answer};
use super::outcome::{Outcome, Stop};
use super::request_body::RequestBody;
use super::{forwarded, grpc, http2};
use crate::acme;
use crate::filter::{self, Halt};
use crate::http::{Exchange, Parsed, TargetForm, parse_request};
use crate::net::buffer::Buffer;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::snapshot::{Action, Bound, HeldRoute, HttpListener, Protocol};
use futures_util::FutureExt;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long a connection that was accepted while draining has for its first byte.
pub const DRAINING_PATIENCE: Duration = Duration::from_secs(1);
/// How long it takes at most to hear of what has arrived already on a connection that is idle when draining begins.
const DRAINING_GRACE: Duration = Duration::from_millis(100);
/// Where `http-01` challenges are asked for (RFC 8555 section 8.3).
const ACME_PREFIX: &str = "/.well-known/acme-challenge/";
/// How long a client may take to hear that it is wrong here.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// And how much of what it sends is thrown away meanwhile.
const REFUSED_BYTES_MAX: usize = 256 * 1024;

/// What becomes of the downstream connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is at the start of the next request.
    Keep,
    Close,
    /// As [`Next::Close`], while the downstream may still be sending: it is to read the answer first.
    Linger,
    /// It begins as HTTP/2 does.
    Http2,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub outcome: Outcome,
    /// What the downstream saw; 0 for nothing.
    pub status: u16,
    pub next: Next,
}

/// Where a request went; for the access line.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub generation: u64,
    pub route: Option<HeldRoute>,
    pub target: Option<Target>,
}

/// Serves a connection until one side has had enough. An idle connection holds no buffer and no request state. `_held` is kept until then.
pub async fn serve_connection(mut connection: Connection, _held: impl Sized) {
    if http2::is_agreed(&connection) {
        return Box::pin(http2::serve_connection(connection)).await;
    }
    let mut last = (Next::Close, None);
    while wait_for_request(&connection).await {
        last = Box::pin(serve_requests(&mut connection)).await;
        if last.0 != Next::Keep {
            break;
        }
    }
    // Boxed, as what goes before, so that an idle connection is small.
    match last {
        (Next::Linger, _) => Box::pin(connection.linger()).await,
        (Next::Http2, read) => {
            let read = read.map_or(Vec::new(), |read| read.to_vec());
            Box::pin(http2::serve_connection(connection.unread(read))).await;
        }
        _ if connection.facts.tls.is_some() => Box::pin(say_farewell(connection)).await,
        _ => {}
    }
}

/// Ends a TLS connection. Without a word of farewell the end of a body that ends with the connection could be anybody's work.
async fn say_farewell(mut connection: Connection) {
    connection.timer().set(REFUSAL_TIMEOUT);
    let timer = connection.register.timer();
    // However it ends, the connection is closed.
    let _ = timer.within(connection.stream.shutdown()).await;
}

/// Serves one stream of an HTTP/2 connection, which carries one request.
pub(super) async fn serve_stream(mut connection: Connection) {
    let (next, _) = Box::pin(serve_requests(&mut connection)).await;
    if next != Next::Keep {
        // A reset throws away what is not on the wire yet, and a response that was cut short is to arrive as far as it came.
        tokio::task::yield_now().await;
    }
}

/// Tells a client that speaks plain HTTP to a listener with TLS what is wrong. What it has sent is thrown away.
pub async fn refuse_plain(mut stream: Stream, timer: &Timer) {
    const TEXT: &str = "plain HTTP was sent to a port that expects HTTPS (TLS)\n";
    let length = TEXT.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{TEXT}"
    );
    timer.set(REFUSAL_TIMEOUT);
    let refused = async {
        stream.send(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with bytes unread would be a reset, and the client might not see the answer.
        let (mut rest, mut thrown_away) = (Buffer::take(), 0);
        while thrown_away < REFUSED_BYTES_MAX {
            rest.clear();
            match stream.receive(&mut rest).await? {
                0 => break,
                count => thrown_away += count,
            }
        }
        std::io::Result::Ok(())
    };
    // However it ends, the connection is closed.
    let _ = timer.within(refused).await;
}

/// False when none will come: the idle time is over, the connection failed, or it is to be drained.
///
/// While draining, a connection that was accepted late may still bring the request that it was made for, and one that is idle the request
/// that is on its way: closing on it would be a reset.
async fn wait_for_request(connection: &Connection) -> bool {
    let has_served = connection.facts.downstream_bytes.load(Ordering::Relaxed) > 0;
    if connection.is_draining() && !has_served {
        return becomes_readable(connection, DRAINING_PATIENCE).await == Some(true);
    }
    if !connection.is_draining() {
        connection.register.set_idle(true);
        let idle_timeout = connection.current().listener.idle_timeout;
        let readable = becomes_readable(connection, idle_timeout).await;
        connection.register.set_idle(false);
        if readable.is_some() || !connection.is_draining() {
            return readable == Some(true);
        }
    }
    becomes_readable(connection, DRAINING_GRACE).await == Some(true)
}

/// False when the connection has failed, none when nothing came in time.
async fn becomes_readable(connection: &Connection, patience: Duration) -> Option<bool> {
    connection.timer().set(patience);
    // By hand, since this is what an idle connection consists of.
    std::future::poll_fn(|cx| match connection.stream.poll_readable(cx) {
        Poll::Ready(readable) => Poll::Ready(Some(readable.is_ok())),
        Poll::Pending => connection.timer().poll_expired(cx).map(|()| None),
    })
    .await
}

/// Serves requests, pipelined ones in order, until none has begun to arrive.
///
/// Where the connection turns out to be HTTP/2, what was read of it comes along.
async fn serve_requests(connection: &mut Connection) -> (Next, Option<Buffer>) {
    let mut input = Buffer::take();
    let mut arrived = match connection.stream.receive(&mut input).now_or_never() {
        // A connection that was just accepted counts as readable before anything is there.
        None => return (Next::Keep, None),
        Some(Ok(0) | Err(_)) => return (Next::Close, None),
        Some(Ok(count)) => count,
    };
    loop {
        let mut ctx = RequestContext::lend(&connection.facts);
        connection.count_received(std::mem::take(&mut arrived));
        let bound = connection.current();
        let Protocol::Http(http) = &bound.listener.protocol else {
            return (Next::Close, None);
        };
        if http2::may_begin(&input)
            && http.http2.is_some()
            && Box::pin(http2::is_preface(connection, http, &mut input)).await
        {
            return (Next::Http2, Some(input));
        }
        let next = match read_head(connection, http, &mut input, &mut ctx).await {
            Ok(true) => serve_request(connection, bound, &mut input, ctx).await,
            Ok(false) => return (Next::Close, None),
            Err(stop) => {
                let answer = Answer::plain(stop);
                let sent = local_reply::send(connection, &mut ctx, answer, Next::Linger);
                let ended = Box::pin(sent).await;
                finish(
                    connection,
                    &Way {
                        generation: bound.snapshot.generation,
                        ..Way::default()
                    },
                    &mut ctx,
                    ended,
                );
                ended.next
            }
        };
        match next {
            Next::Keep if connection.is_draining() => return (Next::Close, None),
            Next::Keep if input.is_empty() => return (Next::Keep, None),
            Next::Keep => {}
            Next::Close | Next::Linger | Next::Http2 => return (next, None),
        }
    }
}

/// Reads until the head is complete and takes it off `input`. False when the downstream left before it was.
async fn read_head(
    connection: &mut Connection,
    http: &HttpListener,
    input: &mut Buffer,
    ctx: &mut RequestContext,
) -> Result<bool, Stop> {
    connection.timer().set(http.request_head_timeout);
    let mut waited = false;
    loop {
        if !input.is_empty() {
            match parse_request(input, &http.limits, &mut ctx.exchange_mut().request) {
                Ok(Parsed::Complete { head_len }) => {
                    input.consume(head_len);
                    let took = if waited { ctx.lap() } else { Duration::ZERO };
                    ctx.timers.request_head = Some(took);
                    return Ok(true);
                }
                Ok(Parsed::Partial) => {}
                Err(bad) => {
                    tracing::debug!(peer = %connection.facts.peer, status = bad.status, reason = bad.reason, offset = bad.offset, "bad request");
                    return Err(Stop::BadRequest { status: bad.status });
                }
            }
        }
        waited = true;
        let timer = connection.register.timer();
        match timer.within(connection.stream.receive(input)).await {
            Ok(Ok(0) | Err(_)) => return Ok(false),
            Ok(Ok(count)) => connection.count_received(count),
            Err(_) if input.is_empty() => return Ok(false),
            Err(_) => return Err(Stop::HeadTimeout),
        }
    }
}

/// Carries one request to its end.
async fn serve_request(
    connection: &mut Connection,
    bound: std::rc::Rc<Bound>,
    input: &mut Buffer,
    mut ctx: LentContext,
) -> Next {
    let Protocol::Http(http) = &bound.listener.protocol else {
        return Next::Close;
    };
    let mut body = RequestBody::new(
        ctx.exchange().request.body(),
        http.body_bytes_max,
        http.request_body_timeout,
    );
    let mut way = Way {
        generation: bound.snapshot.generation,
        ..Way::default()
    };
    let ended = match plan(&bound, http, &body, &mut ctx, &mut way) {
        Ok(target) => {
            // A response may stream for hours; it does not keep its generation alive.
            drop(bound);
            let ran = attempt::run(connection, input, &mut body, &mut ctx, &target).await;
            way.target = Some(target);
            match ran {
                Ok(ended) => ended,
                Err(stop) => {
                    let answer = match body.reply.take() {
                        Some(reply) => halted(&mut ctx, Halt::Reply(reply)),
                        None => Answer::plain(stop),
                    };
                    Box::pin(reply(connection, input, &mut body, &mut ctx, &way, answer)).await
                }
            }
        }
        Err(answer) => {
            let replied = reply(connection, input, &mut body, &mut ctx, &way, answer);
            Box::pin(replied).await
        }
    };
    finish(connection, &way, &mut ctx, ended);
    ended.next
}

/// Route, request filters, and where the route leads. An answer that has to be made here comes back as the error.
fn plan(
    bound: &Bound,
    http: &HttpListener,
    body: &RequestBody,
    ctx: &mut RequestContext,
    way: &mut Way,
) -> Result<Target, Answer> {
    if ctx.exchange().request.form() == TargetForm::Authority {
        return Err(Answer::plain(Stop::ConnectRefused));
    }
    body.check_length().map_err(Answer::plain)?;
    if is_misdirected(ctx.exchange()) {
        return Err(Answer::plain(Stop::Misdirected));
    }
    if let Some(answer) = acme_answer(ctx.exchange_mut()) {
        return Err(answer);
    }
    let found = http.routes.position(ctx.exchange());
    let found = found.and_then(|position| Some((position, http.routes.get(position)?)));
    let (position, (matcher, route)) = found.ok_or(Answer::plain(Stop::NoRoute))?;
    let held = bound.hold(position, route);
    way.route = Some(held.clone());
    forwarded::apply(ctx.exchange_mut(), &http.trust_forwarded);
    ctx.filter_request(&route.filters)
        .map_err(|halt| halted(ctx, halt))?;
    let drawn = match &route.action {
        Action::Cluster(_) => None,
        Action::Split(split) => Some(split.draw().clone()),
        Action::Redirect { target, status } => {
            return Err(local_reply::redirect(ctx, matcher, target, *status));
        }
        Action::Respond {
            status,
            body,
            headers,
        } => return Err(local_reply::respond(ctx, matcher, *status, body, headers)),
    };
    let deadline = grpc::deadline(&ctx.exchange().request);
    let mut target = Target {
        route: held,
        drawn,
        timeouts: Timeouts {
            deadline: deadline.map(|deadline| ctx.began + deadline),
            response: Duration::ZERO,
            downstream_idle: bound.listener.idle_timeout,
            tunnel: http.tunnel_timeout,
        },
        limits: http.limits,
    };
    let of_cluster = target.cluster().response_timeout;
    target.timeouts.response = route.response_timeout.unwrap_or(of_cluster);
    Ok(target)
}

/// The answer to a challenge by which a certificate authority looks whether a name is ours, on listeners without TLS.
fn acme_answer(exchange: &mut Exchange) -> Option<Answer> {
    if exchange.connection.tls.is_some() {
        return None;
    }
    let token = exchange.request.path().strip_prefix(ACME_PREFIX)?;
    let authorization = acme::http_challenge(token)?;
    let body = filter::put_plain(exchange, 200, authorization.as_bytes());
    let fields = exchange.response.fields_mut();
    // Name and value are valid.
    let _ = fields.set(b"content-type", b"application/octet-stream");
    Some(Answer::prepared(Outcome::RouteReply, body))
}

/// Whether the request is for a host that the TLS connection is not: neither the name that was asked for in the handshake nor one that the
/// certificate is for (RFC 9110 section 7.4). Otherwise a client could pass by what is decided from the name of the handshake.
fn is_misdirected(exchange: &Exchange) -> bool {
    let Some(tls) = &exchange.connection.tls else {
        return false;
    };
    let host = exchange.request.host();
    let is_other = |sni: &str| !host.is_empty() && sni != host && !tls.serves(host);
    tls.sni.as_deref().is_some_and(is_other)
}

fn halted(ctx: &mut RequestContext, halt: Halt) -> Answer {
    match halt {
        Halt::Close => Answer::plain(Stop::FilterClose),
        Halt::Fault => Answer::plain(Stop::FilterFault),
        Halt::Reply(reply) => {
            let status = reply.status;
            let body = filter::put_reply(ctx.exchange_mut(), reply);
            Answer::prepared(Outcome::Stopped(Stop::FilterReply { status }), body)
        }
    }
}

/// Sends an answer made here, past the filters that the request has passed.
async fn reply(
    connection: &mut Connection,
    input: &mut Buffer,
    body: &mut RequestBody,
    ctx: &mut RequestContext,
    way: &Way,
    mut answer: Answer,
) -> Ended {
    answer.prepare(ctx.exchange_mut());
    let closes = answer.closes();
    if let Some(route) = &way.route {
        answer.pass_back(ctx, &route.filters);
    }
    let next = match body.skip_buffered(input) {
        // What a filter makes of the answer does not mend the connection.
        true if closes || answer.closes() => Next::Linger,
        true if ctx.exchange().request.keep_alive() => Next::Keep,
        true => Next::Close,
        false => Next::Linger,
    };
    local_reply::send(connection, ctx, answer, next).await
}
