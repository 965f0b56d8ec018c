"""What the processor computes in: bfloat16 only where it has instructions for it.

Without them every product is put together from float32 ones: a training takes twenty to forty times as long.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.steps.base import Report
from converters.training.plan import Plan

CPUINFO = Path("/proc/cpuinfo")
AUTO = "auto"
#: flags of x86 and of ARM, as Linux names them
_NATIVE = ("amx_bf16", "avx512_bf16", "bf16")


def native(cpuinfo: Path = CPUINFO) -> str:
    """The processor's instructions for bfloat16, as a flag of ``/proc/cpuinfo``; "" if there are none, or if
    nobody can say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    flags = next((set(said.split()) for key, _, said in lines if key.strip() in ("flags", "Features")), set())
    return next((flag for flag in _NATIVE if flag in flags), "")


def settled(plan: Plan, report: Report, cpuinfo: Path = CPUINFO) -> Plan:
    """The plan with the precision in which this machine will compute; it is said in a line where it was left
    to the machine, and warned of where it is a bad choice."""
    if plan.precision == "float32":
        return plan
    found = native(cpuinfo)
    if plan.precision != AUTO:
        if not found and not accelerated():
            report.warn(
                f"precision = {plan.precision}: this processor has no instructions for it and takes many"
                f' times as long: precision = "{AUTO}" or "float32"'
            )
        return plan
    if accelerated():
        chosen, why = "float32", "an accelerator computes"
    elif found:
        chosen, why = "bfloat16", f"the processor has {found}"
    else:
        chosen, why = "float32", "the processor has no instructions for bfloat16"
    report.line(f"precision: {chosen}, {why}")
    return replace(plan, precision=chosen)


def accelerated() -> bool:
    """Whether something else than the processor computes."""
    import keras

    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX, where there is none
        return False
