//! Every option of every command, and where it has no effect.

/// What is known about an option.
pub(super) enum Case {
    /// A line in which it has no effect, and a part of what is said: an error, or a warning.
    Refused(&'static str, &'static str),
    Warned(&'static str, &'static str),
    /// There is no such line, or nothing is to be said: why.
    Always(&'static str),
}

use Case::{Always, Refused, Warned};

/// Nothing was lost or left undone: what the option keeps from happening did not happen.
pub(super) const LIMIT: &str = "a limit or a permission that was not needed is kept";
const NO_MODEL: &str = "has no effect: no model is named";
const OF_THE_BASE: &str = "has no effect: without --text the tokens are those of --base";
pub(super) const OUTPUT: &str = "decides where or how the result is shown";
const WITHOUT_SIZE: &str = "has no effect without --target-size or --like";

/// The table.
pub(super) const OPTIONS: &[(&str, &str, Case)] = &[
    ("check", "--strict", Always("a rule for the exit status")),
    ("check", "--structure-only", Always("less is done")),
    ("check", "--json", Refused("check model.gguf --json --quiet", "cannot be used with")),
    ("check", "--quiet", Refused("check model.gguf --quiet --json", "cannot be used with")),
    ("explain", "--json", Always(OUTPUT)),
    ("types", "--json", Always(OUTPUT)),
    ("imatrix", "--output", Always(OUTPUT)),
    ("imatrix", "--text", Refused("imatrix --merge all.dat -o a.gguf --text empty.txt", NO_MODEL)),
    ("imatrix", "--chunk-tokens", Refused("imatrix --merge all.dat -o a.gguf -c 9", NO_MODEL)),
    ("imatrix", "--chunks", Refused("imatrix --merge all.dat -o a.gguf --chunks 9", NO_MODEL)),
    (
        "imatrix",
        "--skip-chunks",
        Refused("imatrix --merge all.dat -o a.gguf --skip-chunks 9", NO_MODEL),
    ),
    (
        "imatrix",
        "--parse-special",
        Refused("imatrix --merge all.dat -o a.gguf --parse-special", NO_MODEL),
    ),
    ("imatrix", "--resume", Refused("imatrix --merge all.dat -o a.gguf --resume r", NO_MODEL)),
    ("imatrix", "--memory", Refused("imatrix --merge all.dat -o a.gguf --memory 9", NO_MODEL)),
    (
        "imatrix",
        "--process-output",
        Warned("imatrix ck --text text.txt -c 8 --statistics --process-output", "no tensor output"),
    ),
    (
        "imatrix",
        "--all-experts",
        Warned("imatrix ck --text text.txt -c 8 --statistics --all-experts", "has no experts"),
    ),
    (
        "imatrix",
        "--part",
        Refused("imatrix --merge all.dat -o a.gguf --part 1/2", "cannot be used with"),
    ),
    (
        "imatrix",
        "--moments",
        Refused("imatrix --merge all.dat -o a.gguf --moments", "cannot be used with"),
    ),
    ("imatrix", "--merge", Always("adds what is in files")),
    ("imatrix", "--statistics", Always(OUTPUT)),
    (
        "imatrix",
        "--threads",
        Warned("imatrix ck --text text.txt -c 8 --statistics -j 70000", "-j 70000 is cut to"),
    ),
    ("imatrix", "--quiet", Always(OUTPUT)),
    ("imatrix", "--json", Always(OUTPUT)),
    ("measure", "--against", Refused("measure ck --against ck --base b", "cannot be used with")),
    ("measure", "--base", Refused("measure ck --base b --save-base c", "cannot be used with")),
    ("measure", "--save-base", Refused("measure ck ck --save-base c", "of one model")),
    ("measure", "--base-form", Refused("measure ck --base-form llama", "without --save-base")),
    ("measure", "--part", Refused("measure ck --part 1/2 -o p --weights", "cannot be used with")),
    ("measure", "--output", Always(OUTPUT)),
    ("measure", "--merge", Refused("measure ck --merge p", "cannot be used with")),
    ("measure", "--text", Always("decides what is measured")),
    ("measure", "--chunk-tokens", Refused("measure ck --base model.gguf -c 9", OF_THE_BASE)),
    ("measure", "--chunks", Refused("measure ck --base model.gguf --chunks 9", OF_THE_BASE)),
    (
        "measure",
        "--skip-chunks",
        Refused("measure ck --base model.gguf --skip-chunks 9", OF_THE_BASE),
    ),
    (
        "measure",
        "--parse-special",
        Refused("measure ck --base model.gguf --parse-special", OF_THE_BASE),
    ),
    ("measure", "--resume", Always(LIMIT)),
    ("measure", "--memory", Refused("measure ck --memory 9 --resume r", "cannot be used with")),
    ("measure", "--weights", Refused("measure ck --weights", "without --against")),
    ("measure", "--imatrix", Refused("measure ck --imatrix all.dat", "without --weights")),
    ("measure", "--allow-quantized-original", Always(LIMIT)),
    (
        "measure",
        "--threads",
        Warned("measure ck --text text.txt -c 8 -j 70000", "-j 70000 is cut to"),
    ),
    ("measure", "--quiet", Always(OUTPUT)),
    ("measure", "--json", Always(OUTPUT)),
    ("inspect", "--json", Always(OUTPUT)),
    ("inspect", "--metadata", Always(OUTPUT)),
    ("inspect", "--tensors", Always(OUTPUT)),
    ("inspect", "--totals", Always(OUTPUT)),
    ("inspect", "--filter", Warned("inspect model.gguf --filter nosuch", "matches --filter")),
    ("inspect", "--full", Warned("inspect model.gguf --tensors --full", "--full has no effect")),
    ("inspect", "--alone", Warned("inspect model.gguf --alone", "--alone has no effect")),
    ("export", "--output", Always(OUTPUT)),
    ("export", "--type", Always("one type for all tensors")),
    ("export", "--max-shard-size", Always(LIMIT)),
    (
        "export",
        "--config",
        Refused("export model.gguf -o d --plain --config ck/config.json", "cannot be used with"),
    ),
    (
        "export",
        "--arch",
        Warned("export model.gguf -o d --dry-run --arch gpt2.toml", "gpt2.toml has no effect"),
    ),
    (
        "export",
        "--plain",
        Refused("export model.gguf -o d --plain --arch gpt2.toml", "cannot be used"),
    ),
    (
        "export",
        "--threads",
        Warned("export model.gguf -o d --dry-run -j 70000", "-j 70000 is cut to"),
    ),
    ("export", "--dry-run", Always(OUTPUT)),
    ("export", "--quiet", Always(OUTPUT)),
    ("export", "--json", Always(OUTPUT)),
    ("generate", "--prompt", Always("what is continued")),
    ("generate", "--tokens", Always(LIMIT)),
    ("generate", "--temp", Always("0 stands for the likeliest token")),
    (
        "generate",
        "--seed",
        Refused("generate ck --prompt a --seed 1", "--seed has no effect at temperature 0"),
    ),
    ("generate", "--top-k", Refused("generate ck --prompt a --top-k 5", "--top-k has no effect")),
    ("generate", "--top-p", Refused("generate ck --prompt a --top-p 0.5", "--top-p has no effect")),
    ("generate", "--exact", Always("another way to compute the same")),
    ("generate", "--threads", Warned("generate ck --prompt a -n 1 -j 70000", "-j 70000 is cut to")),
    ("generate", "--quiet", Always(OUTPUT)),
    ("generate", "--json", Always(OUTPUT)),
    ("convert", "--output", Always(OUTPUT)),
    ("convert", "--outfile", Always("another name of --output")),
    (
        "convert",
        "--type",
        Refused("convert model.gguf -t Q4_K -t q4_k_m", "-t Q4_K_M is given twice"),
    ),
    (
        "convert",
        "--outtype",
        Refused("convert model.gguf -t Q4_0 --outtype f16", "--outtype is for"),
    ),
    (
        "convert",
        "--threads",
        Warned("convert model.gguf -t Q8_0 --dry-run -j 70000", "-j 70000 is cut"),
    ),
    (
        "convert",
        "--imatrix",
        Warned("convert model.gguf -t Q8_0 --dry-run --imatrix all.dat", "--imatrix has no effect"),
    ),
    (
        "convert",
        "--include-weights",
        Refused(
            "convert model.gguf -t Q4_0 --include-weights ffn",
            "there is no importance matrix",
        ),
    ),
    (
        "convert",
        "--exclude-weights",
        Refused(
            "convert model.gguf -t Q4_0 --imatrix all.dat --exclude-weights fnn",
            "--exclude-weights \"fnn\" has no effect: no name in the importance matrix",
        ),
    ),
    (
        "convert",
        "--effort",
        Warned("convert model.gguf -t F16 --dry-run --effort 1", "--effort has no effect"),
    ),
    (
        "convert",
        "--calibrate",
        Refused("convert model.gguf -t Q4_0 --calibrate text.txt", "without --effort 2"),
    ),
    (
        "convert",
        "--statistics",
        Refused("convert model.gguf -t Q4_0 --statistics all.dat", "without --effort 2"),
    ),
    (
        "convert",
        "--save-statistics",
        Refused("convert model.gguf -t Q4_0 --save-statistics s.gguf", "without --effort 2"),
    ),
    (
        "convert",
        "--calibration-chunks",
        Refused("convert model.gguf -t Q4_0 --calibration-chunks 3", "without --effort 2"),
    ),
    (
        "convert",
        "--calibration-width",
        Refused(
            "convert model.gguf -t Q4_0 --effort 2 --calibration-width full",
            "without --calibrate",
        ),
    ),
    (
        "convert",
        "--damping",
        Refused("convert model.gguf -t Q4_0 --effort 1 --damping 0.1", "without --effort 2"),
    ),
    (
        "convert",
        "--pure",
        Warned("convert model.gguf -t F16 --dry-run --pure", "--pure has no effect"),
    ),
    (
        "convert",
        "--leave-output-tensor",
        Warned(
            "convert model.gguf -t COPY --dry-run --leave-output-tensor",
            "--leave-output-tensor has no effect",
        ),
    ),
    (
        "convert",
        "--output-tensor-type",
        Refused(
            "convert model.gguf -t Q4_0 --output-tensor-type q8_0 --leave-output-tensor",
            "--output-tensor-type Q8_0 has no effect",
        ),
    ),
    (
        "convert",
        "--token-embedding-type",
        Refused(
            "convert one.gguf -t Q4_0 --token-embedding-type q8_0",
            "--token-embedding-type Q8_0 has no effect",
        ),
    ),
    (
        "convert",
        "--tensor-type",
        Refused("convert model.gguf -t Q4_0 --tensor-type nosuch=q8_0", "matches no tensor name"),
    ),
    (
        "convert",
        "--tensor-type-file",
        Warned(
            "convert model.gguf -t Q4_0 --dry-run --tensor-type-file empty.txt",
            "empty.txt has no effect: the file has no entries",
        ),
    ),
    (
        "convert",
        "--allow-requantize",
        Warned("convert model.gguf -t COPY --dry-run --allow-requantize", "COPY converts nothing"),
    ),
    (
        "convert",
        "--no-fallback",
        Warned("convert model.gguf -t COPY --dry-run --no-fallback", "COPY converts nothing"),
    ),
    ("convert", "--allow-missing", Refused("convert ck --allow-missing", "needs a file type")),
    (
        "convert",
        "--max-buffer-size",
        Warned("convert model.gguf -t Q4_0 --dry-run --max-buffer-size 8", "memory is bounded"),
    ),
    (
        "convert",
        "--use-temp-file",
        Warned("convert ck --dry-run --use-temp-file", "--use-temp-file has no effect"),
    ),
    ("convert", "--no-lazy", Warned("convert ck --dry-run --no-lazy", "--no-lazy has no effect")),
    ("convert", "--verbose", Warned("convert ck --dry-run --verbose", "--verbose has no effect")),
    (
        "convert",
        "--prune-layers",
        Refused(
            "convert model.gguf -t Q4_0 --prune-layers 0,99",
            "--prune-layers 99 has no effect: the model has no layer with this number; \
             --allow-missing",
        ),
    ),
    (
        "convert",
        "--override-kv",
        Refused(
            "convert model.gguf -t Q4_0 --override-kv a=int:1 --override-kv a=str:b",
            "--override-kv sets \"a\" twice",
        ),
    ),
    (
        "convert",
        "--keep-split",
        Warned("convert model.gguf -t Q4_0 --dry-run --keep-split", "the source is one file"),
    ),
    (
        "convert",
        "--split-max-size",
        Refused("convert model.gguf --plan p.json --split-max-size 1G", "decided by the plan"),
    ),
    ("convert", "--split-max-tensors", Always(LIMIT)),
    (
        "convert",
        "--no-tensor-first-split",
        Refused("convert model.gguf --plan p.json --no-tensor-first-split", "decided by the plan"),
    ),
    (
        "convert",
        "--part",
        Refused("convert model.gguf -t Q4_0 --part 1/2", "the result is one file"),
    ),
    (
        "convert",
        "--allow-invalid",
        Refused("convert model.gguf --plan p.json --allow-invalid", "decided by the plan"),
    ),
    ("convert", "--bigendian", Always("decides every number of the result")),
    (
        "convert",
        "--model-name",
        Refused("convert model.gguf -t Q4_0 --model-name a", "--model-name is for"),
    ),
    (
        "convert",
        "--metadata",
        Refused("convert model.gguf -t Q4_0 --metadata a", "--metadata is for"),
    ),
    (
        "convert",
        "--arch",
        Warned("convert ck --dry-run --arch gpt2.toml", "gpt2.toml has no effect"),
    ),
    (
        "convert",
        "--pre",
        Warned("convert ck --dry-run --pre llama-bpe", "--pre llama-bpe has no effect"),
    ),
    ("convert", "--base", Refused("convert ck --vocab-only --base ck", "--base has no effect")),
    ("convert", "--lora", Refused("convert ck --vocab-only --lora ck", "--lora has no effect")),
    (
        "convert",
        "--mistral-format",
        Refused("convert model.gguf -t Q4_0 --mistral-format", "--mistral-format is for"),
    ),
    (
        "convert",
        "--disable-mistral-community-chat-template",
        Refused("convert ck --disable-mistral-community-chat-template", "is for --mistral-format"),
    ),
    ("convert", "--dspark", Refused("convert ck --dspark", "holds no draft model")),
    (
        "convert",
        "--target-model-dir",
        Warned("convert ck --dry-run --target-model-dir ck", "--target-model-dir has no effect"),
    ),
    (
        "convert",
        "--fuse-qkv",
        Refused("convert ck --vocab-only --fuse-qkv", "--fuse-qkv has no effect"),
    ),
    (
        "convert",
        "--fuse-gate-up-exps",
        Warned("convert ck --dry-run --fuse-gate-up-exps", "--fuse-gate-up-exps has no effect"),
    ),
    ("convert", "--mtp", Refused("convert ck --dry-run --mtp", "leave out --mtp and --no-mtp")),
    (
        "convert",
        "--no-mtp",
        Refused("convert ck --dry-run --no-mtp", "leave out --mtp and --no-mtp"),
    ),
    (
        "convert",
        "--fp8-as-q8",
        Warned("convert ck --dry-run --fp8-as-q8", "--fp8-as-q8 has no effect"),
    ),
    (
        "convert",
        "--sentence-transformers-dense-modules",
        Warned(
            "convert ck --dry-run --sentence-transformers-dense-modules",
            "--sentence-transformers-dense-modules has no effect",
        ),
    ),
    (
        "convert",
        "--print-supported-models",
        Refused(
            "convert --print-supported-models --pure",
            "--pure has no effect with --print-supported-models",
        ),
    ),
    ("convert", "--mmproj", Refused("convert ck --mmproj --vocab-only", "cannot be used with")),
    ("convert", "--vocab-only", Refused("convert ck --vocab-only --verify", "with --vocab-only")),
    (
        "convert",
        "--dry-run",
        Refused("convert model.gguf -t Q4_0 --dry-run --verify", "cannot be used with"),
    ),
    ("convert", "--resume", Always("said after the run: to_resume_without_anything_left")),
    ("convert", "--restart", Always("discards what is left, if anything is")),
    ("convert", "--verify", Refused("convert ck --vocab-only --verify", "--verify has no effect")),
    (
        "convert",
        "--plan",
        Refused("convert model.gguf --plan p.json --pure", "decided by the plan"),
    ),
    (
        "convert",
        "--target-size",
        Refused("convert model.gguf -t Q4_0 --target-size 4bpw", "cannot be used with"),
    ),
    (
        "convert",
        "--like",
        Refused("convert model.gguf --target-size 4bpw --like one.gguf", "cannot be used with"),
    ),
    ("convert", "--min-type", Refused("convert ck --min-type Q4_K", WITHOUT_SIZE)),
    ("convert", "--max-type", Refused("convert ck --max-type Q4_K", WITHOUT_SIZE)),
    ("convert", "--no-calibrate", Refused("convert ck --no-calibrate", WITHOUT_SIZE)),
    (
        "convert",
        "--report",
        Refused("convert model.gguf -t Q4_0 --dry-run --report a.html", "cannot be used with"),
    ),
    ("convert", "--quiet", Always(OUTPUT)),
    ("convert", "--json", Always(OUTPUT)),
    (
        "report",
        "--output",
        Refused("report model.gguf --json --output a.html", "cannot be used with"),
    ),
    ("report", "--context", Always("more is shown")),
    ("report", "--structure-only", Always("less is done")),
    ("report", "--json", Refused("report model.gguf --json --output a.html", "cannot be used")),
    ("size", "--context", Always("the length of the text")),
    ("size", "--batch", Always("what is computed together")),
    ("size", "--sequences", Always("texts at the same time")),
    ("size", "--cache-type-k", Always("the type of the keys")),
    ("size", "--cache-type-v", Always("the type of the values")),
    ("size", "--swa-full", Always("a warning of a table of its own: it has no --quiet")),
    ("size", "--json", Always(OUTPUT)),
];

/// Options that the help does not show.
pub(super) const HIDDEN: &[&str] =
    &["--max-buffer-size", "--use-temp-file", "--no-lazy", "--verbose"];
