//! What the message room costs an exchange: parsing and serialising heads of the size that browsers and applications send.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate::http::{
    BodyLength, ChunkedDecoder, Fields, Limits, RequestHead, ResponseHead, Version, parse_request,
    parse_response, write_request, write_response,
};

/// 690 bytes, 12 headers.
const REQUEST: &str = "GET /shop/items/4711/reviews?sort=newest&page=3 HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,nb;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/shop/items/4711\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0b8f3ad0c6c54f0bb6a1c9a1e0b52a7e; theme=dark; consent=1; visited=4711,4712,4813\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Priority: u=0, i; trace-7f3a9b0c2d4e6f81a0b1c2d3e4f5061728394a5b6c7d8e9f0a1b2c3d4e5f607\r\n\r\n";

const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
    Server: demo\r\n\
    Date: Tue, 03 Mar 2026 12:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 1024\r\n\
    Cache-Control: private, max-age=0\r\n\
    ETag: \"0b8f3ad0c6c54f0b\"\r\n\
    Vary: Accept-Encoding\r\n\
    X-Request-Id: 0b8f3ad0c6c54f0bb6a1c9a1e0b52a7e\r\n\r\n";

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    let limits = Limits::default();
    let (mut head, mut out) = (RequestHead::new(), Vec::new());
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            head.clear();
            parse_request(black_box(REQUEST.as_bytes()), &limits, &mut head).expect("valid")
        });
    });
    // The tokens alone, for comparison: without copying, framing, hop-by-hop rules or the checks that this parser leaves out.
    group.bench_function("tokens by httparse", |bencher| {
        bencher.iter(|| {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut request = httparse::Request::new(&mut headers);
            request
                .parse(black_box(REQUEST.as_bytes()))
                .expect("valid")
                .is_complete()
        });
    });
    group.bench_function("parse, edit twice, write", |bencher| {
        bencher.iter(|| {
            head.clear();
            parse_request(black_box(REQUEST.as_bytes()), &limits, &mut head).expect("valid");
            edit(&mut head);
            out.clear();
            write_request(&head, BodyLength::None, &mut out);
            out.len()
        });
    });
    group.bench_function("parse an escaped path", |bencher| {
        let text = REQUEST.replace("items", "%69tems/./x%20y");
        bencher.iter(|| {
            head.clear();
            parse_request(black_box(text.as_bytes()), &limits, &mut head).expect("valid")
        });
    });
    group.bench_function("look up three", |bencher| {
        bencher.iter(|| {
            let fields = black_box(&head).fields();
            [&b"cookie"[..], b"authorization", b"x-tenant"].map(|name| fields.get(name).is_some())
        });
    });
    group.finish();
}

fn edit(head: &mut RequestHead) {
    let fields = head.fields_mut();
    fields.set(b"x-tenant", b"shop").expect("a valid line");
    fields.remove(b"referer");
}

/// What filters do to a head: a line is set, or removed where there is no value. Some are there before, some are not.
const EDITS: [(&str, Option<&str>); 10] = [
    ("x-request-id", Some("0b8f3ad0c6c54f0bb6a1c9a1e0b52a7e")),
    ("x-tenant", Some("shop")),
    ("x-client", Some("192.0.2.7")),
    ("accept-encoding", Some("gzip")),
    ("cache-control", Some("no-store")),
    ("vary", Some("origin")),
    ("x-api-version", Some("1")),
    ("x-debug", None),
    ("referer", None),
    ("server", None),
];

fn edit_times(count: usize, fields: &mut Fields) {
    for (name, value) in &EDITS[..count] {
        match value {
            Some(value) => fields
                .set(name.as_bytes(), value.as_bytes())
                .expect("a valid line"),
            None => drop(fields.remove(name.as_bytes())),
        }
    }
}

/// Writing alone, of heads that were edited before.
fn serialising(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("serialise");
    let limits = Limits::default();
    let mut out = Vec::new();
    for edits in [0, 2, 10] {
        let mut head = RequestHead::new();
        parse_request(REQUEST.as_bytes(), &limits, &mut head).expect("valid");
        edit_times(edits, head.fields_mut());
        group.bench_function(format!("request, {edits} edits"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_request(black_box(&head), BodyLength::None, &mut out);
                out.len()
            });
        });
        let mut head = ResponseHead::new();
        parse_response(RESPONSE.as_bytes(), "GET", &limits, &mut head).expect("valid");
        edit_times(edits, head.fields_mut());
        group.bench_function(format!("response, {edits} edits"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_response(
                    black_box(&head),
                    head.body(),
                    true,
                    Version::Http11,
                    &mut out,
                );
                out.len()
            });
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("response");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    let limits = Limits::default();
    let (mut head, mut out) = (ResponseHead::new(), Vec::new());
    group.bench_function("parse and write", |bencher| {
        bencher.iter(|| {
            head.clear();
            parse_response(black_box(RESPONSE.as_bytes()), "GET", &limits, &mut head)
                .expect("valid");
            out.clear();
            write_response(&head, head.body(), true, Version::Http11, &mut out);
            out.len()
        });
    });
    group.finish();
}

fn chunks(criterion: &mut Criterion) {
    let mut body = Vec::new();
    for _ in 0..16 {
        body.extend_from_slice(b"1000\r\n");
        body.extend_from_slice(&[b'x'; 4096]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    let mut decoder = ChunkedDecoder::new();
    criterion.bench_function("chunked/decode 16 chunks", |bencher| {
        bencher.iter(|| {
            decoder.clear();
            let mut at = 0;
            while !decoder.is_done() {
                at += decoder
                    .decode(black_box(&body[at..]))
                    .expect("valid")
                    .consumed;
            }
            at
        });
    });
}

criterion_group!(benches, requests, responses, serialising, chunks);
criterion_main!(benches);
