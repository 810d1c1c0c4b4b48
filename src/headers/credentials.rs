//! Reads the tokens of a request out of `Authorization` and `Cookie`.
//!
//! Headers are read as bytes, so that a non-ASCII cookie of another app does not hide ours. Names are compared byte for
//! byte, and nothing is decoded: percent-decoding names would let `__%48ost-DS`, which any sibling host may set, pass
//! for `__Host-DS`. Only SP and HTAB are trimmed, for the same reason.

use http::header::{AUTHORIZATION, COOKIE, GetAll, HeaderMap, HeaderValue};
use memchr::memchr;

use super::set_cookie::{CookieConfig, HOST_PREFIX};
use crate::client::ProjectId;
use crate::token::is_token;

/// How many values of one cookie are tried. An attacker on a sibling host can add cookies of our name. Several are
/// tried, so that such cookies do not lock the user out; the limit bounds the work that they cause.
const MAX_CANDIDATES: usize = 4;

/// All credentials of a request.
pub(crate) struct Credentials<'a> {
    pub(crate) bearer: Bearer<'a>,
    pub(crate) session: Candidates<'a>,
    pub(crate) refresh: Candidates<'a>,
    fields: GetAll<'a, HeaderValue>,
}

/// The `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer<'a> {
    /// There is no bearer: the header is missing, has another scheme, or has the project id as in Descope's API.
    None,
    Token(&'a [u8]),
    /// There are two fields, no token, or something after the token.
    Malformed,
}

/// The values of the session cookie or of the refresh cookie, in the order of the names' priority, then in the order of
/// the request. Each has the position of its name in the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Candidates<'a> {
    values: [Option<(usize, &'a [u8])>; MAX_CANDIDATES],
}

impl<'a> Candidates<'a> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.values.into_iter().flatten().map(|(_, value)| value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values[0].is_none()
    }

    fn any(&self, good: impl Fn(usize) -> bool) -> bool {
        self.values.iter().flatten().any(|(at, _)| good(*at))
    }

    fn retain(&mut self, good: impl Fn(usize) -> bool) {
        let all = self.values.into_iter().flatten();
        let mut kept = all.filter(|(at, _)| good(*at));
        self.values = std::array::from_fn(|_| kept.next());
    }

    fn add(&mut self, priority: usize, value: &'a [u8]) {
        if value.is_empty() {
            return;
        }
        // Most requests have one cookie of a name, so the first value is taken unchecked: verification refuses what is
        // no token.
        let [first, second, ..] = self.values;
        let Some((_, first)) = first else {
            self.values[0] = Some((priority, value));
            return;
        };
        if !is_token(value) || self.iter().any(|known| known == value) {
            return;
        }
        if second.is_none() && !is_token(first) {
            self.values[0] = Some((priority, value));
            return;
        }
        let at = self
            .values
            .iter()
            .position(|known| known.is_none_or(|(other, _)| other > priority));
        if let Some(at) = at {
            self.values[at..].rotate_right(1);
            self.values[at] = Some((priority, value));
        }
    }
}

/// The values of the session cookie and of the refresh cookie.
#[derive(Default)]
pub(crate) struct Sent<'a> {
    pub(crate) session: Candidates<'a>,
    pub(crate) refresh: Candidates<'a>,
}

impl<'a> Sent<'a> {
    fn read(fields: impl IntoIterator<Item = &'a HeaderValue>, config: &CookieConfig) -> Self {
        let mut sent = Self::default();
        for (name, value) in cookies(fields) {
            // Browsers keep no cookie of this size, so no signature check is spent on it.
            if name.len() + value.len() > config.longest {
                continue;
            }
            if let Some(priority) = position(&config.session, name) {
                sent.session.add(priority, value);
            }
            if let Some(priority) = position(&config.refresh, name) {
                sent.refresh.add(priority, value);
            }
        }
        if config.has_host_prefix() {
            sent.drop_plain(config);
        }
        sent
    }

    /// Drops cookies without the `__Host-` prefix where there are cookies with it: a sibling host may have set the
    /// former, but not the latter.
    fn drop_plain(&mut self, config: &CookieConfig) {
        let has_prefix = |names: &[String], at: usize| names[at].starts_with(HOST_PREFIX);
        let refresh_has = |at| has_prefix(&config.refresh, at);
        let session_has = |at| has_prefix(&config.session, at);
        if self.refresh.any(refresh_has) {
            self.refresh.retain(refresh_has);
            self.session.retain(session_has);
        } else if self.session.any(session_has) {
            // The refresh cookie may still have its plain name. It counts only if it names the session's user.
            self.session.retain(session_has);
        }
    }
}

