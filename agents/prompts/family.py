"""Prompt families: the wording of all roles as data.

A family is a folder under agents/prompts with `family.yaml` (the fields of
`FamilyData`) and one jinja template per role. A YAML file of your own has the same
fields; what it leaves out comes from its `base`:

    policy:
      system: You are a patient teacher.
      message: "{{ question }}\\n\\nAnswer in two sentences."
      few_shot:
        - {question: "What is 2 + 2?", reply: "It is 4."}
    sampling: {temperature: 0.6, top_p: 0.9}
    templates:
      critic_token: "Question: {{ question | quoted }} ... Yes or No?"

Values that a template gets: `question`, `steps` (texts), `thought`, `answer`, `rules`
({id, text}), in `policy.message` `is_open` (the answer needs no mark) and
`is_scored` (there is a gold), and in `conversation`, which begins a role's prompt where
there are turns before the question, `history` ({speaker, text}).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from jinja2 import DictLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.prompts.history import as_messages
from agents.types import SamplingOptions, Turn
from agents.types.prompt_name import FAMILIES, names_file

PROMPTS = Path(__file__).parent


class FewShot(BaseModel):
    """An earlier turn of the conversation, shown as an example."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    reply: str


class PolicyPrompt(BaseModel):
    """How a question is put to the policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str | None = None
    """System message; null: none, so the chat template's own applies."""
    message: str = "{{ question }}"
    """Jinja template of the user message, of `question`, `is_open` and `is_scored`."""
    rules: str = ""
    """Jinja template of the safety rules that apply, of `rules`; it is added to the
    system message."""
    few_shot: tuple[FewShot, ...] = ()
    """Examples, shown as earlier turns."""


class FamilySampling(BaseModel):
    """Sampling parameters that the family recommends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(None, gt=0, le=10)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)


class FamilyData(BaseModel):
    """The fields of a family's YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    style: Literal["continuation", "messages"] = "messages"
    """`continuation`: a role's prompt is the thought plus a special token (the pocket
    model). `messages`: each role has a conversation of its own (any chat model)."""
    right: str = "Yes"
    """The critic's token for a right step."""
    wrong: str = "No"
    """The critic's token for a wrong step."""
    separator: Annotated[str, Field(min_length=1)] = "\n\n"
    """The text that ends a step."""
    policy: PolicyPrompt = PolicyPrompt()
    sampling: FamilySampling = FamilySampling()
    """Used where neither the configuration nor the model's generation_config.json sets
    a parameter."""
    templates: dict[str, str] = {}
    """Jinja templates of the other roles, by name."""


def quoted(text: str) -> str:
    """Returns `text` with "> " before every line but the first, which follows words of
    the prompt ("Step 1: ").
    """
    return "\n> ".join(text.splitlines())


class PromptFamily:
    """The wording of all roles.

    Raises:
        ValueError: there is no such family, or its file is not valid.
    """

    def __init__(self, name: str) -> None:
        """`name`: one of `FAMILIES`, or the path of a YAML file."""
        values = _read(name)
        try:
            data = FamilyData.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ValueError(
                f"prompts ({name}): {place}: {first['msg']}; see agents/prompts/family.py for the "
                "fields"
            ) from None
        self.name = name
        self.data = data
        self.style, self.right, self.wrong = data.style, data.right, data.wrong
        self.separator = data.separator
        self.sampling = SamplingOptions(**data.sampling.model_dump())
        texts = data.templates | {"message": data.policy.message, "rules": data.policy.rules}
        environment = SandboxedEnvironment(
            loader=DictLoader(texts), undefined=StrictUndefined, autoescape=False
        )
        environment.filters["quoted"] = quoted
        try:
            self._templates: dict[str, Template] = {
                template: environment.get_template(template) for template in texts
            }
        except TemplateError as error:
            raise ValueError(
                f"prompts ({name}) has a template that jinja cannot read: {error}; correct it"
            ) from None

    @property
    def templates(self) -> tuple[str, ...]:
        """Names of the templates of roles other than the policy."""
        return tuple(self.data.templates)

    def has(self, template: str) -> bool:
        """Whether the family has such a template; the pocket family has none for
        reasons and summaries.
        """
        return template in self._templates

    def render(self, template: str, **variables: Any) -> str:
        """Returns the rendered template.

        Raises:
            ValueError: the template uses a value that it does not get.
        """
        try:
            return self._templates[template].render(**variables)
        except TemplateError as error:
            raise ValueError(
                f"prompts ({self.name}): the template {template} cannot be rendered: {error}"
            ) from None

    def conversation(
        self,
        question: str,
        *,
        is_open: bool,
        is_scored: bool = True,
        rules: tuple[tuple[str, str], ...] = (),
        history: Sequence[Turn] = (),
    ) -> list[dict[str, str]]:
        """Returns the policy's conversation for a question, as messages.

        `rules`: (id, text) of the safety rules attached to the question. `history`:
        earlier turns, which follow the few-shot examples.
        """
        policy, kind = self.data.policy, {"is_open": is_open, "is_scored": is_scored}
        as_dicts = [{"id": rule_id, "text": rule} for rule_id, rule in rules]
        system = [policy.system or "", self.render("rules", rules=as_dicts) if rules else ""]
        messages = [{"role": "system", "content": "\n\n".join(part for part in system if part)}]
        for example in policy.few_shot:
            asked = self.render("message", question=example.question, **kind)
            messages += [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": example.reply},
            ]
        asked = self.render("message", question=question, **kind)
        messages += as_messages([*history, Turn(role="user", text=asked)])
        return messages if messages[0]["content"] else messages[1:]


def _read(name: str) -> dict[str, Any]:
    """Returns the fields of a family, with those of its base where it has none."""
    if name in FAMILIES:
        folder = PROMPTS / name
        values = _load(folder / "family.yaml")
        own = {path.stem: path.read_text() for path in folder.glob("*.jinja")}
    elif names_file(name):
        values = {"base": "chat"} | _load(Path(name).expanduser())
        own = {}
    else:
        raise ValueError(
            f"prompts {name!r} is not a prompt family; choose one of {', '.join(FAMILIES)}, or "
            "name a YAML file"
        )
    base = values.pop("base", None)
    if base is not None and base not in FAMILIES:
        raise ValueError(
            f"prompts ({name}): base ({base}) must be one of {', '.join(FAMILIES)}; name one"
        )
    inherited = _read(base) if base is not None else {}
    merged = inherited | values
    for part in ("policy", "sampling", "templates"):
        if isinstance(values.get(part, {}), dict):
            merged[part] = inherited.get(part, {}) | (values.get(part) or {})
    merged["templates"] = merged.get("templates", {}) | own
    return merged


def _load(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ValueError(
            f"prompts ({path}) cannot be read: {error.strerror}; name a YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"prompts ({path}) is not YAML: {error}; correct it") from None
    if not isinstance(values, dict):
        raise ValueError(
            f"prompts ({path}) must hold the fields of a family; see agents/prompts/family.py"
        )
    return values
