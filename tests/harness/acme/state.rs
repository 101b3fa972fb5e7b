//! What the authority knows, and how it answers.

use super::issue::CertificateIssuer;
use super::signed::{Key, Signed, decode, malformed};
use super::{Answer, Authority, Proof};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const KINDS: [&str; 2] = ["http-01", "tls-alpn-01"];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Of all authorities of the process, so that no two give out the same.
static TOKENS: AtomicU64 = AtomicU64::new(0);

pub(super) struct State {
    pub(super) issuer: CertificateIssuer,
    pub(super) lifetime: Duration,
    pub(super) external: Option<(String, Vec<u8>)>,
    /// A name that is left out of certificates, though it was ordered and proved.
    pub(super) left_out: Option<String>,
    pub(super) window: Option<(String, String)>,
    /// Seconds between looks at an order that clients are asked for.
    pub(super) pace: Option<u64>,
    pub(super) refusals: Vec<(&'static str, Answer)>,
    pub(super) accounts: Vec<Account>,
    pub(super) orders: Vec<Order>,
    pub(super) requests: Vec<String>,
    names: Vec<Name>,
    /// Given out and not used yet.
    nonces: HashSet<String>,
    nonces_made: u64,
}

#[derive(Clone)]
pub(super) struct Account {
    key: Key,
    pub(super) contacts: Vec<String>,
    pub(super) known: bool,
}

pub(super) struct Order {
    account: usize,
    pub(super) names: Vec<String>,
    /// Places in `State::names`.
    proofs: Vec<usize>,
    pub(super) replaces: Option<String>,
    pub(super) chain: Option<String>,
    /// Looks that were answered with `pending` though all was proved, and with `processing` though all was done: one each, as real
    /// authorities need some time.
    looks: u32,
}

/// An authorization.
struct Name {
    account: usize,
    name: String,
    token: String,
    /// What became of the challenge that was tried.
    tried: Option<(String, Result<(), String>)>,
}

/// A request whose signature and nonce are good.
struct Asked {
    account: usize,
    payload: Value,
}

impl State {
    pub(super) fn new() -> State {
        State {
            issuer: CertificateIssuer::new(),
            lifetime: 90 * DAY,
            external: None,
            left_out: None,
            window: None,
            pace: None,
            refusals: Vec::new(),
            accounts: Vec::new(),
            orders: Vec::new(),
            requests: Vec::new(),
            names: Vec::new(),
            nonces: HashSet::new(),
            nonces_made: 0,
        }
    }

    fn nonce(&mut self) -> String {
        self.nonces_made += 1;
        let nonce = format!("nonce-{}", self.nonces_made);
        self.nonces.insert(nonce.clone());
        nonce
    }

    fn refusal(&mut self, path: &str) -> Option<Answer> {
        let place = self
            .refusals
            .iter()
            .position(|(prefix, _)| path.starts_with(prefix));
        place.map(|place| self.refusals.remove(place).1)
    }
}

impl Authority {
    /// One request and its answer; the body of a `POST` is a JWS.
    pub(crate) fn answer(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.state().requests.push(format!("{method} {path}"));
        let refusal = self.state().refusal(path);
        let answer = match refusal {
            Some(refusal) => Err(refusal),
            None => self.dispatch(method, path, body),
        };
        let mut answer = answer.unwrap_or_else(|refusal| refusal);
        answer.fields.push(("replay-nonce", self.state().nonce()));
        answer
    }