impl<'a> Credentials<'a> {
    pub(crate) fn read(headers: &'a HeaderMap, project: &ProjectId, config: &CookieConfig) -> Self {
        let bearer = read_bearer(headers, project);
        let fields = headers.get_all(&COOKIE);
        // A bearer is the only credential of its request, so that a request never mixes two identities.
        let sent = match bearer {
            Bearer::None => Sent::read(fields.iter(), config),
            _ => Sent::default(),
        };
        Self {
            bearer,
            session: sent.session,
            refresh: sent.refresh,
            fields,
        }
    }

    /// Whether the request has no credentials at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.bearer == Bearer::None && self.session.is_empty() && self.refresh.is_empty()
    }

    /// The `Cookie` fields, from which the refresh JWT can be read later.
    pub(crate) fn cookie_lines(&self) -> CookieLines {
        CookieLines::of_fields(&self.fields)
    }
}

/// The `Cookie` fields of a request, from which the refresh JWT can be read later. Cloning a field copies no bytes.
#[derive(Clone, Default)]
pub(crate) enum CookieLines {
    #[default]
    None,
    One(HeaderValue),
    Many(Vec<HeaderValue>),
}

impl CookieLines {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::of_fields(&headers.get_all(&COOKIE))
    }

    fn of_fields(fields: &GetAll<'_, HeaderValue>) -> Self {
        let mut iter = fields.iter();
        match (iter.next(), iter.next()) {
            (None, _) => Self::None,
            (Some(field), None) => Self::One(field.clone()),
            (Some(_), Some(_)) => Self::Many(fields.iter().cloned().collect()),
        }
    }

    /// The values of the session cookie and of the refresh cookie.
    pub(crate) fn sent(&self, config: &CookieConfig) -> Sent<'_> {
        Sent::read(self.fields(), config)
    }

    /// Every value of a name, however many there are.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        cookies(self.fields())
            .filter(move |(known, _)| *known == name.as_bytes())
            .map(|(_, value)| value)
    }

    fn fields(&self) -> &[HeaderValue] {
        match self {
            Self::None => &[],
            Self::One(field) => std::slice::from_ref(field),
            Self::Many(fields) => fields,
        }
    }
}

fn position(names: &[String], name: &[u8]) -> Option<usize> {
    names.iter().position(|known| known.as_bytes() == name)
}

/// The name and value of every cookie. HTTP/2 may spread cookies over several fields (RFC 9113 section 8.2.3).
fn cookies<'a>(
    fields: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    fields
        .into_iter()
        .flat_map(|field| Pairs(Some(field.as_bytes())))
        .filter_map(|pair| {
            let equals = memchr(b'=', pair)?;
            Some((trim(&pair[..equals]), trim(&pair[equals + 1..])))
        })
}

