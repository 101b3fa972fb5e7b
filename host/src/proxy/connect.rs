//! A connection to an endpoint that the cluster's balancer picked; one that cannot be connected to is passed over for the next.

use super::outcome::Stop;
use crate::balance::{PickError, Picked};
use crate::net::timer::Timer;
use crate::upstream::{Cluster, DialError, Dialled, checkout, dial};

/// Endpoints tried for one request or TCP connection when connecting fails.
const CONNECTS_MAX: usize = 3;

/// Which pooled connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// None: what it is for must have a connection of its own.
    No,
    /// One used a moment ago: what is lost with it cannot be sent again.
    Recent,
    /// Any.
    Any,
}

/// Connects and takes a place at the endpoint. Positions of endpoints that failed are added to `tried` and not picked again. Uses `timer`.
pub(super) async fn connect(
    cluster: &Cluster,
    key: u64,
    timer: &Timer,
    reuse: Reuse,
    tried: &mut Vec<usize>,
) -> Result<(Picked, Dialled), Stop> {
    let mut stop = None;
    for _ in 0..CONNECTS_MAX {
        let picked = match cluster.picker.pick(key, tried) {
            Ok(picked) => picked,
            Err(PickError::Full) => return Err(stop.unwrap_or(Stop::EndpointsFull)),
            Err(PickError::None) => return Err(stop.unwrap_or(Stop::NoEndpoint)),
        };
        let endpoint = &cluster.endpoints[picked.position];
        let pooled = match reuse {
            Reuse::No => None,
            Reuse::Recent => checkout(endpoint, false),
            Reuse::Any => checkout(endpoint, true),
        };
        if let Some(dialled) = pooled {
            return Ok((picked, dialled));
        }
        match dial(cluster, endpoint, timer).await {
            Ok(dialled) => return Ok((picked, dialled)),
            Err(error) => {
                endpoint.report(&cluster.name, "connecting failed", &error);
                tried.push(picked.position);
                stop = Some(match error {
                    DialError::Timeout => Stop::ConnectTimeout,
                    DialError::Io(_) => Stop::ConnectFailed,
                });
            }
        }
    }
    Err(stop.unwrap_or(Stop::ConnectFailed))
}
