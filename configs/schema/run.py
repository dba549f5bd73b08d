"""`RunConfig`: the whole configuration of a command, frozen, and the rules between its
groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agents.types.factor import QUESTION, legal_factors
from configs.schema.base import OPERATIONAL, ConfigGroup
from configs.schema.budget import BudgetConfig
from configs.schema.comparison import SearchComparisonConfig
from configs.schema.critic import (
    CriticConfig,
    SpeakingCritic,
    ValueHeadConfig,
    WorkingCriticConfig,
)
from configs.schema.engine import POCKET, EngineConfig, TransformersEngineConfig, VllmEngineConfig
from configs.schema.heads import HeadsConfig
from configs.schema.policy import PolicyConfig
from configs.schema.reflector import ReflectorConfig
from configs.schema.safety import SafetyConfig
from configs.schema.search import (
    BestOfNConfig,
    ComputeOptimalConfig,
    CritiqueLoopConfig,
    MctsConfig,
    PosteriorOptions,
    SearchConfig,
    SequentialRevisionConfig,
)
from configs.schema.search.base import Selecting
from configs.schema.summarizer import SummarizerConfig
from configs.schema.task import PocketTaskConfig, TaskConfig, UserTaskConfig
from configs.schema.training import TrainingConfig

EngineRole = Literal["policy", "critic", "reflector", "summarizer"]
"""Roles that generate through an engine."""


class RunOptions(ConfigGroup):
    """How a run is named, carried out and stored."""

    name: Annotated[str | None, OPERATIONAL] = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run's directory; the name of an unfinished run resumes it; null: made
    from the time. Short form: `run=NAME`."""
    seed: int = Field(0, ge=0)
    """Seed of the search; seed and question determine every random choice."""
    concurrency: Annotated[int, OPERATIONAL] = Field(64, ge=1)
    """Most questions in flight at once."""
    output_dir: Annotated[Path, OPERATIONAL] = Path("runs")
    """Folder in which runs are stored."""
    show_progress: Annotated[bool, OPERATIONAL] = True
    """Show a progress bar."""


class RunConfig(ConfigGroup):
    """The whole configuration of a command."""

    engine: EngineConfig = VllmEngineConfig()
    """The shared engine, which serves the model."""
    policy: PolicyConfig = PolicyConfig()
    """The role that writes the steps of a thought."""
    critic: CriticConfig = WorkingCriticConfig()
    """The role that judges steps."""
    heads: HeadsConfig = HeadsConfig()
    """The model whose policy and value heads a search may read."""
    reflector: ReflectorConfig = ReflectorConfig()
    """The role that decides what follows a wrong step."""
    summarizer: SummarizerConfig = SummarizerConfig()
    """The role that summarizes the hidden thought for the user."""
    safety: SafetyConfig = SafetyConfig()
    """The checker of questions and answers against the rules."""
    search: SearchConfig = CritiqueLoopConfig()
    """How the reasoning tree grows and the answer is chosen."""
    task: TaskConfig = PocketTaskConfig()
    """The source of the questions."""
    budget: BudgetConfig = BudgetConfig()
    """Caps on the cost of a question."""
    training: TrainingConfig | None = None
    """How the policy is trained; null: no training."""
    comparison: Annotated[SearchComparisonConfig | None, OPERATIONAL] = None
    """Cells of a comparison of searches, one run each (graphs.run -m); null: no
    comparison."""
    run: RunOptions = RunOptions()
    """How the run is named, carried out and stored."""

    @property
    def takes_priors_from_head(self) -> bool:
        """Whether the search takes priors from the policy head."""
        return isinstance(self.search, MctsConfig) and self.search.prior == "policy_head"

    @property
    def reads_heads(self) -> bool:
        """Whether the critic or the search reads heads."""
        return self.critic.reads_heads or self.takes_priors_from_head

    @property
    def records_logprobs(self) -> bool:
        """Whether the policy's steps hold the log-probabilities of their tokens."""
        return (
            self.policy.logprobs == "always"
            or self.search.reads_logprobs
            or self.critic.reads_logprobs
        )

    def engine_of(self, role: EngineRole) -> EngineConfig:
        """Returns the engine options of a role: its own or the shared ones. Roles with
        equal options share one engine.
        """
        own: EngineConfig | None = getattr(getattr(self, role), "engine", None)
        return self.engine if own is None else own

    @model_validator(mode="after")
    def _choices_go_together(self) -> Self:
        conflicts = [conflict for rule in _RULES for conflict in rule(self)]
        if conflicts:
            raise ValueError("\n".join(conflicts))
        return self


