//! The `cipher` filter: encrypts or decrypts a field.
//!
//! `cipher { algorithm => "aes-256-cbc" mode => "encrypt" key => "${KEY}" key_size => 32 iv_random_length => 16 }`, as
//! Logstash's: in front of what is encrypted stands a random IV of its own. Nothing says whether
//! what is decrypted was changed by others on the way.

use super::common::{field, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blowfish::Blowfish;
use cbc::cipher::block_padding::{NoPadding, Pkcs7};
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit, KeyIvInit,
    StreamCipher, StreamCipherCoreWrapper,
};
use ctr::Ctr128BE;
use des::{Des, TdesEde2, TdesEde3};
use ofb::{Ofb, OfbCore};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "cipher",
    summary: "Encrypts or decrypts a field.",
    options: &[
        Opt::required(
            "algorithm",
            Type::String,
            "The cipher by OpenSSL's name: `aes-256-cbc`, `aes-128-ctr`, `des-ede3-cbc`, `bf-cbc` and so on.",
        ),
        Opt::new("base64", Type::Boolean, Some("true"), "Whether what is encrypted is text in base 64."),
        Opt::new(
            "cipher_padding",
            Type::String,
            None,
            "0 for no padding: texts must then be whole blocks long, in the modes cbc and ecb.",
        ),
        Opt::required(
            "iv_random_length",
            Type::Number,
            "How many random bytes stand in front; at least the length of the IV, 16 for aes.",
        ),
        Opt::required("key", Type::Password, "The key; cut, or filled up with `key_pad`, to `key_size`."),
        Opt::new("key_pad", Type::String, Some(r#""\0""#), "What fills up a key that is too short."),
        Opt::new("key_size", Type::Number, Some("16"), "The bytes of the key: 16, 24 or 32 for aes, as its name says."),
        Opt::idle("max_cipher_reuse", Type::Number, Some("1"), "each text gets a cipher of its own."),
        Opt::required("mode", Type::Enum(&["encrypt", "decrypt"]), "What to do."),
        Opt::new("source", Type::Field, Some("message"), "The field to read."),
        Opt::new("target", Type::Field, Some("message"), "The field for the result."),
    ],
    examples: &[Example {
        title: "There and back",
        config: r#"
            cipher { algorithm => "aes-128-cbc" mode => "encrypt" key => "1234567890123456" iv_random_length => 16 source => "a" target => "b" }
            cipher { algorithm => "aes-128-cbc" mode => "decrypt" key => "1234567890123456" iv_random_length => 16 source => "b" target => "c" }"#,
        given: r#"{"a":"secret"}"#,
        then: r#"{"a":"secret","c":"secret"}"#,
    }],
    build: Build::Filter(build),
};

/// How blocks are chained.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Mode {
    Cbc,
    Ecb,
    Cfb,
    Cfb8,
    Ofb,
    Ctr,
}

/// Does a job; `None` where the data can't be what the cipher takes.
type Crypt = fn(&Job) -> Option<Vec<u8>>;

/// A cipher, its keys and its blocks.
struct Algorithm {
    run: Crypt,
    mode: Mode,
    /// The bytes of a key, from and to.
    keys: (usize, usize),
    block: usize,
}

/// One text to encrypt or to decrypt.
struct Job<'a> {
    mode: Mode,
    encrypt: bool,
    pad: bool,
    key: &'a [u8],
    iv: &'a [u8],
    data: &'a [u8],
}

struct Plan {
    algorithm: Algorithm,
    encrypt: bool,
    pad: bool,
    base64: bool,
    key: Vec<u8>,
    iv: usize,
    source: FieldRef,
    target: FieldRef,
}

