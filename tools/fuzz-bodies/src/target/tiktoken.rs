//! Ranks of tiktoken, for each architecture that has them under a name of its own.

use granule_checkpoint::Layout;

use super::mistral::base64;
use super::vocabulary;
use crate::parts::{number, parts};
use crate::{folder, write};

/// The class, and the name of the file.
const CLASSES: &[(&str, &str)] = &[
    ("QWenLMHeadModel", "qwen.tiktoken"),
    ("HunYuanMoEV1ForCausalLM", "hy.tiktoken"),
    ("ChatGLMModel", "tokenizer.model"),
    ("DeepseekV3ForCausalLM", "tiktoken.model"),
    ("StableLmForCausalLM", "arcade100k.tiktoken"),
];

pub(super) fn run(input: &[u8]) {
    let ([choice, size], input) = number(input);
    let [tokenizer_config, ranks] = parts(input);
    let (class, file) = CLASSES[usize::from(choice & 7) % CLASSES.len()];
    let folder = folder();
    let vocabulary = if size == 0 { 0 } else { 256 + 2 * u32::from(size) };
    let sized = if size == 0 { String::new() } else { format!(r#","vocab_size":{vocabulary}"#) };
    let config = format!(
        r#"{{"architectures":["{class}"],"hidden_size":4,"num_hidden_layers":1,
"num_attention_heads":1,"intermediate_size":4,"max_position_embeddings":8{sized}}}"#
    );
    write(&folder, "config.json", config.as_bytes());
    if !tokenizer_config.is_empty() {
        write(&folder, "tokenizer_config.json", tokenizer_config);
    }
    let has_all_bytes = choice & 8 != 0;
    if has_all_bytes {
        write(&folder, file, &lines(ranks));
    } else {
        write(&folder, file, ranks);
    }
    if let Some(opened) = vocabulary::open(&folder, Layout::HuggingFace)
        // otherwise merges may begin with bytes that are no tokens, and tokens may be replaced
        && has_all_bytes
        && tokenizer_config.is_empty()
        && size == 0
    {
        vocabulary::check_merges(&opened);
    }
}

/// The tokens of the input, one a line, in base64 with their ranks after single bytes.
fn lines(input: &[u8]) -> Vec<u8> {
    let single = (0..=255_u8).map(|byte| base64(&[byte]));
    let tokens = single.chain(input.split(|byte| *byte == b'\n').map(base64));
    let text: String =
        tokens.enumerate().map(|(rank, token)| format!("{token} {rank}\n")).collect();
    text.into_bytes()
}
