//! What options name and a plugin reads once, at start: a file, or a page on a server.
//!
//! Codecs have no I/O of their own; they ask here. Checking (`-t`) reads files but no servers, and
//! a file that is not there is then only a warning.

pub mod tls;

use crate::diagnostic::{Diagnostic, code};
use crate::plugin::{Context, Options};
use std::time::Duration;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a page at the most.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// The text of the file that an option names; `None` where the option was not given, or while
/// only checking and the file is not there.
pub fn file(options: &Options, name: &str, context: &Context) -> Result<Option<String>, Diagnostic> {
    let Some(path) = options.str(name) else { return Ok(None) };
    read(path, options, name, context)
}

fn read(path: &str, options: &Options, name: &str, context: &Context) -> Result<Option<String>, Diagnostic> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if context.check_only => {
            tracing::warn!(path, option = name, %error, "cannot read a file that an option names; it is needed at start");
            Ok(None)
        }
        Err(error) => {
            Err(Diagnostic::error(code::FILE, options.place_of(name), format!("cannot read {path}: {error}")))
        }
    }
}

/// The YAML in the file that an option names, with the keys of its hashes as texts.
pub fn yaml(options: &Options, name: &str, context: &Context) -> Result<Option<serde_json::Value>, Diagnostic> {
    let Some(text) = file(options, name, context)? else { return Ok(None) };
    parse_yaml(&text).map(Some).map_err(|error| {
        let path = options.str(name).unwrap_or_default();
        Diagnostic::error(code::FILE, options.place_of(name), format!("cannot parse {path}: {error}"))
    })
}

/// YAML as JSON, with the keys of its hashes as texts; or why it is none.
pub fn parse_yaml(text: &str) -> Result<serde_json::Value, String> {
    serde_yaml_ng::from_str(text).map(plain).map_err(|error| error.to_string())
}

/// YAML has keys of any kind, JSON texts only.
fn plain(value: serde_yaml_ng::Value) -> serde_json::Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Mapping(members) => {
            let name = |key: Yaml| match key {
                Yaml::String(text) => text,
                key => plain(key).to_string(),
            };
            serde_json::Value::Object(members.into_iter().map(|(key, value)| (name(key), plain(value))).collect())
        }
        Yaml::Sequence(elements) => elements.into_iter().map(plain).collect(),
        Yaml::Tagged(tagged) => plain(tagged.value),
        value => serde_json::to_value(value).unwrap_or_default(),
    }
}

/// The text of a file that a plugin kept for itself, if it is there.
pub fn kept(path: &std::path::Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The text at the file or the `http(s)` address that an option names. The options `username`,
/// `password`, `proxy` and those of TLS (`ssl_…`) say how to ask a server.
pub fn text(options: &Options, name: &str, context: &Context) -> Result<Option<String>, Diagnostic> {
    let Some(uri) = options.str(name) else { return Ok(None) };
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return read(uri.strip_prefix("file://").unwrap_or(uri), options, name, context);
    }
    if context.check_only {
        return Ok(None);
    }
    match page(uri, options) {
        Ok(text) => Ok(Some(text)),
        Err(cause) => {
            Err(Diagnostic::error(code::FILE, options.place_of(name), format!("cannot read {uri}: {cause:#}")))
        }
    }
}

fn page(uri: &str, options: &Options) -> anyhow::Result<String> {
    let mut config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).tls_config(tls::config(options)?);
    if let Some(proxy) = options.str("proxy") {
        config = config.proxy(Some(ureq::Proxy::new(proxy)?));
    }
    let agent: ureq::Agent = config.build().into();
    let mut request = agent.get(uri);
    if let Some(user) = options.str("username") {
        let both = format!("{user}:{}", options.str("password").unwrap_or_default());
        let both = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, both);
        request = request.header("Authorization", format!("Basic {both}"));
    }
    Ok(request.call()?.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string()?)
}
