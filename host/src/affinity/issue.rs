//! The affinity cookie: off the request, onto the response.

use std::fmt::Write;

use super::cookie::{Fate, PREFIX_END, SetFate, append_set_cookie, edit_cookies, edit_set_cookies};
use super::value::has_form;
use super::{Binding, BindingState, Issued, Members};
use crate::config::{CookieAffinity, CookieMode, SameSite};
use crate::http::Fields;

/// How many cookies of the affinity's name are read on one request; what is beyond is edited like the others but binds nothing. Browsers send
/// more than one only when the path or domain of the setting was changed, and each costs a hash.
const READ_MAX: usize = 8;

/// A cluster's cookie affinity.
#[derive(Debug)]
pub(super) struct CookieJar {
    name: Box<[u8]>,
    mode: CookieMode,
    /// What follows the value on a `Set-Cookie` line.
    attributes: Box<[u8]>,
}

impl CookieJar {
    pub(super) fn new(settings: &CookieAffinity) -> CookieJar {
        CookieJar {
            name: settings.name.as_bytes().into(),
            mode: settings.mode,
            attributes: attributes(settings).into_bytes().into_boxed_slice(),
        }
    }

    /// What the request's cookies are bound to; leaves them as they are sent upstream.
    pub(super) fn take(&self, fields: &mut Fields, members: &Members) -> Binding {
        let mut binding = Binding::default();
        let mut read = 0;
        edit_cookies(fields, &self.name, |value| {
            let (own, fate) = self.split(value);
            read += 1;
            if read <= READ_MAX && binding.state != BindingState::Valid {
                let (state, endpoint) = own.map_or((BindingState::Invalid, None), |own| {
                    members.read_cookie(own)
                });
                binding.state = binding.state.max(state);
                binding.endpoint = endpoint;
            }
            fate
        });
        binding
    }

    /// Tells the downstream which endpoint answered.
    pub(super) fn put(
        &self,
        fields: &mut Fields,
        binding: &Binding,
        endpoint: &str,
        members: &Members,
    ) -> Issued {
        if self.mode == CookieMode::Insert && binding.is_to(endpoint, members) {
            return self.insert(fields, None);
        }
        let value = members.cookie_value(endpoint);
        match (self.mode, value) {
            (CookieMode::Insert, _) => self.insert(fields, value),
            (CookieMode::Rewrite, Some(value)) => {
                self.edit(fields, SetFate::Replace(value), Issued::Rewritten)
            }
            (CookieMode::Prefix, Some(value)) => {
                self.edit(fields, SetFate::Prefix(value), Issued::Prefixed)
            }
            (CookieMode::Rewrite | CookieMode::Prefix, None) => Issued::None,
        }
    }

    /// Which part of a cookie's value is ours, and what becomes of the cookie on its way upstream.
    ///
    /// A prefix is taken off when it looks like one of ours, so that a new secret ends bindings but not the sessions of the upstream.
    fn split<'v>(&self, value: &'v [u8]) -> (Option<&'v [u8]>, Fate<'v>) {
        match self.mode {
            CookieMode::Insert => (Some(value), Fate::Remove),
            CookieMode::Rewrite => (Some(value), Fate::Keep),
            CookieMode::Prefix => match memchr::memchr(PREFIX_END, value) {
                Some(end) if has_form(&value[..end]) => {
                    (Some(&value[..end]), Fate::Replace(&value[end + 1..]))
                }
                _ => (None, Fate::Keep),
            },
        }
    }

    /// Edits the upstream's cookie, if it set one.
    fn edit(&self, fields: &mut Fields, fate: SetFate<'_>, done: Issued) -> Issued {
        if edit_set_cookies(fields, &self.name, fate) {
            done
        } else {
            Issued::None
        }
    }

    /// Sets the cookie, if there is a value, in place of one that the upstream set.
    fn insert(&self, fields: &mut Fields, value: Option<&[u8]>) -> Issued {
        let dropped = edit_set_cookies(fields, &self.name, SetFate::Remove);
        let inserted = value.is_some_and(|value| {
            let line = [&self.name, &b"="[..], value, &self.attributes].concat();
            append_set_cookie(fields, &line)
        });
        if inserted {
            keep_from_shared_caches(fields);
            Issued::Inserted
        } else if dropped {
            Issued::Dropped
        } else {
            Issued::None
        }
    }
}

/// `; Path=…` and what else is set (RFC 6265 section 4.1.1; `SameSite` of its successor).
fn attributes(settings: &CookieAffinity) -> String {
    let mut text = format!("; Path={}", settings.path);
    if settings.http_only {
        text.push_str("; HttpOnly");
    }
    if settings.secure {
        text.push_str("; Secure");
    }
    if let Some(same_site) = settings.same_site {
        text.push_str(match same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
    }
    if let Some(domain) = &settings.domain {
        write!(text, "; Domain={domain}").expect("writing to a String cannot fail");
    }
    if let Some(max_age) = settings.max_age {
        write!(text, "; Max-Age={}", max_age.as_secs()).expect("writing to a String cannot fail");
    }
    text
}

/// Adds `Cache-Control: private` unless the response is kept out of shared caches already. Beside `public` the stricter one holds
/// (RFC 9111 section 4.2.1). In a head at its size limit nothing is added.
fn keep_from_shared_caches(fields: &mut Fields) {
    let is_private = fields.get_all(b"Cache-Control").any(says_private);
    if !is_private {
        let _at_the_size_limit = fields.append(b"Cache-Control", b"private");
    }
}

/// Whether a `Cache-Control` line says `no-store` or `private` for the response as a whole. A line with quotes counts as saying neither, since
/// `private="x-a"` covers one header only.
fn says_private(line: &[u8]) -> bool {
    let is_directive = |directive: &[u8]| {
        let directive = directive.trim_ascii();
        directive.eq_ignore_ascii_case(b"private") || directive.eq_ignore_ascii_case(b"no-store")
    };
    !line.contains(&b'"') && line.split(|&byte| byte == b',').any(is_directive)
}
