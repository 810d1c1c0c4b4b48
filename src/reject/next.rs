//! Checks the path (`next`) to which a login page may redirect a browser after sign-in.

use crate::percent;

/// Longest `next` in bytes. It is part of a `Location` header, for which common servers and proxies have a limit of 8
/// KiB.
const MAX_NEXT: usize = 2048;

/// Characters that a lossy conversion to a narrower character set turns into `/` or `\`.
const LOOK_LIKE_SLASHES: [char; 6] = [
    '\\', '\u{2044}', '\u{2215}', '\u{29F8}', '\u{FF0F}', '\u{FF3C}',
];

/// Returns `next` if it is a path that every browser resolves to this host. It may have a query and a fragment.
///
/// Refused are paths that another program may read differently from the one that checked them:
///
/// * `//` anywhere, and a backslash, which browsers read as a slash: another host may begin there, at once or after a
///   `/..` before it was resolved;
/// * the segments `.` and `..`, in percent-encoding too;
/// * control characters and white space, which browsers remove or trim;
/// * whatever becomes one of these when the path is percent-decoded once more, as some servers and proxies do;
/// * more than 2048 bytes.
///
/// So normalising an accepted path changes nothing. Query and fragment lead nowhere; they are only searched for raw
/// control characters and white space.
///
/// The login page of an app asks this about the `next` that it was given:
///
/// ```
/// use tower_descope::require::path_on_this_host;
///
/// assert_eq!(path_on_this_host("/orders?page=2"), Some("/orders?page=2"));
/// assert_eq!(path_on_this_host("//evil.example"), None);
/// assert_eq!(path_on_this_host("https://evil.example"), None);
/// ```
pub fn path_on_this_host(next: &str) -> Option<&str> {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let accepted = next.len() <= MAX_NEXT
        && !next.contains(|c: char| c.is_control() || c.is_whitespace())
        && is_plain_path(path)
        && percent::decoded(path).is_some_and(|decoded| is_plain_path(&decoded));
    accepted.then_some(next)
}

/// Whether the path is absolute and normalisation would not change it.
fn is_plain_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    !path.contains(|c: char| c.is_control() || LOOK_LIKE_SLASHES.contains(&c))
        && !path.contains("//")
        && !segments
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_on_this_host_pass() {
        for next in [
            "/",
            "/home?x=1#y",
            "/a/",
            "/..a/b..c/file.tar.gz",
            "/~me/$1!*'();,=&+",
            "/@user/a:b",
            "/stra\u{df}e/\u{65e5}\u{672c}?q=\u{5024}#\u{65ad}",
            "/projects/group%2Fname",
            "/100%/x%2",
            "/%zz%2",
            "/a%20b",
            "/go?u=//other.example/../x\\y%0D%0A",
            "/a#//b/..",
        ] {
            assert_eq!(path_on_this_host(next), Some(next));
        }
        for next in [
            "",
            "home",
            "?x=1",
            "#x",
            "./x",
            "@evil.example",
            "https://evil.example/",
            "https:evil.example",
            "javascript:alert(1)",
            "//evil.example",
            "/a//b",
            "/\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "\0//evil.example",
            "/home\0",
            "/a\u{7f}b",
            "/a\u{85}b",
            "/a\u{2028}b",
            "/a?b=\tc",
            " /home",
            "/home ",
            "\u{a0}/home",
            "/..",
            "/.",
            "/./",
            "/a/../b",
            "/..//evil.example",
            "/%2e%2e//evil.example",
            "/%2E%2e/x",
            "/a/.%2e?x",
            "/a/%2e#x",
            "/%2f/evil.example",
            "/%2Fevil.example",
            "/a%2f/b",
            "/%5cevil.example",
            "/a%0d%0ab",
            "/a%09",
            "%2f%2fevil.example",
            "\u{ff0f}\u{ff0f}evil.example",
            "/\u{ff0f}evil.example",
            "/\u{2215}evil.example",
            "/%EF%BC%8Fevil.example",
            "/%C0%AFevil.example",
            "/caf%E9",
        ] {
            assert_eq!(path_on_this_host(next), None, "{next:?}");
        }
    }

    #[test]
    fn a_next_has_2048_bytes_at_most() {
        let longest = format!("/{}", "p".repeat(MAX_NEXT - 1));
        assert!(path_on_this_host(&longest).is_some());
        assert!(path_on_this_host(&format!("{longest}p")).is_none());
    }
}
