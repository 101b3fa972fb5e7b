//! How an exchange or a TCP connection ended: one word in the access log, in metrics and in tests.

/// The one final classification. [`Outcome::token`] is stable and documented in `host/docs/outcomes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream's response was delivered whole.
    Ok,
    /// The route itself answered: a redirect or a fixed response.
    RouteReply,
    /// The connection became a tunnel (WebSocket and the like), which ended by one side's close.
    Tunnel,
    /// A tunnel or TCP connection was silent for its idle timeout.
    IdleTimeout,
    /// The downstream went away before it had everything.
    DownstreamAborted,
    /// The upstream ended or broke off after the response had begun.
    UpstreamAborted,
    /// The upstream fell silent after the response had begun.
    UpstreamStalled,
    /// The endpoint went down after the response or the relay had begun, and `on-down` closes.
    EndpointDown,
    /// Forwarding stopped before a response began.
    Stopped(Stop),
}

/// Why forwarding stopped before a response began. Each arm is a verdict, a limit or an error; [`Stop::status`] maps them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The request broke a rule of the protocol; the status is the parser's choice.
    BadRequest { status: u16 },
    /// CONNECT: this is no forward proxy.
    ConnectRefused,
    /// The TLS connection is for another host.
    Misdirected,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body is larger than the listener allows.
    BodyTooLarge,
    /// The body's chunked framing is broken.
    BadBody,
    /// The body stopped arriving.
    BodyTimeout,
    /// No route matches.
    NoRoute,
    /// A filter answered with this status.
    FilterReply { status: u16 },
    /// A filter closed the connection.
    FilterClose,
    /// A filter faulted and fails closed.
    FilterFault,
    /// The cluster has no endpoint that may be picked.
    NoEndpoint,
    /// Every endpoint is at its `requests-max`, and nobody may wait.
    EndpointsFull,
    /// Every endpoint is at its `requests-max`, and as many wait as may.
    QueueFull,
    /// No place became free in time.
    QueueTimeout,
    /// A limit of the circuit breaker is reached.
    CircuitOpen,
    /// The endpoint went down while it served the request, and `on-down` closes.
    EndpointDown,
    /// No endpoint took the connection.
    ConnectFailed,
    /// No endpoint took the connection in time.
    ConnectTimeout,
    /// The upstream closed or broke the connection instead of answering.
    UpstreamReset,
    /// The upstream's answer breaks the protocol.
    UpstreamInvalid,
    /// A filter wants the body of the response whole, and it is larger than that filter takes, or coded as it cannot be undone.
    ResponseRefused,
    /// The upstream did not answer in time.
    ResponseTimeout,
    /// The downstream went away before a response began.
    DownstreamAborted,
}

impl Outcome {
    pub fn token(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::RouteReply => "route-reply",
            Outcome::Tunnel => "tunnel",
            Outcome::IdleTimeout => "idle-timeout",
            Outcome::DownstreamAborted => "downstream-aborted",
            Outcome::UpstreamAborted => "upstream-aborted",
            Outcome::UpstreamStalled => "upstream-stalled",
            Outcome::EndpointDown => "endpoint-down",
            Outcome::Stopped(stop) => stop.token(),
        }
    }
}

impl Stop {
    pub fn token(self) -> &'static str {
        match self {
            Stop::BadRequest { .. } => "bad-request",
            Stop::ConnectRefused => "connect-refused",
            Stop::Misdirected => "misdirected",
            Stop::HeadTimeout => "head-timeout",
            Stop::BodyTooLarge => "body-too-large",
            Stop::BadBody => "bad-body",
            Stop::BodyTimeout => "body-timeout",
            Stop::NoRoute => "no-route",
            Stop::FilterReply { .. } => "filter-reply",
            Stop::FilterClose => "filter-close",
            Stop::FilterFault => "filter-fault",
            Stop::NoEndpoint => "no-endpoint",
            Stop::EndpointsFull => "endpoints-full",
            Stop::QueueFull => "queue-full",
            Stop::QueueTimeout => "queue-timeout",
            Stop::CircuitOpen => "circuit-open",
            Stop::EndpointDown => "endpoint-down",
            Stop::ConnectFailed => "connect-failed",
            Stop::ConnectTimeout => "connect-timeout",
            Stop::UpstreamReset => "upstream-reset",
            Stop::UpstreamInvalid => "upstream-invalid",
            Stop::ResponseRefused => "response-refused",
            Stop::ResponseTimeout => "response-timeout",
            Stop::DownstreamAborted => "downstream-aborted",
        }
    }

    /// The status to answer with; none: close without an answer.
    pub fn status(self) -> Option<u16> {
        match self {
            Stop::BadRequest { status } | Stop::FilterReply { status } => Some(status),
            Stop::ConnectRefused => Some(405),
            Stop::Misdirected => Some(421),
            Stop::HeadTimeout | Stop::BodyTimeout => Some(408),
            Stop::BodyTooLarge => Some(413),
            Stop::BadBody => Some(400),
            Stop::NoRoute => Some(404),
            Stop::FilterFault => Some(500),
            Stop::NoEndpoint
            | Stop::EndpointsFull
            | Stop::QueueFull
            | Stop::QueueTimeout
            | Stop::CircuitOpen
            | Stop::EndpointDown => Some(503),
            Stop::ConnectFailed
            | Stop::UpstreamReset
            | Stop::UpstreamInvalid
            | Stop::ResponseRefused => Some(502),
            Stop::ConnectTimeout | Stop::ResponseTimeout => Some(504),
            Stop::FilterClose | Stop::DownstreamAborted => None,
        }
    }

    /// Whether the downstream connection can no longer be trusted to be at the start of a request.
    pub fn closes(self) -> bool {
        match self {
            Stop::BadRequest { .. }
            | Stop::ConnectRefused
            | Stop::HeadTimeout
            | Stop::BodyTooLarge
            | Stop::BadBody
            | Stop::BodyTimeout
            | Stop::FilterClose
            | Stop::DownstreamAborted => true,
            Stop::NoRoute
            | Stop::Misdirected
            | Stop::FilterReply { .. }
            | Stop::FilterFault
            | Stop::NoEndpoint
            | Stop::EndpointsFull
            | Stop::QueueFull
            | Stop::QueueTimeout
            | Stop::CircuitOpen
            | Stop::EndpointDown
            | Stop::ConnectFailed
            | Stop::ConnectTimeout
            | Stop::UpstreamReset
            | Stop::UpstreamInvalid
            | Stop::ResponseRefused
            | Stop::ResponseTimeout => false,
        }
    }
}