def _tokens_fit(config: RunConfig) -> Iterator[str]:
    """A step must fit into an answer, and one request into the budget."""
    step, answer, cap = (
        config.policy.max_step_tokens,
        config.policy.max_answer_tokens,
        config.budget.max_tokens,
    )
    if step > answer:
        yield (
            f"policy.max_step_tokens ({step}) must be at most policy.max_answer_tokens "
            f"({answer}); lower the first or raise the second"
        )
    if cap is None:
        return
    if step > cap:
        yield (
            f"policy.max_step_tokens ({step}) must be at most budget.max_tokens ({cap}); lower "
            "the first or raise the second"
        )
    elif isinstance(config.search, BestOfNConfig) and config.search.num_samples * step > cap:
        num_samples = config.search.num_samples
        yield (
            f"search.num_samples ({num_samples}) times policy.max_step_tokens ({step}) must be at "
            f"most budget.max_tokens ({cap}), or no sample could finish its first step; set "
            f"budget.max_tokens to {num_samples * answer} or lower search.num_samples"
        )
    if isinstance(config.critic, WorkingCriticConfig) and config.critic.max_tokens > cap:
        check = config.critic.max_tokens
        yield (
            f"critic.max_tokens ({check}) must be at most budget.max_tokens ({cap}); lower the "
            "first or raise the second"
        )


def _search_has_a_critic(config: RunConfig) -> Iterator[str]:
    """A strategy that ranks by scores needs a critic."""
    search = config.search
    if config.critic.kind != "none" or not search.needs_critic:
        return
    if isinstance(search, BestOfNConfig):
        yield (
            f"search.selection ({search.selection}) needs scores, critic.kind is none and "
            "search.logprob_weight is 0; choose critic=working or critic=token, or set "
            "search.logprob_weight above 0 or search.selection to majority"
        )
    else:
        needs_none = (
            isinstance(search, Selecting)
            and not search.model_copy(update={"logprob_weight": 1.0}).needs_critic
        )
        alone = (
            (", set search.logprob_weight above 0 to rank by the policy's own log-probability")
            if needs_none
            else ""
        )
        yield (
            f"search.strategy ({search.strategy}) needs a critic and critic.kind is none; "
            f"choose critic=working or critic=token{alone}, or choose search=best_of_n or "
            "search=greedy"
        )


def _samples_differ(config: RunConfig) -> Iterator[str]:
    """Several samples of one prompt need a temperature above 0."""
    search = config.search
    option, samples = search.samples_per_prompt
    own = search.temperature_of_samples
    temperature = config.policy.temperature if own is None else own
    if temperature is None or temperature > 0:
        return
    if samples > 1:
        key = "policy.temperature" if own is None else "search.temperature"
        yield (
            f"{key} (0) makes search.{option} ({samples}) equal copies; set it above 0, or "
            f"search.{option} to 1, or choose search=greedy"
        )
    elif (
        isinstance(search, CritiqueLoopConfig)
        and search.max_children > 1
        and search.show_mistakes == 0
    ):
        yield (
            f"policy.temperature (0) makes all search.max_children ({search.max_children}) tries "
            "at a step the same; "
            "set it above 0, search.show_mistakes above 0, or search.max_children to 1"
        )


def _factors_exist(config: RunConfig) -> Iterator[str]:
    """Every thought factor that an option names must be one of policy.factors, and a
    search over all factors must always find a legal one.
    """
    search, factors = config.search, config.policy.factors
    names = [factor.name for factor in factors]
    listed = ", ".join(names) or "none"
    if QUESTION in names:
        yield (
            f"policy.factors has a factor named {QUESTION}, which is reserved for the start of "
            "a thought; give it another name"
        )
    for factor in factors:
        for name in factor.after or ():
            if name not in (*names, QUESTION):
                yield (
                    f"policy.factors.{factor.name}.after ({name}) must be {QUESTION} or one of "
                    f"policy.factors ({listed})"
                )
    if isinstance(search, CritiqueLoopConfig):
        for key in ("first_factor", "retry_factor"):
            name = getattr(search, key)
            if name is not None and name not in names:
                yield (
                    f"search.{key} ({name}) must be one of policy.factors ({listed}); name one "
                    "of them, or set null"
                )
    if isinstance(search, MctsConfig) and search.use_factors:
        if not factors:
            yield (
                "search.use_factors (true) needs policy.factors and there are none; choose "
                "policy=rstar, policy=chat or policy=pocket, or set search.use_factors to false"
            )
            return
        for name in (QUESTION, *(factor.name for factor in factors if factor.horizon == "step")):
            if not legal_factors(factors, name):
                yield (
                    f"search.use_factors (true) needs a thought factor that may follow {name} and "
                    f"policy.factors has none; add {name} to the list `after` of one of them "
                    f"({listed}), or set search.use_factors to false"
                )


