//! The names of CEF's extensions: in full, as keys on the wire, and their fields in ECS mode.
//!
//! As ArcSight's "Common Event Format" and the page of Logstash's codec document them.

use rustc_hash::FxHashMap;

/// One extension.
struct Name {
    /// In full: the field's name without ECS.
    full: &'static str,
    /// On the wire; empty where it is the full name.
    key: &'static str,
    /// The field in ECS mode; `@` stands for the device, `observer` or `host`.
    ecs: &'static str,
}

const fn name(full: &'static str, key: &'static str, ecs: &'static str) -> Name {
    Name { full, key, ecs }
}

/// Numbered ones, from 1 to 15: in full, the key, the ECS field before its number.
const NUMBERED: [(&str, &str, &str); 4] = [
    ("deviceCustomFloatingPoint", "cfp", "[cef][device_custom_floating_point_"),
    ("deviceCustomIPv6Address", "c6a", "[cef][device_custom_ipv6_address_"),
    ("deviceCustomNumber", "cn", "[cef][device_custom_number_"),
    ("deviceCustomString", "cs", "[cef][device_custom_string_"),
];

/// Older names of some.
const LEGACY: [(&str, &str); 5] = [
    ("destinationLatitude", "destinationGeoLatitude"),
    ("destinationLongitude", "destinationGeoLongitude"),
    ("destinationTimeZone", "deviceTimeZone"),
    ("sourceLatitude", "sourceGeoLatitude"),
    ("sourceLongitude", "sourceGeoLongitude"),
];

/// Those that are times, which ECS mode reads.
pub(super) const TIMES: [&str; 8] = [
    "agentReceiptTime",
    "deviceReceiptTime",
    "endTime",
    "fileModificationTime",
    "managerReceiptTime",
    "oldFileCreateTime",
    "oldFileModificationTime",
    "startTime",
];

