//! `general.*`: the name of the model, its authors and its origin.
//!
//! The values come from the model card, `config.json`, `generation_config.json`, the folder's name
//! and a file of overrides. Earlier sources win over later ones, except that overrides always win.

mod card;
mod gather;
mod name;
mod parameters;

use granule_format::{Array, Metadata, StringArray};
use serde_json::{Map, Value};

pub(crate) use parameters::Parameters;

/// `general.quantization_version`: the layout of quantized blocks that ggml has had since 2023.
pub(crate) const QUANTIZATION_VERSION: u32 = 2;

/// The known facts about the model, under the last part of their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authorship {
    fields: Map<String, Value>,
}

/// The form of a field in the metadata.
enum Form {
    Text,
    Integer,
    Float,
    /// A string, or a list of strings joined with commas.
    Joined,
    Texts,
    /// A list of models or datasets: a count, and the known facts about each.
    Sources,
}

/// The fields in output order, with the key after `general.`.
const FIELDS: &[(&str, Form)] = &[
    ("sampling.sequence", Form::Text),
    ("sampling.top_k", Form::Integer),
    ("sampling.top_p", Form::Float),
    ("sampling.min_p", Form::Float),
    ("sampling.xtc_probability", Form::Float),
    ("sampling.xtc_threshold", Form::Float),
    ("sampling.temp", Form::Float),
    ("sampling.penalty_last_n", Form::Integer),
    ("sampling.penalty_repeat", Form::Float),
    ("sampling.mirostat", Form::Integer),
    ("sampling.mirostat_tau", Form::Float),
    ("sampling.mirostat_eta", Form::Float),
    ("name", Form::Text),
    ("author", Form::Text),
    ("version", Form::Text),
    ("organization", Form::Text),
    ("finetune", Form::Text),
    ("basename", Form::Text),
    ("description", Form::Text),
    ("quantized_by", Form::Text),
    ("size_label", Form::Text),
    ("license", Form::Joined),
    ("license.name", Form::Text),
    ("license.link", Form::Text),
    ("url", Form::Text),
    ("doi", Form::Text),
    ("uuid", Form::Text),
    ("repo_url", Form::Text),
    ("source.url", Form::Text),
    ("source.doi", Form::Text),
    ("source.uuid", Form::Text),
    ("source.repo_url", Form::Text),
    ("base_model", Form::Sources),
    ("dataset", Form::Sources),
    ("tags", Form::Texts),
    ("languages", Form::Texts),
];

/// The facts about a model or dataset that this model comes from, in output order.
const SOURCE_FIELDS: &[&str] =
    &["name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"];

impl Authorship {
    /// Writes all fields, except empty strings and lists.
    pub(crate) fn write(&self, out: &mut Metadata) {
        for (field, form) in FIELDS {
            let Some(value) = self.fields.get(*field) else { continue };
            let key = format!("general.{field}");
            match form {
                Form::Text => set_text(out, &key, value),
                Form::Integer => {
                    if let Some(number) =
                        value.as_i64().and_then(|number| i32::try_from(number).ok())
                    {
                        out.set(&key, number);
                    }
                }
                Form::Float => {
                    if let Some(number) = value.as_f64() {
                        out.set(&key, number as f32);
                    }
                }
                Form::Joined => match value {
                    Value::Array(items) => {
                        let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                        set_text(out, &key, &items.join(",").into());
                    }
                    _ => set_text(out, &key, value),
                },
                Form::Texts => {
                    let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                    let items: StringArray = items.collect();
                    if !items.is_empty() {
                        out.set(&key, Array::String(items));
                    }
                }
                Form::Sources => {
                    let items = value.as_array().map_or(&[][..], Vec::as_slice);
                    out.set(&format!("{key}.count"), items.len() as u32);
                    for (i, item) in items.iter().enumerate() {
                        for field in SOURCE_FIELDS {
                            if let Some(value) = item.get(field) {
                                set_text(out, &format!("{key}.{i}.{field}"), value);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Returns the file name that the reference chooses, without its extension. `ty` is the type in
    /// the name; `None` stands for a vocabulary without tensors. `sized` says whether the name has
    /// the number of parameters.
    pub(crate) fn file_stem(&self, ty: Option<&str>, sized: bool) -> String {
        let dashed = |text: &str| text.trim().replace(' ', "-");
        let text = |field: &str| self.fields.get(field).and_then(Value::as_str);
        let mut stem = dashed(text("basename").or(text("name")).unwrap_or("ggml-model"));
        stem = stem.replace('/', "-");
        let size = text("size_label").filter(|_| sized);
        for part in [size, text("finetune"), text("version")].into_iter().flatten() {
            stem = stem + "-" + &dashed(part);
        }
        stem + "-" + ty.unwrap_or("vocab")
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }
}

fn set_text(out: &mut Metadata, key: &str, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return,
    };
    if !text.is_empty() {
        out.set(key, text);
    }
}
