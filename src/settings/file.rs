//! `logboom.yml` and `pipelines.yml`: YAML, nested or with dotted names, `${NAME:default}` in
//! values.

use super::{Settings, SettingsError, table, unquote};
use crate::language::variable::{Environment, substitute};
use serde_yaml_ng::Value as Yaml;
use std::path::Path;

/// The names of the settings file, in order of preference.
const NAMES: [&str; 2] = ["logboom.yml", "logstash.yml"];

impl Settings {
    /// Reads the settings file of a folder, if there is one; says which. All mistakes at once.
    pub fn read_folder(&mut self, folder: &Path, environment: Environment<'_>) -> Result<(), SettingsError> {
        if !folder.is_dir() {
            let message = format!("cannot read `path.settings`: {} is no folder", folder.display());
            return Err(SettingsError(vec![message]));
        }
        let Some(path) = NAMES.map(|name| folder.join(name)).into_iter().find(|path| path.exists()) else {
            return Ok(());
        };
        let yaml = read(&path)?;
        let mut mistakes = Vec::new();
        match yaml {
            Yaml::Mapping(_) => self.apply(&yaml, environment, &mut mistakes),
            Yaml::Null => {}
            _ => mistakes.push("expected settings, `name: value` each".to_owned()),
        }
        said_of(&path, mistakes)
    }

    /// Says that a setting is from the command line: [`Settings::reread`] leaves it alone.
    pub fn hold(&mut self, name: &str) {
        self.held.extend(super::table::find(name).map(|def| def.name));
    }

    /// The same, but some settings as their file holds them now, if they come from there.
    pub fn reread(&self, names: &[&'static str], environment: Environment<'_>) -> Result<Settings, SettingsError> {
        let mut settings = self.clone();
        let Some(folder) = self.folder() else { return Ok(settings) };
        let mut fresh = Settings::new(environment);
        fresh.read_folder(folder, environment)?;
        for name in names.iter().filter(|name| !self.held.contains(**name)) {
            match fresh.values.remove(name) {
                Some(value) => settings.values.insert(name, value),
                None => settings.values.remove(name),
            };
        }
        Ok(settings)
    }

    /// What the settings file of a folder holds, as it is written: for what must be known before
    /// variables have values.
    pub fn peek(folder: &Path) -> Vec<(String, String)> {
        let path = NAMES.map(|name| folder.join(name)).into_iter().find(|path| path.exists());
        let Some(yaml) = path.and_then(|path| read(&path).ok()) else { return Vec::new() };
        let mut pairs = Vec::new();
        flatten(&yaml, "", &mut pairs, &mut Vec::new());
        pairs.into_iter().filter_map(|(name, texts)| Some((name, texts?.into_iter().next()?))).collect()
    }

    /// Sets all settings of a mapping.
    fn apply(&mut self, yaml: &Yaml, environment: Environment<'_>, mistakes: &mut Vec<String>) {
        let mut pairs = Vec::new();
        flatten(yaml, "", &mut pairs, mistakes);
        for (name, texts) in pairs {
            // Commented out but for its name: as if it were not there.
            let Some(texts) = texts else { continue };
            let texts: Result<Vec<String>, _> = texts.iter().map(|text| resolve(text, environment)).collect();
            let result = match texts {
                Ok(texts) => self.set_list(&name, texts),
                Err(error) => Err(format!("`{name}`: {error}")),
            };
            mistakes.extend(result.err());
        }
    }
}

/// The pipelines to run, each with its own settings: that of `-e` or `-f` where given, else those
/// of `pipelines.yml` in `path.settings`.
pub fn pipelines(settings: &Settings, environment: Environment<'_>) -> Result<Vec<Settings>, SettingsError> {
    if settings.text("config.string").is_some() || !settings.list("path.config").is_empty() {
        let mistakes = settings.mistakes();
        return if mistakes.is_empty() { Ok(vec![settings.clone()]) } else { Err(SettingsError(mistakes)) };
    }
    let Some(folder) = settings.folder() else {
        let message = "nothing to run: give a pipeline with `-e TEXT` or `-f FILE`, or with `--path.settings FOLDER` \
                       a folder that holds `pipelines.yml`";
        return Err(SettingsError(vec![message.to_owned()]));
    };
    let path = folder.join("pipelines.yml");
    let yaml = read(&path)?;
    if matches!(yaml, Yaml::Null) {
        let message = "it names no pipeline; give one with `-e TEXT` or `-f FILE`";
        return said_of(&path, vec![message.to_owned()]).map(|()| Vec::new());
    }
    let Yaml::Sequence(entries) = yaml else {
        return said_of(&path, vec!["expected a list of pipelines, `- pipeline.id: …` each".to_owned()])
            .map(|()| Vec::new());
    };
    let mut mistakes = Vec::new();
    let mut all: Vec<Settings> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let pipeline = pipeline(settings, entry, environment, &mut mistakes);
        if all.iter().any(|other| other.pipeline_id() == pipeline.pipeline_id()) {
            mistakes.push(format!("two pipelines have the id `{}`", pipeline.pipeline_id()));
        }
        all.push(pipeline);
    }
    if all.is_empty() {
        mistakes.push("expected at least one pipeline".to_owned());
    }
    said_of(&path, mistakes).map(|()| all)
}

