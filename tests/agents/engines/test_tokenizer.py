"""The tokenizer of a model folder: what goes past transformers' wrapper is what would
have come out of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from agents.engines.tokenizer import HFTokenizer
from agents.prompts.fit import effort_options
from agents.types import EngineUnavailableError
from configs.schema.engine import resolve_model
from tests.tiny_model import CHAT_TEMPLATE, SPECIAL_TOKENS


def byte_level() -> Tokenizer:
    """As of GPT-2, Qwen and SmolLM: a token is a piece of UTF-8."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: i for i, piece in enumerate([*SPECIAL_TOKENS, *alphabet, "Ġa"])},
            merges=[("Ġ", "a")],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentencepiece() -> Tokenizer:
    """As of Llama 2 and Gemma: blanks are a letter, unknown letters are bytes, and the
    first blank is not the text's. Its file asks for truncation and padding, which
    prompts must not get.
    """
    pieces = [
        *SPECIAL_TOKENS,
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"abcd.,!?'\n",
        "▁a",
        "bc",
    ]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    model = models.BPE(
        vocab=vocabulary,
        merges=[("▁", "a"), ("b", "c")],
        unk_token="<unk>",
        byte_fallback=True,
        fuse_unk=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=8, pad_id=0, pad_token=SPECIAL_TOKENS[0])
    return tokenizer


@pytest.fixture(scope="module", params=["pocket", "byte_level", "sentencepiece"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tokenizer."""
    make: Callable[[], Tokenizer] | None = {
        "byte_level": byte_level,
        "sentencepiece": sentencepiece,
    }.get(request.param)
    if make is None:
        return resolve_model("pocket")
    folder = tmp_path_factory.mktemp(request.param)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=make(),
        eos_token=SPECIAL_TOKENS[0],
        additional_special_tokens=SPECIAL_TOKENS[1:],
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def both(source: str) -> tuple[HFTokenizer, Any]:
    """Ours, and transformers' wrapper."""
    return HFTokenizer(source), AutoTokenizer.from_pretrained(source)


FRAGMENTS = [*SPECIAL_TOKENS, "<|policy|>", "<|eos|>", " a", "\n\n", " .", "12", "é", "🙂"]
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4)).map("".join)


@given(text=TEXTS, add_special_tokens=st.booleans())
def test_a_text_has_the_ids_that_the_wrapper_gives_it(
    both: tuple[HFTokenizer, Any], text: str, add_special_tokens: bool
) -> None:
    ours, wrapper = both
    ids = ours.encode(text, add_special_tokens=add_special_tokens)
    assert ids == wrapper.encode(text, add_special_tokens=add_special_tokens)
    assert ours.decode(ids) == wrapper.decode(
        ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


@given(data=st.data(), skip_special_tokens=st.booleans())
def test_any_ids_have_the_text_that_the_wrapper_gives_them(
    both: tuple[HFTokenizer, Any], data: st.DataObject, skip_special_tokens: bool
) -> None:
    ours, wrapper = both
    ids = data.draw(st.lists(st.integers(0, len(wrapper) - 1), max_size=12))
    expected = wrapper.decode(
        ids, skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
    )
    assert ours.decode(ids, skip_special_tokens=skip_special_tokens) == expected
    assert ours.decode(tuple(ids), skip_special_tokens=skip_special_tokens) == expected


def test_a_conversation_leaves_the_tokenizer_as_it_was(both: tuple[HFTokenizer, Any]) -> None:
    ours, wrapper = both
    message = [{"role": "user", "content": "a b c a b c a b c"}]
    ids = ours.apply_chat_template(message)
    assert ids == wrapper.apply_chat_template(
        message, add_generation_prompt=True, return_dict=False
    )
    assert ours.encode("a b c a b c a b c") == wrapper.encode(
        "a b c a b c a b c", add_special_tokens=False
    )


class _Shouting(PreTrainedTokenizerFast):  # type: ignore[misc]
    """Decodes in its own way, as some models' classes do."""

    def _decode(self, *args: Any, **options: Any) -> str:
        return str(super()._decode(*args, **options)).upper()


def test_a_class_that_decodes_in_its_own_way_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shouting = _Shouting(tokenizer_object=byte_level(), eos_token=SPECIAL_TOKENS[0])
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda source: shouting)
    tokenizer = HFTokenizer(Path("anywhere"))
    assert tokenizer.decode(tokenizer.encode("a b")) == "A B"