/// Where two share an ECS field, the later one here gives its name when events are written.
#[rustfmt::skip]
const NAMES: &[Name] = &[
    name("agentAddress", "agt", "[agent][ip]"),
    name("agentHostName", "ahost", "[agent][name]"),
    name("agentId", "aid", "[agent][id]"),
    name("agentMacAddress", "amac", "[agent][mac]"),
    name("agentNtDomain", "", "[cef][agent][registered_domain]"),
    name("agentReceiptTime", "art", "[event][created]"),
    name("agentTimeZone", "atz", "[cef][agent][timezone]"),
    name("agentTranslatedAddress", "", "[cef][agent][nat][ip]"),
    name("agentTranslatedZoneExternalID", "", "[cef][agent][translated_zone][external_id]"),
    name("agentTranslatedZoneURI", "", "[cef][agent][translated_zone][uri]"),
    name("agentType", "at", "[agent][type]"),
    name("agentVersion", "av", "[agent][version]"),
    name("agentZoneExternalID", "", "[cef][agent][zone][external_id]"),
    name("agentZoneURI", "", "[cef][agent][zone][uri]"),
    name("applicationProtocol", "app", "[network][protocol]"),
    name("baseEventCount", "cnt", "[cef][base_event_count]"),
    name("bytesIn", "in", "[source][bytes]"),
    name("bytesOut", "out", "[destination][bytes]"),
    name("categoryDeviceType", "catdt", "[cef][device_type]"),
    name("customerExternalID", "", "[organization][id]"),
    name("customerURI", "", "[organization][name]"),
    name("destinationAddress", "dst", "[destination][ip]"),
    name("destinationGeoLatitude", "dlat", "[destination][geo][location][lat]"),
    name("destinationGeoLongitude", "dlong", "[destination][geo][location][lon]"),
    name("destinationHostName", "dhost", "[destination][domain]"),
    name("destinationMacAddress", "dmac", "[destination][mac]"),
    name("destinationNtDomain", "dntdom", "[destination][registered_domain]"),
    name("destinationPort", "dpt", "[destination][port]"),
    name("destinationProcessId", "dpid", "[destination][process][pid]"),
    name("destinationProcessName", "dproc", "[destination][process][name]"),
    name("destinationServiceName", "", "[destination][service][name]"),
    name("destinationTranslatedAddress", "", "[destination][nat][ip]"),
    name("destinationTranslatedPort", "", "[destination][nat][port]"),
    name("destinationTranslatedZoneExternalID", "", "[cef][destination][translated_zone][external_id]"),
    name("destinationTranslatedZoneURI", "", "[cef][destination][translated_zone][uri]"),
    name("destinationUserId", "duid", "[destination][user][id]"),
    name("destinationUserName", "duser", "[destination][user][name]"),
    name("destinationUserPrivileges", "dpriv", "[destination][user][group][name]"),
    name("destinationZoneExternalID", "", "[cef][destination][zone][external_id]"),
    name("destinationZoneURI", "", "[cef][destination][zone][uri]"),
    name("deviceAction", "act", "[event][action]"),
    name("deviceAddress", "dvc", "[@][ip]"),
    name("deviceDirection", "", "[network][direction]"),
    name("deviceEventCategory", "cat", "[cef][category]"),
    name("deviceExternalId", "", "@id"),
    name("deviceFacility", "", "[log][syslog][facility][code]"),
    name("deviceHostName", "dvchost", "@name"),
    name("deviceInboundInterface", "", "[observer][ingress][interface][name]"),
    name("deviceMacAddress", "dvcmac", "[@][mac]"),
    name("deviceNtDomain", "", "[cef][nt_domain]"),
    name("deviceOutboundInterface", "", "[observer][egress][interface][name]"),
    name("devicePayloadId", "", "[cef][payload_id]"),
    name("deviceProcessId", "dvcpid", "[process][pid]"),
    name("deviceProcessName", "", "[process][name]"),
    name("deviceReceiptTime", "rt", "@timestamp"),
    name("deviceTimeZone", "dtz", "[event][timezone]"),
    name("deviceTranslatedAddress", "", "[host][nat][ip]"),
    name("deviceTranslatedZoneExternalID", "", "[cef][translated_zone][external_id]"),
    name("deviceTranslatedZoneURI", "", "[cef][translated_zone][uri]"),
    name("deviceVersion", "", "[observer][version]"),
    name("deviceZoneExternalID", "", "[cef][zone][external_id]"),
    name("deviceZoneURI", "", "[cef][zone][uri]"),
    name("endTime", "end", "[event][end]"),
    name("eventId", "", "[event][id]"),
    name("eventOutcome", "outcome", "[event][outcome]"),
    name("externalId", "", "[cef][external_id]"),
    name("fileCreateTime", "", "[file][created]"),
    name("fileHash", "", "[file][hash]"),
    name("fileId", "", "[file][inode]"),
    name("fileModificationTime", "", "[file][mtime]"),
    name("fileName", "fname", "[file][name]"),
    name("filePath", "", "[file][path]"),
    name("filePermission", "", "[file][group]"),
    name("fileSize", "fsize", "[file][size]"),
    name("fileType", "", "[file][extension]"),
    name("managerReceiptTime", "mrt", "[event][ingested]"),
    name("message", "msg", "[message]"),
    name("oldFileCreateTime", "", "[cef][old_file][created]"),
    name("oldFileHash", "", "[cef][old_file][hash]"),
    name("oldFileId", "", "[cef][old_file][inode]"),
    name("oldFileModificationTime", "", "[cef][old_file][mtime]"),
    name("oldFileName", "", "[cef][old_file][name]"),
    name("oldFilePath", "", "[cef][old_file][path]"),
    name("oldFilePermission", "", "[cef][old_file][group]"),
    name("oldFileSize", "", "[cef][old_file][size]"),
    name("oldFileType", "", "[cef][old_file][extension]"),
    name("rawEvent", "", "[event][original]"),
    name("Reason", "reason", "[event][reason]"),
    name("requestClientApplication", "", "[user_agent][original]"),
    name("requestContext", "", "[http][request][referrer]"),
    name("requestCookies", "", "[cef][request][cookies]"),
    name("requestMethod", "", "[http][request][method]"),
    name("requestUrl", "request", "[url][original]"),
    name("sourceAddress", "src", "[source][ip]"),
    name("sourceGeoLatitude", "slat", "[source][geo][location][lat]"),
    name("sourceGeoLongitude", "slong", "[source][geo][location][lon]"),
    name("sourceHostName", "shost", "[source][domain]"),
    name("sourceMacAddress", "smac", "[source][mac]"),
    name("sourceNtDomain", "sntdom", "[source][registered_domain]"),
    name("sourcePort", "spt", "[source][port]"),
    name("sourceProcessId", "spid", "[source][process][pid]"),
    name("sourceProcessName", "sproc", "[source][process][name]"),
    name("sourceServiceName", "", "[source][service][name]"),
    name("sourceTranslatedAddress", "", "[source][nat][ip]"),
    name("sourceTranslatedPort", "", "[source][nat][port]"),
    name("sourceTranslatedZoneExternalID", "", "[cef][source][translated_zone][external_id]"),
    name("sourceTranslatedZoneURI", "", "[cef][source][translated_zone][uri]"),
    name("sourceUserId", "suid", "[source][user][id]"),
    name("sourceUserName", "suser", "[source][user][name]"),
    name("sourceUserPrivileges", "spriv", "[source][user][group][name]"),
    name("sourceZoneExternalID", "", "[cef][source][zone][external_id]"),
    name("sourceZoneURI", "", "[cef][source][zone][uri]"),
    name("startTime", "start", "[event][start]"),
    name("transportProtocol", "proto", "[network][transport]"),
    name("type", "", "[cef][type]"),
    name("agentDnsDomain", "", "[cef][agent][registered_domain]"),
    name("destinationDnsDomain", "", "[destination][registered_domain]"),
    name("deviceDnsDomain", "", "[@][registered_domain]"),
    name("sourceDnsDomain", "", "[source][registered_domain]"),
];

