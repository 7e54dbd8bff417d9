//! Models to quantize: the shapes of well-known ones from `fixtures/type-choice/`, true or narrow,
//! with random weights.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use fastrand::Rng;
use granule_encode::encode_rows;
use granule_format::{Array, BlockType, Draft, Endian, Metadata, Shape, TensorInfo, Value, Writer};
use granule_reader::isa::Isa;
use serde_json::Value as Json;

use super::super::matrices::{gaussian, weights};
use xtask::run::root;

/// Rows of a matrix of a narrow model, and matrices of its tensors of three dimensions.
const ROWS: u64 = 2;
const MATRICES: u64 = 4;

/// Rows up to this length stay as they are in a narrow model; others keep what is left of a
/// division by 256.
const LONGEST_ROW: u64 = 1100;

/// The models that are compared unless others are named; DeepSeek-V3 is made of a smaller relative.
pub(super) const DEFAULT: &[&str] = &[
    "llama-2-7b",
    "llama-3-70b",
    "mixtral-8x7b",
    "falcon-7b",
    "qwen3-30b-a3b",
    "deepseek-v3",
    "gpt-oss-20b",
    "gpt-oss-20b-mxfp4",
    "odd-shapes",
    "odd-names",
];

/// Metadata and tensors.
pub(super) struct Shapes {
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<(String, Vec<u64>, BlockType)>,
}

impl Shapes {
    /// The model with this name, in true size.
    pub(super) fn of(name: &str) -> anyhow::Result<Self> {
        if name == "deepseek-v3" {
            return Self::of("deepseek-v2-lite").map(Self::into_deepseek_v3);
        }
        let path = root().join("fixtures/type-choice").join(format!("{name}.json"));
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let json: Json = serde_json::from_str(&text)?;
        let list = |key: &str| json[key].as_array().with_context(|| format!("{name}: {key}"));
        let mut metadata = Metadata::new();
        for entry in list("metadata")? {
            let key = entry[0].as_str().context("a key")?;
            metadata.set(key, value(&entry[1], &entry[2]).context("a value")?);
        }
        let tensor = |json: &Json| {
            let dimensions = json[1].as_array()?.iter().map(Json::as_u64).collect::<Option<_>>()?;
            Some((
                json[0].as_str()?.to_owned(),
                dimensions,
                BlockType::from_name(json[2].as_str()?)?,
            ))
        };
        let tensors = list("tensors")?.iter().map(tensor).collect::<Option<_>>();
        Ok(Self { metadata, tensors: tensors.context("tensors")? })
    }

    /// 61 blocks, 256 experts and a compressed query in place of DeepSeek-V2-Lite's 27, 64 and a
    /// plain one.
    fn into_deepseek_v3(mut self) -> Self {
        for (key, number) in [
            ("block_count", 61_u32),
            ("leading_dense_block_count", 3),
            ("embedding_length", 7168),
            ("attention.head_count", 128),
            ("attention.q_lora_rank", 1536),
            ("expert_count", 256),
            ("expert_used_count", 8),
        ] {
            self.metadata.set(&format!("deepseek2.{key}"), number);
        }
        let parts = |block: u32| -> Vec<(String, Vec<u64>, BlockType)> {
            let source = if block < 3 { "blk.0." } else { "blk.1." };
            let of_block = self.tensors.iter().filter(|(name, ..)| name.starts_with(source));
            let renamed = of_block.flat_map(|(name, dimensions, ty)| {
                let part = &name[source.len()..];
                let wider = dimensions.iter().map(|length| match length {
                    64 => 256,
                    2048 => 7168,
                    1408 => 2048,
                    10944 => 18432,
                    other => *other,
                });
                let mut all = vec![(format!("blk.{block}.{part}"), wider.collect(), *ty)];
                if part == "attn_q.weight" {
                    all[0] = (format!("blk.{block}.attn_q_a.weight"), vec![7168, 1536], *ty);
                    all.push((format!("blk.{block}.attn_q_b.weight"), vec![1536, 24576], *ty));
                }
                all
            });
            renamed.collect()
        };
        let blocks: Vec<_> = (0..61).flat_map(parts).collect();
        let outside = self.tensors.iter().filter(|(name, ..)| !name.starts_with("blk.")).cloned();
        self.tensors = outside.chain(blocks).collect();
        self
    }

    /// The same model with few and short rows, without tensors of four dimensions, which the
    /// reference aborts on.
    pub(super) fn narrow(mut self) -> Self {
        self.tensors
            .retain(|(_, dimensions, _)| dimensions.iter().skip(3).all(|length| *length == 1));
        for (_, dimensions, _) in &mut self.tensors {
            for (place, length) in dimensions.iter_mut().enumerate() {
                *length = match place {
                    0 if *length <= LONGEST_ROW => *length,
                    0 => 256 + *length % 256,
                    1 => (*length).min(ROWS),
                    _ => (*length).min(MATRICES),
                };
            }
        }
        self
    }

    fn draft(&self) -> anyhow::Result<Draft> {
        let mut draft = Draft::new(self.metadata.clone(), Endian::Little)?;
        for (name, dimensions, ty) in &self.tensors {
            let shape = Shape::new(dimensions).context("at most four dimensions")?;
            draft.add(name, shape, (*ty).into())?;
        }
        Ok(draft)
    }

    /// A file with random weights.
    pub(super) fn write(&self, path: &Path, rng: &mut Rng) -> anyhow::Result<()> {
        let draft = self.draft()?;
        let tensors = draft.tensors().to_vec();
        let mut writer = Writer::start(Vec::new(), draft)?;
        for tensor in tensors {
            let mut out = writer.tensor(&tensor.name)?;
            out.write_all(&random(&tensor, rng)?)?;
            out.finish()?;
        }
        Ok(fs::write(path, writer.finish()?)?)
    }