struct Cipher {
    plan: Arc<Plan>,
    random: StdRng,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let mut mistake = |option: &str, message: String| {
        wrong.push(Diagnostic::error(code::VALUE, options.place_of(option), message));
    };
    let number = |name, default| options.number(name).map_or(default, |n| n.max(0.0) as usize);
    let name = options.str("algorithm").unwrap_or_default();
    let algorithm = algorithm(&name.to_ascii_lowercase());
    let mut key = options.str("key").unwrap_or_default().as_bytes().to_vec();
    let (size, iv) = (number("key_size", 16), number("iv_random_length", 16));
    let pad = options.str("key_pad").unwrap_or("\0").as_bytes();
    if key.len() != size {
        key.truncate(size);
        let room = size.min(1024).saturating_sub(key.len());
        key.extend(pad.iter().copied().cycle().take(room));
    }
    match &algorithm {
        None if is_authenticated(name) => {
            let message = "keeps a tag beside the text, for which Logstash's filter has no place either: nothing that it \
                           encrypts could be decrypted; use -cbc or -ctr";
            mistake("algorithm", format!("`{name}` {message}"));
        }
        None => mistake("algorithm", format!("unknown cipher `{name}`; it takes {KNOWN}")),
        Some(Algorithm { keys: (min, max), block, mode, .. }) => {
            if !(*min..=*max).contains(&key.len()) {
                let wanted = if min == max { min.to_string() } else { format!("{min} to {max}") };
                mistake("key_size", format!("`{name}` takes a key of {wanted} bytes, not {}", key.len()));
            }
            if *mode != Mode::Ecb && iv < *block {
                mistake("iv_random_length", format!("`{name}` needs an IV of {block} bytes"));
            }
            if iv > 1024 {
                mistake("iv_random_length", "more than 1024 random bytes".to_owned());
            }
        }
    }
    let Some(algorithm) = algorithm.filter(|_| wrong.is_empty()) else { return Err(wrong) };
    let plan = Plan {
        algorithm,
        encrypt: options.str("mode") != Some("decrypt"),
        pad: options.str("cipher_padding") != Some("0"),
        base64: options.bool("base64", true),
        key,
        iv,
        source: field(options, "source", "message"),
        target: field(options, "target", "message"),
    };
    Ok(Box::new(Cipher { plan: Arc::new(plan), random: StdRng::from_os_rng() }))
}

impl Filter for Cipher {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            let source = batch.get(event, &plan.source).unwrap_or(Value::Null);
            if source == Value::Null || batch.as_text(source) == Some("") {
                continue;
            }
            match self.one(&plan, batch, event, source) {
                Some(()) => run.matched.push(event),
                None => batch.tag(event, "_cipherfiltererror"),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Cipher { plan: self.plan.clone(), random: StdRng::from_os_rng() })
    }
}

impl Cipher {
    fn one(&mut self, plan: &Plan, batch: &mut Batch, event: EventId, source: Value) -> Option<()> {
        let text = batch.as_text(source)?.as_bytes();
        let job = |iv, data| Job {
            mode: plan.algorithm.mode,
            encrypt: plan.encrypt,
            pad: plan.pad,
            key: &plan.key,
            iv,
            data,
        };
        let block = if plan.algorithm.mode == Mode::Ecb { 0 } else { plan.algorithm.block };
        let result = if plan.encrypt {
            let mut result = vec![0; plan.iv];
            self.random.fill_bytes(&mut result);
            let encrypted = (plan.algorithm.run)(&job(&result[..block], text))?;
            result.extend_from_slice(&encrypted);
            if plan.base64 { STANDARD.encode(&result).into_bytes() } else { result }
        } else {
            let decoded;
            let data = if plan.base64 {
                decoded = STANDARD.decode(text).ok()?;
                &decoded[..]
            } else {
                text
            };
            let (iv, data) = data.split_at_checked(plan.iv)?;
            (plan.algorithm.run)(&job(&iv[..block], data))?
        };
        // A value is text: bytes that are none can't be kept without base 64.
        let result = batch.str(std::str::from_utf8(&result).ok()?);
        set(batch, event, &plan.target, result).then_some(())
    }
}

const KNOWN: &str = "aes-128, aes-192 and aes-256 with -cbc, -ecb, -cfb, -cfb8, -ofb or -ctr; des, des-ede, des-ede3 and \
                     bf with -cbc, -ecb, -cfb, -cfb8 or -ofb";

/// Whether OpenSSL's name is that of a mode with a tag.
fn is_authenticated(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["-gcm", "-ccm", "-ocb", "poly1305"].iter().any(|mode| name.ends_with(mode))
}

