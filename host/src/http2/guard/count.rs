//! Counts frames that carry no message, each kind in a leaky bucket.
//!
//! Not counted, since h2 0.4.20 bounds them: CONTINUATION frames of a header block, empty and tiny DATA frames, streams reset before they were
//! accepted or because of errors, the size of header sections.

use std::fmt;
use std::time::Duration;

/// A kind of frame that there were too many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    Resets,
    Pings,
    /// SETTINGS and GOAWAY.
    Settings,
    Priorities,
    /// WINDOW_UPDATE by less than 1 KiB.
    SmallWindowUpdates,
    /// Of a type that RFC 9113 does not know.
    UnknownFrames,
}

impl fmt::Display for Flood {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Flood::Resets => "RST_STREAM",
            Flood::Pings => "PING",
            Flood::Settings => "SETTINGS",
            Flood::Priorities => "PRIORITY",
            Flood::SmallWindowUpdates => "small WINDOW_UPDATE",
            Flood::UnknownFrames => "unknown",
        })
    }
}

/// What is sent before the first frame (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;
/// With its increment, which tells a useful one from a useless one.
const WINDOW_UPDATE_BYTES: usize = FRAME_HEADER_BYTES + 4;
/// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Peers collect what they have read and give it back by kilobytes.
const SMALL_INCREMENT: u32 = 1024;

/// So many frames at once, so many a second for ever, one more for so many bytes that we have written meanwhile (0: none), and so many more
/// for each header block that has come.
#[derive(Debug, Clone, Copy)]
struct Limit {
    flood: Flood,
    burst: u64,
    rate: u64,
    bytes_per_frame: u64,
    per_headers: u64,
}

/// Generous for every client that means well.
const LIMITS: [Limit; 6] = [
    // Rapid reset (CVE-2023-44487). A page that is left resets all its streams at once, a gRPC client every call that is out of time. The
    // burst is nghttp2's; its rate is 33.
    Limit {
        flood: Flood::Resets,
        burst: 1000,
        rate: 100,
        bytes_per_frame: 0,
        per_headers: 0,
    },
    // Keep-alives come every few seconds, but gRPC measures the path with a ping for each round trip in which it receives data. The
    // answers to pings are 17 bytes, so pings do not pay for pings.
    Limit {
        flood: Flood::Pings,
        burst: 1000,
        rate: 50,
        bytes_per_frame: 1024,
        per_headers: 0,
    },
    // Some clients adapt their windows by SETTINGS, every few seconds at most.
    Limit {
        flood: Flood::Settings,
        burst: 100,
        rate: 5,
        bytes_per_frame: 0,
        per_headers: 0,
    },
    // Browsers send a handful for each stream, and again when the page scrolls.
    Limit {
        flood: Flood::Priorities,
        burst: 3000,
        rate: 500,
        bytes_per_frame: 0,
        per_headers: 0,
    },
    // A naive client gives back each small DATA frame as it came, on stream and connection; HAProxy does after each answer, of which little
    // is left to write once its fields are in the table. One that lets out a byte at a time (CVE-2019-9511) makes us write 10 bytes for each.
    Limit {
        flood: Flood::SmallWindowUpdates,
        burst: 1000,
        rate: 100,
        bytes_per_frame: 16,
        per_headers: 2,
    },
    // PRIORITY_UPDATE (RFC 9218) of browsers is one of these.
    Limit {
        flood: Flood::UnknownFrames,
        burst: 3000,
        rate: 500,
        bytes_per_frame: 0,
        per_headers: 0,
    },
];

/// The frames of one direction of a connection, from its preface on.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface or of a payload that are still to come.
    skip: usize,
    /// The frame header at hand, with the increment of a WINDOW_UPDATE.
    start: [u8; WINDOW_UPDATE_BYTES],
    start_len: usize,
    /// One for each of [`LIMITS`].
    buckets: [Bucket; LIMITS.len()],
}

/// How full a bucket is, in thousandths of a frame; it leaks as many of them in a millisecond as its limit has frames a second.
#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    level: u64,
    at: Duration,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            skip: PREFACE_BYTES,
            start: [0; WINDOW_UPDATE_BYTES],
            start_len: 0,
            buckets: Default::default(),
        }
    }
}

