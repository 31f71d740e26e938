//! Whether a plugin is still configured as it was: a hash of what it was built from. Where it
//! stands in its file does not matter.

use crate::plugin::{Call, Context, Literal, Options, Setting, Spec, Type};
use std::hash::{Hash, Hasher};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3Default;

/// Of one plugin, in the settings of its pipeline; `more` is what else it was built by.
pub(super) fn plugin(call: &Call, context: &Context, more: impl Hash) -> u64 {
    let mut hasher = Xxh3Default::new();
    context.ecs.hash(&mut hasher);
    more.hash(&mut hasher);
    hash_call(call, &mut hasher);
    hasher.finish()
}

fn hash_call(call: &Call, hasher: &mut impl Hasher) {
    call.name.hash(hasher);
    call.id.hash(hasher);
    for (name, _, setting) in &call.options.settings {
        name.hash(hasher);
        hash_setting(setting, hasher);
    }
}

fn hash_setting(setting: &Setting, hasher: &mut impl Hasher) {
    std::mem::discriminant(&setting.value).hash(hasher);
    match &setting.value {
        Literal::String(text) | Literal::Number(_, text) => text.hash(hasher),
        Literal::Array(elements) => {
            elements.len().hash(hasher);
            elements.iter().for_each(|element| hash_setting(element, hasher));
        }
        Literal::Hash(pairs) => {
            pairs.len().hash(hasher);
            for (key, value) in pairs {
                hash_setting(key, hasher);
                hash_setting(value, hasher);
            }
        }
        Literal::Plugin(call) => hash_call(call, hasher),
    }
}

/// Whether a plugin reads files that may have changed although its settings have not: then it is
/// built anew by every reload.
pub(super) fn reads_files(spec: &Spec, options: &Options) -> bool {
    options.settings.iter().any(|(name, _, setting)| {
        spec.option(name).is_some_and(|option| option.ty == Type::Path) || setting.elements().iter().any(is_file)
    })
}

fn is_file(setting: &Setting) -> bool {
    setting.as_str().is_some_and(|text| text.starts_with('/') && Path::new(text).exists())
}
