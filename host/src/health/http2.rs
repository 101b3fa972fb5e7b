//! One exchange over HTTP/2 on a connection of its own.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::{Rc, Weak};
use std::task::Context;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::deadline::Deadline;
use super::exchange::drive;
use super::{Failure, Passed, Stage};
use crate::net::stream::Stream;

pub(super) const PROTOCOL: &str = "HTTP/2";

/// Of a connection and of a stream; more than any answer has, less than hyper's default.
const WINDOW_BYTES: u32 = 65_535;

/// The most that a response head may take.
const HEAD_BYTES_MAX: u32 = 64 * 1024;

/// Sends `request` by prior knowledge and has the response judged. Must be called within a `LocalSet`.
pub(super) async fn exchange<B, F>(
    stream: Stream,
    request: Request<B>,
    deadline: &Deadline,
    judge: impl FnOnce(Response<Incoming>) -> F,
) -> Result<Passed, Failure>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static, Data: Send> + Send + Unpin + 'static,
    F: Future<Output = Result<Passed, Failure>>,
{
    let tasks = Tasks::default();
    let handshake = http2::Builder::new(tasks.executor())
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream));
    let broken = |error: hyper::Error| Failure::from_http(&error, PROTOCOL, Stage::Answer);
    let opened = deadline.bound(Stage::Answer, handshake).await?;
    let (mut sender, connection) = opened.map_err(broken)?;
    // Owns the sender: when it ends the connection has no more use and says goodbye.
    let exchange = async move {
        let response = deadline.bound(Stage::Answer, sender.send_request(request));
        judge(response.await?.map_err(broken)?).await
    };
    let result = drive(connection, exchange, deadline).await;
    deadline.take_leave(tasks.end()).await;
    result
}

/// The tasks that hyper starts for one connection; they end with this, so a check that is dropped leaves none behind.
#[derive(Default)]
struct Tasks(Rc<RefCell<JoinSet<()>>>);

/// Held by the tasks themselves, hence weak: they must not keep their own set.
#[derive(Clone)]
struct TaskExecutor(Weak<RefCell<JoinSet<()>>>);

impl Tasks {
    fn executor(&self) -> TaskExecutor {
        TaskExecutor(Rc::downgrade(&self.0))
    }

    /// Waits until all have ended by themselves.
    async fn end(&self) {
        let next = |cx: &mut Context<'_>| self.0.borrow_mut().poll_join_next(cx);
        while poll_fn(next).await.is_some() {}
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for TaskExecutor {
    fn execute(&self, future: F) {
        // Bounded by hyper: one task for the connection, one for each request body, of which there is one.
        if let Some(tasks) = self.0.upgrade() {
            tasks.borrow_mut().spawn_local(future);
        }
    }
}