impl Frames {
    /// Counts what starts within `bytes`, which follow those of the last call; answers the first kind that was too much. `now` is asked only if there is something to count.
    pub(super) fn count(&mut self, mut bytes: &[u8], now: impl Fn() -> Duration) -> Option<Flood> {
        let mut flood = None;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = self.wanted() - self.start_len;
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            self.start[self.start_len..self.start_len + taken.len()].copy_from_slice(taken);
            self.start_len += taken.len();
            bytes = rest;
            if self.skip > 0 || self.start_len < self.wanted() {
                continue;
            }
            let kind = self.finish_start();
            flood = flood.or(kind.filter(|kind| self.pour(*kind, now())));
        }
        flood
    }

    /// We have written so many bytes, which entitles the peer to some frames.
    pub(super) fn pay(&mut self, bytes: usize) {
        let thousandths = (bytes as u64).saturating_mul(1000);
        self.earn(|limit| thousandths.checked_div(limit.bytes_per_frame).unwrap_or(0));
    }

    /// Takes so many thousandths of a frame out of each bucket.
    fn earn(&mut self, paid: impl Fn(&Limit) -> u64) {
        for (bucket, limit) in self.buckets.iter_mut().zip(&LIMITS) {
            if bucket.level > 0 {
                bucket.level = bucket.level.saturating_sub(paid(limit));
            }
        }
    }

    /// How much of the start of a frame to look at.
    fn wanted(&self) -> usize {
        if self.start_len >= FRAME_HEADER_BYTES && self.is_window_update() {
            WINDOW_UPDATE_BYTES
        } else {
            FRAME_HEADER_BYTES
        }
    }

    fn is_window_update(&self) -> bool {
        self.start[..4] == [0, 0, 4, WINDOW_UPDATE]
    }

    /// Prepares for the next frame; answers what this one counts as.
    fn finish_start(&mut self) -> Option<Flood> {
        let [high, middle, low, kind, ..] = self.start;
        let payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.skip = FRAME_HEADER_BYTES + payload - self.start_len;
        self.start_len = 0;
        match kind {
            HEADERS => {
                self.earn(|limit| limit.per_headers * 1000);
                None
            }
            DATA | PUSH_PROMISE | CONTINUATION => None,
            PRIORITY => Some(Flood::Priorities),
            RST_STREAM => Some(Flood::Resets),
            SETTINGS | GOAWAY => Some(Flood::Settings),
            PING => Some(Flood::Pings),
            WINDOW_UPDATE => {
                let increment = &self.start[FRAME_HEADER_BYTES..];
                is_small(increment).then_some(Flood::SmallWindowUpdates)
            }
            _ => Some(Flood::UnknownFrames),
        }
    }

    /// Says whether it runs over.
    fn pour(&mut self, kind: Flood, now: Duration) -> bool {
        let mut buckets = self.buckets.iter_mut().zip(&LIMITS);
        let found = buckets.find(|(_, limit)| limit.flood == kind);
        found.is_some_and(|(bucket, limit)| bucket.pour(limit, now))
    }
}

impl Bucket {
    fn pour(&mut self, limit: &Limit, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.at).as_millis();
        let leaked = limit
            .rate
            .saturating_mul(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.at = now;
        self.level = self.level.saturating_sub(leaked) + 1000;
        self.level > limit.burst * 1000
    }
}

