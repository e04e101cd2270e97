//! A browser: it follows redirects, and stores cookies by host, regardless of the port, as browsers do.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base::http_client::client_builder;
use url::Url;
use url::form_urlencoded::Serializer;

/// The most redirects in a row that a browser follows.
const REDIRECTS: usize = 20;

/// A browser with an empty jar, which prefers English.
pub(crate) struct Browser {
    cookies: Mutex<BTreeMap<String, String>>,
    keeps_cookies: bool,
}

/// The last page of a browser, and the URLs on the way to it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) way: Vec<Url>,
}

impl Page {
    /// The value of an attribute, from the first element that has it.
    pub(crate) fn attribute(&self, name: &str) -> String {
        let (_, rest) = self.text.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{}", self.text));
        let value = rest.split_once('"').unwrap().0;
        [("&#38;", "&"), ("&#34;", "\""), ("&#39;", "'")]
            .iter()
            .fold(value.to_owned(), |text, (reference, plain)| text.replace(reference, plain))
    }

    /// The URL to which the visitor returned, on the way to the page.
    pub(crate) fn return_address(&self) -> &Url {
        self.way.iter().rfind(|url| url.path() == "/in").unwrap_or_else(|| panic!("{:?}", self.way))
    }
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { cookies: Mutex::default(), keeps_cookies: true }
    }

    /// A browser that refuses all cookies, except the one that lets it play WeChat's.
    pub(crate) fn refusing_cookies(self) -> Self {
        Self { keeps_cookies: false, ..self }
    }

    pub(crate) fn client() -> reqwest::Client {
        client_builder().build().unwrap()
    }

    /// Opens a URL.
    pub(crate) async fn get(&self, url: &str) -> Page {
        self.follow(url, None).await
    }

    /// Sends a form.
    pub(crate) async fn send_form(&self, url: &str, fields: &[(&str, &str)]) -> Page {
        self.follow(url, Some(Serializer::new(String::new()).extend_pairs(fields).finish())).await
    }

    /// Submits the page's form, with its hidden fields and the chosen ones.
    pub(crate) async fn submit(&self, page: &Page, chosen: &[(&str, &str)]) -> Page {
        let hidden = page.text.split("<input type=\"hidden\"").skip(1).map(|input| {
            let of = Page { text: input.to_owned(), url: page.url.clone(), status: 0, way: Vec::new() };
            (of.attribute("name"), of.attribute("value"))
        });
        let form = Serializer::new(String::new()).extend_pairs(hidden).extend_pairs(chosen).finish();
        self.follow(page.url.join(&page.attribute("action")).unwrap().as_str(), Some(form)).await
    }

    async fn follow(&self, url: &str, mut form: Option<String>) -> Page {
        let (client, mut way) = (Self::client(), vec![Url::parse(url).unwrap()]);
        while way.len() <= REDIRECTS {
            let url = way.last().unwrap().clone();
            let request = match form.take() {
                Some(form) => client
                    .post(url.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .header("origin", url.origin().ascii_serialization())
                    .body(form),
                None => client.get(url.clone()),
            };
            let request = request.header("accept-language", "en").header("cookie", self.cookies());
            let response = request.send().await.unwrap();
            for cookie in response.headers().get_all("set-cookie") {
                self.keep(cookie.to_str().unwrap());
            }
            let status = response.status().as_u16();
            match response.headers().get("location") {
                Some(location) => way.push(url.join(location.to_str().unwrap()).unwrap()),
                None => return Page { url, status, text: response.text().await.unwrap(), way },
            }
        }
        panic!("it never ends: {way:?}")
    }

    fn keep(&self, header: &str) {
        let (pair, attributes) = header.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let mut cookies = self.cookies.lock().unwrap();
        if attributes.contains("Max-Age=0") {
            cookies.remove(name);
        } else if self.keeps_cookies {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}
