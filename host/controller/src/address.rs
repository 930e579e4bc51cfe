//! Where the host listens: addresses in the forms that Go programs take.

use std::{
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// An address to listen at: `10.0.0.1:8081`, `:8081` for all of the machine's, or `0` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// Nobody listens.
    Off,
    /// A port of all addresses, of both families where the machine has both.
    All(u16),
    /// One address.
    One(SocketAddr),
}

impl BindAddress {
    /// Listens there; nobody does where it is off.
    ///
    /// # Errors
    /// The address is in use, or none of this machine's.
    pub(crate) async fn listen(self) -> io::Result<Option<TcpListener>> {
        match self {
            Self::Off => Ok(None),
            Self::One(address) => TcpListener::bind(address).await.map(Some),
            // On Linux the one of IPv6 hears IPv4 as well; a machine without IPv6 does not have it.
            Self::All(port) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                Ok(listener) => Ok(Some(listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
                    .await
                    .map(Some),
            },
        }
    }
}

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "0" | "") {
            return Ok(Self::Off);
        }
        let wrong =
            || format!("{text:?} is no address to listen at: say 10.0.0.1:8081, :8081 or 0");
        match text.strip_prefix(':') {
            Some(port) => port.parse().map(Self::All).map_err(|_| wrong()),
            None => text.parse().map(Self::One).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("0"),
            Self::All(port) => write!(f, ":{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_for_go_programs() {
        assert_eq!(":8081".parse(), Ok(BindAddress::All(8081)));
        assert_eq!("0".parse(), Ok(BindAddress::Off));
        let one = "127.0.0.1:0".parse::<SocketAddr>().unwrap();
        assert_eq!("127.0.0.1:0".parse(), Ok(BindAddress::One(one)));
        for wrong in ["8081", ":", ":http", ":70000", "localhost"] {
            assert!(wrong.parse::<BindAddress>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn nobody_listens_where_it_is_off_and_an_address_in_use_is_told() {
        assert!(BindAddress::Off.listen().await.unwrap().is_none());
        let any = BindAddress::All(0).listen().await.unwrap().unwrap();
        let port = any.local_addr().unwrap().port();
        let again = BindAddress::All(port).listen().await;
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
