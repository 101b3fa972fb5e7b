//! Any cookies at all: those of others are never harmed.

use super::*;

#[test]
fn random_cookies_never_harm_the_others() {
    let mut random = fastrand::Rng::with_seed(7);
    for mode in [CookieMode::Insert, CookieMode::Rewrite, CookieMode::Prefix] {
        for value in VALUES {
            let mut fixture = Fixture::new(&by_cookie(mode, value));
            let own = fixture.value(0);
            let words: Vec<&[u8]> = vec![
                b"SRV",
                b"SRV=",
                b"=",
                b";",
                b"; ",
                b" ",
                b"\t",
                b"~",
                b"\"",
                b"a=1",
                b".",
                b",",
                b"\xff\x80",
                own.as_bytes(),
                &own.as_bytes()[1..],
            ];
            for _ in 0..3000 {
                let lines: Vec<Vec<u8>> = (0..random.usize(1..4))
                    .map(|_| {
                        (0..random.usize(0..14))
                            .flat_map(|_| words[random.usize(..words.len())])
                            .copied()
                            .collect()
                    })
                    .map(|line: Vec<u8>| line.trim_ascii().to_vec())
                    .collect();
                check_random(&mut fixture, &lines, mode);
            }
        }
    }
}

/// The cookies of other names are the same before and after, to the byte and in order; of ours, none is left in insert mode.
fn check_random(fixture: &mut Fixture, lines: &[Vec<u8>], mode: CookieMode) {
    let connection = Arc::clone(&fixture.exchange.connection);
    fixture
        .exchange
        .begin(1, &connection, [1, 2], Instant::now());
    for line in lines {
        let fields = fixture.exchange.request.fields_mut();
        fields.append(b"cookie", line).expect("a valid line");
    }
    let (ours_before, before) = sorted_out(lines.iter().map(Vec::as_slice));
    let binding = fixture
        .affinity
        .request(&mut fixture.exchange, &fixture.members);
    let (ours, after) = sorted_out(fixture.exchange.request.fields().get_all(b"cookie"));
    assert_eq!(after, before, "{lines:?}");
    assert_eq!(
        binding.endpoint.is_some(),
        binding.state == BindingState::Valid
    );
    assert_eq!(binding.state == BindingState::None, ours_before.is_empty());
    match mode {
        CookieMode::Insert => assert!(ours.is_empty(), "{lines:?}"),
        CookieMode::Rewrite => assert_eq!(ours, ours_before),
        CookieMode::Prefix => assert_eq!(ours.len(), ours_before.len()),
    }
}

/// The cookies named SRV and all others, by the plainest reading there is.
fn sorted_out<'l>(lines: impl Iterator<Item = &'l [u8]>) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    lines
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .map(|piece| piece.trim_ascii().to_vec())
        .filter(|piece| !piece.is_empty())
        .partition(|piece| {
            let mut halves = piece.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii() == b"SRV";
            name && halves.next().is_some()
        })
}

#[test]
fn random_set_cookie_lines_never_harm_the_others() {
    let mut random = fastrand::Rng::with_seed(11);
    let words: [&[u8]; 10] = [
        b"SRV",
        b"SRV=",
        b"=",
        b";",
        b"; Path=/",
        b" ",
        b"\t",
        b"~",
        b"a=1",
        b"\xff",
    ];
    for mode in [CookieMode::Insert, CookieMode::Rewrite, CookieMode::Prefix] {
        let mut fixture = Fixture::new(&by_cookie(mode, CookieValue::Signed));
        for _ in 0..3000 {
            let lines: Vec<Vec<u8>> = (0..random.usize(1..5))
                .map(|_| {
                    (0..random.usize(0..8))
                        .flat_map(|_| words[random.usize(..words.len())])
                        .copied()
                        .collect()
                })
                .map(|line: Vec<u8>| line.trim_ascii().to_vec())
                .collect();
            fixture.exchange.response.begin(200);
            for line in &lines {
                let fields = fixture.exchange.response.fields_mut();
                fields.append(b"set-cookie", line).expect("a valid line");
            }
            let Fixture {
                affinity,
                members,
                exchange,
            } = &mut fixture;
            affinity.response(exchange, &Binding::default(), IDS[1], members);
            let is_other = |line: &&[u8]| {
                let piece = line.split(|&byte| byte == b';').next().unwrap_or_default();
                sorted_out([piece].into_iter()).0.is_empty()
            };
            let before: Vec<_> = lines.iter().map(Vec::as_slice).filter(is_other).collect();
            let fields = exchange.response.fields();
            let after: Vec<_> = fields.get_all(b"set-cookie").filter(is_other).collect();
            assert_eq!(after, before);
            let ours = fields.get_all(b"set-cookie").count() - after.len();
            let expected = match mode {
                CookieMode::Insert => 1,
                CookieMode::Rewrite | CookieMode::Prefix => lines.len() - before.len(),
            };
            assert_eq!(ours, expected, "{lines:?}");
        }
    }
}
