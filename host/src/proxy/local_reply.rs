//! Responses made here, not upstream: short, and saying nothing about the inside.

use super::connection::Connection;
use super::context::RequestContext;
use super::grpc;
use super::http::{Ended, Next};
use super::outcome::{Outcome, Stop};
use crate::config::{RouteMatch, Template};
use crate::filter::{self, Body, FilterChain, Passed};
use crate::http::{BodyLength, Exchange, write_response};
use crate::net::buffer::Buffer;
use crate::route::{Captures, TemplateFacts, matched_path, render};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// An answer to give instead of an upstream's.
#[derive(Debug)]
pub(super) struct Answer {
    outcome: Outcome,
    body: Body,
    /// The response head stands in the exchange already.
    prepared: bool,
    /// Close without an answer.
    silent: bool,
}

impl Answer {
    /// The usual answer to a stop.
    pub(super) fn plain(stop: Stop) -> Answer {
        Answer {
            outcome: Outcome::Stopped(stop),
            body: Body::new(),
            prepared: false,
            silent: stop.status().is_none(),
        }
    }

    /// One whose head stands in the exchange.
    pub(super) fn prepared(outcome: Outcome, body: Body) -> Answer {
        Answer {
            outcome,
            body,
            prepared: true,
            silent: false,
        }
    }

    /// Puts the head into the exchange, if it is not there yet.
    pub(super) fn prepare(&mut self, exchange: &mut Exchange) {
        if let Outcome::Stopped(stop) = self.outcome
            && let Some(status) = stop.status()
            && !self.prepared
        {
            self.body = filter::put_plain(exchange, status, text(status).as_bytes());
            if status == 405 {
                let _ = exchange
                    .response
                    .fields_mut()
                    .append(b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            }
            self.prepared = true;
        }
    }

    /// Runs the response phases of the filters that the request has passed.
    pub(super) fn pass_back(&mut self, ctx: &mut RequestContext, filters: &FilterChain) {
        if self.silent {
            return;
        }
        match ctx.filter_response(filters, &mut self.body) {
            Passed::Kept | Passed::Replaced => {}
            Passed::Faulted => self.outcome = Outcome::Stopped(Stop::FilterFault),
            Passed::Close => {
                self.outcome = Outcome::Stopped(Stop::FilterClose);
                self.silent = true;
            }
        }
    }

    /// Whether the downstream connection cannot be used after it.
    pub(super) fn closes(&self) -> bool {
        self.silent || matches!(self.outcome, Outcome::Stopped(stop) if stop.closes())
    }
}

pub(super) fn text(status: u16) -> &'static str {
    match status {
        400 => "bad request\n",
        404 => "not found\n",
        405 => "method not allowed\n",
        408 => "request timeout\n",
        413 => "content too large\n",
        414 => "uri too long\n",
        421 => "misdirected request\n",
        431 => "request header fields too large\n",
        501 => "not implemented\n",
        502 => "bad gateway\n",
        503 => "service unavailable\n",
        504 => "gateway timeout\n",
        505 => "http version not supported\n",
        _ => "internal error\n",
    }
}

/// The answer of a route that redirects.
pub(super) fn redirect(
    ctx: &mut RequestContext,
    matcher: &RouteMatch,
    target: &Template,
    status: u16,
) -> Answer {
    let location = rendered(ctx.exchange(), matcher, &[target]).remove(0);
    let exchange = ctx.exchange_mut();
    let body = filter::put_plain(exchange, status, b"");
    // The parts of a valid request target are valid in a header, and the template was checked with the configuration.
    let _ = exchange
        .response
        .fields_mut()
        .set(b"location", location.as_bytes());
    Answer::prepared(Outcome::RouteReply, body)
}

/// The answer of a route that responds by itself.
pub(super) fn respond(
    ctx: &mut RequestContext,
    matcher: &RouteMatch,
    status: u16,
    body: &Template,
    headers: &[(String, Template)],
) -> Answer {
    let templates: Vec<&Template> = std::iter::once(body)
        .chain(headers.iter().map(|(_, value)| value))
        .collect();
    let mut texts = rendered(ctx.exchange(), matcher, &templates);
    let exchange = ctx.exchange_mut();
    let body = filter::put_plain(exchange, status, texts.remove(0).as_bytes());
    for ((name, _), value) in headers.iter().zip(texts) {
        let fields = exchange.response.fields_mut();
        let _ = if name == "content-type" {
            fields.set(name.as_bytes(), value.as_bytes())
        } else {
            fields.append(name.as_bytes(), value.as_bytes())
        };
    }
    Answer::prepared(Outcome::RouteReply, body)
}

fn rendered(exchange: &Exchange, matcher: &RouteMatch, templates: &[&Template]) -> Vec<String> {
    let request = &exchange.request;
    let captures = matched_path(matcher, request.path())
        .map(|pattern| Captures::of(pattern, request.path()))
        .unwrap_or_default();
    let facts = TemplateFacts {
        scheme: exchange.connection.scheme.as_str(),
        host: request.host(),
        path: request.path(),
        query: request.query(),
        captures: &captures,
    };
    templates
        .iter()
        .map(|template| render(template, &facts))
        .collect()
}

/// Sends an answer. `next` is what then becomes of the downstream connection if it took the answer and the worker does not drain.
pub(super) async fn send(
    connection: &mut Connection,
    ctx: &mut RequestContext,
    mut answer: Answer,
    next: Next,
) -> Ended {
    answer.prepare(ctx.exchange_mut());
    if answer.silent {
        return Ended {
            outcome: answer.outcome,
            status: 0,
            next: Next::Close,
        };
    }
    let next = if next == Next::Keep && connection.is_draining() {
        Next::Close
    } else {
        next
    };
    if grpc::answer(ctx.exchange_mut(), answer.outcome) {
        answer.body.clear();
    }
    let status = ctx.exchange().response.status();
    let out = serialise(ctx.exchange_mut(), &answer.body, next == Next::Keep);
    let idle = connection.current().listener.idle_timeout;
    connection.timer().set(idle);
    let timer = connection.register.timer();
    let sent = timer.within(connection.stream.send(&out)).await;
    connection.count_sent(out.len());
    if !matches!(sent, Ok(Ok(()))) {
        return Ended {
            outcome: Outcome::DownstreamAborted,
            status,
            next: Next::Close,
        };
    }
    Ended {
        outcome: answer.outcome,
        status,
        next,
    }
}

fn serialise(exchange: &mut Exchange, body: &[u8], keep_alive: bool) -> Buffer {
    let date = date();
    let _ = exchange
        .response
        .fields_mut()
        .set_if_absent(b"date", date.as_bytes());
    let bodiless = matches!(exchange.response.status(), 204 | 304);
    let length = if bodiless {
        BodyLength::None
    } else {
        BodyLength::Fixed(body.len() as u64)
    };
    let mut out = Buffer::take();
    write_response(
        &exchange.response,
        length,
        keep_alive,
        exchange.request.version(),
        &mut out,
    );
    if !bodiless && exchange.request.method() != "HEAD" {
        out.extend_from_slice(body);
    }
    out
}

/// The `Date` of now (RFC 9110 section 6.6.1), made once a second.
fn date() -> String {
    thread_local! {
        static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now();
    let second = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    DATE.with_borrow_mut(|(made, text)| {
        if *made != second || text.is_empty() {
            (*made, *text) = (second, httpdate::fmt_http_date(now));
        }
        text.clone()
    })
}
