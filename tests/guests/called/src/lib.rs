//! Denies `/admin`, sets two request headers, removes one response header: in two calls for every exchange, with no guard and no constant edit.
//! The benchmark compares it with the same work stated as needs.

use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::random;

#[derive(Settings)]
struct NoSettings {}

struct Called;

impl HttpFilter for Called {
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, Errors> {
        Ok(Called)
    }

    fn plan(&self) -> Plan {
        Plan::nothing().on_request([Field::Path, Field::ClientAddress]).on_response([])
    }

    fn request(&self, request: &Request) -> Verdict {
        if request.path().starts_with("/admin") {
            return Verdict::Reply(Reply::new(403));
        }
        let mut edits = Edits::new();
        edits.set("x-request-id", format!("{:016x}", random::number()));
        edits.set("x-forwarded-for", request.at(1).unwrap_or_default());
        Verdict::from(edits)
    }

    fn response(&self, _: &Response) -> Verdict {
        let mut edits = Edits::new();
        edits.remove("server");
        Verdict::from(edits)
    }
}

http_filter!(Called);
