//! Which certificate is shown to whom.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as ECDSA_SUITE,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 as RSA_SUITE,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version,
};

use super::authority::{Authority, Issued, expired, named};
use super::{Files, NO_NAME, anyone, errors, server, settings, shake, worker};
use crate::config::{Certificate, UnknownName};
use crate::tls::Server;

/// Which of `all` the client got for `name`.
async fn shown(server: &Server, config: ClientConfig, name: &str, all: &[&Issued]) -> usize {
    let shaken = shake(server, &Arc::new(config), name).await;
    let chain = shaken.client().peer_certificates().expect("a certificate");
    let mut all = all.iter();
    all.position(|issued| issued.der == chain[0])
        .expect("one of them")
}

#[tokio::test]
async fn the_name_decides_exact_before_wildcard_before_the_first() {
    let ca = Authority::new("ca");
    let mut common = CertificateParams::default();
    common
        .distinguished_name
        .push(DnType::CommonName, "Common.test");
    let mut both = named(&["san.test"]);
    both.distinguished_name
        .push(DnType::CommonName, "ignored.test");
    let issued = [
        ca.issue(&named(&["first.test"])),
        ca.issue(&named(&["*.app.test", "app.test"])),
        ca.issue(&named(&["api.app.test"])),
        ca.issue(&common),
        ca.issue(&both),
    ];
    let files = Files::new();
    let pairs = issued.iter().enumerate();
    let pairs = pairs
        .map(|(at, issued)| files.certificate(&at.to_string(), issued))
        .collect();
    let server = server(&settings(pairs));
    worker(async {
        for (name, expected) in [
            ("first.test", 0),
            ("app.test", 1),
            ("x.app.test", 1),
            ("X.APP.test", 1),
            ("api.app.test", 2),
            ("x.api.app.test", 0),
            ("common.test", 3),
            ("san.test", 4),
            ("ignored.test", 0),
            ("other.test", 0),
            (NO_NAME, 0),
        ] {
            let all: Vec<_> = issued.iter().collect();
            assert_eq!(
                shown(&server, anyone(), name, &all).await,
                expected,
                "{name}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_where_that_is_asked_for() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let pair = files.certificate("a", &ca.issue(&named(&["a.test"])));
    let mut settings = settings(vec![pair]);
    settings.unknown_name = UnknownName::Refuse;
    let server = server(&settings);
    worker(async {
        let config = Arc::new(anyone());
        let refused = shake(&server, &config, "b.test").await;
        assert_eq!(refused.alert(), AlertDescription::UnrecognisedName);
        assert!(
            refused
                .refusal()
                .contains("no certificate is for this name")
        );
        assert_eq!(
            &*shake(&server, &config, "a.test").await.facts().own_names[0],
            "a.test"
        );
        let nameless = shake(&server, &config, NO_NAME).await;
        assert_eq!(nameless.facts().sni, None);
    })
    .await;
}

/// Accepts anything, but says that it can verify these schemes alone.
#[derive(Debug)]
struct Knows(Vec<SignatureScheme>);

impl ServerCertVerifier for Knows {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

const RSA: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;
const ECDSA: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

fn knowing(
    schemes: &[SignatureScheme],
    suite: Option<rustls::SupportedCipherSuite>,
) -> ClientConfig {
    let mut provider = crate::tls::policy::default_provider();
    let versions = match suite {
        Some(suite) => {
            provider.cipher_suites = vec![suite];
            &[&version::TLS12][..]
        }
        None => &[&version::TLS13],
    };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Knows(schemes.to_vec())))
        .with_no_client_auth()
}

#[tokio::test]
async fn of_two_keys_for_a_name_the_client_gets_the_one_it_can_verify() {
    let ca = Authority::new("ca");
    let ecdsa = ca.issue(&named(&["a.test"]));
    let rsa = ca.issue_for(&named(&["a.test"]), &rcgen::PKCS_RSA_SHA256);
    let files = Files::new();
    let pairs = vec![
        files.certificate("ecdsa", &ecdsa),
        files.certificate("rsa", &rsa),
    ];
    let server = server(&settings(pairs));
    worker(async {
        for (schemes, suite, expected) in [
            (&[ECDSA][..], None, 0),
            (&[RSA], None, 1),
            (&[RSA, ECDSA], None, 0),
            (&[RSA, ECDSA], Some(RSA_SUITE), 1),
            (&[RSA, ECDSA], Some(ECDSA_SUITE), 0),
            (&[RSA], Some(RSA_SUITE), 1),
        ] {
            for name in ["a.test", "unknown.test", NO_NAME] {
                let config = knowing(schemes, suite);
                let found = shown(&server, config, name, &[&ecdsa, &rsa]).await;
                assert_eq!(found, expected, "{schemes:?} {suite:?} {name}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_shown_is_told_by_its_names_also_for_a_resumed_session() {
    let ca = Authority::new("ca");
    let files = Files::new();
    let pairs = vec![
        files.certificate("a", &ca.issue(&named(&["a.test"]))),
        files.certificate("b", &ca.issue(&named(&["B.test", "*.b.test"]))),
    ];
    let server = server(&settings(pairs));
    worker(async {
        let config = Arc::new(anyone());
        for resumed in [false, true] {
            let shaken = shake(&server, &config, "x.b.test").await;
            let facts = shaken.facts();
            assert_eq!(facts.resumed, resumed);
            assert_eq!(facts.sni.as_deref(), Some("x.b.test"));
            let names: Vec<_> = facts.own_names.iter().map(|name| &**name).collect();
            assert_eq!(names, ["b.test", "*.b.test"]);
            assert!(facts.serves("y.b.test") && !facts.serves("a.test"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_staple_is_shown_and_an_expired_certificate_too() {
    #[derive(Debug)]
    struct Stapled(Vec<u8>);
    impl ServerCertVerifier for Stapled {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            ocsp: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            assert_eq!(ocsp, self.0);
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![ECDSA]
        }
    }
    let staple = vec![0x30, 0x03, 0x0a, 0x01, 0x00];
    let files = Files::new();
    let mut pair = files.certificate("a", &Authority::new("ca").issue(&expired(&["a.test"])));
    pair.ocsp = Some(files.write("staple", &staple));
    let server = server(&settings(vec![pair]));
    let mut config = anyone();
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(Stapled(staple)));
    let shaken = worker(shake(&server, &Arc::new(config), "a.test")).await;
    assert_eq!(&*shaken.facts().own_names[0], "a.test");
}

#[test]
fn files_that_are_missing_empty_or_wrong_are_named_all_at_once() {
    let ca = Authority::new("ca");
    let (one, other) = (ca.issue(&named(&["a.test"])), ca.issue(&named(&["b.test"])));
    let files = Files::new();
    let pair = |chain, key| Certificate {
        chain,
        key,
        ocsp: None,
    };
    let good = || files.write("good", one.pem());
    let (chain_only, key_only) = (one.chain_pem(), one.key_pem());
    let mut stapled = pair(good(), good());
    stapled.ocsp = Some(files.write("staple", "-----BEGIN"));
    let settings = settings(vec![
        pair(files.name("missing"), good()),
        pair(files.write("empty", ""), good()),
        pair(
            files.write("key-only", key_only),
            files.write("chain-only", chain_only),
        ),
        pair(good(), files.write("other", other.pem())),
        pair(
            files.write("garbage", super::authority::pem("CERTIFICATE", b"x")),
            good(),
        ),
        pair(files.write("cut", &one.pem()[..60]), good()),
        stapled,
        pair(good(), good()),
    ]);
    let words = errors(Server::new(&settings, None));
    let expected = [
        ("missing", "cannot read"),
        ("empty", "there is no certificate in"),
        ("key-only", "there is no certificate in"),
        ("chain-only", "there is no private key in"),
        ("other", "the key does not belong to the certificate"),
        ("garbage", "the certificate is malformed"),
        ("cut", "cannot read the certificates of"),
        ("staple", "is not a successful OCSP response"),
    ];
    assert_eq!(words.len(), expected.len(), "{words:#?}");
    for ((file, what), words) in expected.iter().zip(&words) {
        assert!(words.contains(file) && words.contains(what), "{words}");
    }
}
