//! Digests of texts: what the filters that make fingerprints of values share.
//!
//! No filter. Nothing here keeps what it was given.

use super::address::Net;
use crate::diagnostic::{Diagnostic, code};
use crate::plugin::Options;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::io::{Cursor, Write};
use std::sync::Arc;

/// How a fingerprint is made.
#[derive(Clone)]
pub(super) enum Method {
    /// A digest of the bytes.
    Plain(fn(&[u8], &mut Vec<u8>)),
    /// An HMAC of the bytes.
    Keyed(Arc<dyn Sign>),
    /// MurmurHash3 in 32 bits, a number.
    Murmur3,
    /// MurmurHash3 in 128 bits.
    Murmur128,
    /// The network of an address, by the length of its prefix.
    Network(u32),
}

/// A keyed digest.
pub(super) trait Sign: Send + Sync {
    /// Appends the digest of `data`.
    fn sign(&self, data: &[u8], out: &mut Vec<u8>);
}

impl<M: Mac + Clone + Send + Sync> Sign for M {
    fn sign(&self, data: &[u8], out: &mut Vec<u8>) {
        let mut mac = self.clone();
        mac.update(data);
        out.extend_from_slice(&mac.finalize().into_bytes());
    }
}

fn plain<D: Digest>(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&D::digest(data));
}

fn keyed<M: Mac + KeyInit + Clone + Send + Sync + 'static>(key: &[u8]) -> Method {
    Method::Keyed(Arc::new(<M as KeyInit>::new_from_slice(key).expect("BUG: an HMAC takes keys of any length")))
}

impl Method {
    /// That of the name in Logstash's filters, with the option `key`.
    pub(super) fn new(name: &str, options: &Options) -> Result<Method, Vec<Diagnostic>> {
        let key = options.str("key");
        Ok(match (name, key.map(str::as_bytes)) {
            ("MURMUR3", _) => Method::Murmur3,
            ("MURMUR3_128", _) => Method::Murmur128,
            ("IPV4_NETWORK", _) => {
                let Some(prefix) = key.and_then(|key| key.trim().parse().ok()).filter(|prefix| *prefix <= 128) else {
                    let message = "the method IPV4_NETWORK needs the length of a prefix in `key`";
                    let error = Diagnostic::error(code::VALUE, options.place_of("key"), message);
                    return Err(vec![error.label("such as key => 24")]);
                };
                Method::Network(prefix)
            }
            ("MD5", None) => Method::Plain(plain::<Md5>),
            ("SHA256", None) => Method::Plain(plain::<Sha256>),
            ("SHA384", None) => Method::Plain(plain::<Sha384>),
            ("SHA512", None) => Method::Plain(plain::<Sha512>),
            (_, None) => Method::Plain(plain::<Sha1>),
            ("MD5", Some(key)) => keyed::<Hmac<Md5>>(key),
            ("SHA256", Some(key)) => keyed::<Hmac<Sha256>>(key),
            ("SHA384", Some(key)) => keyed::<Hmac<Sha384>>(key),
            ("SHA512", Some(key)) => keyed::<Hmac<Sha512>>(key),
            (_, Some(key)) => keyed::<Hmac<Sha1>>(key),
        })
    }
}

/// MurmurHash3 in 32 bits.
pub(super) fn murmur3(data: &[u8]) -> u32 {
    murmur3::murmur3_32(&mut Cursor::new(data), 0).expect("BUG: a slice can't fail to be read")
}

/// The bytes of MurmurHash3 in 128 bits, by the seed that Logstash uses.
pub(super) fn murmur128(data: &[u8]) -> [u8; 16] {
    murmur3::murmur3_x64_128(&mut Cursor::new(data), 2).expect("BUG: a slice can't fail to be read").to_le_bytes()
}

/// Appends the address of the network that an address lies in; false where the text is none.
pub(super) fn network(text: &[u8], prefix: u32, out: &mut Vec<u8>) -> bool {
    let net = std::str::from_utf8(text).ok().and_then(Net::parse).and_then(|net| net.mask(prefix));
    net.is_some_and(|net| write!(out, "{net}").is_ok())
}

/// Appends bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

/// Appends bytes in base 64.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).expect("BUG: there is room for base 64");
    out.truncate(start + written);
}
