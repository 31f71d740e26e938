//! Where the HTTP servers listen: the first free port of a range, and beyond this machine only
//! if somebody said so, since nobody is asked for a password yet.

pub use axum::Router;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::ops::RangeInclusive;

/// A server's address as the settings give it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// The settings' common beginning, for messages: `api`.
    pub setting: &'static str,
    /// An address or a name: `127.0.0.1`, `localhost`, `0.0.0.0`.
    pub host: String,
    /// The ports to try, in order.
    pub ports: RangeInclusive<u16>,
    /// Whether others than this machine may connect although no authentication is on.
    pub allow_unauthenticated: bool,
}

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The host has no address.
    #[error("cannot find the address of `{host}` ({setting}.http.host): {cause}")]
    Host {
        /// The settings' common beginning.
        setting: &'static str,
        /// The host.
        host: String,
        /// Why.
        cause: std::io::Error,
    },
    /// It would be open to everybody.
    #[error(
        "cannot listen on `{host}` ({setting}.http.host): anybody could connect, since there is no \
         authentication; use 127.0.0.1, or set `{setting}.allow_unauthenticated: true` where \
         something else keeps strangers out"
    )]
    Open {
        /// The settings' common beginning.
        setting: &'static str,
        /// The host.
        host: String,
    },
    /// Every port is taken, or none may be used.
    #[error("cannot listen on {host}, port {ports} ({setting}.http.port): {cause}")]
    Port {
        /// The settings' common beginning.
        setting: &'static str,
        /// The host.
        host: String,
        /// The ports tried.
        ports: String,
        /// Why the last one failed.
        cause: std::io::Error,
    },
}

/// Reads `9600-9700` or `9200`.
pub fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| text.trim().parse::<u16>().ok();
    let ports = match text.split_once('-') {
        Some((first, last)) => port(first).zip(port(last)).map(|(first, last)| first..=last),
        None => port(text).map(|port| port..=port),
    };
    ports.filter(|ports| !ports.is_empty()).ok_or_else(|| {
        format!("cannot read the port `{text}`: expected a number up to 65535 or a range such as 9600-9700")
    })
}

impl Address {
    /// Listens on the first free port.
    pub fn bind(&self) -> Result<(TcpListener, SocketAddr), ListenError> {
        let (setting, host) = (self.setting, self.host.clone());
        let addresses: Vec<IpAddr> = match (self.host.as_str(), 0).to_socket_addrs() {
            Ok(addresses) => addresses.map(|a| a.ip()).collect(),
            Err(cause) => return Err(ListenError::Host { setting, host, cause }),
        };
        if !self.allow_unauthenticated && !addresses.iter().all(IpAddr::is_loopback) {
            return Err(ListenError::Open { setting, host });
        }
        let mut cause = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for port in self.ports.clone() {
            for ip in &addresses {
                match TcpListener::bind((*ip, port)).and_then(|listener| {
                    listener.set_nonblocking(true)?;
                    let address = listener.local_addr()?;
                    Ok((listener, address))
                }) {
                    Ok(bound) => return Ok(bound),
                    Err(error) => cause = error,
                }
            }
        }
        let (first, last) = (self.ports.start(), self.ports.end());
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        Err(ListenError::Port { setting, host, ports, cause })
    }
}

/// Answers requests until `stop` is ready; then those that are under way get their answers.
/// Must run on a tokio runtime.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, ports: RangeInclusive<u16>) -> Address {
        Address { setting: "api", host: host.to_owned(), ports, allow_unauthenticated: false }
    }

    #[test]
    fn ports() {
        let check = |text: &str, want: Option<RangeInclusive<u16>>| assert_eq!(parse_ports(text).ok(), want, "{text}");
        check("9600-9700", Some(9600..=9700));
        check("9200", Some(9200..=9200));
        check(" 1 - 2 ", Some(1..=2));
        for bad in ["", "-", "9700-9600", "70000", "http"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_first_free_port_is_taken() {
        let (taken, at) = address("127.0.0.1", 0..=0).bind().unwrap();
        let next = at.port().saturating_add(20);
        let (_second, other) = address("localhost", at.port()..=next).bind().unwrap();
        assert!(other.port() > at.port() || other.ip() != at.ip(), "{other} is taken by {at}");
        let error = address("127.0.0.1", at.port()..=at.port()).bind().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on 127.0.0.1, port {} (api.http.port): ", at.port())),
            "{error}"
        );
        drop(taken);
    }

    #[test]
    fn strangers_are_kept_out() {
        let error = address("0.0.0.0", 0..=0).bind().unwrap_err();
        assert!(matches!(error, ListenError::Open { .. }), "{error}");
        let open = Address { allow_unauthenticated: true, ..address("0.0.0.0", 0..=0) };
        assert!(open.bind().is_ok());
        let error = address("no such host", 0..=0).bind().unwrap_err();
        assert!(matches!(error, ListenError::Host { .. }), "{error}");
    }
}