/// A cipher by OpenSSL's name for it.
fn algorithm(name: &str) -> Option<Algorithm> {
    let name = match name {
        "aes128" => "aes-128-cbc",
        "aes192" => "aes-192-cbc",
        "aes256" => "aes-256-cbc",
        "des" => "des-cbc",
        "des3" => "des-ede3-cbc",
        "des-ede" => "des-ede-ecb",
        "des-ede3" => "des-ede3-ecb",
        "blowfish" | "bf" => "bf-cbc",
        name => name,
    };
    let (family, mode) = name.rsplit_once('-')?;
    let mode = match mode {
        "cbc" => Mode::Cbc,
        "ecb" => Mode::Ecb,
        "cfb" | "cfb64" | "cfb128" => Mode::Cfb,
        "cfb8" => Mode::Cfb8,
        "ofb" => Mode::Ofb,
        "ctr" => Mode::Ctr,
        _ => return None,
    };
    let (chained, ofb, ctr, keys, block): (Crypt, Crypt, Option<Crypt>, _, _) = match family {
        "aes-128" => (chained::<Aes128>, stream::<Ofb<Aes128>>, Some(stream::<Ctr128BE<Aes128>>), (16, 16), 16),
        "aes-192" => (chained::<Aes192>, stream::<Ofb<Aes192>>, Some(stream::<Ctr128BE<Aes192>>), (24, 24), 16),
        "aes-256" => (chained::<Aes256>, stream::<Ofb<Aes256>>, Some(stream::<Ctr128BE<Aes256>>), (32, 32), 16),
        "des" => (chained::<Des>, stream::<Ofb<Des>>, None, (8, 8), 8),
        "des-ede" => (chained::<TdesEde2>, stream::<Ofb<TdesEde2>>, None, (16, 16), 8),
        "des-ede3" => (chained::<TdesEde3>, stream::<Ofb<TdesEde3>>, None, (24, 24), 8),
        "bf" => (chained::<Blowfish>, blowfish_ofb, None, (4, 56), 8),
        _ => return None,
    };
    let run = match mode {
        Mode::Ofb => ofb,
        Mode::Ctr => ctr?,
        _ => chained,
    };
    Some(Algorithm { run, mode, keys, block })
}

fn stream<S: KeyIvInit + StreamCipher>(job: &Job) -> Option<Vec<u8>> {
    let mut data = job.data.to_vec();
    S::new_from_slices(job.key, job.iv).ok()?.try_apply_keystream(&mut data).ok()?;
    Some(data)
}

/// Blowfish takes keys of several lengths, which [`KeyIvInit`] does not know.
fn blowfish_ofb(job: &Job) -> Option<Vec<u8>> {
    let mut data = job.data.to_vec();
    let cipher: Blowfish = Blowfish::new_from_slice(job.key).ok()?;
    let core = OfbCore::inner_iv_slice_init(cipher, job.iv).ok()?;
    StreamCipherCoreWrapper::from_core(core).try_apply_keystream(&mut data).ok()?;
    Some(data)
}

fn chained<C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit>(job: &Job) -> Option<Vec<u8>> {
    let Job { key, iv, .. } = *job;
    let mut data = job.data.to_vec();
    match (job.mode, job.encrypt) {
        (Mode::Cbc, true) => return encrypt(cbc::Encryptor::<C>::new_from_slices(key, iv).ok()?, job),
        (Mode::Cbc, false) => return decrypt(cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?, job),
        (Mode::Ecb, true) => return encrypt(ecb::Encryptor::<C>::new_from_slice(key).ok()?, job),
        (Mode::Ecb, false) => return decrypt(ecb::Decryptor::<C>::new_from_slice(key).ok()?, job),
        (Mode::Cfb, true) => cfb_mode::Encryptor::<C>::new_from_slices(key, iv).ok()?.encrypt(&mut data),
        (Mode::Cfb, false) => cfb_mode::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt(&mut data),
        (Mode::Cfb8, true) => cfb8::Encryptor::<C>::new_from_slices(key, iv).ok()?.encrypt(&mut data),
        (Mode::Cfb8, false) => cfb8::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt(&mut data),
        (Mode::Ofb | Mode::Ctr, _) => return None,
    }
    Some(data)
}

fn encrypt(mode: impl BlockModeEncrypt, job: &Job) -> Option<Vec<u8>> {
    let length = job.data.len();
    // A block is at most 16 bytes, and so is the padding.
    let mut data = job.data.to_vec();
    data.resize(length + 16, 0);
    let encrypted = match job.pad {
        true => mode.encrypt_padded::<Pkcs7>(&mut data, length).ok()?.len(),
        false => mode.encrypt_padded::<NoPadding>(&mut data[..length], length).ok()?.len(),
    };
    data.truncate(encrypted);
    Some(data)
}

