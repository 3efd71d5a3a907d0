//! How servers and providers are reached: as the environment says, straight, or through a proxy that a person named.
//!
//! One route is shared by everything that a program sends, and can be changed while it runs: each new connection asks it.
//! This computer's own addresses are never reached through a proxy.

use std::sync::{Arc, PoisonError, RwLock};

use hyper_util::client::proxy::matcher::Matcher;
use url::{Host, Url};

/// The ways that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Way {
    /// As `https_proxy`, `all_proxy` and `no_proxy` say.
    #[default]
    System,
    /// Without a proxy.
    Direct,
    /// Through this proxy.
    Through(Url),
    /// Not at all: a proxy is wanted whose address is none.
    Nowhere,
}

/// A way that may change. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Route(Arc<RwLock<Way>>);

impl Route {
    /// The route goes this way.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self(Arc::new(RwLock::new(way)))
    }

    /// From now on it goes this way: for connections that are made from now on.
    pub fn set(&self, way: Way) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = way;
    }

    /// What a client of `reqwest` asks before each connection.
    #[must_use]
    pub fn proxy(&self) -> reqwest::Proxy {
        let (way, system) = (self.clone(), System::of_environment());
        reqwest::Proxy::custom(move |to| way.proxy_for(to, &system))
    }

    fn proxy_for(&self, to: &Url, system: &System) -> Option<Url> {
        if is_this_computer(to) {
            return None;
        }
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Way::System => system.proxy_for(to),
            Way::Direct => None,
            Way::Through(proxy) => Some(proxy.clone()),
            // Where nobody listens: it is refused at once, on this computer.
            Way::Nowhere => Url::parse("http://127.0.0.1:0").ok(),
        }
    }
}

/// The environment's words, which do not change while a program runs.
struct System {
    exceptions: Matcher,
    https: Option<Url>,
    http: Option<Url>,
}

impl System {
    fn of_environment() -> Self {
        let named = |names: &[&str]| {
            let value = names
                .iter()
                .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
            let url = match value.contains("://") {
                true => Url::parse(&value),
                false => Url::parse(&format!("http://{value}")),
            };
            url.ok()
        };
        let all = named(&["ALL_PROXY", "all_proxy"]);
        Self {
            exceptions: Matcher::from_env(),
            https: named(&["HTTPS_PROXY", "https_proxy"]).or_else(|| all.clone()),
            http: named(&["http_proxy", "HTTP_PROXY"]).or(all),
        }
    }

    /// The address whole: the matcher, which knows the exceptions, tells it without its password.
    fn proxy_for(&self, to: &Url) -> Option<Url> {
        self.exceptions.intercept(&to.as_str().parse().ok()?)?;
        match to.scheme() {
            "https" => self.https.clone(),
            _ => self.http.clone(),
        }
    }
}

/// `localhost` counts: resolvers must not send it elsewhere (RFC 6761).
fn is_this_computer(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn system(proxy: &str, no: &str) -> System {
        System {
            exceptions: Matcher::builder()
                .all(proxy.to_owned())
                .no(no.to_owned())
                .build(),
            https: Some(url(proxy)),
            http: Some(url(proxy)),
        }
    }

    #[test]
    fn this_computer_is_never_reached_through_a_proxy() {
        let proxy = "http://proxy.example:3128";
        let named = Route::new(Way::Through(url(proxy)));
        let environment = Route::default();
        let system = system(proxy, "");
        for to in [
            "http://127.0.0.1:8080/callback",
            "http://127.1.2.3/",
            "http://[::1]:9/",
            "https://LOCALHOST/",
        ] {
            assert_eq!(named.proxy_for(&url(to), &system), None, "{to}");
            assert_eq!(environment.proxy_for(&url(to), &system), None, "{to}");
        }
        for to in ["https://approvals.example/", "https://127.0.0.1.example/"] {
            assert_eq!(named.proxy_for(&url(to), &system), Some(url(proxy)));
            assert_eq!(environment.proxy_for(&url(to), &system), Some(url(proxy)));
        }
    }

    #[test]
    fn a_route_that_is_changed_is_changed_for_whoever_holds_it() {
        let route = Route::default();
        let held = route.clone();
        let system = system("http://me:word@of.system:1", "inside.example");
        let to = url("https://approvals.example/");
        assert_eq!(
            held.proxy_for(&to, &system),
            Some(url("http://me:word@of.system:1")),
            "with its password"
        );
        assert_eq!(
            held.proxy_for(&url("https://a.inside.example/"), &system),
            None,
            "an exception of the environment"
        );
        route.set(Way::Direct);
        assert_eq!(held.proxy_for(&to, &system), None);
        route.set(Way::Through(url("http://of.person:2")));
        assert_eq!(
            held.proxy_for(&to, &system),
            Some(url("http://of.person:2"))
        );
    }
}
