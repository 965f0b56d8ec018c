"""What this machine computes in: bfloat16 only where it has instructions for it.

Without them every product is put together from float32 ones: a training takes twenty to forty times as long.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.steps.base import Report
from converters.training import spread
from converters.training.plan import Plan

CPUINFO = Path("/proc/cpuinfo")
AUTO = "auto"
_AMPERE = 8
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
    chosen, why = _best(cpuinfo)
    if plan.precision == AUTO:
        report.line(f"precision: {chosen}, {why}")
        return replace(plan, precision=chosen)
    if chosen != plan.precision and not accelerated():
        report.warn(
            f"precision = {plan.precision}, but {why}: it takes many times as long or fails:"
            f' precision = "{AUTO}" or "float32"'
        )
    return plan


def _best(cpuinfo: Path) -> tuple[str, str]:
    """The precision for this machine, and why."""
    if accelerated():
        return ("bfloat16", "the GPU has it") if halves() else ("float32", "the GPU has no bfloat16")
    if spread.jax_module() is not None:
        # XLA (jaxlib 0.11.2, avx512_bf16) makes networks whose activations are NaN.
        return "float32", "JAX on a processor makes NaN of bfloat16"
    found = native(cpuinfo)
    if found:
        return "bfloat16", f"the processor has {found}"
    return "float32", "the processor has no instructions for bfloat16"


def accelerated() -> bool:
    """Whether something else than the processor computes."""
    import keras

    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX, where there is none
        return False


def halves() -> bool:
    """Whether the first GPU multiplies in bfloat16: NVIDIA's do since compute capability 8.0 (Ampere)."""
    jax = spread.jax_module()
    if jax is not None:
        said = getattr(jax.devices("gpu")[0], "compute_capability", "")  # "9.0"; AMD's "gfx90a"
    else:
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        said = tf.config.experimental.get_device_details(devices[0]).get("compute_capability", ("",))[0]
    major = str(said).partition(".")[0]
    return major.isdecimal() and int(major) >= _AMPERE