    /// A file of this size that has a header and no data: for dry runs.
    pub(super) fn write_header(&self, path: &Path) -> anyhow::Result<()> {
        let draft = self.draft()?;
        let header = draft.header();
        let mut file = File::create(path)?;
        file.write_all(&header)?;
        Ok(file.set_len(header.len() as u64 + draft.data_bytes())?)
    }
}

fn value(kind: &Json, value: &Json) -> Option<Value> {
    let number = |json: &Json| u32::try_from(json.as_u64()?).ok();
    Some(match kind.as_str()? {
        "str" => value.as_str()?.into(),
        "u32" => number(value)?.into(),
        "f32" => (value.as_f64()? as f32).into(),
        "bool" => value.as_bool()?.into(),
        "arr_u32" => {
            let numbers = value.as_array()?.iter().map(number).collect::<Option<_>>()?;
            Value::Array(Array::U32(numbers))
        }
        _ => return None,
    })
}

fn random(tensor: &TensorInfo, rng: &mut Rng) -> anyhow::Result<Vec<u8>> {
    let bytes = usize::try_from(tensor.bytes().context("a size")?)?;
    let Some(ty) = tensor.ty.known() else { bail!("{} has no known type", tensor.name) };
    if ty.name().starts_with('I') && !ty.is_quantized() {
        return Ok(vec![1; bytes]);
    }
    let row = usize::try_from(tensor.shape.row())?;
    let mut values = vec![0.0; usize::try_from(tensor.shape.values().context("a size")?)?];
    for row in values.chunks_mut(row.max(1)) {
        let scale = 0.02 * (1.0 + rng.f32());
        row.fill_with(|| gaussian(rng) * scale);
    }
    let mut out = vec![0; bytes];
    if !values.is_empty() {
        encode_rows(Isa::detect(), ty, &values, row, None, &mut out)?;
    }
    Ok(out)
}

/// Random importance weights for the matrices of a model: row length and matrices of each.
pub(super) struct Matrix(pub(super) Vec<(String, u64, u64)>);

impl Matrix {
    /// For every matrix but those that `llama-imatrix` leaves out.
    pub(super) fn for_tensors<'t>(tensors: impl Iterator<Item = (&'t str, Shape)>) -> Self {
        let has_weights = |(name, shape): &(&str, Shape)| {
            let outside = ["token_embd.weight", "per_layer_token_embd.weight", "output.weight"];
            shape.dimensions().len() > 1 && name.ends_with("weight") && !outside.contains(name)
        };
        let entry = |(name, shape): (&str, Shape)| {
            let matrices = shape.dimensions().get(2).copied().unwrap_or(1);
            (name.to_owned(), shape.row(), matrices)
        };
        Self(tensors.filter(has_weights).map(entry).collect())
    }

    /// The first entry alone: enough to have a matrix.
    pub(super) fn first(mut self) -> Self {
        self.0.truncate(1);
        self
    }

    /// In GGUF form. Some experts were never used.
    pub(super) fn write_gguf(&self, path: &Path, rng: &mut Rng) -> anyhow::Result<()> {
        let mut metadata = Metadata::new();
        metadata.set("general.type", "imatrix");
        metadata.set("imatrix.datasets", Array::String(["a text.txt", "b.txt"].iter().collect()));
        metadata.set("imatrix.chunk_count", 125_u32);
        metadata.set("imatrix.chunk_size", 512_u32);
        let mut draft = Draft::new(metadata, Endian::Little)?;
        let f32 = BlockType::F32.into();
        for (name, row, matrices) in &self.0 {
            let shape = |row| Shape::new(&[row, *matrices]).context("two dimensions");
            draft.add(&format!("{name}.in_sum2"), shape(*row)?, f32)?;
            draft.add(&format!("{name}.counts"), shape(1)?, f32)?;
        }
        let mut writer = Writer::start(Vec::new(), draft)?;
        for (name, row, matrices) in &self.0 {
            let counts: Vec<f32> = (0..*matrices)
                .map(|i| if *matrices > 1 && i % 3 == 1 { 0.0 } else { rng.u32(1..9999) as f32 })
                .collect();
            let sums: Vec<f32> = counts.iter().flat_map(|_| weights(rng, *row as usize)).collect();
            for (part, values) in [("in_sum2", sums), ("counts", counts)] {
                let mut out = writer.tensor(&format!("{name}.{part}"))?;
                out.write_all(
                    &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
                )?;
                out.finish()?;
            }
        }
        Ok(fs::write(path, writer.finish()?)?)
    }

    /// In the older form.
    pub(super) fn write_dat(&self, path: &Path, rng: &mut Rng) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let integer = |bytes: &mut Vec<u8>, number: usize| {
            bytes.extend((number as i32).to_le_bytes());
        };
        integer(&mut bytes, self.0.len());
        for (index, (name, row, matrices)) in self.0.iter().enumerate() {
            integer(&mut bytes, name.len());
            bytes.extend(name.as_bytes());
            integer(&mut bytes, if index % 5 == 4 { 0 } else { 1 + index });
            integer(&mut bytes, (row * matrices) as usize);
            let values = (0..*matrices).flat_map(|_| weights(rng, *row as usize));
            bytes.extend(values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        }
        integer(&mut bytes, 77);
        integer(&mut bytes, "wiki.txt".len());
        bytes.extend(b"wiki.txt");
        Ok(fs::write(path, bytes)?)
    }
}
