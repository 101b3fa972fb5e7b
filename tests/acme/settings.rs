//! What is said to the authority, and whom the proxy takes for it.

use super::{HANDSHAKE, Site, installed, installed_after, web};
use crate::harness::{Authority, Proxy, TlsFront};

#[test]
fn the_authority_is_told_whom_it_may_write_to_and_told_again_after_a_change() {
    let site = Site::by_handshake();
    let text = |contact: &str| web(&site.directory(), "", &format!("{contact} {HANDSHAKE}"));
    let proxy = Proxy::start(&text("contact \"one@example.com\";"));
    site.look_at(proxy.address("web"));
    installed(&proxy);
    assert_eq!(site.authority.contacts(), [["mailto:one@example.com"]]);
    let mark = proxy.log_mark();
    let other = text("contact \"two@example.com\";").replace("a.example", "b.example");
    proxy.reload(&other).expect("it is valid");
    installed_after(&proxy, mark);
    assert_eq!(site.authority.contacts(), [["mailto:two@example.com"]]);
}

/// The authority of the test refuses accounts that have not agreed.
#[test]
fn nothing_is_ordered_without_agreeing_to_the_terms() {
    let site = Site::by_handshake();
    let text = web(&site.directory(), "", HANDSHAKE);
    for without in ["", "terms-agreed #false;"] {
        let text = text.replace("terms-agreed #true;", without);
        let said = Proxy::try_start(&text).err().expect("it does not start");
        let expected = "the authority's terms of service must be agreed to";
        assert!(said.contains(expected), "{said}");
    }
    assert!(site.authority.requests().is_empty());
    let proxy = Proxy::start(&text);
    site.look_at(proxy.address("web"));
    installed(&proxy);
    assert_eq!(site.authority.issued(), [["a.example"]]);
}

#[test]
fn the_account_is_bound_to_an_external_one_by_its_id_and_key() {
    let site = Site::by_handshake();
    site.authority.demand_external_account("key-1", b"a secret");
    let text = |account: &str| web(&site.directory(), "", &format!("{account} {HANDSHAKE}"));
    let proxy = Proxy::start(&text(""));
    site.look_at(proxy.address("web"));
    let mut mark = 0;
    for (account, reason) in [
        (
            "external-account \"key-2\" key=\"YSBzZWNyZXQ\";",
            "bind an account (externalAccountRequired)",
        ),
        (
            "external-account \"key-1\" key=\"YW5vdGhlcg\";",
            "not that account (unauthorized)",
        ),
        (
            "external-account \"key-1\" key=\"YSBzZWNyZXQ\";",
            "not that account (unauthorized)",
        ),
    ] {
        let said = proxy.log_line_after(mark, "no certificate could be had");
        assert!(said.contains(reason), "{said}");
        mark = proxy.log_mark();
        proxy.reload(&text(account)).expect("it is valid");
    }
    installed_after(&proxy, mark);
    site.shake(&proxy, "a.example").expect("it is there");
    assert_eq!(site.authority.contacts().len(), 1, "one account was made");
}

#[test]
fn an_authority_is_asked_by_tls_and_trusted_by_its_own_file() {
    let (site, own) = (Site::by_handshake(), Authority::new());
    let address = site.directory();
    let address = address.trim_start_matches("http://");
    let behind = address.trim_end_matches("/directory").to_owned();
    let front = TlsFront::before(&behind, &own.issue(&["127.0.0.1"]), &[], None);
    let directory = format!("https://{front}/directory");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("ca.pem"), own.pem()).expect("a writable folder");
    let text = web(&directory, "", HANDSHAKE);
    let proxy = Proxy::start_in(folder, &text).expect("it is valid");
    site.look_at(proxy.address("web"));
    let said = proxy.log_line("no certificate could be had");
    assert!(said.contains("UnknownIssuer"), "{said}");
    assert_eq!(site.authority.requests().len(), 0);
    let mark = proxy.log_mark();
    let trusting = text.replace("terms-agreed", "ca \"ca.pem\"; terms-agreed");
    proxy.reload(&trusting).expect("it is valid");
    installed_after(&proxy, mark);
    site.shake(&proxy, "a.example").expect("it is there");
    assert_eq!(site.authority.count("GET /directory"), 1);
    assert!(!front.handshakes().is_empty());
}
