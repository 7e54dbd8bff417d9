"""The tables of tiny_checkpoints.py: one file for each family of models."""
from . import (bert_relatives, chinese, decoders, diffusion, drafts, encoders, exaone, gemmas, glm, houses,
               hunyuan, hybrids, latent, linear, llamas, mistral, mixed, mmproj, names, older, omni, quantized, qwen,
               recent, sparse, speech)

# Each row: name, class, tokenizer, stored type, config. "vocab_size" is that of the tokenizer unless it is given.
# More keys of the config: "tokens" are added to tokenizer.json, "patch" changes config.json after it was saved (None
# removes a key), "files" are further files of the folder, text or JSON, "tensors" gives names and shapes where there is
# no class, "quantize" changes the tensors, "modules" are F32 tensors in folders of their own, "options" are given to
# both programs, "target" is the config of the model that a draft model is for, which has the tokenizer, "case" has
# smaller values of keys for descriptions.py, "configured" is False where there is no config.json.
FAMILIES = [bert_relatives, chinese, decoders, diffusion, drafts, encoders, exaone, gemmas, glm, houses,
            hunyuan, hybrids, latent, linear, llamas, mistral, mixed, mmproj, older, omni, quantized, qwen, recent,
            sparse, speech]
MODELS = [row for family in FAMILIES for row in family.MODELS]
MODELS += list(names.rows(MODELS))
