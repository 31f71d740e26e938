//! TLS towards servers, as Logstash's options say it: `ssl_…`, the same for every plugin that asks one.
//!
//! Certificates and keys are PEM. Java's key stores (JKS, PKCS #12) are refused, with how to convert
//! them.

use crate::diagnostic::{Diagnostic, code};
use crate::plugin::{Opt, Options, Type};
use anyhow::{Context, ensure};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

const STORE: &str = "Java's key stores can't be read: an error that says how to convert them.";
const STORES: Type = Type::Enum(&["jks", "pkcs12"]);

/// `ssl_certificate`
pub const CERTIFICATE: Opt = Opt::new("ssl_certificate", Type::Path, None, "A certificate of our own, in PEM.");
/// `ssl_certificate_authorities`
pub const CERTIFICATE_AUTHORITIES: Opt = Opt::new(
    "ssl_certificate_authorities",
    Type::Array,
    None,
    "Files of certificates to trust, in PEM, instead of the well-known ones.",
);
/// `ssl_cipher_suites`
pub const CIPHER_SUITES: Opt = Opt::idle("ssl_cipher_suites", Type::Array, None, "secure ones are chosen.");
/// `ssl_key`
pub const KEY: Opt = Opt::new("ssl_key", Type::Path, None, "The key of `ssl_certificate`, in PEM.");
/// `ssl_keystore_password`
pub const KEYSTORE_PASSWORD: Opt = Opt::new("ssl_keystore_password", Type::Password, None, STORE);
/// `ssl_keystore_path`
pub const KEYSTORE_PATH: Opt = Opt::new("ssl_keystore_path", Type::Path, None, STORE);
/// `ssl_keystore_type`
pub const KEYSTORE_TYPE: Opt = Opt::new("ssl_keystore_type", STORES, None, STORE);
/// `ssl_supported_protocols`
pub const SUPPORTED_PROTOCOLS: Opt =
    Opt::idle("ssl_supported_protocols", Type::Array, None, "TLS 1.2 and 1.3 are spoken.");
/// `ssl_truststore_password`
pub const TRUSTSTORE_PASSWORD: Opt = Opt::new("ssl_truststore_password", Type::Password, None, STORE);
/// `ssl_truststore_path`
pub const TRUSTSTORE_PATH: Opt = Opt::new("ssl_truststore_path", Type::Path, None, STORE);
/// `ssl_truststore_type`
pub const TRUSTSTORE_TYPE: Opt = Opt::new("ssl_truststore_type", STORES, None, STORE);
/// `ssl_verification_mode`
pub const VERIFICATION_MODE: Opt = Opt::new(
    "ssl_verification_mode",
    Type::Enum(&["full", "none"]),
    Some("full"),
    "Whether the server's certificate is checked.",
);

/// What is wrong with these options whatever their files hold.
pub fn mistakes(options: &Options) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for (store, instead, openssl) in [
        ("ssl_keystore_path", "ssl_certificate and ssl_key", ""),
        ("ssl_truststore_path", "ssl_certificate_authorities", "-nokeys "),
    ] {
        if !options.has(store) {
            continue;
        }
        let path = options.str(store).unwrap_or_default();
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("store");
        let mut note = String::new();
        if !path.ends_with(".p12") && !path.ends_with(".pfx") {
            note += &format!(
                "keytool -importkeystore -srckeystore {path} -destkeystore {stem}.p12 -deststoretype pkcs12\n"
            );
        }
        note += &format!(
            "openssl pkcs12 -in {} {openssl}-nodes -out {stem}.pem\nthen name {stem}.pem in {instead}",
            if note.is_empty() { path.to_owned() } else { format!("{stem}.p12") }
        );
        let message = format!("`{store}`: Java's key stores can't be read; convert it to PEM");
        wrong.push(Diagnostic::error(code::VALUE, options.place_of(store), message).note(note));
    }
    if options.has("ssl_certificate") != options.has("ssl_key") {
        let message = "`ssl_certificate` and `ssl_key` need each other";
        wrong.push(Diagnostic::error(code::VALUE, options.place, message));
    }
    wrong
}

/// What the options of TLS say: `ssl_certificate_authorities`, `ssl_certificate` with `ssl_key`, and
/// `ssl_verification_mode`.
pub fn config(options: &Options) -> anyhow::Result<TlsConfig> {
    let mut builder = TlsConfig::builder().disable_verification(options.str("ssl_verification_mode") == Some("none"));
    let mut roots = Vec::new();
    // The last two are the old names in Logstash's filters.
    for name in ["ssl_certificate_authorities", "ca_file", "cacert"] {
        for path in options.strings(name) {
            roots.extend(certificates(&path)?);
        }
    }
    if !roots.is_empty() {
        builder = builder.root_certs(RootCerts::new_with_certs(&roots));
    }
    if let (Some(certificate), Some(key)) = (options.str("ssl_certificate"), options.str("ssl_key")) {
        let pem = std::fs::read(key).with_context(|| format!("cannot read {key}"))?;
        let key = PrivateKey::from_pem(&pem).with_context(|| format!("cannot read {key}"))?;
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&certificates(certificate)?, key)));
    }
    Ok(builder.build())
}

/// At least one: a file without any would mean to trust whoever is trusted by default.
fn certificates(path: &str) -> anyhow::Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.with_context(|| format!("cannot read {path}"))? {
            found.push(certificate);
        }
    }
    ensure!(!found.is_empty(), "there is no certificate in {path}: it must be in PEM form");
    Ok(found)
}
