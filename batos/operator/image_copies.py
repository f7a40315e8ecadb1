"""`image backup`, `restore`, `verify`, `export`, `import`: copies of the image, and objects as text files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from batos.errors import BadField, ImageInUse
from batos.operator import offline
from batos.operator.image import ask, progress

if TYPE_CHECKING:
    import argparse

    from batos.operator.show import Speaker
    from batos.settings import Settings

_OBJECT = "object.json"
_OURS = (".json", ".py")


def backup(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Copy the image as it is now, with its blobs, and prove the copy."""
    folder = str(Path(asked.folder).expanduser().resolve())
    report = ask(settings, speaker, "image", action="backup", folder=folder, weights=not asked.without_weights)
    if speaker.json:
        speaker.value(report)
    else:
        speaker.out.print(f"{folder} holds the image as of {report['time']} (tid {report['tid']})", markup=False)
        _show(report, speaker)
    return 0


def restore(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Put a backup in the image's place."""
    from batos.image import restore as restoring

    if offline.kernel_answers(settings):
        raise ImageInUse(
            "A kernel serves the image: a backup is restored on a stopped image",
            "Stop the system (`./puter.sh stop`) and restore again.",
        )
    speaker.remark(offline.SAID["image"])
    tell = _telling(speaker)
    folder = Path(asked.folder).expanduser().resolve()
    report = restoring.restore(folder, settings.image_path, settings.blob_path, force=asked.force, tell=tell)
    if speaker.json:
        speaker.value({**report, "through": "image"})
        return 0
    speaker.out.print(f"the image is as of {report['time']} (tid {report['tid']})")
    _show(report, speaker)
    for place in report["kept"]:
        speaker.out.print(f"kept aside: {place}", markup=False)
    return 0


def verify(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Prove that a backup is what it was when it was made."""
    from batos.image import restore as restoring

    del settings
    report = restoring.verify(Path(asked.folder).expanduser().resolve(), _telling(speaker))
    if speaker.json:
        speaker.value(report)
    else:
        speaker.out.print(f"good: the image as of {report['time']} (tid {report['tid']})")
        _show(report, speaker)
    return 0


def export(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Write an object as text files; those of an earlier export are replaced."""
    folder = Path(asked.folder).expanduser()
    report = ask(settings, speaker, "image", action="export", target_oid=asked.oid)
    files = report.pop("files")
    write(folder, files)
    if speaker.json:
        speaker.value({**report, "folder": str(folder), "files": sorted(files)})
    else:
        speaker.out.print(f"{folder}: {len(files)} files", markup=False)
    return 0


def import_(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Make an object from exported files."""
    fields = {"files": read(Path(asked.folder).expanduser()), "force": asked.force}
    named = {"name": asked.name, "target_oid": asked.into}
    fields |= {key: value for key, value in named.items() if value is not None}
    report = ask(settings, speaker, "image", action="import", **fields)
    if speaker.json:
        speaker.value(report)
    else:
        speaker.out.print(f"{report['name'] or report['oid'].hex}: {report['objects']} objects came", markup=False)
        rows = [(row["selector"], row["signature"], str(row["versions"]), row["summary"]) for row in report["methods"]]
        speaker.table("methods", ("selector", "signature", "versions", "summary"), rows)
    return 0


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of an export; what an earlier export left there and this one has not goes.

    Raises:
        BadField: The folder holds something else, or a path leads out of it.
    """
    before = _exported(folder)
    if before is None:
        raise BadField(f"{folder} holds files that are no export", "Name a new folder, or one of an earlier export.")
    for path in before - set(files):
        _inside(folder, path).unlink()
    for path, content in files.items():
        target = _inside(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    """Read the files of an export.

    Raises:
        BadField: The folder holds none.
    """
    paths = _exported(folder)
    if not paths:
        raise BadField(f"{folder} holds no export: there is no {_OBJECT} in it")
    return {path: _inside(folder, path).read_bytes() for path in paths}


def _exported(folder: Path) -> set[str] | None:
    """The paths of an export in a folder: none where it is empty or missing; None where it holds something else."""
    if not folder.exists() or not any(folder.iterdir()):
        return set()
    if not (folder / _OBJECT).is_file():
        return None
    parts = [folder / _OBJECT, *(folder / "methods").rglob("*"), *(folder / "objects").rglob("*")]
    return {part.relative_to(folder).as_posix() for part in parts if part.is_file() and part.suffix in _OURS}


def _inside(folder: Path, path: str) -> Path:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise BadField(f"{path!r} is not a path within the folder")
    return folder.joinpath(*parts.parts)


def _telling(speaker: Speaker) -> Any:
    hear = progress(speaker)
    return lambda what, done, total: hear({"event": "progress", "what": what, "done": done, "total": total})


def _show(report: dict[str, Any], speaker: Speaker) -> None:
    graph = report["graph"]
    speaker.out.print(f"  {report['bytes']:,} bytes, {graph['records']:,} records, digest {graph['sha256'][:16]}…")
    speaker.out.print(f"  {report['blobs']} blobs, {report['blob_bytes']:,} bytes")
    for blob in report["left_out"]:
        speaker.out.print(f"  left out, to be fetched again: {blob['name']}, {blob['size']:,} bytes", markup=False)
