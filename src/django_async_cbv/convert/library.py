"""Find the class that a name stands for, in the project or in what is installed."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from .facts import Class, Facts, Reference
from .names import facts_of, parts_of
from .source import Unchangeable, read
from .tables import EXTENSION, Ours, Target, django_folder, ours_for, ours_for_extension

__all__ = ["PLAIN", "UNKNOWN", "Found", "Library"]

# A class: its file, and its number in the file. Also stands for an irrelevant class, or
# for any class.
Found = tuple[str, int]
PLAIN: Found = ("", 0)
UNKNOWN: Found = ("", 1)
_THEIRS = "*"


class Library:
    """The classes of a project, and of the packages that it imports."""

    def __init__(self, project: Iterable[Facts]) -> None:
        self.files: dict[str, Facts] = {}
        self.project: set[str] = set()
        self.extension: list[Target] = []
        self._tails: defaultdict[Target, list[str]] = defaultdict(list)
        self._modules: dict[Target, Facts | None] = {}
        self._resolved: dict[Target, frozenset[Found]] = {}
        self._views: dict[Found, bool | None] = {}
        self._ours: dict[Found, Ours | None] = {}
        for facts in project:
            self.files[facts.path] = facts
            self.project.add(facts.path)
            parts = parts_of(facts.path)
            for length in range(1, len(parts)):
                self._tails[parts[-length:]].append(facts.path)

    # --- Modules ----------------------------------------------------------------

    def module(self, target: Target) -> Facts | None:
        """The facts of a module, by its dotted path."""
        if target not in self._modules:
            self._modules[target] = None
            self._modules[target] = self._find_module(target)
        return self._modules[target]

    def _find_module(self, target: Target) -> Facts | None:
        if not target:
            return None
        if Path(target[0]).is_absolute():  # a relative import
            return self._load(Path(*target))
        paths = self._tails.get(target, ())
        if paths:
            # The path nearest to the root, which is the package and not a copy inside
            # of another.
            return self.files[min(paths, key=lambda one: len(Path(one).parts))]
        if target[0] in sys.stdlib_module_names or target[0] == EXTENSION:
            return None
        if target[0] == "django":
            return self._load(django_folder().joinpath(*target[1:]))
        search: list[str] | None = None
        spec = None
        for length in range(1, len(target) + 1):
            try:
                name = ".".join(target[:length])
                spec = PathFinder.find_spec(name, search)
            except (ImportError, ValueError):
                return None
            if spec is None:
                return None
            search = [*(spec.submodule_search_locations or ())]
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        return self._load(Path(spec.origin))

    def _load(self, path: Path) -> Facts | None:
        for file in (path, path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if str(file) in self.files:
                return self.files[str(file)]
            if file.is_file():
                try:
                    source = read(file)
                except Unchangeable:
                    return None
                facts = facts_of(source, is_deep=False)
                self.files[str(file)] = facts
                return facts
        return None

    # --- Classes ----------------------------------------------------------------

    def cls(self, found: Found) -> Class:
        """The class statement of what was found."""
        return self.files[found[0]].classes[found[1]]

    def resolve(self, facts: Facts, reference: Reference) -> frozenset[Found]:
        """All that a name may stand for."""
        found: set[Found] = set()
        if not reference.bindings:
            for star in reference.stars:
                found |= self._from_star((*star, *reference.path))
            if not found and any(self.module(one) is None for one in reference.stars):
                found.add(UNKNOWN)
            return frozenset(found or {PLAIN})
        name = reference.text.partition(".")[0]
        for kind, number in reference.bindings:
            if kind == "import":
                found |= self.target((*facts.imports[number].target, *reference.path))
            elif kind == "class":
                found |= self._inner(facts, number, reference.path)
            elif kind == "star":
                star = facts.stars[number][0]
                found |= self._from_star((*star, name, *reference.path))
            else:
                found.add(UNKNOWN)
        return frozenset(found)

    def _from_star(self, target: Target) -> frozenset[Found]:
        """What `import *` brings of a name, if it is known to bring it."""
        return self.target(target) - {UNKNOWN}

    def _inner(self, facts: Facts, number: int, path: Target) -> set[Found]:
        if not path:
            return {(facts.path, number)}
        name = ".".join([facts.classes[number].name, *path])
        inner = [i for i, cls in enumerate(facts.classes) if cls.name == name]
        return {(facts.path, inner[-1])} if inner else {UNKNOWN}

    def target(self, target: Target) -> frozenset[Found]:
        """The classes at a dotted path."""
        if target not in self._resolved:
            self._resolved[target] = frozenset({UNKNOWN})  # imports in a circle
            self._resolved[target] = frozenset(self._target(target))
        return self._resolved[target]

    def _target(self, target: Target) -> set[Found]:
        if target[0] == EXTENSION:
            if ours_for_extension(target) is None:
                return {UNKNOWN}
            names = [one[-1] for one in self.extension]
            if target[-1] not in names:
                self.extension.append(target)
                names.append(target[-1])
            return {(_THEIRS, names.index(target[-1]))}
        if target[0] in sys.stdlib_module_names:
            return {PLAIN}
        for cut in range(len(target) - 1, 0, -1):
            facts = self.module(target[:cut])
            if facts is None:
                continue
            name, rest = target[cut], target[cut + 1 :]
            bindings = facts.exports.get(name)
            if bindings is None:
                for star, _ in facts.stars:
                    if found := self._from_star((*star, name, *rest)):
                        return {*found}
                return {UNKNOWN}
            reference = Reference((0, 0), 0, name, bindings, rest)
            return {*self.resolve(facts, reference)}
        return {UNKNOWN}

    def bases(self, found: Found) -> Iterator[frozenset[Found]]:
        """What each base of a class may be."""
        if found[0] not in self.files:
            return
        facts = self.files[found[0]]
        for base in facts.classes[found[1]].bases:
            if base.reference is None:
                yield frozenset({UNKNOWN})
            else:
                yield self.resolve(facts, base.reference)

    def ancestors(self, found: Found) -> list[Found]:
        """A class and what it may be derived from, each once; not in their order."""
        seen: dict[Found, None] = {}
        todo = [found]
        while todo:
            one = todo.pop(0)
            if one not in seen and one not in (PLAIN, UNKNOWN):
                seen[one] = None
                todo += [each for base in self.bases(one) for each in base]
        return [*seen]

    def is_view(self, found: Found) -> bool | None:
        """Whether a class is a view; None if that cannot be told."""
        if found not in self._views:
            self._views[found] = False  # derived from itself
            self._views[found] = self._is_view(found)
        return self._views[found]

    def _is_view(self, found: Found) -> bool | None:
        if found in (PLAIN, UNKNOWN):
            return None if found is UNKNOWN or found == UNKNOWN else False
        if found[0] == _THEIRS:
            return self.extension[found[1]][-1].endswith("View")
        if self.is_django(found, "views/generic/base.py", "View"):
            return True
        answers = [self.is_view(one) for base in self.bases(found) for one in base]
        if any(answers):
            return True
        return None if None in answers else False

    def is_django(self, found: Found, file: str, name: str) -> bool:
        """Whether a class is this one of Django's."""
        return (
            found[0] == str(django_folder().joinpath(*file.split("/")))
            and self.cls(found).name == name
        )

    def is_theirs(self, found: Found) -> bool:
        """Whether a class is one of django-async-extensions."""
        return found[0] == _THEIRS

    def ours(self, found: Found) -> Ours | None:
        """Our class for one of Django's, or of django-async-extensions."""
        if found in (PLAIN, UNKNOWN):
            return None
        if found not in self._ours:
            self._ours[found] = self._find_ours(found)
        return self._ours[found]

    def _find_ours(self, found: Found) -> Ours | None:
        if found[0] == _THEIRS:
            return ours_for_extension(self.extension[found[1]])
        folder = django_folder()
        path = Path(found[0])
        if not path.is_relative_to(folder):
            return None
        module = ".".join(["django", *path.relative_to(folder).with_suffix("").parts])
        return ours_for(module.removesuffix(".__init__"), self.cls(found).name)

    def is_our_class(self, found: Found) -> bool:
        """Whether a class is one of this package."""
        return Path(found[0]).is_relative_to(Path(__file__).parents[1])

    def functions(
        self, facts: Facts, reference: Reference
    ) -> Iterator[tuple[Facts, str]]:
        """The functions that a name may stand for, each with its file."""
        for kind, number in reference.bindings:
            if kind == "import":
                target = (*facts.imports[number].target, *reference.path)
                yield from self._functions_at(target, set())
            elif kind == "other" and not reference.path:
                yield facts, reference.text

    def _functions_at(
        self, target: Target, seen: set[Target]
    ) -> Iterator[tuple[Facts, str]]:
        if target in seen or len(target) < 2 or target[0] in sys.stdlib_module_names:
            return
        seen.add(target)
        facts = self.module(target[:-1])
        if facts is None:
            return
        for kind, number in facts.exports.get(target[-1], ()):
            if kind == "import":
                yield from self._functions_at(facts.imports[number].target, seen)
            else:
                yield facts, target[-1]