fn decrypt(mode: impl BlockModeDecrypt, job: &Job) -> Option<Vec<u8>> {
    let mut data = job.data.to_vec();
    let decrypted = match job.pad {
        true => mode.decrypt_padded::<Pkcs7>(&mut data).ok()?.len(),
        false => mode.decrypt_padded::<NoPadding>(&mut data).ok()?.len(),
    };
    data.truncate(decrypted);
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run};

    fn settings(algorithm: &str, mode: &str, more: &str) -> String {
        format!(
            r#"{{"algorithm":"{algorithm}","mode":"{mode}","key":"0123456789abcdef0123456789abcdef","iv_random_length":16,
            "source":"a","target":"b"{more}}}"#
        )
    }

    fn through(settings: &str, text: &str) -> Option<String> {
        let mut batch = Batch::new();
        let event = event(&mut batch, &format!("{{\"a\":{text:?}}}"));
        let matched = run(build, settings, &mut batch, event);
        assert_ne!(matched, batch.has_tag(event, "_cipherfiltererror"), "{settings}");
        let value = batch.get(event, &FieldRef::of("b"))?;
        batch.as_text(value).map(str::to_owned)
    }

    #[test]
    fn what_openssl_encrypts_is_read() {
        // printf 'hello, world' | openssl enc -ALGORITHM -K … -iv 00…, the IV put in front.
        let check = |algorithm: &str, key_size: usize, encrypted: &str| {
            let bytes: Vec<u8> = (0..encrypted.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&encrypted[at..at + 2], 16).unwrap())
                .collect();
            let text = STANDARD.encode([vec![0; 16], bytes].concat());
            let settings = settings(algorithm, "decrypt", &format!(r#","key_size":{key_size}"#));
            assert_eq!(through(&settings, &text).as_deref(), Some("hello, world"), "{algorithm}");
        };
        check("aes-128-cbc", 16, "33cd610b1e2a51f0f7f03b7240e51568");
        check("aes-192-cfb", 24, "08799455ed0499015e88b4d5");
        check("aes-256-ctr", 32, "15d8e44b409e7940065857e5");
        check("aes-256-ofb", 32, "15d8e44b409e7940065857e5");
        check("aes-128-ecb", 16, "33cd610b1e2a51f0f7f03b7240e51568");
        check("aes-128-cfb8", 16, "639ae7dc6355f79755ceafed");
        check("des-ede3-cbc", 24, "b85ff58a53971e1ebf66d0e480c73c76");
        check("des-ede-cbc", 16, "b85ff58a53971e1ebf66d0e480c73c76");
        check("des-cbc", 8, "c4f536adbbaeb8843ba02290f4e2bea0");
        check("bf-cbc", 16, "10abb9ef777b99e609acd90cd622bc52");
    }

    #[test]
    fn there_and_back() {
        let text = "à la carte: 12345678";
        for (family, size) in [
            ("aes-128", 16),
            ("aes-192", 24),
            ("aes-256", 32),
            ("des", 8),
            ("des-ede", 16),
            ("des-ede3", 24),
            ("bf", 16),
        ] {
            for mode in ["cbc", "ecb", "cfb", "cfb8", "ofb", "ctr"] {
                let name = format!("{family}-{mode}");
                let Some(algorithm) = algorithm(&name) else {
                    assert!(mode == "ctr" && !family.starts_with("aes"), "{name}");
                    continue;
                };
                assert_eq!(algorithm.block, if family.starts_with("aes") { 16 } else { 8 });
                let more = format!(r#","key_size":{size}"#);
                let one = through(&settings(&name, "encrypt", &more), text).unwrap_or_else(|| panic!("{name}"));
                let two = through(&settings(&name, "encrypt", &more), text).unwrap();
                assert_ne!(one, two, "{name}: the IV is random");
                assert_eq!(through(&settings(&name, "decrypt", &more), &one).as_deref(), Some(text), "{name}");
            }
        }
    }

    #[test]
    fn padding_and_failures() {
        let none = r#","cipher_padding":"0""#;
        let block = through(&settings("AES-128-CBC", "encrypt", none), "0123456789abcdef").unwrap();
        assert_eq!(STANDARD.decode(&block).unwrap().len(), 32);
        assert_eq!(through(&settings("aes-128-cbc", "decrypt", none), &block).as_deref(), Some("0123456789abcdef"));
        assert_eq!(through(&settings("aes-128-cbc", "encrypt", none), "short"), None);
        for bad in ["no base 64", "QUJD", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(through(&settings("aes-128-cbc", "decrypt", ""), bad), None, "{bad}");
        }
        let mut batch = Batch::new();
        let event = event(&mut batch, r#"{"a":""}"#);
        assert!(!run(build, &settings("aes-128-cbc", "encrypt", ""), &mut batch, event));
        assert!(!batch.has_tag(event, "_cipherfiltererror"));
    }

    #[test]
    fn mistakes() {
        for (algorithm, more) in
            [("aes-128-gcm", ""), ("des-ctr", ""), ("x", ""), ("aes-256-cbc", ""), ("aes-128-cbc", r#","key_size":15"#)]
        {
            assert!(build(&options(&settings(algorithm, "encrypt", more)), &context()).is_err(), "{algorithm}{more}");
        }
        let short = r#"{"algorithm":"aes-128-cbc","mode":"encrypt","key":"k","iv_random_length":8}"#;
        assert!(build(&options(short), &context()).is_err());
    }
}
