//! A MaxMind database: opened once for all filters that use it, read again when its file changes.
//!
//! The file is read into memory: a map of it would end the process if somebody wrote over it.

use super::fields::{Field, Kind};
use crate::event::Data;
use crate::filter::refresh::{self, Refresh};
use arc_swap::ArcSwap;
use maxminddb::{MaxMindDbError, Reader};
use parking_lot::Mutex;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, SystemTime};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why a file is no database.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Format(MaxMindDbError),
    #[error("its type `{0}` is none of City, Country, ASN, ISP, Domain, Enterprise and Anonymous-IP")]
    Kind(String),
}

/// A database as it is now.
pub(super) struct Base {
    reader: Reader<Vec<u8>>,
    pub kind: Kind,
    /// Another one for each time that the file was read.
    pub generation: u64,
}

impl Base {
    fn read(path: &Path, generation: u64) -> Result<Base, DatabaseError> {
        let reader = Reader::from_source(std::fs::read(path)?).map_err(DatabaseError::Format)?;
        let name = &reader.metadata().database_type;
        let kind = Kind::of(name).ok_or_else(|| DatabaseError::Kind(name.to_string()))?;
        Ok(Base { reader, kind, generation })
    }

    /// The record of an address: its place in the file, what it says, and the network.
    pub(super) fn find(&self, address: IpAddr) -> Option<Found<'_>> {
        let result = self.reader.lookup(address).ok()?;
        Some(Found { offset: result.offset()?, result })
    }
}

/// What a database has for an address.
pub(super) struct Found<'b> {
    /// The same for addresses with the same record.
    pub offset: usize,
    result: maxminddb::LookupResult<'b, Vec<u8>>,
}

impl Found<'_> {
    /// The network that the record is for.
    pub(super) fn network(&self) -> Option<String> {
        self.result.network().ok().map(|network| network.to_string())
    }

    /// The values of fields; `None` where the record can't be read, or is one of a city without
    /// a place.
    pub(super) fn values(&self, kind: Kind, fields: &[Field]) -> Option<Vec<(Field, Data)>> {
        let record: Record = self.result.decode().ok()??;
        if kind == Kind::City && record.location.latitude.is_none() && record.location.longitude.is_none() {
            return None;
        }
        Some(fields.iter().filter_map(|&field| Some((field, record.value(kind, field)?))).collect())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Place<'a> {
    code: Option<&'a str>,
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Position<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    metro_code: Option<u16>,
    time_zone: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Traits<'a> {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    is_anonymous: bool,
    is_anonymous_vpn: bool,
    is_hosting_provider: bool,
    is_public_proxy: bool,
    is_residential_proxy: bool,
    is_tor_exit_node: bool,
}

/// A record of any kind of database.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    city: Place<'a>,
    continent: Place<'a>,
    country: Place<'a>,
    location: Position<'a>,
    postal: Place<'a>,
    subdivisions: Vec<Place<'a>>,
    traits: Traits<'a>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    domain: Option<&'a str>,
    isp: Option<&'a str>,
    organization: Option<&'a str>,
    is_anonymous: bool,
    is_anonymous_vpn: bool,
    is_hosting_provider: bool,
    is_public_proxy: bool,
    is_residential_proxy: bool,
    is_tor_exit_node: bool,
}

