//! Names of the cookies that must not build, and the switch to names that no sibling host can set.

use tower_descope::{ConfigError, Descope, DescopeBuilder};

fn builder() -> DescopeBuilder {
    Descope::builder("P2abcdefghijklmnopqrstuvwxyz1")
}

/// Why it does not build.
#[track_caller]
fn refusal(builder: DescopeBuilder) -> String {
    match builder.build() {
        Err(ConfigError::Cookie(why)) => why,
        other => panic!("{other:?}"),
    }
}

// The names count as kinds of token (`drn`): a refresh JWT, which lives for weeks, would pass for a session.
#[test]
fn the_name_of_one_kind_does_not_build_as_that_of_the_other() {
    for prefix in ["", "__Host-", "__Secure-"] {
        let (ds, dsr) = (format!("{prefix}DS"), format!("{prefix}DSR"));
        for names in [vec![&*dsr], vec![&*dsr, "X"], vec!["X", "Y", &*dsr]] {
            // Also where the refresh cookie has another name.
            for refresh in ["DSR", "R"] {
                let builder = builder().session_cookies(names.clone());
                let why = refusal(builder.refresh_cookies([refresh]));
                assert!(why.contains(&dsr), "{why}");
            }
        }
        for names in [vec![&*ds], vec![&*ds, "X"], vec!["X", "Y", &*ds]] {
            for session in ["DS", "S"] {
                let builder = builder().refresh_cookies(names.clone());
                let why = refusal(builder.session_cookies([session]));
                assert!(why.contains(&ds), "{why}");
            }
        }
    }
}

#[test]
fn host_cookies_build_in_any_order_or_name_what_excludes_them() {
    type Setter = fn(DescopeBuilder) -> DescopeBuilder;
    let conflicts: [(&str, Setter); 3] = [
        ("cookie_domain(", |builder| {
            builder.cookie_domain("example.com")
        }),
        ("cookie_path(", |builder| builder.cookie_path("/app")),
        ("dangerous_insecure_cookies()", |builder| {
            builder.dangerous_insecure_cookies()
        }),
    ];
    for (name, setter) in conflicts {
        for builder in [
            setter(builder()).host_cookies(),
            setter(builder().host_cookies()),
        ] {
            let why = refusal(builder);
            assert!(
                why.contains("host_cookies()") && why.contains(name),
                "{why}"
            );
        }
    }
    for builder in [
        builder().host_cookies(),
        builder().host_cookies().host_cookies(),
        builder().host_cookies().session_cookies(["__Host-DS"]),
        builder().session_cookies(["A", "__Host-A"]).host_cookies(),
        builder().host_cookies().former_cookie_domain("example.com"),
        builder().host_cookies().cookie_path("/"),
    ] {
        builder.build().unwrap();
    }
    assert!(refusal(builder().former_cookie_domain("a;b")).contains("a;b"));
}
