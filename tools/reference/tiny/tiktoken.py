"""Files of tiny models whose tokenizer is a list of tiktoken's ranks, which Python code of the model reads."""
import base64

# Every byte, and some merges.
WORDS = ["th", "the", " t", " the", "in", "ing", "an", "and", " and", " a", "er", "on", " o", "of", " of", "re", "\u00e9"]
TOKENS = [bytes([byte]) for byte in range(256)] + [word.encode() for word in WORDS]

# Stands in for the code of the published models. The name of the pre-tokenizer depends on the hash of a real vocabulary,
# so that is stated, too.
CODE = '''
import base64
import sys
from types import SimpleNamespace

from transformers import PreTrainedTokenizer

sys.modules["conversion.base"].sha256 = lambda text: SimpleNamespace(hexdigest=lambda: "HASH")


class TinyTokenizer(PreTrainedTokenizer):
    vocab_files_names = {"vocab_file": "FILE"}

    def __init__(self, vocab_file, **kwargs):
        lines = (line.split() for line in open(vocab_file, "rb"))
        self.mergeable_ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
        self.model = SimpleNamespace(_mergeable_ranks=self.mergeable_ranks)
        first = len(self.mergeable_ranks)
        self.special_tokens = {text: first + index for index, text in enumerate(SPECIALS)}
        super().__init__(**kwargs)

    @property
    def vocab_size(self):
        return len(self.mergeable_ranks) + len(self.special_tokens)

    def get_vocab(self):
        return {**self.mergeable_ranks, **self.special_tokens}

    def encode(self, text, **kwargs):
        return []

    def _convert_token_to_id(self, token):
        return self.get_vocab().get(token)

    def _convert_id_to_token(self, index):
        return {index: token for token, index in self.get_vocab().items()}.get(index)
'''


def more(count):
    """As many tokens, the further ones of two or three bytes."""
    pairs = (bytes([128 + n // 256, n % 256]) for n in range(32_768))
    threes = (bytes([128 + n // 65_536, n // 256 % 256, n % 256]) for n in range(count))
    return list(dict.fromkeys([*TOKENS, *pairs, *threes]))[:count]


def files(name, hash, specials, tokens=TOKENS, **config):
    """The files of a folder: ranks under a name, code that reads them, and the tokenizer's config."""
    ranks = "".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    code = CODE.replace("HASH", hash).replace("FILE", name).replace("SPECIALS", repr(specials))
    auto_map = {"AutoTokenizer": ["tokenization_tiny.TinyTokenizer", None]}
    return {name: ranks, "tokenization_tiny.py": code,
            "tokenizer_config.json": dict(tokenizer_class="TinyTokenizer", auto_map=auto_map, **config)}
