//! `${NAME}` and `${NAME:default}`: values from the environment, in plugin settings,
//! conditions and the settings files. As Logstash's `SubstitutionVariables`.

use std::borrow::Cow;

/// Where values of variables come from.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable without value and default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("environment variable `{0}` is not set and has no default")]
pub struct Undefined(pub String);

/// Replaces every reference in a text. What only looks like one stays.
pub fn substitute<'t>(text: &'t str, environment: Environment<'_>) -> Result<Cow<'t, str>, Undefined> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest) {
            Some((name, default, length)) => {
                let value = environment(name).or_else(|| default.map(str::to_owned));
                out.push_str(&value.ok_or_else(|| Undefined(name.to_owned()))?);
                rest = &rest[length..];
            }
            None => {
                out.push_str("${");
                rest = &rest[2..];
            }
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// Name, default and length of the reference at the start of a text.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let inner = &text[2..];
    let name_len = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))?;
    let (name, behind) = inner.split_at(name_len);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if behind.starts_with('}') {
        return Some((name, None, 2 + name_len + 1));
    }
    let default = behind.strip_prefix(':')?;
    let end = default.find('}')?;
    Some((name, Some(&default[..end]), 2 + name_len + 1 + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let environment = |name: &str| match name {
            "A" => Some("val".to_owned()),
            "a.b" => Some("dotted".to_owned()),
            "E" => Some(String::new()),
            _ => None,
        };
        let check = |text: &str, want: &str| assert_eq!(substitute(text, &environment).unwrap(), want, "{text}");
        check("plain", "plain");
        check("${A}", "val");
        check("x-${A}-${a.b}", "x-val-dotted");
        check("${NONE:dflt}", "dflt");
        check("${NONE:}", "");
        check("${E:full}", "");
        check("${NONE:a:b c}", "a:b c");
        check("${1A} ${} ${A ${:x} ${A-} $A %{A}", "${1A} ${} ${A ${:x} ${A-} $A %{A}");
        check("${${A}", "${val");
        assert_eq!(substitute("a ${NONE} b", &environment), Err(Undefined("NONE".into())));
    }
}
