use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, REFERER};
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, Request, Uri};

/// The head of a request, as [`Reject`](crate::require::Reject) and
/// [`Requirement`](crate::require::Requirement) see it.
///
/// Made from a `&Request<B>` or from `&Parts`.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The URI as the server received it. Nested routers of axum cut their prefix off the URI; here it is whole (feature
    /// `axum`). Other services that cut the URI change what this shows.
    pub fn uri(&self) -> &'a Uri {
        #[cfg(feature = "axum")]
        if let Some(original) = self.extensions.get::<axum::extract::OriginalUri>() {
            return &original.0;
        }
        self.uri
    }

    /// Path and query of [`Self::uri`].
    pub fn path_and_query(&self) -> &'a str {
        self.uri()
            .path_and_query()
            .map_or("/", |path| path.as_str())
    }

    /// The header fields.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What layers outside have put into the request.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The host that was asked: the authority of the URI, as HTTP/2 sends it, else `Host`. It may have a port. `None` if
    /// there is none, or if it is not text.
    pub fn host(&self) -> Option<&'a str> {
        match self.authority() {
            Some(authority) => Some(authority),
            None => self.headers.get(HOST)?.to_str().ok(),
        }
    }

    /// The authority of the URI: HTTP/2 always has one, and HTTP/1.1 may.
    pub(crate) fn authority(&self) -> Option<&'a str> {
        self.uri.authority().map(|authority| authority.as_str())
    }

    /// Whether a browser is about to show the response as a page: `Sec-Fetch-Mode: navigate`; without that header, a GET
    /// or HEAD, or a form, that accepts `text/html`.
    pub fn is_navigation(&self) -> bool {
        match self.headers.get("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => (self.is_read() || self.is_form()) && self.accepts_html(),
        }
    }

    /// Whether a script of [htmx](https://htmx.org) has made the request (`HX-Request: true`). It puts the response into a
    /// part of the page.
    pub fn is_htmx(&self) -> bool {
        let value = self.headers.get("hx-request");
        value.is_some_and(|value| value == "true")
    }

    /// Whether the method is GET or HEAD, so that a browser can ask for the same again.
    pub(crate) fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// Path and query of a URL in a header field, if the field names this host: `Referer`, which says where a form was,
    /// and its like.
    pub(crate) fn own_page(&self, field: PageField) -> Option<String> {
        let url = match field {
            PageField::Referer => self.headers.get(REFERER)?,
            PageField::HtmxCurrentUrl => self.headers.get("hx-current-url")?,
        };
        let url: Uri = url.to_str().ok()?.parse().ok()?;
        let named = url.authority()?.as_str();
        let is_own = self.host()?.eq_ignore_ascii_case(named);
        is_own.then(|| {
            url.path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned()
        })
    }

    fn is_form(&self) -> bool {
        let forms = [
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "text/plain",
        ];
        let is_form = |field: &HeaderValue| forms.iter().any(|form| is_of_type(field, form));
        self.method == Method::POST && self.headers.get(CONTENT_TYPE).is_some_and(is_form)
    }

    fn accepts_html(&self) -> bool {
        self.headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .any(|accept| accept.contains("text/html"))
    }
}

/// Whether a content type is this one, whatever its parameters.
pub(crate) fn is_of_type(content_type: &HeaderValue, wanted: &str) -> bool {
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next();
    essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Header fields in which browsers and htmx name the page that made a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PageField {
    Referer,
    HtmxCurrentUrl,
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri("/a");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn what_a_browser_shows_as_a_page() {
        const FORM: (&str, &str) = (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        const HTML: (&str, &str) = ("accept", "text/html,*/*");
        for (navigates, method, fields) in [
            (true, "GET", &[HTML][..]),
            (false, "GET", &[]),
            (false, "GET", &[HTML, ("sec-fetch-mode", "cors")]),
            (true, "GET", &[("sec-fetch-mode", "navigate")]),
            (true, "POST", &[("sec-fetch-mode", "navigate")]),
            (true, "POST", &[HTML, FORM]),
            (false, "POST", &[HTML]),
            (false, "POST", &[FORM]),
            (false, "POST", &[HTML, ("content-type", "application/json")]),
            (false, "PUT", &[HTML, FORM]),
        ] {
            let request = request(method, fields);
            let head = RequestHead::from(&request);
            assert_eq!(head.is_navigation(), navigates, "{method} {fields:?}");
        }
    }

    #[test]
    fn a_page_of_another_host_is_none_of_ours() {
        for (referer, page) in [
            ("https://app.example/form?a=b", Some("/form?a=b")),
            ("https://APP.example", Some("/")),
            ("https://app.example.evil.example/form", None),
            ("https://user@app.example/form", None),
            ("/form", None),
            ("no url", None),
        ] {
            let request = request("POST", &[("host", "app.example"), ("referer", referer)]);
            let page_found = RequestHead::from(&request).own_page(PageField::Referer);
            assert_eq!(page_found.as_deref(), page, "{referer}");
        }
    }
}
