//! `Accept-Encoding`: what the client wants (RFC 9110 section 12.5.3).

use crate::config::Coding;
use crate::http::valid_name;

/// The coding that `accept`, the whole header, wants most; of equals the first of `codings`. `None`: no coding.
///
/// A coding counts as wanted if it is named, or covered by `*`, with a weight above zero, and `identity` is not named with a higher one. A
/// header that breaks the grammar is as good as none. A client that takes nothing we have, not even `identity`, gets that all the same: a 406
/// would help nobody, and RFC 9110 lets us.
pub(super) fn choose(accept: &[u8], codings: &[Coding]) -> Option<Coding> {
    let wishes = Wishes::parse(accept)?;
    let mut best = None;
    let mut weight_min = wishes.identity.unwrap_or(0).max(1);
    for &coding in codings {
        let weight = wishes.weight_of(coding);
        if weight >= weight_min {
            best = Some(coding);
            weight_min = weight + 1;
        }
    }
    best
}

/// The weights that the client gave, in thousandths.
#[derive(Debug, Default)]
struct Wishes {
    gzip: Option<u16>,
    brotli: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    /// `*`: every coding that is not named. It can rule out `identity`, but does not prefer it to others.
    any: Option<u16>,
}

impl Wishes {
    fn parse(accept: &[u8]) -> Option<Wishes> {
        let mut wishes = Wishes::default();
        for element in accept.split(|&byte| byte == b',') {
            let element = element.trim_ascii();
            if !element.is_empty() {
                let (name, weight) = parse_element(element)?;
                wishes.note(name, weight);
            }
        }
        Some(wishes)
    }

    fn weight_of(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        };
        named.or(self.any).unwrap_or(0)
    }

    /// Of a coding named twice the lower weight counts: a client that once said no does not get it.
    fn note(&mut self, name: &[u8], weight: u16) {
        if let Some(wish) = self.wish_mut(name) {
            *wish = Some(wish.map_or(weight, |earlier| earlier.min(weight)));
        }
    }

    fn wish_mut(&mut self, name: &[u8]) -> Option<&mut Option<u16>> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // The old name is to be taken for the new one (RFC 9110 section 8.4.1.3).
        if is(b"gzip") || is(b"x-gzip") {
            Some(&mut self.gzip)
        } else if is(b"br") {
            Some(&mut self.brotli)
        } else if is(b"zstd") {
            Some(&mut self.zstd)
        } else if is(b"identity") {
            Some(&mut self.identity)
        } else if is(b"*") {
            Some(&mut self.any)
        } else {
            None
        }
    }
}

/// `coding [ OWS ";" OWS "q=" qvalue ]`, with a weight of 1 when none is given.
fn parse_element(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.splitn(2, |&byte| byte == b';');
    let name = parts.next()?.trim_ascii();
    if !valid_name(name) {
        return None;
    }
    let weight = match parts.next().map(<[u8]>::trim_ascii) {
        None => 1000,
        Some([b'q' | b'Q', b'=', value @ ..]) => parse_weight(value)?,
        Some(_) => return None,
    };
    Some((name, weight))
}

/// `0` to `1` with at most three decimals (RFC 9110 section 12.4.2), in thousandths.
fn parse_weight(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] => (whole, decimals),
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |index: usize| {
        decimals
            .get(index)
            .map_or(0, |&byte| u16::from(byte - b'0'))
    };
    let weight = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= 1000).then_some(weight)
}