/// The settings of one entry of `pipelines.yml`, on top of those of the process.
fn pipeline(settings: &Settings, entry: &Yaml, environment: Environment<'_>, mistakes: &mut Vec<String>) -> Settings {
    let mut pipeline = settings.clone();
    let mut own = Vec::new();
    if !matches!(entry, Yaml::Mapping(_)) {
        mistakes.push("expected settings, `name: value` each, for every pipeline".to_owned());
        return pipeline;
    }
    pipeline.apply(entry, environment, &mut own);
    let mut pairs = Vec::new();
    flatten(entry, "", &mut pairs, &mut Vec::new());
    for (name, _) in &pairs {
        if table::find(name).is_some_and(|def| !def.pipeline) {
            own.push(format!("`{name}` is a setting of the whole process: it belongs in `logboom.yml`"));
        }
    }
    if own.is_empty() {
        if pipeline.text("config.string").is_none() && pipeline.list("path.config").is_empty() {
            own.push("expected `path.config` or `config.string`".to_owned());
        }
        own.extend(pipeline.mistakes());
    }
    let id = pipeline.pipeline_id().to_owned();
    mistakes.extend(own.into_iter().map(|mistake| format!("pipeline `{id}`: {mistake}")));
    pipeline
}

fn read(path: &Path) -> Result<Yaml, SettingsError> {
    let failed = |cause: String| SettingsError(vec![format!("cannot read {}: {cause}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_yaml_ng::from_str(&text).map_err(|error| failed(error.to_string()))
}

fn said_of(path: &Path, mistakes: Vec<String>) -> Result<(), SettingsError> {
    if mistakes.is_empty() {
        return Ok(());
    }
    let lines = mistakes.into_iter().map(|mistake| format!("cannot read {}: {mistake}", path.display()));
    Err(SettingsError(lines.collect()))
}

/// `a: { b: 1 }` and `a.b: 1` are the same. `None` stands for a name without value.
fn flatten(yaml: &Yaml, prefix: &str, out: &mut Vec<(String, Option<Vec<String>>)>, mistakes: &mut Vec<String>) {
    let Yaml::Mapping(mapping) = yaml else { return };
    for (key, value) in mapping {
        let Some(key) = scalar(key) else {
            mistakes.push("a name of a setting is a text".to_owned());
            continue;
        };
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Yaml::Null => out.push((name, None)),
            _ if table::find(&name).is_some_and(|def| def.ty == table::Type::Endpoints) => {
                let elements = match value {
                    Yaml::Sequence(elements) => &elements[..],
                    one => std::slice::from_ref(one),
                };
                out.push((name, Some(elements.iter().map(endpoint).collect())));
            }
            Yaml::Mapping(_) => flatten(value, &name, out, mistakes),
            Yaml::Sequence(elements) => match elements.iter().map(scalar).collect::<Option<Vec<String>>>() {
                Some(texts) => out.push((name, Some(texts))),
                // `modules` and `var.*` of Logstash are lists of hashes: known, and refused elsewhere.
                None => out.push((name, Some(vec![String::new()]))),
            },
            value => out.push((name, scalar(value).map(|text| vec![text]))),
        }
    }
}

/// An URL, or an object as JSON.
fn endpoint(yaml: &Yaml) -> String {
    scalar(yaml).or_else(|| serde_json::to_string(yaml).ok()).unwrap_or_default()
}

fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(truth) => Some(truth.to_string()),
        Yaml::Null | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => None,
    }
}