def _heads_exist(config: RunConfig) -> Iterator[str]:
    """Readers of heads need a heads.engine, and the policy head needs thought factors
    to choose from.
    """
    readers = [
        *([f"critic.kind ({config.critic.kind})"] if config.critic.reads_heads else []),
        *(["search.prior (policy_head)"] if config.takes_priors_from_head else []),
    ]
    if readers and config.heads.engine is None:
        verb = "reads" if len(readers) == 1 else "read"
        yield (
            f"{' and '.join(readers)} {verb} heads and heads.engine is null; train some with "
            "training=heads, then set engine@heads.engine=transformers heads.engine.model=FOLDER"
        )
    search, heads = config.search, config.heads.engine
    if (
        readers
        and isinstance(heads, VllmEngineConfig | TransformersEngineConfig)
        and heads.model == POCKET
    ):
        yield (
            f"heads.engine.model ({POCKET}) has no heads; train some with training=heads, then "
            "set heads.engine.model=FOLDER"
        )
    if isinstance(config.critic, ValueHeadConfig):
        last = "search=mcts search.aggregation=last (or best_of_n, beam, dvts, rebase, particles)"
        if isinstance(
            search,
            ComputeOptimalConfig | CritiqueLoopConfig | PosteriorOptions | SequentialRevisionConfig,
        ):
            yield (
                "critic.kind (value_head) judges whole paths and search.strategy "
                f"({search.strategy}) needs evidence on single steps; "
                f"choose {last}, or critic=working or critic=token"
            )
        elif isinstance(search, Selecting) and search.aggregation != "last":
            yield (
                "critic.kind (value_head) judges whole paths, so the last verdict is the score of "
                f"the path, and search.aggregation is {search.aggregation}; set "
                "search.aggregation to last"
            )
    if (
        config.takes_priors_from_head
        and isinstance(config.search, MctsConfig)
        and not config.search.use_factors
    ):
        yield (
            "search.prior (policy_head) needs search.use_factors and search.use_factors is false; "
            "set search.use_factors to true, or search.prior to logprob or uniform"
        )


def _adapters_exist(config: RunConfig) -> Iterator[str]:
    """Every adapter in search.pool_adapters must be served by the policy's engine; an
    engine that is trained must not have adapters.
    """
    served = config.engine_of("policy").adapter_names
    listed = ", ".join(served) or "none"
    if isinstance(config.search, MctsConfig):
        for name in dict.fromkeys(config.search.pool_adapters):
            if name is not None and name not in served:
                yield (
                    f"search.pool_adapters ({name}) must be null or one of the policy's "
                    f"engine.adapters ({listed}); name it there"
                )
    if config.training is not None and served:
        yield (
            f"engine.adapters ({listed}) do not fit the new weights of a training; leave "
            "engine.adapters out, or merge them into the model first"
        )


def _roles_have_words(config: RunConfig) -> Iterator[str]:
    """A role's prompt family needs a template for every requested text; the pocket
    model was trained neither on reasons nor on summaries.
    """
    critic, summarizer = config.critic, config.summarizer
    if isinstance(critic, SpeakingCritic) and critic.reason and critic.prompts == "pocket":
        yield (
            "critic.reason (true) needs critic.prompts=chat and critic.prompts is pocket, which "
            "has no template for a reason; set critic.reason to false, or give the critic a chat "
            "model: critic=chat engine@critic.engine=vllm critic.engine.model=..."
        )
    if summarizer.kind == "model" and summarizer.prompts == "pocket":
        yield (
            "summarizer.kind (model) needs summarizer.prompts=chat and summarizer.prompts is "
            "pocket, which has no template for a summary; "
            "set summarizer.kind to extractive, or give the summarizer a chat model: "
            "summarizer=chat engine@summarizer.engine=vllm summarizer.engine.model=..."
        )


def _heads_have_a_trunk(config: RunConfig) -> Iterator[str]:
    """Training heads needs the policy's weights on this machine."""
    engine = config.engine_of("policy")
    training = config.training
    if (
        training is not None
        and training.needs_local_weights
        and engine.kind not in ("vllm", "transformers")
    ):
        yield (
            f"training.method ({training.method}) needs the policy's weights and engine.kind is "
            f"{engine.kind}; set engine=vllm or engine=transformers with engine.model=FOLDER"
        )


def _training_is_held_out(config: RunConfig) -> Iterator[str]:
    """Evaluation questions must not be training questions."""
    training, task = config.training, config.task
    if training is None or not training.asks_questions:
        return
    if isinstance(task, UserTaskConfig):
        yield (
            f"training.method ({training.method}) needs a set of questions and task.name is user; "
            "choose task=pocket, reasoning_gym, gsm8k or jsonl"
            + (", or set training.evaluate to 0" if training.method == "sft" else "")
        )
    elif "split" not in type(task).model_fields:
        yield (
            f"task.name ({task.name}) has no option split, so no question can be held out from "
            "training; derive its options from _Dataset in configs/schema/task.py and give the "
            "task a field split, or choose another task"
        )
    elif training.num_held_out > 0 and task.split in ("train", None):
        yield (
            f"task.split ({task.split or 'null'}) must be test or validation in a training with an "
            "evaluation: it names the held-out questions, and training questions come from the "
            "train split anyway; set task.split to test, or training.evaluate to 0"
        )


_RULES: tuple[Callable[[RunConfig], Iterator[str]], ...] = (
    _tokens_fit,
    _search_has_a_critic,
    _samples_differ,
    _factors_exist,
    _heads_exist,
    _adapters_exist,
    _roles_have_words,
    _heads_have_a_trunk,
    _training_is_held_out,
)
