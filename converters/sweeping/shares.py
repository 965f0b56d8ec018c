"""Large test sets, shown to the models in several tasks."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from converters.sweeping import parcel
from converters.sweeping.parcel import Parcel

if TYPE_CHECKING:
    from converters.dataset import Sample
    from converters.judge import Asks, Part, Progress


def asks(data: Parcel | None, root: Path, most: int) -> Asks:
    """For :func:`converters.judge.asking`: divides test sets of more than ``most`` pictures into tasks.

    Args:
        data: the folder of pictures; None where they cannot travel.
        root: where it is on this machine.
        most: pictures of a task.
    """
    from converters import judge

    def ask(
        models: Mapping[str, Path], samples: Sequence[Sample], names: Sequence[str], progress: Progress | None
    ) -> Part:
        inside = data is not None and all(sample.path.is_relative_to(root) for sample in samples)
        if len(samples) <= most or not inside:
            return judge.answered(models, samples, names, progress)
        import ray

        files = ray.put({name: path.read_bytes() for name, path in models.items()})
        task = ray.remote(num_cpus=1, max_retries=3)(judge_share)
        shares = [samples[n : n + most] for n in range(0, len(samples), most)]
        told = [[(str(sample.path.relative_to(root)), sample) for sample in share] for share in shares]
        asked = [task.remote(files, data, share, list(names)) for share in told]
        return joined(ray.get(asked), [len(share) for share in shares])

    return ask


def judge_share(
    models: Mapping[str, bytes], data: Parcel, samples: Sequence[tuple[str, Sample]], names: Sequence[str]
) -> Part:
    """What models say of a share of the test pictures.

    Args:
        models: name -> content of the file.
        data: the folder of pictures.
        samples: each with its path in that folder.
        names: the data's classes.
    """
    from converters import judge

    root = parcel.at_hand(data, parcel.fetched)
    here = [replace(sample, path=root / place) for place, sample in samples]
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{number}.tflite" for number, name in enumerate(models)}
        for name, path in paths.items():
            path.write_bytes(models[name])
        return judge.answered(paths, here, names)


def joined(parts: Sequence[Part], sizes: Sequence[int]) -> Part:
    """Parts that were asked about one after another as one."""
    from converters.judge import Part

    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    places = tuple(start + place for start, part in zip(starts, parts, strict=True) for place in part.places)
    answers = {
        name: (
            [row for part in parts for row in part.answers[name][0]],
            [row for part in parts for row in part.answers[name][1]],
        )
        for name in parts[0].answers
    }
    skipped = tuple(path for part in parts for path in part.skipped)
    return Part(places, answers, skipped, max(part.seconds for part in parts))