/// A value with its variables replaced. Quotes that a variable brought along are dropped.
fn resolve(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let resolved = substitute(text, environment).map_err(|error| error.to_string())?;
    if resolved == text { Ok(text.to_owned()) } else { Ok(unquote(&resolved).to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOME" => Some("/home/u".to_owned()),
            "WORKERS" => Some("\"7\"".to_owned()),
            _ => None,
        }
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read_from(files: &[(&str, &str)]) -> Result<Settings, String> {
        let folder = folder(files);
        let mut settings = Settings::new(&environment);
        let read = settings.read_folder(folder.path(), &environment);
        let cut = |error: SettingsError| error.to_string().replace(&format!("{}/", folder.path().display()), "");
        read.map(|()| settings).map_err(cut)
    }

    #[test]
    fn flat_and_nested_names_are_the_same() {
        let yaml = "pipeline:\n  workers: ${WORKERS}\n  batch.size: 50\nindex.epoch: { interval: 50ms }\n\
                    config.support_escapes: ${ESC:true}\npath.logs:\nindex.text_fields: [a, b]\n";
        let settings = read_from(&[("logstash.yml", yaml)]).unwrap();
        assert_eq!((settings.workers(), settings.batch_size()), (7, 50));
        assert_eq!(settings.index().epoch_interval, Duration::from_millis(50));
        assert!(settings.support_escapes());
        assert_eq!(settings.list("index.text_fields"), ["a", "b"]);
        let both = [("logstash.yml", "pipeline.workers: 1"), ("logboom.yml", "pipeline.workers: 2")];
        assert_eq!(read_from(&both).unwrap().workers(), 2);
        assert!(read_from(&[]).is_ok());
        assert!(read_from(&[("logboom.yml", "# nothing\n")]).is_ok());
    }

    #[test]
    fn settings_are_read_again_but_for_those_of_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("logboom.yml"), text).unwrap();
        let environment = |_: &str| None;
        write("rules.files: [a]\nrules.external_url: http://a\nrules.resend_delay: 2s\n");
        let mut settings = Settings::new(&environment);
        settings.read_folder(folder.path(), &environment).unwrap();
        for (name, value) in [("path.settings", folder.path().to_str().unwrap()), ("rules.external_url", "http://b")] {
            settings.set(name, value).unwrap();
            settings.hold(name);
        }
        write("rules.files: [b, c]\nrules.external_url: http://c\n");
        let again = settings.reread(&["rules.external_url", "rules.files"], &environment).unwrap();
        assert_eq!(again.list("rules.files"), ["b", "c"]);
        assert_eq!(again.text("rules.external_url"), Some("http://b"));
        assert_eq!(again.time("rules.resend_delay"), Some(Duration::from_secs(2)), "not asked for");
        write("");
        assert!(settings.reread(&["rules.files"], &environment).unwrap().list("rules.files").is_empty());
        write("rules.flies: x\n");
        assert!(settings.reread(&["rules.files"], &environment).is_err());
    }

    #[test]
    fn all_mistakes_of_a_file_are_told() {
        let yaml = "pipeline.wrokers: 2\nlog.level: loud\npath.data: ${NONE}\n";
        let want = "cannot read logboom.yml: unknown setting `pipeline.wrokers`: did you mean `pipeline.workers`?\n\
                    cannot read logboom.yml: `log.level` needs one of fatal, error, warn, info, debug, trace, not `loud`\n\
                    cannot read logboom.yml: `path.data`: environment variable `NONE` is not set and has no default";
        assert_eq!(read_from(&[("logboom.yml", yaml)]).unwrap_err(), want);
        assert!(read_from(&[("logboom.yml", "a: [")]).unwrap_err().starts_with("cannot read logboom.yml: "));
        assert!(read_from(&[("logboom.yml", "- 1")]).unwrap_err().contains("expected settings"));
    }

    #[test]
    fn pipelines_have_settings_of_their_own() {
        let yaml = "- pipeline.id: one\n  path.config: /a\n  pipeline.workers: 3\n- pipeline.id: two\n  config.string: \"input { }\"\n  pipeline: { ecs_compatibility: disabled }\n";
        let folder = folder(&[("pipelines.yml", yaml), ("logboom.yml", "pipeline.workers: 2")]);
        let mut settings = Settings::new(&environment);
        settings.read_folder(folder.path(), &environment).unwrap();
        settings.set("path.settings", folder.path().to_str().unwrap()).unwrap();
        let all = pipelines(&settings, &environment).unwrap();
        let seen: Vec<_> = all.iter().map(|p| (p.pipeline_id(), p.workers(), p.ecs())).collect();
        assert_eq!(seen, [("one", 3, true), ("two", 2, false)]);
        // A pipeline on the command line goes before the file.
        settings.set("config.string", "input { }").unwrap();
        assert_eq!(pipelines(&settings, &environment).unwrap().len(), 1);
    }

    #[test]
    fn mistakes_of_pipelines_name_the_pipeline() {
        let check = |yaml: &str, want: &str| {
            let folder = folder(&[("pipelines.yml", yaml)]);
            let mut settings = Settings::new(&environment);
            settings.set("path.settings", folder.path().to_str().unwrap()).unwrap();
            let error = pipelines(&settings, &environment).unwrap_err().to_string();
            assert!(error.contains(want), "{yaml}: {error}");
        };
        check("- pipeline.id: one\n", "pipeline `one`: expected `path.config` or `config.string`");
        check(
            "- pipeline.id: one\n  path.config: /a\n  path.data: /b\n",
            "`path.data` is a setting of the whole process",
        );
        check("- path.config: /a\n- path.config: /b\n", "two pipelines have the id `main`");
        check("a: 1\n", "expected a list of pipelines");
        check("[]", "expected at least one pipeline");
        check("- 1\n", "expected settings");
        let nothing = pipelines(&Settings::new(&environment), &environment).unwrap_err().to_string();
        assert!(nothing.starts_with("nothing to run"), "{nothing}");
    }
}
