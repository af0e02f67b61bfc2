"""A store that Beam's FileSystems open, and that is neither local files nor an object store."""

import os
from typing import ClassVar, Dict, List

from apache_beam.io.filesystem import MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem


class Elsewhere(LocalFileSystem):
    """A remote store that is no object store: Beam's local file system under another scheme.

    Each of the operations in `failing` raises once what stands there.
    """

    created: ClassVar[List[str]] = []
    failing: ClassVar[Dict[str, List[Exception]]] = {}

    @classmethod
    def scheme(cls) -> str:
        return "elsewhere"

    def create(self, path: str, *arguments: object, **more: object) -> object:
        self.created.append(path)
        self._fail("create")
        return super().create(_plain(path), *arguments, **more)

    def open(self, path: str, *arguments: object, **more: object) -> object:
        self._fail("open")
        return super().open(_plain(path), *arguments, **more)

    def exists(self, path: str) -> bool:
        return bool(super().exists(_plain(path)))

    def mkdirs(self, path: str) -> None:
        super().mkdirs(_plain(path))

    def rename(self, old: list[str], new: list[str]) -> None:
        self._fail("rename")
        super().rename([*map(_plain, old)], [*map(_plain, new)])

    def size(self, path: str) -> int:
        self._fail("size")
        return int(super().size(_plain(path)))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            os.unlink(_plain(path))

    def match(self, patterns: list[str], limits: object = None) -> List[MatchResult]:
        self._fail("match")
        found = super().match([*map(_plain, patterns)], limits)
        for result in found:
            for file in result.metadata_list:
                file.path = f"elsewhere://{file.path}"
        return list(found)

    def _fail(self, operation: str) -> None:
        if self.failing.get(operation):
            raise self.failing[operation].pop()


def _plain(path: str) -> str:
    return path.removeprefix("elsewhere://")
