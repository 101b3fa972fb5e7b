//! What balancers share that send equal requests to the same endpoint: the settings of their key, the number that stands for an endpoint,
//! and the walk past endpoints that cannot take the request.
//!
//! ```
//! use tollgate_plugin_sdk::hashing::{Key, address_hash, next_able};
//! use tollgate_plugin_sdk::settings::Errors;
//! use tollgate_plugin_sdk::{Field, Settings};
//!
//! #[derive(Settings)]
//! struct MySettings {
//!     /// What to hash; the client address when absent.
//!     key: Option<Key>,
//! }
//!
//! // In `new`: what goes to `BalancerPlan::key`.
//! let mut errors = Errors::new();
//! assert_eq!(Key::default().fields(&mut errors), [Field::ClientAddress]);
//!
//! // In `update`: the same in every worker and every process.
//! assert_eq!(address_hash("10.0.0.1:80"), address_hash("10.0.0.1:80"));
//!
//! // In `pick`: slot 3 belongs to endpoint 0, which is full.
//! let slots = [0, 1, 2, 0];
//! let picked = next_able(slots.len(), |slot| slots[slot], 3, 3, |endpoint| endpoint != 0);
//! assert_eq!(picked, Some(1));
//! ```

use crate::settings::Errors;
use crate::{Field, Settings, is_header_name};

/// Most headers, and most tags, in one key.
const NAMES_MAX: usize = 16;

/// What to hash, as it is set: `key "source"`, `key "host" "path"`, `key header="x-user"`, `key "host" { header "x-a" "x-b"; tag "tenant" }`.
///
/// The fields are hashed in the order facts, headers, tags. When some are absent, the others still make the key; when all are, the key is 0.
#[derive(Clone, Debug, PartialEq, Eq, Settings)]
pub struct Key {
    /// Facts of the request or the connection.
    #[setting(argument)]
    pub fact: Vec<Fact>,
    /// Request headers, by name in any case; at most 16.
    pub header: Vec<String>,
    /// Tags that earlier filters have set; at most 16.
    pub tag: Vec<String>,
}

/// A fact that can be part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Settings)]
pub enum Fact {
    /// The address of the client, without port.
    Source,
    /// The host asked for, without port.
    Host,
    /// The normalised path, without the query.
    Path,
    /// The query.
    Query,
    /// The request method.
    Method,
}

impl Key {
    /// What the plan has to name. What is wrong goes to `errors`, below their current place.
    #[must_use]
    pub fn fields(&self, errors: &mut Errors) -> Vec<Field> {
        let mut fields: Vec<Field> = self.fact.iter().map(|fact| fact.field()).collect();
        errors.inside("header", |errors| {
            fields.extend(
                names(&self.header, errors)
                    .map(|name| Field::RequestHeader(name.to_ascii_lowercase())),
            );
        });
        errors.inside("tag", |errors| {
            fields.extend(names(&self.tag, errors).map(|name| Field::Tag(name.clone())));
        });
        if self.fact.is_empty() && self.header.is_empty() && self.tag.is_empty() {
            errors.add(
                "name something to hash: `\"source\"`, `\"host\"`, `\"path\"`, a header, a tag",
            );
        }
        fields
    }
}

/// The client address.
impl Default for Key {
    fn default() -> Self {
        Key {
            fact: vec![Fact::Source],
            header: Vec::new(),
            tag: Vec::new(),
        }
    }
}

impl Fact {
    fn field(self) -> Field {
        match self {
            Fact::Source => Field::ClientAddress,
            Fact::Host => Field::Host,
            Fact::Path => Field::Path,
            Fact::Query => Field::Query,
            Fact::Method => Field::Method,
        }
    }
}