/// Which extension is which field.
pub(super) struct Names {
    /// From a key or a full name to the field.
    pub(super) decode: FxHashMap<String, String>,
    /// From a field or a full name to what is written.
    pub(super) encode: FxHashMap<String, String>,
}

impl Names {
    /// `host`: whether the device is the host, not an observer. `keys`: whether keys are written.
    pub(super) fn new(ecs: bool, host: bool, keys: bool) -> Names {
        let mut names = Names { decode: FxHashMap::default(), encode: FxHashMap::default() };
        for name in NAMES {
            names.add(name.full, name.key, if ecs { field(name.ecs, host) } else { name.full.to_owned() }, keys);
        }
        for (full, key, ecs_field) in NUMBERED {
            for number in 1..=15 {
                for (label, part) in [("", "value"), ("Label", "label")] {
                    let full = format!("{full}{number}{label}");
                    let field = if ecs { format!("{ecs_field}{number}][{part}]") } else { full.clone() };
                    names.add(&full, &format!("{key}{number}{label}"), field, keys);
                }
            }
        }
        for (legacy, full) in LEGACY {
            let field = if ecs { names.decode[full].clone() } else { legacy.to_owned() };
            names.decode.insert(legacy.to_owned(), field);
            let written = if keys { names.encode[full].clone() } else { legacy.to_owned() };
            names.encode.insert(legacy.to_owned(), written);
        }
        names
    }

    fn add(&mut self, full: &str, key: &str, field: String, keys: bool) {
        let key = if key.is_empty() { full } else { key };
        let written = if keys { key } else { full };
        self.encode.insert(field.clone(), written.to_owned());
        if field != full {
            self.encode.insert(full.to_owned(), written.to_owned());
        }
        self.decode.insert(key.to_owned(), field.clone());
        self.decode.insert(full.to_owned(), field);
    }
}

fn field(ecs: &str, host: bool) -> String {
    match (ecs, host) {
        ("@id", true) => "[host][id]".to_owned(),
        ("@id", false) => "[observer][name]".to_owned(),
        ("@name", true) => "[host][name]".to_owned(),
        ("@name", false) => "[observer][hostname]".to_owned(),
        (other, host) => other.replace("[@]", if host { "[host]" } else { "[observer]" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldRef;

    #[test]
    fn names_go_both_ways() {
        let legacy = Names::new(false, false, true);
        assert_eq!(legacy.decode["src"], "sourceAddress");
        assert_eq!(legacy.decode["sourceAddress"], "sourceAddress");
        assert_eq!(legacy.decode["sourceLatitude"], "sourceLatitude");
        assert_eq!(legacy.encode["sourceAddress"], "src");
        assert_eq!(legacy.encode["sourceLatitude"], "slat");
        let ecs = Names::new(true, true, false);
        assert_eq!(ecs.decode["dvc"], "[host][ip]");
        assert_eq!(ecs.decode["cs15Label"], "[cef][device_custom_string_15][label]");
        assert_eq!(ecs.decode["sourceLatitude"], "[source][geo][location][lat]");
        assert_eq!(ecs.encode["[source][registered_domain]"], "sourceDnsDomain");
        assert_eq!(Names::new(true, false, false).decode["dvchost"], "[observer][hostname]");
        for names in [&legacy, &ecs] {
            names.decode.values().for_each(|field| assert!(FieldRef::parse(field).is_ok(), "{field}"));
        }
        TIMES.iter().for_each(|time| assert!(ecs.decode.contains_key(*time), "{time}"));
    }
}
