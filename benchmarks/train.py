"""Measures full training steps: python -m benchmarks.train --model tiny --regime dense.

A step is what `train.py` does: the next batch from the threads that assemble it,
forward and backward pass with dropout, clipping, Adam. Steps are timed in windows; the
table shows the median window and the slowest and fastest. Rates are in target tokens
without padding. The share of the machine's limit is the operations that the model asks
for (formula: benchmarks/flops.py) over the rate of XLA's own large matrix products in
the same dtype, measured in this process before and after the steps: where the two
differ, the machine was not quiet. Peak memory includes all that the process did.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from benchmarks import cli, flops, measure, shares
from benchmarks.measure import Programs, Window
from benchmarks.work import Task, Work, task
from transformer import batches, devices, parallel

Result = dict[str, Any]

INPUTS = 200
"""Batches that the input pipeline is timed on, alone."""


@dataclass(frozen=True, kw_only=True)
class Command:
    work: Annotated[Work, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Work
    )
    seconds: float = 20.0
    """Timed in all, about."""
    windows: int = 7
    """Parts of that time, of which the median counts."""
    steps: int | None = None
    """Steps of each window, if not as many as fill the time."""
    json: Path | None = None
    """Also writes the figures there."""
    profile: Path | None = None
    """Also prints the parts' shares of a step, and writes a trace into this folder."""


def measured(command: Command, task: Task) -> Result:
    """The figures of the table by name: seconds, bytes, tokens, operations."""
    dtype = task.model.dtype
    limits = [measure.matmul_rate(dtype)]
    programs = measure.compile_all(task)
    runner = measure.Runner(programs.update, task.state(), task.stream())
    steps = runner.steps_in(command.seconds / command.windows)
    steps = command.steps or steps
    windows = [runner.window(steps) for _ in range(command.windows)]
    limits.append(measure.matmul_rate(dtype))
    return {
        "work": dataclasses.asdict(command.work),
        "device": devices.description(parallel.alone()),
        "dtype": str(jax.numpy.dtype(dtype)),
        "jax": jax.__version__,
        **_speed(windows),
        **_limit(task, limits, windows),
        "padding": task.plan.padding(),
        "input_tokens_per_second": measure.input_rate(task.stream(), INPUTS),
        **_cost(programs),
    }


def _speed(windows: list[Window]) -> Result:
    rate = measure.spread([window.rate for window in windows])
    return {
        "tokens_per_second": rate.median,
        "slowest_window": rate.least,
        "fastest_window": rate.most,
        "seconds_per_step": measure.spread(
            [window.seconds / window.steps for window in windows]
        ).median,
        "steps": sum(window.steps for window in windows),
    }


def _limit(task: Task, limits: list[float], windows: list[Window]) -> Result:
    operations = flops.per_target_token(task.cfg.model, batches.lengths(task.store))
    rate = measure.spread([window.rate for window in windows]).median
    return {
        "operations_per_token": operations,
        "matmul_before": limits[0],
        "matmul_after": limits[-1],
        "limit_tokens_per_second": max(limits) / operations,
        "utilisation": rate * operations / max(limits),
    }


def _cost(programs: Programs) -> Result:
    return {
        "programs": len(programs.compiled),
        "trace_seconds": programs.trace_seconds,
        "lower_seconds": programs.lower_seconds,
        "compile_seconds": programs.compile_seconds,
        "temp_bytes": programs.most("temp"),
        "argument_bytes": programs.most("argument"),
        "peak_rss": measure.peak_rss(),
        "peak_device_memory": measure.peak_device_memory(),
    }


def report(result: Result) -> str:
    """The table for people."""
    work, device = result["work"], result["peak_device_memory"]
    lines = {
        "work": ", ".join(f"{k} {v}" for k, v in work.items() if v is not None),
        "device": f"{result['device']}, {result['dtype']}, JAX {result['jax']}",
        "target tokens/s": "{tokens_per_second:,.0f}  (windows {slowest_window:,.0f} "
        "to {fastest_window:,.0f}; {steps} steps)",
        "step": "{seconds_per_step:.4g} s, {padding:.1%} of positions are padding",
        "share of the limit": "{utilisation:.1%} of {limit_tokens_per_second:,.0f} "
        "tokens/s ({operations_per_token:.4g} operations a token)",
        "input alone": "{input_tokens_per_second:,.0f} tokens/s",
        "matrix products": f"{result['matmul_before'] / 1e9:,.0f} GFLOP/s before, "
        f"{result['matmul_after'] / 1e9:,.0f} after",
        "compilation": "{programs} programs: trace {trace_seconds:.1f} s, lower "
        "{lower_seconds:.1f} s, compile {compile_seconds:.1f} s",
        "program memory": f"{_mib(result['temp_bytes'])} temporary, "
        f"{_mib(result['argument_bytes'])} state and batch",
        "process memory": f"{_mib(result['peak_rss'])} at the peak",
        "device memory": f"{_mib(device)} at the peak" if device else "the process's",
    }
    return "\n".join(
        f"{name:20}{text.format(**result)}" for name, text in lines.items()
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def main(command: Command) -> None:
    made = task(command.work)
    result = measured(command, made)
    print(report(result))
    if command.profile:
        found = shares.of(made, command.profile)
        print("\n" + shares.report(found))
        result |= {"shares": found}
    if command.json:
        command.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
