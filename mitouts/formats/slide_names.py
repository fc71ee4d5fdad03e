"""Names slides in tables and folders, also where several files have one name, and finds the file of a name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

NOTHING = (0, 0)


def relative_names(paths: Sequence[str | PurePath]) -> list[str]:
    """Name slides by their paths relative to their common folder, with forward slashes.

    Slides of one folder are called by their file names; ``c1/1.tif`` and ``c2/1.tif`` keep their folders.
    """
    whole = [_absolute(path) for path in paths]
    try:
        root = os.path.commonpath([path.parent for path in whole])
    except ValueError:
        # There is none for slides of several drives.
        return [path.as_posix() for path in whole]
    return [path.relative_to(root).as_posix() for path in whole]


def folder_names(paths: Sequence[str | PurePath], taken: Collection[str] = ()) -> list[str]:
    """Choose a folder name for each slide's results: the file's stem, with as much of its path as makes it unique.

    The name of a slide does not depend on the order of the list: ``c1/1.tif`` and ``c2/1.tif`` become ``c1_1`` and
    ``c2_1``, ``1.tif`` and ``1.svs`` of one folder become ``1.tif`` and ``1.svs``.

    Args:
        taken: Names that may not be used. Names differ in more than case, because some disks ignore case.
    """
    whole = [_absolute(path) for path in paths]
    of_stem: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(whole):
        of_stem[_stem(path).casefold()].append(index)
    names = [_stem(path) for path in whole]
    for members in of_stem.values():
        if len(members) > 1:
            for index, name in zip(members, _told_apart([whole[index] for index in members])):
                names[index] = name
    used = {name.casefold() for name in taken}
    for index, name in enumerate(names):
        number = 2
        while names[index].casefold() in used:
            names[index], number = f'{name}-{number}', number + 1
        used.add(names[index].casefold())
    return names


def match_slides(names: Sequence[str], paths: Sequence[str]) -> list[list[int]]:
    """Find the file of each named slide.

    Files of the same name match, or of the same stem if none has the name; of several, those that share most parent
    folders with it, counted from the file upwards. A file that matches another of ``names`` better is left to that one.

    Args:
        names: File names or paths, as a table or an annotation file has them.

    Returns:
        Positions in ``paths`` for each of ``names``: none, one, or several that cannot be told apart. Two of ``names``
        that cannot be told apart have the same positions.
    """
    wanted, there = ([_parts(text) for text in texts] for texts in (names, paths))
    shared = [[_shared(name, path) for path in there] for name in wanted]
    best_of_path = [max(column) for column in zip(*shared)]
    matches = []
    for row in shared:
        best = max(row, default=NOTHING)
        matches.append([at for at, likeness in enumerate(row) if NOTHING < likeness == best == best_of_path[at]])
    return matches


def _absolute(path: str | PurePath) -> Path:
    """Return the absolute path without ``..``; links are not followed, because users know the names of the links."""
    return Path(os.path.normpath(Path(path).absolute()))


def _stem(path: PurePath) -> str:
    # '...tif' would have its results in the folder above.
    return path.stem.lstrip('.') or 'slide'


def _told_apart(paths: Sequence[PurePath]) -> list[str]:
    """Return the shortest names that tell slides of one stem apart."""
    depth = max(len(path.parts) for path in paths)
    for last in (_stem, lambda path: path.name.lstrip('.') or 'slide'):
        for above in range(depth):
            names = ['_'.join([*_folders(path)[-above:], last(path)] if above else [last(path)]) for path in paths]
            if len({name.casefold() for name in names}) == len(paths):
                return names
    return [_stem(path) for path in paths]


def _folders(path: PurePath) -> tuple[str, ...]:
    return path.parts[1:-1]


def _parts(text: str) -> list[str]:
    # SlideRunner's databases hold Windows' paths.
    return [part.casefold() for part in text.replace('\\', '/').split('/') if part not in ('', '.')]


def _shared(name: Sequence[str], path: Sequence[str]) -> tuple[int, int]:
    """Return 2 for the same file name, 1 for the same stem, 0 for neither; and the number of equal folders above it."""
    if not name or not path or PurePath(name[-1]).stem != PurePath(path[-1]).stem:
        return NOTHING
    folders = 0
    for first, second in zip(name[-2::-1], path[-2::-1]):
        if first != second:
            break
        folders += 1
    return 2 if name[-1] == path[-1] else 1, folders