/// The parts of a `Cookie` field between semicolons. `memchr` finds them, because a token has about a kilobyte.
struct Pairs<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        Some(match memchr(b';', rest) {
            Some(at) => {
                self.0 = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => rest,
        })
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn read_bearer<'a>(headers: &'a HeaderMap, project: &ProjectId) -> Bearer<'a> {
    let mut fields = headers.get_all(&AUTHORIZATION).into_iter();
    let Some(field) = fields.next() else {
        return Bearer::None;
    };
    if fields.next().is_some() {
        return Bearer::Malformed;
    }
    let field = field.as_bytes();
    let scheme_len = memchr(b' ', field).unwrap_or(field.len());
    let (scheme, rest) = field.split_at(scheme_len);
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Bearer::None;
    }
    let token = trim(rest);
    // Descope's SDKs send the project id as bearer to the API, hence also to the mounted routes. It is no session JWT.
    if let Some(rest) = token.strip_prefix(project.as_str().as_bytes())
        && (rest.is_empty() || rest[0] == b':')
    {
        return Bearer::None;
    }
    if token.is_empty() || memchr(b' ', token).is_some() {
        return Bearer::Malformed;
    }
    Bearer::Token(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> ProjectId {
        "P2aTestProject000000000000001".parse().unwrap()
    }

    fn headers(lines: &[(http::HeaderName, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn session_values(lines: &[&[u8]], names: &[&str]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(|line| (COOKIE, *line)).collect();
        let headers = headers(&lines);
        let config = CookieConfig {
            session: names.iter().map(|name| (*name).to_owned()).collect(),
            ..CookieConfig::default()
        };
        Credentials::read(&headers, &project(), &config)
            .session
            .iter()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    // Security requirements 0.2 and 33.
    #[test]
    fn cookies_are_read_as_bytes() {
        let ds = |lines: &[&[u8]]| session_values(lines, &["DS"]);
        assert_eq!(ds(&[b"a=1 ;\tDS=x ; b=2"]), ["x"]);
        assert_eq!(ds(&[b"a=1", b"DS=x"]), ["x"]);
        assert_eq!(
            ds(&[b"n=Zo\xeb;DS=x"]),
            ["x"],
            "a neighbour that is not UTF-8"
        );
        assert_eq!(ds(&[b"D%53=x"]), [""; 0]);
        assert_eq!(
            ds(&[b"ds=x; DSX=x; XDS=x; DS; =DS=x; DS=; a=1, DS=x"]),
            [""; 0]
        );
        assert_eq!(
            ds(&[b"\xe2\x80\x80DS=x"]),
            [""; 0],
            "a Unicode blank is part of the name"
        );
        assert_eq!(
            ds(&[b"DS=1.a.a; DS=2.a.a; DS=1.a.a; DS=3.a.a; DS=4.a.a; DS=5.a.a"]),
            ["1.a.a", "2.a.a", "3.a.a", "4.a.a"]
        );
    }

    // Security requirement 33. No browser sends such a cookie, so its signature is not checked.
    #[test]
    fn what_is_larger_than_a_cookie_can_be_is_not_read() {
        let cookie = |size: usize| format!("DS=a.b.{}", "c".repeat(size - "DSa.b.".len()));
        for (size, found) in [(4096, 1), (4097, 0), (8000, 0)] {
            let line = cookie(size);
            assert_eq!(
                session_values(&[line.as_bytes()], &["DS"]).len(),
                found,
                "{size}"
            );
        }
    }

    #[test]
    fn plain_names_count_only_while_there_is_no_other() {
        let config = CookieConfig {
            session: vec!["__Host-DS".to_owned(), "DS".to_owned()],
            refresh: vec!["__Host-DSR".to_owned(), "DSR".to_owned()],
            ..CookieConfig::default()
        };
        let first = |line: &'static str| {
            let headers = headers(&[(COOKIE, line.as_bytes())]);
            let sent = Credentials::read(&headers, &project(), &config);
            let texts = |found: Candidates<'_>| -> Vec<String> {
                let texts = found.iter().map(String::from_utf8_lossy);
                texts.map(|text| text.into_owned()).collect()
            };
            (texts(sent.session), texts(sent.refresh))
        };
        let none: [&str; 0] = [];
        let (session, refresh) = first("DS=1.1.1; DSR=2.2.2; __Host-DSR=3.3.3");
        assert_eq!((session, refresh), (vec![], vec!["3.3.3".to_owned()]));
        let (session, refresh) = first("DS=1.1.1; DSR=2.2.2; __Host-DS=3.3.3");
        assert_eq!(session, ["3.3.3"]);
        assert_eq!(refresh, ["2.2.2"]);
        let (session, refresh) = first("DS=1.1.1; DSR=2.2.2");
        assert_eq!(session, ["1.1.1"]);
        assert_eq!(refresh, ["2.2.2"]);
        let (session, refresh) = first("__host-DS=1.1.1");
        assert_eq!(session, none);
        assert_eq!(refresh, none);
    }

    #[test]
    fn priority_of_names_is_kept() {
        assert_eq!(
            session_values(
                &[b"B=1.a.a; A=2.a.a; C=3.a.a; A=4.a.a; B=5.a.a"],
                &["C", "A", "B"]
            ),
            ["3.a.a", "2.a.a", "4.a.a", "1.a.a"]
        );
    }

    #[test]
    fn authorization() {
        let project = project();
        let own = format!("Bearer {}:a.b.c", project.as_str());
        let bare = format!("bearer {}", project.as_str());
        for (lines, want) in [
            (vec!["Bearer a.b.c"], Bearer::Token(b"a.b.c" as &[u8])),
            (vec!["bEARER  a.b.c"], Bearer::Token(b"a.b.c")),
            (vec!["Basic dTpw"], Bearer::None),
            (vec!["Bearer\ta.b.c"], Bearer::None),
            (vec![own.as_str()], Bearer::None),
            (vec![bare.as_str()], Bearer::None),
            (vec!["Bearer a.b.c x"], Bearer::Malformed),
            (vec!["Bearer"], Bearer::Malformed),
            (vec!["Bearer a", "Bearer b"], Bearer::Malformed),
        ] {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| (AUTHORIZATION, line.as_bytes()))
                .collect();
            assert_eq!(read_bearer(&headers(&lines), &project), want, "{lines:?}");
        }
    }

    #[test]
    fn a_bearer_shadows_cookies() {
        let headers = headers(&[(AUTHORIZATION, b"Bearer junk"), (COOKIE, b"DS=x; DSR=y")]);
        let config = CookieConfig::default();
        let credentials = Credentials::read(&headers, &project(), &config);
        assert!(credentials.session.is_empty() && credentials.refresh.is_empty());
    }
}
