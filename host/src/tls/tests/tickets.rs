//! Resumption, and across which reloads it lasts.

use std::path::PathBuf;
use std::sync::Arc;

use super::authority::{Authority, Issued, named};
use super::{Files, server, settings, shake, showing, worker};
use crate::config::{ClientAuthentication, Demand, ServerTls, Spanned, TlsVersion};
use crate::tls::Server;

struct World {
    files: Files,
    own: Issued,
    clients: Authority,
    client: Issued,
}

impl World {
    fn new() -> World {
        let clients = Authority::new("clients");
        World {
            files: Files::new(),
            own: Authority::new("servers").issue(&named(&["a.test"])),
            client: clients.issue(&named(&["client.test"])),
            clients,
        }
    }

    fn settings(&self, ca: Spanned<PathBuf>) -> ServerTls {
        let mut settings = settings(vec![self.files.certificate("own", &self.own)]);
        settings.client_certificate = Some(ClientAuthentication {
            demand: Demand::Required,
            ca,
            crls: Vec::new(),
        });
        settings
    }

    /// Whether a client with a session of the first resumes it at the second.
    async fn resumes(&self, first: &Server, second: &Server) -> bool {
        let config = Arc::new(showing(&self.client));
        assert!(!shake(first, &config, "a.test").await.facts().resumed);
        shake(second, &config, "a.test").await.facts().resumed
    }
}

#[tokio::test]
async fn tickets_last_over_a_reload_as_long_as_they_prove_the_same() {
    let world = World::new();
    let both = world.clients.pem() + &Authority::new("more").pem();
    let ca = || world.files.write("ca", world.clients.pem());
    let more = world.files.write("more", both);
    let crl = world.files.write("crl", world.clients.revokes(&[]));
    type Change<'c> = Box<dyn Fn(&mut ServerTls) + 'c>;
    let cases: [(&str, Change<'_>, bool); 8] = [
        ("nothing", Box::new(|_| {}), true),
        (
            "protocols",
            Box::new(|new| new.alpn = vec!["h2".to_owned()]),
            true,
        ),
        ("limits", Box::new(|new| new.handshakes_max = 1), true),
        (
            "the same authority in another file",
            Box::new(|new| asked(new).ca = world.files.write("copy", world.clients.pem())),
            true,
        ),
        (
            "the authority",
            Box::new(|new| asked(new).ca = more.clone()),
            false,
        ),
        (
            "a revocation list",
            Box::new(|new| asked(new).crls.push(crl.clone())),
            false,
        ),
        (
            "what is demanded",
            Box::new(|new| asked(new).demand = Demand::Optional),
            false,
        ),
        (
            "versions",
            Box::new(|new| new.policy.versions = vec![TlsVersion::Tls13]),
            false,
        ),
    ];
    worker(async {
        let first = server(&world.settings(ca()));
        assert!(world.resumes(&first, &first).await);
        let stranger = server(&world.settings(ca()));
        assert!(
            !world.resumes(&first, &stranger).await,
            "a stranger has other keys"
        );
        for (what, change, expected) in cases {
            let mut new = world.settings(ca());
            change(&mut new);
            let second = Server::new(&new, Some(&first)).expect("good settings");
            assert_eq!(
                world.resumes(&first, &second).await,
                expected,
                "{what} changed"
            );
        }
    })
    .await;
}

fn asked(settings: &mut ServerTls) -> &mut ClientAuthentication {
    settings
        .client_certificate
        .as_mut()
        .expect("clients are asked")
}

#[tokio::test]
async fn without_tickets_nothing_is_resumed() {
    let world = World::new();
    for versions in [vec![TlsVersion::Tls12], vec![TlsVersion::Tls13]] {
        let mut settings = world.settings(world.files.write("ca", world.clients.pem()));
        settings.tickets = false;
        settings.policy.versions = versions;
        let server = server(&settings);
        assert!(!worker(world.resumes(&server, &server)).await);
    }
}

#[tokio::test]
async fn tickets_that_were_turned_off_and_on_again_have_new_keys() {
    let world = World::new();
    let ca = || world.files.write("ca", world.clients.pem());
    let first = server(&world.settings(ca()));
    let mut off = world.settings(ca());
    off.tickets = false;
    let off = Server::new(&off, Some(&first)).expect("good settings");
    let last = Server::new(&world.settings(ca()), Some(&off)).expect("good settings");
    assert!(!worker(world.resumes(&first, &off)).await);
    assert!(!worker(world.resumes(&first, &last)).await);
}
