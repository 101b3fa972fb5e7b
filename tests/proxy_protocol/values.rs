//! The values of a header of version 2: told to filters, and said to endpoints.

use super::{address, believing, headed, saying, split_values, v2_of, values_of, with_checksum};
use crate::harness::{Authority, Origin, Proxy, TlsClient, config};

fn from(values: &[(u8, &[u8])]) -> Vec<u8> {
    v2_of(
        address("198.51.100.7:4000"),
        address("192.0.2.1:80"),
        values,
    )
}

#[test]
fn values_of_a_header_are_tags_for_filters() {
    let origin = Origin::echo();
    let proxy = believing(
        r#"filters { headers { request {
            set "x-version" "{tag:proxy.version}"
            set "x-sender" "{tag:proxy.sender}"
            set "x-authority" "{tag:proxy.authority}"
            set "x-alpn" "{tag:proxy.alpn}"
            set "x-id" "{tag:proxy.unique-id}"
            set "x-custom" "{tag:proxy.tlv.ea}"
            set "x-none" "[{tag:proxy.tlv.eb}]"
        } } }"#,
        &origin,
    );
    let values: [(u8, &[u8]); 5] = [
        (0x02, b"shop.example"),
        (0x01, b"h2"),
        (0x05, b"one-7"),
        // Padding says nothing.
        (0x04, &[0; 9]),
        (0xea, b"vpce-08d2bf15fac5001c9"),
    ];
    let mut client = proxy.client();
    client.send(with_checksum(&from(&values)));
    let sender = client.stream().local_addr().expect("it is connected");
    let seen = client.get("/x").echoed();
    assert_eq!(seen.header("x-sender"), Some(sender.to_string().as_str()));
    for (name, expected) in [
        ("x-version", "2"),
        ("x-authority", "shop.example"),
        ("x-alpn", "h2"),
        ("x-id", "one-7"),
        ("x-custom", "vpce-08d2bf15fac5001c9"),
        ("x-none", "[]"),
    ] {
        assert_eq!(seen.header(name), Some(expected), "{name}");
    }
    assert_eq!(proxy.line_of("/x").outcome(), "ok");
}