impl Record<'_> {
    /// The value of a field; the address itself and its network are no part of a record.
    fn value(&self, kind: Kind, field: Field) -> Option<Data> {
        if !kind.has(field) {
            return None;
        }
        let text = |text: Option<&str>| text.map(|text| Data::Text(text.into()));
        let number = |number: Option<u32>| number.map(|n| Data::Int(n.into()));
        let flag = |own: bool, of_traits: bool| Some(Data::Bool(own || of_traits));
        let region = self.subdivisions.last();
        let (place, traits) = (&self.location, &self.traits);
        match field {
            Field::AutonomousSystemNumber => number(self.autonomous_system_number.or(traits.autonomous_system_number)),
            Field::AutonomousSystemOrganization => {
                text(self.autonomous_system_organization.or(traits.autonomous_system_organization))
            }
            Field::CityName => text(self.city.names.en),
            Field::CountryName => text(self.country.names.en),
            Field::ContinentCode => text(self.continent.code),
            Field::ContinentName => text(self.continent.names.en),
            Field::CountryCode2 | Field::CountryCode3 => text(self.country.iso_code),
            Field::Domain => Some(text(self.domain).unwrap_or(Data::Null)),
            Field::Isp => text(self.isp),
            Field::PostalCode => text(self.postal.code),
            Field::DmaCode => number(place.metro_code.map(u32::from)),
            Field::RegionName => text(region?.names.en),
            Field::RegionCode => text(region?.iso_code),
            Field::RegionIsoCode => {
                let code = format!("{}-{}", self.country.iso_code?, region?.iso_code?);
                Some(Data::Text(code.into()))
            }
            Field::Timezone => text(place.time_zone),
            Field::Location => {
                let at = |name: &str, degrees: f64| (Data::Text(name.into()), Data::Float(degrees));
                Some(Data::Map(vec![at("lat", place.latitude?), at("lon", place.longitude?)]))
            }
            Field::Latitude => place.latitude.map(Data::Float),
            Field::Longitude => place.longitude.map(Data::Float),
            Field::Organization => text(self.organization),
            Field::HostingProvider => flag(self.is_hosting_provider, traits.is_hosting_provider),
            Field::TorExitNode => flag(self.is_tor_exit_node, traits.is_tor_exit_node),
            Field::AnonymousVpn => flag(self.is_anonymous_vpn, traits.is_anonymous_vpn),
            Field::Anonymous => flag(self.is_anonymous, traits.is_anonymous),
            Field::PublicProxy => flag(self.is_public_proxy, traits.is_public_proxy),
            Field::ResidentialProxy => flag(self.is_residential_proxy, traits.is_residential_proxy),
            Field::Ip | Field::Network => None,
        }
    }
}

/// A database that all its users share.
pub(super) struct Shared {
    path: PathBuf,
    pub now: ArcSwap<Base>,
    /// Time and size of the file when it was read last.
    seen: Mutex<Option<(SystemTime, u64)>>,
}

/// Databases that are open, by path. An entry goes when its last user went and another opens one.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Shared>>>> = LazyLock::new(Mutex::default);

impl Shared {
    /// Opens a file, or shares it with those who have it open. It is read again when it changes.
    pub(super) fn open(path: &Path) -> Result<Arc<Shared>, DatabaseError> {
        let mut open = OPEN.lock();
        open.retain(|_, shared| shared.strong_count() > 0);
        if let Some(shared) = open.get(path).and_then(Weak::upgrade) {
            // The file may have changed since the last look.
            shared.refresh();
            return Ok(shared);
        }
        let seen = stamp(path);
        let base = Base::read(path, 0)?;
        let shared =
            Arc::new(Shared { path: path.to_owned(), now: ArcSwap::from_pointee(base), seen: Mutex::new(seen) });
        open.insert(path.to_owned(), Arc::downgrade(&shared));
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        refresh::every(LOOK, weak);
        Ok(shared)
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Refresh for Shared {
    fn refresh(&self) {
        let mut seen = self.seen.lock();
        let stamp = stamp(&self.path);
        if stamp == *seen || stamp.is_none() {
            return;
        }
        let now = self.now.load();
        match Base::read(&self.path, now.generation + 1) {
            // Another kind would have other fields than those that users asked for.
            Ok(base) if base.kind != now.kind => {
                tracing::warn!(path = %self.path.display(), "the database changed its type: going on with the old one");
            }
            Ok(base) => {
                tracing::info!(path = %self.path.display(), "read the database again");
                self.now.store(Arc::new(base));
            }
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read database again: going on with the old one");
            }
        }
        *seen = stamp;
    }
}
