//! Network filter `ip-acl`: accepts or closes connections by the client's address. The decision is in `networks.rs`.

mod networks;

use networks::Networks;
use tollgate_plugin_sdk::prelude::*;

/// Settings of the filter.
#[derive(Settings)]
pub struct IpAclSettings {
    /// Networks whose connections are accepted. With any of these, all others are closed.
    allow: Vec<String>,
    /// Networks whose connections are closed.
    deny: Vec<String>,
}

/// The filter.
pub struct IpAcl {
    networks: Networks,
}

impl NetworkFilter for IpAcl {
    type Settings = IpAclSettings;

    fn new(settings: IpAclSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let networks = Networks::compile(&settings.allow, &settings.deny, &mut errors);
        errors.finish(IpAcl { networks })
    }

    /// Without `allow`, only addresses in a denied network can be closed: others are never asked about.
    fn plan(&self) -> NetworkPlan {
        let plan = NetworkPlan::nothing();
        if self.networks.is_empty() {
            return plan;
        }
        let plan = plan.on_accept([Field::ClientAddress]);
        match self.networks.only_denied() {
            Some(denied) => plan.guard(source(denied)),
            None => plan,
        }
    }

    fn accept(&self, connection: &Connection) -> Accepted {
        // Without an address (a Unix socket, say) there is nothing to allow.
        let allowed = match connection.client_address() {
            Some(address) => self.networks.allows(address),
            None => self.networks.allows_unknown(),
        };
        if allowed {
            Accepted::next()
        } else {
            Accepted::Close
        }
    }
}

network_filter!(IpAcl);

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::testing::{accepts, network_errors};

    use super::*;

    #[test]
    fn connections_are_judged_by_address() {
        let deny = r#"{"deny":["192.0.2.0/24","2001:db8::/32"]}"#;
        let allow = r#"{"allow":["10.0.0.0/8"],"deny":["10.1.0.0/16"]}"#;
        let cases = [
            (deny, "192.0.2.7", false),
            (deny, "::ffff:192.0.2.7", false),
            (deny, "198.51.100.1", true),
            (deny, "2001:db8::1", false),
            (deny, "2001:db9::1", true),
            (allow, "10.2.0.1", true),
            (allow, "10.1.0.1", false),
            (allow, "192.0.2.7", false),
            (allow, "::1", false),
            ("{}", "192.0.2.7", true),
        ];
        for (settings, from, expected) in cases {
            assert_eq!(
                accepts::<IpAcl>(settings, from),
                expected,
                "{settings} {from}"
            );
        }
    }

    #[test]
    fn bad_networks_are_told_at_their_place() {
        let errors =
            network_errors::<IpAcl>(r#"{"allow":["10.0.0.0/8","x"],"deny":["10.0.0.1/8"]}"#);
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0].starts_with("/deny/0: ") && errors[1].starts_with("/allow/1: "),
            "{errors:?}"
        );
    }
}
