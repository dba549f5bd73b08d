"""Trains the pocket model from scratch on one CPU thread.

    python -m training.pretrain --out checkpoints/pocket --minutes 50
    python -m training.pretrain --out checkpoints/pocket --resume
    python -m training.pretrain --out checkpoints/pocket-base --recipe pocket-base
    python -m training.pretrain --export checkpoints/pocket/last.pt --to agents/pocket
    python -m training.pretrain --evaluate checkpoints/pocket/last.pt

Surprising: the process restarts itself with MALLOC_MMAP_THRESHOLD_ and
MALLOC_TRIM_THRESHOLD_ set. Otherwise glibc returns the activations' memory to the
kernel after every step, which costs a quarter of the speed; glibc reads these variables
only at process start.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(8 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}


def _restart_with_allocator_settings() -> None:
    """Restarts this process with the allocator settings in the environment."""
    if any(os.environ.get(name) != value for name, value in _ALLOCATOR.items()):
        os.execvpe(
            sys.executable,
            [sys.executable, "-m", "training.pretrain", *sys.argv[1:]],
            {**os.environ, **_ALLOCATOR},
        )


def parser() -> argparse.ArgumentParser:
    """Returns the command's options."""
    options = argparse.ArgumentParser(
        prog="python -m training.pretrain",
        description="Train, evaluate or export the pocket model.",
    )
    options.add_argument(
        "--out",
        type=Path,
        default=Path("checkpoints/pocket"),
        help="folder for checkpoint and log (default %(default)s)",
    )
    options.add_argument(
        "--recipe",
        choices=("pocket", "pocket-base"),
        default="pocket",
        help="pocket: trains every role; pocket-base: the policy alone, with error dose 0",
    )
    options.add_argument(
        "--start-from",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="model folder to start from (default: random weights)",
    )
    options.add_argument(
        "--minutes",
        type=float,
        default=50.0,
        help="length of the schedule in minutes of wall time (default %(default)s)",
    )
    options.add_argument(
        "--steps",
        type=int,
        default=None,
        help="length of the schedule in optimizer steps instead; exactly reproducible",
    )
    options.add_argument(
        "--seed", type=int, default=1, help="seed of weights and documents (default %(default)s)"
    )
    options.add_argument(
        "--phase-2-from",
        type=float,
        default=0.5,
        help="share of the schedule after which the policy's own proposals are added (default "
        "%(default)s)",
    )
    options.add_argument(
        "--rows",
        type=int,
        default=10,
        help="rows of --row-length tokens per optimizer step (default %(default)s)",
    )
    options.add_argument(
        "--row-length",
        type=int,
        default=256,
        help="tokens per row; whole documents are packed into rows (default %(default)s)",
    )
    options.add_argument(
        "--muon-rate",
        type=float,
        default=0.006,
        help="Muon's learning rate, for the matrices (default %(default)s)",
    )
    options.add_argument(
        "--adam-rate",
        type=float,
        default=1e-3,
        help="Adam's learning rate, for embeddings and norms (default %(default)s)",
    )
    options.add_argument(
        "--error-dose",
        type=float,
        default=0.1,
        help="share of policy documents with a wrong step and its correction (default %(default)s)",
    )
    options.add_argument(
        "--train-on-errors",
        action="store_true",
        help="train on the wrong steps of these documents, too; by default their loss is masked",
    )
    options.add_argument("--threads", type=int, default=1, help="CPU threads (default %(default)s)")
    options.add_argument("--no-compile", action="store_true", help="train in eager mode")
    options.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in --out"
    )
    options.add_argument(
        "--evaluate",
        type=Path,
        metavar="MODEL",
        help="evaluate this checkpoint or model folder on validation questions (accuracy and "
        "critic) instead of training",
    )
    options.add_argument(
        "--questions",
        type=int,
        default=100,
        help="validation questions per level for --evaluate and --calibrate (default %(default)s)",
    )
    options.add_argument(
        "--families", nargs="+", default=None, help="families for --evaluate (default: all)"
    )
    options.add_argument(
        "--export",
        type=Path,
        metavar="CHECKPOINT",
        help="export this checkpoint to a model folder instead of training",
    )
    options.add_argument(
        "--calibrate",
        type=Path,
        metavar="CHECKPOINT",
        help="fit this checkpoint's critic calibration on validation questions instead of training",
    )
    options.add_argument(
        "--to",
        type=Path,
        default=Path("agents/pocket"),
        help="model folder for --export and --calibrate (default %(default)s)",
    )
    return options


def main() -> None:
    """Runs the command."""
    arguments = parser().parse_args()
    _restart_with_allocator_settings()
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.export:
        from training.pretrain.export import export_checkpoint

        export_checkpoint(arguments.export, arguments.to)
    elif arguments.evaluate:
        from training.pretrain.evaluate import evaluate_checkpoint

        evaluate_checkpoint(
            arguments.evaluate,
            num_questions=arguments.questions,
            seed=arguments.seed,
            families=arguments.families,
        )
    elif arguments.calibrate:
        from training.pretrain.calibrate import calibrate_checkpoint

        calibrate_checkpoint(
            arguments.calibrate,
            arguments.to / "calibration.json",
            num_questions=arguments.questions,
            seed=arguments.seed,
        )
    else:
        _train(arguments)


def _train(arguments: argparse.Namespace) -> None:
    from training.pretrain.documents import DocumentOptions
    from training.pretrain.trainer import CHECKPOINT_NAME, Trainer, TrainOptions

    if not 0.0 <= arguments.error_dose <= 1.0:
        raise SystemExit(f"--error-dose ({arguments.error_dose}) is a share and must be in [0, 1]")
    checkpoint = arguments.out / CHECKPOINT_NAME
    if arguments.resume and not checkpoint.exists():
        raise SystemExit(f"--resume: {checkpoint} does not exist; omit --resume to start a new run")
    if checkpoint.exists() and not arguments.resume:
        raise SystemExit(f"{checkpoint} exists; continue it with --resume or choose another --out")
    options = TrainOptions(
        out=arguments.out,
        start_from=arguments.start_from,
        minutes=arguments.minutes,
        steps=arguments.steps,
        seed=arguments.seed,
        recipe=arguments.recipe,
        num_rows=arguments.rows,
        muon_rate=arguments.muon_rate,
        adam_rate=arguments.adam_rate,
        row_length=arguments.row_length,
        phase_2_from=arguments.phase_2_from,
        compile=not arguments.no_compile,
        documents=DocumentOptions(
            error_dose=arguments.error_dose, train_on_errors=arguments.train_on_errors
        ),
    )
    trainer = Trainer(options)
    if arguments.resume:
        trainer.restore()
    trainer.train()


if __name__ == "__main__":
    main()
