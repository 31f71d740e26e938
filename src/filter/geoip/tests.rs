//! What `geoip` finds in databases that are written here.

use super::written::write;
use super::*;
use crate::filter::common::tests::{context, event, options, shown};
use crate::filter::refresh::Refresh;
use serde_json::{Value as Json, json};
use std::path::Path;

fn city() -> Json {
    json!({
        "city": {"names": {"en": "Milton", "de": "Milton DE"}},
        "continent": {"code": "NA", "names": {"en": "North America"}},
        "country": {"iso_code": "US", "names": {"en": "United States"}},
        "location": {"latitude": 47.25, "longitude": -122.5, "metro_code": 819, "time_zone": "America/Los_Angeles"},
        "postal": {"code": "98354"},
        "subdivisions": [{"iso_code": "XX", "names": {"en": "None"}}, {"iso_code": "WA", "names": {"en": "Washington"}}],
    })
}

/// A filter on a database of one type.
fn filter(folder: &Path, database_type: &str, networks: &[(&str, Json)], settings: Json, ecs: bool) -> Box<dyn Filter> {
    let path = folder.join("test.mmdb");
    write(&path, database_type, networks);
    let mut settings = settings;
    settings["database"] = path.to_str().unwrap().into();
    let built = build(&options(&settings.to_string()), &Context { ecs, ..context() });
    built.unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn through(filter: &mut dyn Filter, before: &str) -> Json {
    let mut batch = Batch::new();
    let event = event(&mut batch, before);
    let (mut matched, mut created) = (Vec::new(), Vec::new());
    let now = crate::event::Timestamp::new(0, 0);
    filter.run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
    assert_eq!(matched.is_empty(), batch.has_tag(event, "_geoip_lookup_failure"), "{before}");
    serde_json::from_str(&shown(&batch, event)).unwrap()
}

#[test]
fn a_city_in_both_modes() {
    let folder = tempfile::tempdir().unwrap();
    let networks = [("192.0.2.0/24", city()), ("2001:db8::/32", city()), ("198.51.100.0/24", json!({"country": {}}))];
    let mut legacy = filter(folder.path(), "GeoLite2-City", &networks, json!({"source": "a"}), false);
    for _again in 0..2 {
        assert_eq!(
            through(&mut *legacy, r#"{"a":"192.0.2.7"}"#),
            json!({"a": "192.0.2.7", "geoip": {
                "ip": "192.0.2.7", "city_name": "Milton", "continent_code": "NA", "country_name": "United States",
                "country_code2": "US", "country_code3": "US", "postal_code": "98354", "dma_code": 819,
                "region_name": "Washington", "region_code": "WA", "timezone": "America/Los_Angeles",
                "location": {"lat": 47.25, "lon": -122.5}, "latitude": 47.25, "longitude": -122.5,
            }})
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let mut ecs = filter(folder.path(), "GeoIP2-City", &networks, json!({"source": "[client][ip]"}), true);
    assert_eq!(
        through(&mut *ecs, r#"{"client":{"ip":["2001:db8::1"],"port":1}}"#),
        json!({"client": {"port": 1, "ip": "2001:db8:0:0:0:0:0:1", "mmdb": {"dma_code": 819}, "geo": {
            "city_name": "Milton", "continent_code": "NA", "country_name": "United States", "country_iso_code": "US",
            "postal_code": "98354", "region_name": "Washington", "region_iso_code": "US-WA",
            "timezone": "America/Los_Angeles", "location": {"lat": 47.25, "lon": -122.5},
        }}})
    );
}

#[test]
fn what_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let networks = [("198.51.100.0/24", json!({"country": {"iso_code": "US"}}))];
    let mut filter = filter(folder.path(), "GeoLite2-City", &networks, json!({"source": "a"}), false);
    for (before, target) in [
        (r#"{"a":"198.51.100.1"}"#, true),
        (r#"{"a":"10.0.0.1"}"#, true),
        (r#"{"a":"example.com"}"#, true),
        (r#"{"a":" "}"#, false),
        (r#"{"a":5}"#, false),
        (r#"{"b":1}"#, false),
    ] {
        let found = through(&mut *filter, before);
        assert_eq!(found.get("geoip"), target.then(|| json!({})).as_ref(), "{before}");
    }
}

#[test]
fn other_databases() {
    let check = |database_type: &str, record: Json, settings: Json, ecs: bool, want: Json| {
        let folder = tempfile::tempdir().unwrap();
        let mut filter = filter(folder.path(), database_type, &[("192.0.2.0/24", record)], settings, ecs);
        let found = through(&mut *filter, r#"{"a":"::ffff:192.0.2.1"}"#);
        assert_eq!(found["t"], want, "{database_type}");
    };
    let plain = || json!({"source": "a", "target": "t"});
    let asn = json!({"autonomous_system_number": 64500, "autonomous_system_organization": "Org"});
    check("GeoLite2-ASN", asn.clone(), plain(), false, json!({"ip": "192.0.2.1", "asn": 64500, "as_org": "Org"}));
    check(
        "GeoLite2-ASN",
        asn,
        json!({"source": "a", "target": "t", "fields": ["network", "AUTONOMOUS_SYSTEM_NUMBER", "isp"]}),
        true,
        json!({"as": {"number": 64500}, "ip_traits": {"network": "192.0.2.0/24"}}),
    );
    check(
        "GeoIP2-ISP",
        json!({"autonomous_system_number": 1, "isp": "I", "organization": "O"}),
        plain(),
        true,
        json!({"ip": "192.0.2.1", "as": {"number": 1}, "mmdb": {"isp": "I", "organization": "O"}}),
    );
    check("GeoIP2-Domain", json!({"domain": "example.com"}), plain(), false, json!({"domain": "example.com"}));
    check(
        "GeoIP2-Country",
        city(),
        plain(),
        true,
        json!({"ip": "192.0.2.1", "geo": {
            "country_iso_code": "US", "country_name": "United States", "continent_name": "North America",
        }}),
    );
    check(
        "GeoIP2-Anonymous-IP",
        json!({"is_anonymous": true, "is_tor_exit_node": true}),
        plain(),
        false,
        json!({
            "hosting_provider": false, "tor_exit_node": true, "anonymous_vpn": false, "anonymous": true,
            "public_proxy": false, "residential_proxy": false,
        }),
    );
    let mut enterprise = city();
    enterprise["traits"] = json!({"autonomous_system_number": 7, "is_anonymous": true});
    check(
        "GeoIP2-Enterprise",
        enterprise,
        json!({"source": "a", "target": "t", "fields": ["autonomous_system_number", "anonymous", "timezone"]}),
        false,
        json!({"asn": 7, "anonymous": true, "timezone": "America/Los_Angeles"}),
    );
}

#[test]
fn a_changed_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let record = |name: &str| json!({"domain": name});
    let settings = json!({"source": "a"});
    let mut filter = filter(folder.path(), "GeoIP2-Domain", &[("192.0.2.0/24", record("old"))], settings, false);
    let path = folder.path().join("test.mmdb");
    let shared = Shared::open(&path).unwrap();
    let mut look = |want: &str| {
        shared.refresh();
        assert_eq!(through(&mut *filter, r#"{"a":"192.0.2.1"}"#)["geoip"]["domain"], want);
    };
    look("old");
    write(&path, "GeoIP2-Domain", &[("192.0.2.0/24", record("newer"))]);
    look("newer");
    std::fs::write(&path, "no database").unwrap();
    look("newer");
    write(&path, "GeoLite2-ASN", &[("192.0.2.0/24", json!({}))]);
    look("newer");
    std::fs::remove_file(&path).unwrap();
    look("newer");
}

#[test]
fn mistakes() {
    let check = |settings: &str, check_only: bool, count: usize| {
        let context = Context { check_only, data: "/no/such".into(), ..context() };
        let wrong = build(&options(settings), &context).err().unwrap_or_default();
        assert_eq!(wrong.len(), count, "{settings}: {wrong:?}");
    };
    check(r#"{"source":"[a][ip]","database":"/no/such.mmdb"}"#, false, 1);
    check(r#"{"source":"[a][ip]","database":"/no/such.mmdb"}"#, true, 0);
    check(r#"{"source":"a","database":"/no/such.mmdb","fields":["contry"],"cache_size":0}"#, false, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.mmdb");
    write(&path, "GeoIP2-Connection-Type", &[("192.0.2.0/24", json!({}))]);
    check(&json!({"source": "[a][ip]", "database": path}).to_string(), true, 1);
}
