//! Exchanges by chance, from a small world in which conditions often meet.

use super::Exchange;
use crate::random::Generator;

/// So many exchanges, always the same for the same seed. Paths, hosts, sources and headers come from short lists: `/`, `/a`, `/a/b`,
/// `/a/b/c`, `/ab`, `/admin/x`, `/users/7`; `example.com`, `shop.example.com`; 10.0.0.0/8 and others; `x-a`, `x-b`, `cookie`.
#[must_use]
pub fn samples(seed: u64, count: usize) -> Vec<Exchange> {
    let mut generator = Generator::seeded(seed);
    (0..count).map(|_| sample(&mut generator)).collect()
}

fn sample(generator: &mut Generator) -> Exchange {
    let paths = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/admin/x", "/users/7"];
    let queries = ["", "", "?", "?q=1", "?q=2&b", "?b=%41+x&q=1&q=3"];
    let target = format!("{}{}", one(generator, &paths), one(generator, &queries));
    let mut exchange = Exchange::get(&target)
        .method(one(generator, &["GET", "POST", "HEAD"]))
        .host(one(
            generator,
            &[
                "example.com",
                "shop.example.com",
                "a.shop.example.com",
                "other.test",
            ],
        ))
        .from(one(
            generator,
            &[
                "10.1.2.3",
                "192.0.2.1",
                "192.0.2.200",
                "::1",
                "2001:db8::5",
                "::ffff:10.0.0.1",
            ],
        ));
    for name in ["x-a", "x-b", "cookie", "x-request-id"] {
        for _ in 0..one(generator, &[0, 0, 1, 1, 2]) {
            exchange = exchange.header(
                name,
                one(generator, &["1", "2", "", "1, 2", "a b", "k=v; l=w"]),
            );
        }
    }
    if generator.below(4) > 0 {
        let status = one(generator, &[200, 302, 404, 500]);
        let headers = [
            ("server", "origin/1.0"),
            ("x-a", one(generator, &["1", "", "two"])),
            ("location", "http://10.0.0.1/a"),
        ];
        exchange = exchange.response(status, &headers[..one(generator, &[0, 1, 2, 3])]);
    }
    exchange
}

fn one<T: Copy>(generator: &mut Generator, choices: &[T]) -> T {
    choices[generator.below(choices.len() as u32) as usize]
}
