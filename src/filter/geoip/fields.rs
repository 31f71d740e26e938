//! The fields that a database can fill: their names in the option `fields`, in ECS mode and in
//! legacy mode, and which of them each kind of database has.

use Field::{
    Anonymous, AnonymousVpn, AutonomousSystemNumber, AutonomousSystemOrganization, CityName, ContinentCode,
    ContinentName, CountryCode2, CountryCode3, CountryName, DmaCode, Domain, HostingProvider, Ip, Isp, Latitude,
    Location, Longitude, Network, Organization, PostalCode, PublicProxy, RegionCode, RegionIsoCode, RegionName,
    ResidentialProxy, Timezone, TorExitNode,
};

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    AutonomousSystemNumber,
    AutonomousSystemOrganization,
    CityName,
    CountryName,
    ContinentCode,
    ContinentName,
    CountryCode2,
    CountryCode3,
    Domain,
    Ip,
    Isp,
    PostalCode,
    DmaCode,
    RegionName,
    RegionCode,
    RegionIsoCode,
    Timezone,
    Location,
    Latitude,
    Longitude,
    Organization,
    Network,
    HostingProvider,
    TorExitNode,
    AnonymousVpn,
    Anonymous,
    PublicProxy,
    ResidentialProxy,
}

/// Field, its name in `fields`, in ECS mode below the target (empty where it has none), and in
/// legacy mode.
pub(super) const FIELDS: &[(Field, &str, &str, &str)] = &[
    (AutonomousSystemNumber, "autonomous_system_number", "[as][number]", "asn"),
    (AutonomousSystemOrganization, "autonomous_system_organization", "[as][organization][name]", "as_org"),
    (CityName, "city_name", "[geo][city_name]", "city_name"),
    (CountryName, "country_name", "[geo][country_name]", "country_name"),
    (ContinentCode, "continent_code", "[geo][continent_code]", "continent_code"),
    (ContinentName, "continent_name", "[geo][continent_name]", "continent_name"),
    (CountryCode2, "country_code2", "[geo][country_iso_code]", "country_code2"),
    (CountryCode3, "country_code3", "", "country_code3"),
    (Domain, "domain", "[domain]", "domain"),
    (Ip, "ip", "[ip]", "ip"),
    (Isp, "isp", "[mmdb][isp]", "isp"),
    (PostalCode, "postal_code", "[geo][postal_code]", "postal_code"),
    (DmaCode, "dma_code", "[mmdb][dma_code]", "dma_code"),
    (RegionName, "region_name", "[geo][region_name]", "region_name"),
    (RegionCode, "region_code", "[geo][region_code]", "region_code"),
    (RegionIsoCode, "region_iso_code", "[geo][region_iso_code]", "region_iso_code"),
    (Timezone, "timezone", "[geo][timezone]", "timezone"),
    (Location, "location", "[geo][location]", "location"),
    (Latitude, "latitude", "[geo][location][lat]", "latitude"),
    (Longitude, "longitude", "[geo][location][lon]", "longitude"),
    (Organization, "organization", "[mmdb][organization]", "organization"),
    (Network, "network", "[ip_traits][network]", "network"),
    (HostingProvider, "hosting_provider", "[ip_traits][hosting_provider]", "hosting_provider"),
    (TorExitNode, "tor_exit_node", "[ip_traits][tor_exit_node]", "tor_exit_node"),
    (AnonymousVpn, "anonymous_vpn", "[ip_traits][anonymous_vpn]", "anonymous_vpn"),
    (Anonymous, "anonymous", "[ip_traits][anonymous]", "anonymous"),
    (PublicProxy, "public_proxy", "[ip_traits][public_proxy]", "public_proxy"),
    (ResidentialProxy, "residential_proxy", "[ip_traits][residential_proxy]", "residential_proxy"),
];

/// What a database knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    City,
    Country,
    Domain,
    Asn,
    Isp,
    Enterprise,
    AnonymousIp,
}

impl Kind {
    /// By the type in a database's metadata, as MaxMind's own reader tells it.
    pub(super) fn of(database_type: &str) -> Option<Kind> {
        let kinds = [
            ("City", Kind::City),
            ("Country", Kind::Country),
            ("GeoIP2-Domain", Kind::Domain),
            ("GeoLite2-ASN", Kind::Asn),
            ("GeoIP2-ISP", Kind::Isp),
            ("Enterprise", Kind::Enterprise),
            ("GeoIP2-Anonymous-IP", Kind::AnonymousIp),
        ];
        kinds.iter().find(|(name, _)| database_type.contains(name)).map(|(_, kind)| *kind)
    }

    /// The fields that are set without the option `fields`.
    pub(super) fn defaults(self, ecs: bool) -> Vec<Field> {
        let region = if ecs { RegionIsoCode } else { RegionCode };
        match self {
            Kind::City => vec![
                Ip,
                CityName,
                ContinentCode,
                CountryName,
                CountryCode2,
                CountryCode3,
                PostalCode,
                DmaCode,
                RegionName,
                region,
                Timezone,
                Location,
                Latitude,
                Longitude,
            ],
            Kind::Country => vec![Ip, CountryCode2, CountryName, ContinentName],
            Kind::Domain => vec![Domain],
            Kind::Asn => vec![Ip, AutonomousSystemNumber, AutonomousSystemOrganization],
            Kind::Isp => vec![Ip, AutonomousSystemNumber, AutonomousSystemOrganization, Isp, Organization],
            Kind::Enterprise => {
                vec![Ip, CountryCode2, CountryName, ContinentName, RegionIsoCode, RegionName, CityName, Location]
            }
            Kind::AnonymousIp => {
                vec![HostingProvider, TorExitNode, AnonymousVpn, Anonymous, PublicProxy, ResidentialProxy]
            }
        }
    }

    /// Whether a database of this kind can fill a field.
    pub(super) fn has(self, field: Field) -> bool {
        let anonymous =
            [HostingProvider, TorExitNode, AnonymousVpn, Anonymous, PublicProxy, ResidentialProxy].contains(&field);
        let system = [AutonomousSystemNumber, AutonomousSystemOrganization].contains(&field);
        match self {
            Kind::City => !anonymous && !system && ![Domain, Isp, Organization, Network].contains(&field),
            Kind::Country => [Ip, CountryCode2, CountryName, ContinentName].contains(&field),
            Kind::Domain => field == Domain,
            Kind::Asn => system || [Ip, Network].contains(&field),
            Kind::Isp => system || [Ip, Isp, Organization].contains(&field),
            Kind::Enterprise => {
                let place = [
                    Ip,
                    CountryCode2,
                    CountryName,
                    ContinentName,
                    RegionIsoCode,
                    RegionName,
                    CityName,
                    Timezone,
                    Location,
                    Network,
                ];
                anonymous || system || place.contains(&field)
            }
            Kind::AnonymousIp => anonymous || field == Ip,
        }
    }
}
