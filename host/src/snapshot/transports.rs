//! What lies below HTTP/1.1 on either side, compiled: TLS, HTTP/2, and the checks that go the same way.

use super::compile::Compiler;
use crate::acme;
use crate::config;
use crate::health;
use crate::http::Limits;
use crate::http2;
use crate::tls;
use crate::upstream::Transport;
use std::sync::Arc;

impl Compiler<'_> {
    /// None when a file that the check needs cannot be read.
    pub(super) fn health_check(
        &mut self,
        written: &config::Cluster,
        transport: &Transport,
    ) -> Option<Option<Arc<health::Check>>> {
        let Some(settings) = &written.health_check else {
            return Some(None);
        };
        let transport = health::Transport {
            tls: transport.tls.clone(),
            proxy_protocol: transport.proxy_protocol.clone(),
            http2: transport.http2.is_some(),
        };
        match health::Check::new(settings.clone(), transport) {
            Ok(check) => Some(Some(Arc::new(check))),
            Err(message) => self.refuse(written.name.place, message, None),
        }
    }

    /// None when a file that TLS needs cannot be used.
    pub(super) fn transport(&mut self, written: &config::Cluster) -> Option<Transport> {
        let tls = match &written.tls {
            Some(settings) => {
                let client = tls::Client::new(settings);
                Some(Arc::new(self.all_or_errors(client)?))
            }
            None => None,
        };
        let http2 = matches!(written.protocol, config::UpstreamProtocol::Http2);
        Some(Transport {
            tls,
            proxy_protocol: written.proxy_protocol.clone(),
            http2: http2.then(|| http2_client(&written.http2)),
        })
    }

    pub(super) fn server_tls(
        &mut self,
        written: &config::Listener,
    ) -> Option<Option<Arc<tls::Server>>> {
        let Some(settings) = &written.tls else {
            return Some(None);
        };
        let running = self.running.and_then(|running| {
            let mut listeners = running.listeners.iter();
            listeners.find(|listener| *listener.name == *written.name.value)
        });
        let previous = running.and_then(|listener| listener.tls.as_deref());
        let server = tls::Server::new(settings, previous);
        let server = self.all_or_errors(server)?;
        // What an earlier generation has got is never older than what was stored.
        let acme = settings.acme.as_ref().filter(|_| !server.has_installed());
        if let Some((chain, key)) = acme.and_then(acme::stored)
            && let Err(error) = server.install(&chain, &key)
        {
            tracing::warn!(listener = %written.name.value, error, "the stored certificate cannot be used");
        }
        Some(Some(Arc::new(server)))
    }

    fn all_or_errors<T>(&mut self, made: Result<T, Vec<(config::Place, String)>>) -> Option<T> {
        let errors = match made {
            Ok(made) => return Some(made),
            Err(errors) => errors,
        };
        for (place, message) in errors {
            self.errors.error(place, message, None);
        }
        None
    }
}

fn http2_client(written: &config::Http2) -> http2::client::Settings {
    http2::client::Settings {
        streams_max: written.streams_max,
        stream_window: written.stream_window,
        connection_window: written.connection_window,
        header_bytes_max: Limits::default().head_bytes_max,
    }
}

/// None: not spoken.
pub(super) fn http2_server(written: &config::HttpListener) -> Option<http2::server::Settings> {
    let http2 = &written.http2;
    http2.enabled.then_some(http2::server::Settings {
        streams_max: http2.streams_max,
        stream_window: http2.stream_window,
        connection_window: http2.connection_window,
        header_bytes_max: written.header_bytes_max,
        headers_max: written.headers_max,
    })
}