#[test]
fn values_that_were_received_go_on_where_they_are_asked_for() {
    let received: [(u8, &[u8]); 6] = [
        (0x01, b"h2"),
        (0x02, b"shop.example"),
        (0x05, b"one-7"),
        (0xe0, b"first"),
        (0xef, b"last"),
        // Of nobody's use but the sender's.
        (0xf0, b"experiment"),
    ];
    let owned = |kinds: &[u8]| -> Vec<(u8, Vec<u8>)> {
        let wanted = received.iter().filter(|(kind, _)| kinds.contains(kind));
        wanted
            .map(|(kind, value)| (*kind, value.to_vec()))
            .collect()
    };
    for (tlv, kinds) in [
        ("", &[][..]),
        (r#"tlv "authority""#, &[0x02][..]),
        (r#"tlv "alpn""#, &[0x01]),
        (r#"tlv "unique-id""#, &[0x05]),
        (r#"tlv "custom""#, &[0xe0, 0xef]),
        (
            "tlv \"authority\" \"alpn\"\n tlv \"unique-id\" \"custom\"",
            &[0x01, 0x02, 0x05, 0xe0, 0xef],
        ),
    ] {
        let origin = headed();
        let proxy = saying(
            r#"proxy-protocol from="127.0.0.1""#,
            &format!("proxy-protocol \"v2\" {{\n {tlv}\n }}"),
            &origin,
        );
        let mut client = proxy.client();
        client.send(from(&received));
        let header = client.get("/x").body;
        let mut values = values_of(&header);
        values.sort();
        assert_eq!(values, owned(kinds), "{tlv}");
        assert_eq!(&header[..14], &from(&[])[..14]);
        assert_eq!(&header[16..28], &from(&[])[16..]);
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

#[test]
fn what_tls_has_shown_is_said_to_the_endpoint() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let site = authority.issue(&["site.test"]);
    std::fs::write(folder.path().join("site.pem"), site.both()).expect("writes");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("writes");
    let origin = headed();
    let text = config(
        r#"listener "web" "127.0.0.1:0" {
            tls { certificate "site.pem"; client-certificate "optional" ca="ca.pem"; tickets #false }
            route { cluster "origin" }
        }
        cluster "origin" {
            endpoint "ORIGIN"
            proxy-protocol "v2" checksum=#true { tlv "authority" "alpn" "ssl" "unique-id" "custom" }
        }"#,
        &[("ORIGIN", &origin)],
    );
    let proxy = Proxy::start_in(folder, &text).expect("it starts");
    let stranger = TlsClient::new(&authority, "site.test").alpn(&["http/1.1"]);
    let known = authority.issue(&["app.test"]);
    let known = TlsClient::showing(&authority, "site.test", &known).alpn(&["http/1.1"]);
    for (client, path, bits, common_name) in [
        (stranger, "/stranger", (0x01, 1_u32), None),
        (known, "/known", (0x07, 0), Some(b"app.test".to_vec())),
    ] {
        let mut client = client.connect(proxy.address("web"));
        let header = client.ask("GET", path, "Host: site.test\r\n").body;
        let find = |values: &[(u8, Vec<u8>)], kind| {
            let found = values.iter().find(|(found, _)| *found == kind);
            found.map(|(_, value)| value.clone())
        };
        let values = values_of(&header);
        assert_eq!(find(&values, 0x02), Some(b"site.test".to_vec()));
        assert_eq!(find(&values, 0x01), Some(b"http/1.1".to_vec()));
        let ssl = find(&values, 0x20).expect("TLS was spoken");
        let verify = u32::from_be_bytes([ssl[1], ssl[2], ssl[3], ssl[4]]);
        assert_eq!((ssl[0], verify), bits, "{path}");
        let within = split_values(&ssl[5..]);
        assert_eq!(find(&within, 0x21), Some(b"TLSv1.3".to_vec()));
        assert_eq!(find(&within, 0x22), common_name);
        let cipher = find(&within, 0x23).expect("there is one");
        assert!(cipher.starts_with(b"TLS_"), "{cipher:?}");
        let line = proxy.line_of(path);
        // The number under which the access line has the connection.
        let id = line.number("connection").to_string().into_bytes();
        assert_eq!(find(&values, 0x05), Some(id));
        assert_eq!(line.outcome(), "ok");
        is_sum_right(&header);
    }
}

#[test]
fn a_checksum_is_sent_where_it_is_asked_for_and_is_right() {
    for (checksum, kinds) in [("", &[][..]), ("checksum=#true", &[0x03])] {
        let origin = headed();
        let proxy = saying("", &format!("proxy-protocol \"v2\" {checksum}"), &origin);
        let header = proxy.client().get("/x").body;
        let found: Vec<u8> = values_of(&header).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(found, kinds);
        if !kinds.is_empty() {
            is_sum_right(&header);
        }
        assert_eq!(proxy.line_of("/x").outcome(), "ok");
    }
}

/// As a receiver verifies it: the sum over the header with zeros in its place.
fn is_sum_right(header: &[u8]) {
    let values = values_of(header);
    let last = values.last().expect("there is one");
    assert_eq!(last.0, 0x03, "{values:?}");
    let zeroed = [&header[..header.len() - 4], &[0; 4]].concat();
    assert_eq!(last.1, crc32c::crc32c(&zeroed).to_be_bytes());
}

#[test]
fn the_proxy_takes_the_headers_that_it_makes() {
    let origin = Origin::echo();
    let inner = believing("", &origin);
    for (number, settings) in [
        r#"proxy-protocol "v1""#,
        r#"proxy-protocol "v2""#,
        r#"proxy-protocol "v2" checksum=#true { tlv "unique-id" "custom" }"#,
    ]
    .into_iter()
    .enumerate()
    {
        let outer = saying(
            r#"proxy-protocol from="127.0.0.1""#,
            settings,
            &inner.address("web"),
        );
        let mut client = outer.client();
        client.send(from(&[(0xe1, b"custom")]));
        let target = format!("/{number}");
        client.get(&target);
        let line = inner.line_of(&target);
        assert_eq!(
            (line.outcome(), line.text("client")),
            ("ok", "198.51.100.7")
        );
    }
}