TEMPLATE_WITHOUT_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEMPLATE_THAT_DROPS_SYSTEM = TEMPLATE_WITHOUT_SYSTEM.replace(
    "{{ raise_exception('System role not supported') }}{% endif %}", "{% else %}"
).replace("<|end|>{% endfor %}", "<|end|>{% endif %}{% endfor %}")
TEMPLATE_WITH_A_SWITCH = CHAT_TEMPLATE + "{% if enable_thinking is false %}[no thought]{% endif %}"
CONVERSATION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


def with_template(template: str, folder: Path) -> HFTokenizer:
    """Returns a byte-level tokenizer with this chat template."""
    fast = PreTrainedTokenizerFast(
        tokenizer_object=byte_level(),
        eos_token=SPECIAL_TOKENS[0],
        additional_special_tokens=SPECIAL_TOKENS[1:],
        chat_template=template,
    )
    fast.save_pretrained(folder)
    return HFTokenizer(folder)


@pytest.mark.parametrize("template", [TEMPLATE_WITHOUT_SYSTEM, TEMPLATE_THAT_DROPS_SYSTEM])
def test_a_refused_system_message_precedes_the_first_user_message(
    template: str, tmp_path: Path
) -> None:
    tokenizer = with_template(template, tmp_path)
    text = tokenizer.decode(tokenizer.apply_chat_template(CONVERSATION), skip_special_tokens=False)
    assert text == "<|user|>Be brief.\n\nWhy?<|end|><|assistant|>"


def test_template_options_reach_the_template(tmp_path: Path) -> None:
    tokenizer = with_template(TEMPLATE_WITH_A_SWITCH, tmp_path)
    assert tokenizer.template_options == {"enable_thinking"}
    plain = tokenizer.apply_chat_template(CONVERSATION)
    switched = tokenizer.apply_chat_template(CONVERSATION, {"enable_thinking": False})
    assert tokenizer.decode(switched[len(plain) :]) == "[no thought]"


def test_an_option_that_the_template_does_not_read_is_refused(tmp_path: Path) -> None:
    tokenizer = with_template(TEMPLATE_WITH_A_SWITCH, tmp_path)
    with pytest.raises(ValueError, match=r"enable_thnking.*enable_thinking"):
        tokenizer.apply_chat_template(CONVERSATION, {"enable_thnking": False})


def test_special_delimiters_of_thoughts_stay_in_decoded_text(tmp_path: Path) -> None:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=byte_level(),
        eos_token=SPECIAL_TOKENS[0],
        additional_special_tokens=[*SPECIAL_TOKENS[1:], "[THINK]", "[/THINK]"],
    )
    fast.save_pretrained(tmp_path)
    tokenizer = HFTokenizer(tmp_path)
    ids = tokenizer.encode(f"[THINK]a[/THINK] b{SPECIAL_TOKENS[0]}")
    assert tokenizer.decode(ids) == "[THINK]a[/THINK] b"


def test_a_tokenizer_without_an_end_of_sequence_token_is_refused(tmp_path: Path) -> None:
    PreTrainedTokenizerFast(tokenizer_object=byte_level()).save_pretrained(tmp_path)
    with pytest.raises(EngineUnavailableError, match="eos_token"):
        HFTokenizer(tmp_path)


@pytest.mark.parametrize(
    ("switch", "low", "high"),
    [
        ("enable_thinking", False, True),
        ("thinking", False, True),
        ("reasoning_effort", "low", "high"),
    ],
)
def test_effort_is_the_templates_own_switch(
    switch: str, low: object, high: object, tmp_path: Path
) -> None:
    tokenizer = with_template(CHAT_TEMPLATE + f"{{{{ {switch} }}}}", tmp_path)
    assert effort_options(tokenizer, None) == {}
    assert effort_options(tokenizer, "low") == {switch: low}
    assert effort_options(tokenizer, "high") == {switch: high}
    assert effort_options(with_template(CHAT_TEMPLATE, tmp_path), "high") == {}
