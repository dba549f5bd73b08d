"""Options of the sources of questions, chosen with `task=pocket | reasoning_gym | gsm8k
| svamp | multiarith | math500 | jsonl | csv | text | user | custom`.

The split of a generated or user-supplied question is a function of its hash
(`agents.types.split_of`), so that no question is used for both training and evaluation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from agents.objects import NAME
from agents.types import Split
from configs.schema.base import ConfigGroup

TASK_OF_SUFFIX = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".txt", ".text", ".md"), "text"),
}
"""Lower-case suffix of a user's file -> the task that reads it."""


class _Task(ConfigGroup):
    """Options that all tasks share."""

    checker: str | None = Field(None, pattern=NAME)
    """package.module:name of a function that decides whether an answer is right:
    right(question: agents.types.Question, answer: str) -> bool; null: the task's own
    checker."""

    def source_options(self) -> dict[str, Any]:
        """Returns the options that determine the questions."""
        return self.model_dump(exclude={"name", "checker"})


class UserTaskConfig(_Task):
    """Questions come one by one from the caller; there is no set of questions."""

    name: Literal["user"] = "user"
    """Questions come from the caller."""


class _Slice(_Task):
    """Options that all sets of questions share."""

    limit: int | None = Field(None, ge=1)
    """Most questions used; null: all."""
    offset: int = Field(0, ge=0)
    """Number of questions skipped at the beginning."""


class _Dataset(_Slice):
    """Options that all sets of questions with splits share."""

    split: Split = "test"
    """Part of the questions: train, validation or test."""


class _OwnFile(_Slice):
    """Options that all users' files share."""

    split: Split | None = None
    """Part of the questions, by their hash: train, validation or test; null: every line
    of the file."""


class _Rows(_OwnFile):
    """Options that files with named fields share."""

    question_field: str = Field("question", min_length=1)
    """Field that holds the question; several fields, separated by commas, are joined
    with a space."""
    answer_field: str | None = Field("answer", min_length=1)
    """Field that holds the gold answer; null: no question is scored. A question is
    asked but not scored if its field is null or empty, or if the default field is
    missing."""


class JsonlTaskConfig(_Rows):
    """A file with one JSON object per line."""

    name: Literal["jsonl"] = "jsonl"
    """A file with one JSON object per line."""
    path: str
    """The file; each line holds a JSON object."""


class CsvTaskConfig(_Rows):
    """A CSV file whose first row names the fields."""

    name: Literal["csv"] = "csv"
    """A CSV or TSV file with a header."""
    path: str
    """The file; its first row names the fields, each other row holds a question."""
    delimiter: str | None = Field(None, min_length=1)
    """Character between two cells; null: a tab in a .tsv file, a comma in other
    files."""


class TextTaskConfig(_OwnFile):
    """A text file with one question per line, asked and not scored."""

    name: Literal["text"] = "text"
    """A text file with one question per line, not scored."""
    path: str
    """The file; each line that is not blank is a question."""


class CustomTaskConfig(_OwnFile):
    """Questions of a class of your own."""

    name: Literal["custom"] = "custom"
    """Questions of a class of your own."""
    object: str = Field(pattern=NAME)
    """package.module:name of a class with a method `load` that returns Questions
    (graphs.tasks.custom)."""
    options: dict[str, JsonValue] | None = None
    """Keywords of the class, task.options={level: 3}; null: none."""


class _Published(_Dataset):
    """Options that all published sets share."""

    order: Literal["file", "hash"] = "file"
    """Order of the questions: as in the file, or by hash, which with task.limit gives
    a fixed random subset."""


class Gsm8kTaskConfig(_Published):
    """Grade-school word problems. Source: GSM8K (arXiv:2110.14168)."""

    name: Literal["gsm8k"] = "gsm8k"
    """Grade-school word problems."""
    path: str | None = None
    """Local JSONL file with the fields question and answer: the test file, or the train
    file for train and validation (5 % of it, by hash); or a folder with such files,
    named *gsm8k*test.jsonl and *gsm8k*train.jsonl; null: openai/gsm8k from the hub."""


class _MeasuringOnly(_Published):
    """Options that published sets without a train split share."""

    split: Split = "test"
    """Part of the questions: only test, because the set is for measuring only."""


class SvampTaskConfig(_MeasuringOnly):
    """One-step word problems whose words mislead. Source: SVAMP (arXiv:2103.07191)."""

    name: Literal["svamp"] = "svamp"
    """One-step word problems whose words mislead."""
    path: str | None = None
    """Local JSONL file with the fields Body, Question and Answer, or a folder with a
    file *svamp*.jsonl; null: ChilleD/SVAMP from the hub."""


class MultiarithTaskConfig(_MeasuringOnly):
    """Word problems of several steps. Source: Roy and Roth (EMNLP 2015)."""

    name: Literal["multiarith"] = "multiarith"
    """Word problems of several steps."""
    path: str | None = None
    """Local JSONL file with the fields input and target, or question and final_ans, or
    a folder with a file *multiarith*.jsonl; null: ChilleD/MultiArith from the hub."""


class Math500TaskConfig(_MeasuringOnly):
    """Competition mathematics. Source: MATH (arXiv:2103.03874), the 500 test problems
    of arXiv:2305.20050.
    """

    name: Literal["math500"] = "math500"
    """Competition mathematics."""
    path: str | None = None
    """Local JSONL file with the fields problem and answer, or a folder with a file
    *math500*.jsonl; null: HuggingFaceH4/MATH-500 from the hub."""
    levels: tuple[Annotated[int, Field(ge=1, le=5)], ...] = ()
    """Levels of difficulty; empty: all."""


class _Generated(_Dataset):
    """Options that all generated sets share."""

    size: int = Field(500, ge=1)
    """Questions generated for the split."""
    seed: int = Field(0, ge=0)
    """Seed of the generator; equal seeds give equal questions."""


class ReasoningGymTaskConfig(_Generated):
    """Problems of the reasoning-gym package; only an exactly right answer counts."""

    name: Literal["reasoning_gym"] = "reasoning_gym"
    """Problems of the reasoning-gym package."""
    datasets: tuple[str, ...] = Field(("countdown",), min_length=1)
    """Names of reasoning-gym datasets, mixed in equal parts."""
    parameters: dict[str, dict[str, int | float | bool | str]] | None = None
    """Parameters by dataset: {countdown: {max_value: 25}}; null: the package's
    defaults."""


class PocketTaskConfig(_Generated):
    """The problem families that the pocket model was trained on."""

    name: Literal["pocket"] = "pocket"
    """The problem families of the pocket model."""
    families: tuple[str, ...] = ()
    """Families of problems, mixed in equal parts; empty: all of them."""
    levels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Difficulty levels; empty: all levels of each family."""


TaskConfig = Annotated[
    PocketTaskConfig
    | ReasoningGymTaskConfig
    | Gsm8kTaskConfig
    | SvampTaskConfig
    | MultiarithTaskConfig
    | Math500TaskConfig
    | JsonlTaskConfig
    | CsvTaskConfig
    | TextTaskConfig
    | CustomTaskConfig
    | UserTaskConfig,
    Field(discriminator="name"),
]
"""Any source of questions; `name` is the tag."""