    fn dispatch(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Answer> {
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let (first, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        match (method, first) {
            ("GET", "directory") => return Ok(Answer::json(200, &self.listing())),
            ("HEAD" | "GET", "new-nonce") => {
                return Ok(Answer {
                    status: 200,
                    ..Answer::default()
                });
            }
            ("GET", "renewal-info") => return self.window(),
            ("POST", "new-account") => return self.new_account(path, body),
            ("POST", _) => {}
            _ => return Err(Answer::problem(405, "malformed", "method")),
        }
        let asked = self.asked(path, body)?;
        let place = second
            .and_then(|place| place.parse::<usize>().ok())
            .unwrap_or(usize::MAX);
        match first {
            "new-order" => self.new_order(&asked),
            "account" => self.account(&asked, place),
            "order" => self.order(&asked, place),
            "authorization" => self.authorization(&asked, place),
            "challenge" => self.challenge(&asked, place, third.unwrap_or_default()),
            "finalize" => self.finalize(&asked, place),
            "certificate" => self.certificate(&asked, place),
            _ => Err(Answer::problem(404, "malformed", "no such resource")),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn listing(&self) -> Value {
        let mut listing = json!({
            "newNonce": self.url("/new-nonce"),
            "newAccount": self.url("/new-account"),
            "newOrder": self.url("/new-order"),
            "meta": { "externalAccountRequired": self.state().external.is_some() },
        });
        if self.state().window.is_some() {
            listing["renewalInfo"] = json!(self.url("/renewal-info"));
        }
        listing
    }

    fn window(&self) -> Result<Answer, Answer> {
        let window = self.state().window.clone();
        let (start, end) = window.ok_or_else(|| malformed("no windows here"))?;
        let mut answer = Answer::json(
            200,
            &json!({ "suggestedWindow": { "start": start, "end": end } }),
        );
        answer.fields.push(("retry-after", "21600".to_owned()));
        Ok(answer)
    }

    /// Checks what is the same for all signed requests (RFC 8555 §6.4, §6.5).
    fn signed(&self, path: &str, body: &[u8]) -> Result<Signed, Answer> {
        let jws: Value = serde_json::from_slice(body).map_err(|_| malformed("not JSON"))?;
        let signed = Signed::read(&jws)?;
        let nonce = signed.header["nonce"].as_str().unwrap_or_default();
        if !self.state().nonces.remove(nonce) {
            return Err(Answer::problem(400, "badNonce", "used before, or not ours"));
        }
        match signed.header["url"] == self.url(path) {
            true => Ok(signed),
            false => Err(Answer::problem(
                401,
                "unauthorized",
                "signed for another address",
            )),
        }
    }

    fn asked(&self, path: &str, body: &[u8]) -> Result<Asked, Answer> {
        let signed = self.signed(path, body)?;
        let id = signed.header["kid"].as_str().unwrap_or_default();
        let state = self.state();
        let account = id
            .strip_prefix(&self.url("/account/"))
            .and_then(|place| place.parse().ok());
        let known = account.and_then(|place: usize| Some((place, state.accounts.get(place)?)));
        let Some((account, known)) = known.filter(|(_, account)| account.known) else {
            return Err(Answer::problem(
                400,
                "accountDoesNotExist",
                "no such account",
            ));
        };
        match signed.is_by(&known.key) {
            true => Ok(Asked {
                account,
                payload: signed.payload,
            }),
            false => Err(malformed("signature")),
        }
    }

    fn new_account(&self, path: &str, body: &[u8]) -> Result<Answer, Answer> {
        let signed = self.signed(path, body)?;
        let key = Key::read(&signed.header["jwk"])?;
        if !signed.is_by(&key) {
            return Err(malformed("signature"));
        }
        if signed.payload["termsOfServiceAgreed"] != true {
            return Err(Answer::problem(
                403,
                "userActionRequired",
                "agree to the terms",
            ));
        }
        self.check_binding(path, &signed)?;
        let mut state = self.state();
        state.accounts.push(Account {
            key,
            contacts: contacts(&signed.payload),
            known: true,
        });
        let mut answer = Answer::json(201, &json!({ "status": "valid" }));
        let place = state.accounts.len() - 1;
        answer
            .fields
            .push(("location", self.url(&format!("/account/{place}"))));
        Ok(answer)
    }

    fn check_binding(&self, path: &str, signed: &Signed) -> Result<(), Answer> {
        let external = self.state().external.clone();
        let Some((id, key)) = external else {
            return Ok(());
        };
        let binding = &signed.payload["externalAccountBinding"];
        if binding.is_null() {
            return Err(Answer::problem(
                403,
                "externalAccountRequired",
                "bind an account",
            ));
        }
        let binding = Signed::read(binding)?;
        let ours = binding.header["kid"] == id.as_str() && binding.header["url"] == self.url(path);
        match ours && binding.is_with(&key) && binding.payload == signed.header["jwk"] {
            true => Ok(()),
            false => Err(Answer::problem(403, "unauthorized", "not that account")),
        }
    }

    fn account(&self, asked: &Asked, place: usize) -> Result<Answer, Answer> {
        if place != asked.account {
            return Err(Answer::problem(403, "unauthorized", "another account"));
        }
        if !asked.payload["contact"].is_null() {
            self.state().accounts[place].contacts = contacts(&asked.payload);
        }
        Ok(Answer::json(200, &json!({ "status": "valid" })))
    }

    fn new_order(&self, asked: &Asked) -> Result<Answer, Answer> {
        let list = asked.payload["identifiers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let names: Vec<String> = list
            .iter()
            .filter_map(|name| name["value"].as_str().map(str::to_owned))
            .collect();
        if names.is_empty() || names.len() != list.len() {
            return Err(malformed("identifiers"));
        }
        let mut state = self.state();
        let first = state.names.len();
        for name in &names {
            let token = format!("token-{}", TOKENS.fetch_add(1, Ordering::Relaxed));
            state.names.push(Name {
                account: asked.account,
                name: name.clone(),
                token,
                tried: None,
            });
        }
        state.orders.push(Order {
            account: asked.account,
            proofs: (first..first + names.len()).collect(),
            names,
            replaces: asked.payload["replaces"].as_str().map(str::to_owned),
            chain: None,
            looks: 0,
        });
        let place = state.orders.len() - 1;
        let mut answer = Answer::json(201, &self.shown(&state, place));
        answer
            .fields
            .push(("location", self.url(&format!("/order/{place}"))));
        Ok(answer)
    }

    /// As an order is shown; see [`Order::looks`].
    fn shown(&self, state: &State, place: usize) -> Value {
        let order = &state.orders[place];
        let proofs = order.proofs.iter().map(|proof| &state.names[*proof].tried);
        let failed = proofs.clone().flatten().any(|(_, result)| result.is_err());
        let proved = proofs.clone().flatten().count() == order.proofs.len();
        let status = match order.looks {
            _ if failed => "invalid",
            0 => "pending",
            _ if !proved => "pending",
            _ if order.chain.is_none() => "ready",
            1 => "processing",
            _ => "valid",
        };
        let urls = order
            .proofs
            .iter()
            .map(|proof| self.url(&format!("/authorization/{proof}")));
        let mut shown = json!({
            "status": status,
            "identifiers": order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect::<Vec<_>>(),
            "authorizations": urls.collect::<Vec<_>>(),
            "finalize": self.url(&format!("/finalize/{place}")),
        });
        if let Some(replaces) = &order.replaces {
            shown["replaces"] = json!(replaces);
        }
        if status == "valid" {
            shown["certificate"] = json!(self.url(&format!("/certificate/{place}")));
        }
        shown
    }

    fn order(&self, asked: &Asked, place: usize) -> Result<Answer, Answer> {
        let mut state = self.state();
        own(state.orders.get(place).map(|order| order.account), asked)?;
        let mut answer = Answer::json(200, &self.shown(&state, place));
        if let Some(seconds) = state.pace {
            answer.fields.push(("retry-after", seconds.to_string()));
        }
        let order = &mut state.orders[place];
        order.looks = (order.looks + 1).min(if order.chain.is_some() { 2 } else { 1 });
        Ok(answer)
    }

    fn authorization(&self, asked: &Asked, place: usize) -> Result<Answer, Answer> {
        let state = self.state();
        own(state.names.get(place).map(|name| name.account), asked)?;
        let name = &state.names[place];
        let status = match &name.tried {
            None => "pending",
            Some((_, Ok(()))) => "valid",
            Some((_, Err(_))) => "invalid",
        };
        let challenges: Vec<Value> = KINDS
            .iter()
            .map(|kind| self.challenge_of(name, place, kind))
            .collect();
        let identifier = json!({ "type": "dns", "value": name.name });
        Ok(Answer::json(
            200,
            &json!({ "status": status, "identifier": identifier, "challenges": challenges }),
        ))
    }

    fn challenge_of(&self, name: &Name, place: usize, kind: &str) -> Value {
        let tried = name.tried.as_ref().filter(|(tried, _)| tried == kind);
        let mut challenge = json!({
            "type": kind,
            "url": self.url(&format!("/challenge/{place}/{kind}")),
            "token": name.token,
            "status": match tried {
                None => "pending",
                Some((_, Ok(()))) => "valid",
                Some((_, Err(_))) => "invalid",
            },
        });
        if let Some((_, Err(reason))) = tried {
            challenge["error"] =
                json!({ "type": "urn:ietf:params:acme:error:unauthorized", "detail": reason });
        }
        challenge
    }

    /// Looks at once. The answer still says `processing`, since the client may not rely on that.
    fn challenge(&self, asked: &Asked, place: usize, kind: &str) -> Result<Answer, Answer> {
        let proof = {
            let state = self.state();
            own(state.names.get(place).map(|name| name.account), asked)?;
            let name = &state.names[place];
            let thumbprint = state.accounts[asked.account].key.thumbprint();
            Proof {
                kind: kind.to_owned(),
                name: name.name.clone(),
                token: name.token.clone(),
                key_authorization: format!("{}.{thumbprint}", name.token),
            }
        };
        let result = (self.look)(&proof);
        let mut state = self.state();
        let name = &mut state.names[place];
        let mut shown = self.challenge_of(name, place, kind);
        shown["status"] = json!("processing");
        name.tried = Some((kind.to_owned(), result));
        Ok(Answer::json(200, &shown))
    }

    fn finalize(&self, asked: &Asked, place: usize) -> Result<Answer, Answer> {
        let now = (self.clock)();
        let mut state = self.state();
        own(state.orders.get(place).map(|order| order.account), asked)?;
        if self.shown(&state, place)["status"] != "ready" {
            return Err(Answer::problem(
                403,
                "orderNotReady",
                "prove the names first",
            ));
        }
        let request = decode(asked.payload["csr"].as_str().unwrap_or_default())?;
        let (names, lifetime) = (state.orders[place].names.clone(), state.lifetime);
        let left_out = state.left_out.clone();
        let chain = state
            .issuer
            .issue(request, &names, left_out.as_deref(), now, lifetime)?;
        state.orders[place].chain = Some(chain);
        Ok(Answer::json(200, &self.shown(&state, place)))
    }

    fn certificate(&self, asked: &Asked, place: usize) -> Result<Answer, Answer> {
        let state = self.state();
        own(state.orders.get(place).map(|order| order.account), asked)?;
        let chain = state.orders[place]
            .chain
            .clone()
            .ok_or_else(|| malformed("not yet"))?;
        Ok(Answer {
            status: 200,
            fields: vec![(
                "content-type",
                "application/pem-certificate-chain".to_owned(),
            )],
            body: chain.into_bytes(),
        })
    }
}

fn own(owner: Option<usize>, asked: &Asked) -> Result<(), Answer> {
    match owner {
        Some(owner) if owner == asked.account => Ok(()),
        Some(_) => Err(Answer::problem(403, "unauthorized", "another account's")),
        None => Err(Answer::problem(404, "malformed", "no such resource")),
    }
}

fn contacts(payload: &Value) -> Vec<String> {
    let contacts = payload["contact"].as_array().cloned().unwrap_or_default();
    contacts
        .iter()
        .filter_map(|contact| contact.as_str().map(str::to_owned))
        .collect()
}

impl Answer {
    fn json(status: u16, body: &Value) -> Answer {
        Answer {
            status,
            fields: vec![("content-type", "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    pub(super) fn problem(status: u16, kind: &str, detail: &str) -> Answer {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        Answer {
            fields: vec![("content-type", "application/problem+json".to_owned())],
            ..Answer::json(
                status,
                &json!({ "type": kind, "detail": detail, "status": status }),
            )
        }
    }
}