/// The names that are tokens, as names of headers and of tags are.
fn names<'a>(names: &'a [String], errors: &mut Errors) -> impl Iterator<Item = &'a String> {
    if names.len() > NAMES_MAX {
        errors.add(format!("{} names; at most {NAMES_MAX}", names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        if !is_header_name(name) {
            errors.inside(index, |errors| {
                errors.add(format!("`{name}` is not a name"))
            });
        }
    }
    names.iter().filter(|name| is_header_name(name))
}

/// A number that stands for an address: the same everywhere, and far from those of similar addresses. FNV-1a, 64 bit (Fowler, Noll, Vo), then
/// the finaliser of SplitMix64, since FNV leaves the last bytes in the lower bits.
///
/// Not for what an adversary chooses: collisions are easy to make.
#[must_use]
pub fn address_hash(address: &str) -> u64 {
    bytes_hash(address.as_bytes())
}

/// As [`address_hash`], for any bytes.
#[must_use]
pub fn bytes_hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash: u64 = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Walks the slots of a ring or a table upwards from `start`, round the end, to the first endpoint that can take the request; none when there
/// is none. Each endpoint is judged once. Those that own no slot come last, in order.
///
/// `slots` is the number of slots; `owner` names the endpoint that a slot belongs to, a number below `endpoints`. Costs one look in the usual
/// case; with most endpoints unable, a walk until the others were met, at most over all slots.
#[must_use]
pub fn next_able(
    slots: usize,
    owner: impl Fn(usize) -> usize,
    start: usize,
    endpoints: usize,
    mut is_able: impl FnMut(usize) -> bool,
) -> Option<usize> {
    if start >= slots || endpoints == 0 {
        return None;
    }
    let first = owner(start);
    if is_able(first) {
        return Some(first);
    }
    let mut unjudged = vec![true; endpoints];
    let mut is_new = |endpoint: usize| unjudged.get_mut(endpoint).is_some_and(std::mem::take);
    let mut left = endpoints - usize::from(is_new(first));
    let walk = (start + 1..slots).chain(0..start).map(&owner);
    for endpoint in walk.chain(0..endpoints) {
        if left == 0 {
            break;
        }
        if is_new(endpoint) {
            if is_able(endpoint) {
                return Some(endpoint);
            }
            left -= 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::from_text;

    fn fields(text: &str) -> Result<Vec<Field>, Errors> {
        let key: Key = from_text(text)?;
        let mut errors = Errors::new();
        let fields = key.fields(&mut errors);
        errors.finish(fields)
    }

    #[test]
    fn keys_are_fields_in_a_fixed_order() {
        let text = r#"{"tag":["tenant"],"header":["X-User"],"fact":["path","source","host","query","method"]}"#;
        let expected = vec![
            Field::Path,
            Field::ClientAddress,
            Field::Host,
            Field::Query,
            Field::Method,
            Field::RequestHeader("x-user".into()),
            Field::Tag("tenant".into()),
        ];
        assert_eq!(fields(text), Ok(expected));
        assert_eq!(
            fields(r#"{"header":["a"]}"#),
            Ok(vec![Field::RequestHeader("a".into())])
        );
    }

    #[test]
    fn what_is_no_key_is_refused_at_its_place() {
        let many = format!(r#"{{"tag":[{}"x"]}}"#, "\"x\",".repeat(NAMES_MAX));
        let cases = [
            ("{}", ""),
            (r#"{"fact":["port"]}"#, "/fact/0"),
            (r#"{"header":["a","b c"]}"#, "/header/1"),
            (r#"{"fact":["host"],"tag":[""]}"#, "/tag/0"),
            (&many, "/tag"),
        ];
        for (text, pointer) in cases {
            let errors = fields(text).expect_err("something is wrong");
            let found: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
            assert_eq!(found, [pointer], "{text}");
        }
    }

    #[test]
    fn similar_addresses_are_far_apart() {
        assert_eq!(address_hash(""), 0xf52a_15e9_a9b5_e89b);
        let hashes: Vec<u64> = (0..=255)
            .map(|last| address_hash(&format!("10.0.0.{last}:80")))
            .collect();
        for bit in 0..64 {
            let set = hashes.iter().filter(|hash| *hash >> bit & 1 == 1).count();
            assert!((85..171).contains(&set), "bit {bit}: {set} of 256");
        }
    }

    #[test]
    fn the_walk_judges_each_endpoint_once_in_slot_order() {
        let slots = [2, 2, 0, 1, 0];
        // Endpoint 3 owns no slot.
        let walk = |start, able: &[usize]| {
            let mut judged = Vec::new();
            let picked = next_able(
                slots.len(),
                |slot| slots[slot],
                start,
                4,
                |endpoint| {
                    judged.push(endpoint);
                    able.contains(&endpoint)
                },
            );
            (picked, judged)
        };
        assert_eq!(walk(1, &[0, 1, 2]), (Some(2), vec![2]));
        assert_eq!(walk(1, &[1]), (Some(1), vec![2, 0, 1]));
        assert_eq!(walk(4, &[1]), (Some(1), vec![0, 2, 1]));
        assert_eq!(walk(3, &[3]), (Some(3), vec![1, 0, 2, 3]));
        assert_eq!(walk(0, &[]), (None, vec![2, 0, 1, 3]));
        assert_eq!(walk(5, &[0]), (None, vec![]));
        assert_eq!(next_able(0, |slot| slot, 0, 0, |_| true), None);
    }
}