fn is_small(increment: &[u8]) -> bool {
    match increment {
        // The highest bit is reserved.
        [a, b, c, d] => u32::from_be_bytes([a & 0x7f, *b, *c, *d]) < SMALL_INCREMENT,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
        let mut bytes = vec![high, middle, low, kind, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(payload);
        bytes
    }

    /// How many of these frames at a time pass, and the flood that the next one is.
    fn passes(bytes: &[u8], at: Duration, frames: &mut Frames) -> (u64, Option<Flood>) {
        for count in 0..100_000 {
            if let Some(flood) = frames.count(bytes, || at) {
                return (count, Some(flood));
            }
        }
        (100_000, None)
    }

    fn begun() -> Frames {
        let mut frames = Frames::default();
        assert_eq!(
            frames.count(&[b'P'; PREFACE_BYTES], Duration::default),
            None
        );
        frames
    }

    #[test]
    fn each_kind_has_its_burst() {
        for (bytes, expected) in [
            (frame(RST_STREAM, &[0; 4]), Some((1000, Flood::Resets))),
            (frame(PING, &[0; 8]), Some((1000, Flood::Pings))),
            (frame(SETTINGS, &[]), Some((100, Flood::Settings))),
            (frame(GOAWAY, &[0; 8]), Some((100, Flood::Settings))),
            (frame(PRIORITY, &[0; 5]), Some((3000, Flood::Priorities))),
            (frame(0x10, b"u=1"), Some((3000, Flood::UnknownFrames))),
            (
                frame(WINDOW_UPDATE, &[0, 0, 0, 1]),
                Some((1000, Flood::SmallWindowUpdates)),
            ),
            (
                frame(WINDOW_UPDATE, &[0x80, 0, 3, 0xff]),
                Some((1000, Flood::SmallWindowUpdates)),
            ),
            (frame(WINDOW_UPDATE, &[0, 0, 4, 0]), None),
            (frame(DATA, &[0; 100]), None),
            (frame(HEADERS, &[0; 20_000]), None),
            (frame(CONTINUATION, &[]), None),
        ] {
            let found = passes(&bytes, Duration::ZERO, &mut begun());
            let expected = expected.map_or((100_000, None), |(count, flood)| (count, Some(flood)));
            assert_eq!(found, expected, "type {}", bytes[3]);
        }
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let mut bytes = vec![b'P'; PREFACE_BYTES];
        for _ in 0..100 {
            bytes.extend(frame(DATA, &[4; 300]));
            bytes.extend(frame(SETTINGS, &[4; 6]));
            bytes.extend(frame(WINDOW_UPDATE, &[0, 1, 0, 0]));
        }
        for piece in [1, 2, 8, 9, 10, 13, 24, 33, 4096, usize::MAX] {
            let mut frames = Frames::default();
            for piece in bytes.chunks(piece.min(bytes.len())) {
                assert_eq!(frames.count(piece, Duration::default), None);
            }
            let flood = frames.count(&frame(SETTINGS, &[]), Duration::default);
            assert_eq!(flood, Some(Flood::Settings), "in pieces of {piece}");
        }
    }

    #[test]
    fn buckets_leak_with_time_and_with_what_we_write() {
        let ping = frame(PING, &[0; 8]);
        let mut frames = begun();
        assert_eq!(passes(&ping, Duration::ZERO, &mut frames).0, 1000);
        let second = Duration::from_secs(1);
        // The frame too much is in the bucket as well.
        assert_eq!(passes(&ping, second, &mut frames).0, 49);
        frames.pay(10 * 1024);
        assert_eq!(passes(&ping, second, &mut frames).0, 9);
        frames.pay(usize::MAX);
        assert_eq!(passes(&ping, second, &mut frames).0, 1000);
        assert_eq!(passes(&ping, Duration::MAX, &mut frames).0, 1000);
    }

    /// As HAProxy does: the answer is a header block of indexed fields and three bytes of DATA, and both windows get the three back.
    #[test]
    fn giving_back_each_small_answer_is_no_flood_and_letting_it_out_by_the_byte_is() {
        let update = frame(WINDOW_UPDATE, &[0, 0, 0, 3]);
        let exchange = [frame(HEADERS, &[0x82; 4]), update.clone(), update.clone()].concat();
        let mut frames = begun();
        for _ in 0..100_000 {
            assert_eq!(frames.count(&exchange, Duration::default), None);
            frames.pay(9 + 3 + 9 + 3);
        }
        let flood = (0..100_000).find_map(|_| {
            frames.pay(9 + 1);
            frames.count(&update, Duration::default)
        });
        assert_eq!(flood, Some(Flood::SmallWindowUpdates));
    }

    #[test]
    fn what_we_write_pays_for_no_reset() {
        let mut frames = begun();
        let reset = frame(RST_STREAM, &[0; 4]);
        assert_eq!(passes(&reset, Duration::ZERO, &mut frames).0, 1000);
        frames.pay(usize::MAX);
        assert_eq!(passes(&reset, Duration::ZERO, &mut frames).0, 0);
    }

    #[test]
    fn no_bytes_break_the_count() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut frames = Frames::default();
            let bytes: Vec<u8> = (0..2000).map(|_| random.u8(..)).collect();
            for piece in bytes.chunks(random.usize(1..100)) {
                frames.count(piece, || Duration::MAX);
            }
        }
    }
}
