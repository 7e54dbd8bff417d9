//! The files that describe projectors, as text.

/// The table of projectors: file name and text.
#[rustfmt::skip]
pub(super) const PROJECTORS: &[(&str, &str)] = &[
    ("audio-flamingo3.toml", include_str!("mmproj/audio-flamingo3.toml")),
    ("cogvlm.toml", include_str!("mmproj/cogvlm.toml")),
    ("deepseek-ocr.toml", include_str!("mmproj/deepseek-ocr.toml")),
    ("deepseek-ocr2.toml", include_str!("mmproj/deepseek-ocr2.toml")),
    ("deepseek4v.toml", include_str!("mmproj/deepseek4v.toml")),
    ("dots-ocr.toml", include_str!("mmproj/dots-ocr.toml")),
    ("dots3.toml", include_str!("mmproj/dots3.toml")),
    ("exaone4_5.toml", include_str!("mmproj/exaone4_5.toml")),
    ("gemma3.toml", include_str!("mmproj/gemma3.toml")),
    ("gemma3n.toml", include_str!("mmproj/gemma3n.toml")),
    ("gemma4-unified.toml", include_str!("mmproj/gemma4-unified.toml")),
    ("gemma4.toml", include_str!("mmproj/gemma4.toml")),
    ("glm4v.toml", include_str!("mmproj/glm4v.toml")),
    ("glm5next.toml", include_str!("mmproj/glm5next.toml")),
    ("glmasr.toml", include_str!("mmproj/glmasr.toml")),
    ("granite-speech.toml", include_str!("mmproj/granite-speech.toml")),
    ("granite4-vision.toml", include_str!("mmproj/granite4-vision.toml")),
    ("hunyuan-vl.toml", include_str!("mmproj/hunyuan-vl.toml")),
    ("idefics3.toml", include_str!("mmproj/idefics3.toml")),
    ("internvl.toml", include_str!("mmproj/internvl.toml")),
    ("janus-pro.toml", include_str!("mmproj/janus-pro.toml")),
    ("kimi-k25.toml", include_str!("mmproj/kimi-k25.toml")),
    ("kimi-vl.toml", include_str!("mmproj/kimi-vl.toml")),
    ("lfm2-audio.toml", include_str!("mmproj/lfm2-audio.toml")),
    ("lfm2-vl.toml", include_str!("mmproj/lfm2-vl.toml")),
    ("lighton-ocr.toml", include_str!("mmproj/lighton-ocr.toml")),
    ("ling3vl.toml", include_str!("mmproj/ling3vl.toml")),
    ("llama4.toml", include_str!("mmproj/llama4.toml")),
    ("meralion2.toml", include_str!("mmproj/meralion2.toml")),
    ("mimo2.toml", include_str!("mmproj/mimo2.toml")),
    ("minicpmv4_6.toml", include_str!("mmproj/minicpmv4_6.toml")),
    ("minimax-m3.toml", include_str!("mmproj/minimax-m3.toml")),
    ("muse-glimmer.toml", include_str!("mmproj/muse-glimmer.toml")),
    ("nemotron-vl.toml", include_str!("mmproj/nemotron-vl.toml")),
    ("paddleocr.toml", include_str!("mmproj/paddleocr.toml")),
    ("phi4v.toml", include_str!("mmproj/phi4v.toml")),
    ("params.toml", include_str!("mmproj/params.toml")),
    ("pixtral.toml", include_str!("mmproj/pixtral.toml")),
    ("pockettts.toml", include_str!("mmproj/pockettts.toml")),
    ("qwen2-audio.toml", include_str!("mmproj/qwen2-audio.toml")),
    ("qwen25-omni.toml", include_str!("mmproj/qwen25-omni.toml")),
    ("qwen2vl.toml", include_str!("mmproj/qwen2vl.toml")),
    ("qwen3-asr.toml", include_str!("mmproj/qwen3-asr.toml")),
    ("qwen3-omni.toml", include_str!("mmproj/qwen3-omni.toml")),
    ("qwen3-tts.toml", include_str!("mmproj/qwen3-tts.toml")),
    ("qwen3vl.toml", include_str!("mmproj/qwen3vl.toml")),
    ("sarashina2.toml", include_str!("mmproj/sarashina2.toml")),
    ("step3vl.toml", include_str!("mmproj/step3vl.toml")),
    ("ultravox.toml", include_str!("mmproj/ultravox.toml")),
    ("voxtral.toml", include_str!("mmproj/voxtral.toml")),
    ("youtu-vl.toml", include_str!("mmproj/youtu-vl.toml")),
];

/// What several projectors have in common.
pub(super) const PROJECTOR_GROUPS: &[(&str, &str)] = &[
    ("common.toml", include_str!("mmproj/groups/common.toml")),
    ("qwen.toml", include_str!("mmproj/groups/qwen.toml")),
    ("sound.toml", include_str!("mmproj/groups/sound.toml")),
];

/// What the configuration classes of the reference's library fill in.
pub(super) const PROJECTOR_DEFAULTS: (&str, &str) =
    ("defaults.toml", include_str!("mmproj/defaults.toml"));
