//! The example `multi_tenant`, served over a socket and used as a browser uses it.

use tower_descope::Emulator;

use crate::support::browser_without_script::Browser;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/multi_tenant.rs"]
mod multi_tenant;

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

async fn signed_in(emulator: &Emulator, email: &str) -> Browser {
    let descope = emulator.descope().build().unwrap();
    let mut browser = Browser::new(multi_tenant::app(&descope)).await;
    let page = browser.sign_in_by_code(emulator, email).await;
    assert!(page.contains("Current tenant"), "{page}");
    browser
}

async fn emulator() -> Emulator {
    let emulator = Emulator::builder().start().await.unwrap();
    multi_tenant::seed(&emulator).unwrap();
    emulator
}

#[tokio::test]
async fn multi_tenant_pages_are_for_members_and_settings_for_owners() {
    let emulator = emulator().await;
    for (email, path, status) in [
        (ANN, "/t/acme", 200),
        (ANN, "/t/acme/settings", 200),
        (ANN, "/t/globex", 200),
        (ANN, "/t/globex/settings", 403),
        (ANN, "/t/initech", 403),
        (BOB, "/t/acme", 403),
        (BOB, "/t/acme/settings", 403),
        (BOB, "/t/globex", 200),
        (BOB, "/t/globex/settings", 403),
    ] {
        let mut browser = signed_in(&emulator, email).await;
        let page = browser.open(path).await;
        assert_eq!(page.status, status, "{email} {path}: {page}");
    }
    let mut anns = signed_in(&emulator, ANN).await;
    let page = anns.open("/t/acme").await;
    assert!(page.contains("members of acme") && page.contains("roles: owner"));
    anns.cookies.clear();
    // A browser is sent to the page where it can sign in.
    assert!(anns.open("/t/acme").await.contains("Send a code"));
}

#[tokio::test]
async fn multi_tenant_switches_the_tenant_of_the_session() {
    let emulator = emulator().await;
    let mut browser = signed_in(&emulator, ANN).await;
    assert_eq!(browser.open("/invoices").await.status, 403);
    for tenant in ["acme", "globex"] {
        let page = browser.submit("/switch", &[("tenant", tenant)]).await;
        assert!(
            page.contains(&format!("Current tenant: {tenant}")),
            "{page}"
        );
        let page = browser.open("/invoices").await;
        assert!(page.contains(&format!("Invoices of {tenant}")), "{page}");
    }
    // The session goes on: it can be renewed, and stays in the tenant.
    browser.cookies.remove("DS");
    assert!(
        browser
            .open("/invoices")
            .await
            .contains("Invoices of globex")
    );
}

#[tokio::test]
async fn multi_tenant_switches_to_no_tenant_of_others() {
    let emulator = emulator().await;
    let mut browser = signed_in(&emulator, BOB).await;
    let page = browser.submit("/switch", &[("tenant", "acme")]).await;
    assert_eq!(page.status, 403, "{page}");
    assert_eq!(emulator.calls("/v1/auth/tenant/select"), 0);
    let page = browser
        .submit_from("https://evil.example", "/switch", &[("tenant", "globex")])
        .await;
    assert_eq!(page.status, 403, "{page}");
    assert_eq!(emulator.calls("/v1/auth/tenant/select"), 0);
}
