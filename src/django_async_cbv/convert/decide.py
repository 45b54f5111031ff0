"""Decide which classes and calls of a project are converted, and why others are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .facts import Class, Facts, Import, Reference, Span, ViewCall
from .library import Found, Library
from .tables import (
    AUTH_URLS,
    EXTENSION,
    Ours,
    handlers,
    hooks,
    ours_for_extension,
    theirs_async,
)

__all__ = ["Decision", "Finding", "Swap", "decide"]


@dataclass(frozen=True, order=True)
class Finding:
    """What stays as it is, or needs a look, and why."""

    path: str
    line: int
    code: str
    name: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Swap:
    """A name that is replaced by one of our classes."""

    span: Span
    text: str
    line: int
    ours: Ours
    # The names of import statements on the way to the class.
    imports: tuple[int, ...]


@dataclass
class Decision:
    """What is changed in one file."""

    path: str
    swaps: list[Swap] = field(default_factory=list)
    # Replaced text, such as URLs and names of hooks.
    texts: list[tuple[Span, str, str]] = field(default_factory=list)
    # For `await form.ais_valid()`, the call and the form.
    validations: list[tuple[Span, Span]] = field(default_factory=list)
    # Imports that other modules or strings need.
    kept: set[int] = field(default_factory=set)
    converted: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the file stays as it is."""
        return not (self.swaps or self.texts or self.validations)


@dataclass
class _Candidate:
    """A class that stands on one of Django's."""

    facts: Facts
    cls: Class
    swaps: dict[int, Ours]
    blocked: list[Finding] = field(default_factory=list)
    is_quiet: bool = False

    def block(self, code: str, line: int = 0, detail: str = "") -> None:
        self.blocked.append(
            Finding(self.facts.path, line or self.cls.line, code, self.cls.name, detail)
        )

    @property
    def is_blocked(self) -> bool:
        return bool(self.blocked) or self.is_quiet


def decide(
    library: Library, chosen: Iterable[str], select: Callable[[str, str], bool]
) -> tuple[dict[str, Decision], list[Finding]]:
    """
    Decide for the files that are `chosen`; the others of the project are only read.

    `select` is asked for the path and the name of each class.
    """
    return _Decider(library, {*chosen}, select).decided()


class _Decider:
    def __init__(
        self,
        library: Library,
        chosen: set[str],
        select: Callable[[str, str], bool],
    ) -> None:
        self.library = library
        self.chosen = chosen
        self.select = select
        self.findings: set[Finding] = set()
        self.candidates: dict[Found, _Candidate] = {}
        self.decisions = {path: Decision(path) for path in chosen}
        # For each class, its bases in the project, and the reverse.
        self.parents: dict[Found, list[Found]] = {}
        self.children: defaultdict[Found, list[Found]] = defaultdict(list)

    def decided(self) -> tuple[dict[str, Decision], list[Finding]]:
        files = [self.library.files[path] for path in sorted(self.library.project)]
        for facts in files:
            for number, cls in enumerate(facts.classes):
                self._draw((facts.path, number))
                self._consider(facts, number, cls)
        for facts in files:
            self._look_at_views(facts)
        self._settle()
        for found, candidate in self.candidates.items():
            self._write(found, candidate)
        for path in self.chosen:
            self._finish(self.library.files[path])
        self._keep()
        return self.decisions, sorted(self.findings)

    def say(
        self, facts: Facts, line: int, code: str, name: str, detail: str = ""
    ) -> None:
        if facts.path in self.chosen:
            self.findings.add(Finding(facts.path, line, code, name, detail))

    def _draw(self, found: Found) -> None:
        parents = [
            one
            for base in self.library.bases(found)
            for one in base
            if one[0] in self.library.project and one != found
        ]
        self.parents[found] = parents
        for parent in parents:
            self.children[parent].append(found)

    def _below(self, found: Found, lines: dict[Found, list[Found]]) -> list[Found]:
        seen: dict[Found, None] = {}
        todo = [*lines.get(found, ())]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen[one] = None
                todo += lines.get(one, ())
        return [*seen]

    # --- Classes ----------------------------------------------------------------

    def _consider(self, facts: Facts, number: int, cls: Class) -> None:
        """Make a class a candidate if one of its bases has a variant here."""
        swaps: dict[int, Ours] = {}
        reasons: list[tuple[str, int, str]] = []
        for index, base in enumerate(cls.bases):
            if base.reference is None:
                if any(self._ours_among(facts, one) for one in base.inside):
                    reasons.append(("expression", base.line, ""))
                elif base.inside:
                    reasons.append(("unknown-base", base.line, "an expression"))
                continue
            found = self.library.resolve(facts, base.reference)
            ours = {self.library.ours(one) for one in found}
            if ours == {None}:
                reasons += self._doubts(facts, base.line, base.reference, found)
                continue
            [*some] = ours
            if len(some) > 1 or some[0] is None:
                reasons.append(("ambiguous", base.line, base.reference.text))
                swaps[index] = next(one for one in some if one)
            elif not _imports_of(base.reference):
                code = "star-import" if base.reference.stars else "ambiguous"
                reasons.append((code, base.line, base.reference.text))
                swaps[index] = some[0]
            else:
                swaps[index] = some[0]
        has_view = any(_is_view_name(ours[1]) for ours in swaps.values())
        reasons = [
            reason
            for reason in reasons
            if not (
                has_view
                and reason[0] in ("unseen-base", "unknown-base")
                and not _is_view_name(reason[2])
            )
        ]
        is_extended = any(reason[0] == "expression" for reason in reasons)
        if not swaps and not is_extended:
            for code, line, detail in reasons:
                if code in ("third-party-base", "no-variant"):
                    self.say(facts, line, code, cls.name, detail)
            if not self._is_theirs((facts.path, number)):
                return
        candidate = _Candidate(facts, cls, swaps)
        self.candidates[facts.path, number] = candidate
        if facts.path not in self.chosen or not self.select(facts.path, cls.name):
            candidate.is_quiet = True
        if facts.is_generated:
            candidate.block("generated")
        for code, line, detail in reasons:
            candidate.block(code, line, detail)
        self._inspect((facts.path, number), candidate)

    def _ours_among(self, facts: Facts, reference: Reference) -> bool:
        found = self.library.resolve(facts, reference)
        return any(self.library.ours(one) for one in found)

    def _doubts(
        self, facts: Facts, line: int, reference: Reference, found: frozenset[Found]
    ) -> list[tuple[str, int, str]]:
        """Why a class with a base that stays may not be converted."""
        for one in found:
            if one[0] in self.library.project or self.library.is_our_class(one):
                continue
            is_view = self.library.is_view(one)
            if is_view:
                is_djangos = _is_djangos(facts, reference)
                code = "no-variant" if is_djangos else "third-party-base"
                return [(code, line, reference.text)]
            if is_view is False or _is_djangos(facts, reference):
                continue
            # A class that the codemod cannot read counts as a mixin, by its name or
            # beside a view.
            if reference.stars and not reference.bindings:
                return [("star-import", line, reference.text)]
            if not reference.text.endswith("Mixin"):
                is_import = any(kind == "import" for kind, _ in reference.bindings)
                code = "unseen-base" if is_import else "unknown-base"
                return [(code, line, reference.text)]
        return []

    def _is_theirs(self, found: Found) -> bool:
        """Whether a class is derived from one of django-async-extensions."""
        return any(map(self.library.is_theirs, self.library.ancestors(found)))

    def _inspect(self, found: Found, candidate: _Candidate) -> None:
        """Look at the body of a class for what would be refused or skipped."""
        cls = candidate.cls
        for note in cls.notes:
            if note.code == "sync-to-async":
                candidate.block(note.code, note.line, note.name)
        if self._is_theirs(found):
            self._inspect_theirs(candidate)
            return
        if any(ours[0] == "django.forms" for ours in candidate.swaps.values()):
            return
        above = [one for one in self.library.ancestors(found)[1:] if one[0]]
        inherited: dict[str, bool] = {}
        for one in above:
            if one[0] in self.library.files:
                for name, method in self.library.cls(one).methods.items():
                    inherited[name] = inherited.get(name, False) or not method.is_async
        for name, method in cls.methods.items():
            if method.is_async and inherited.get(name) and name not in handlers():
                candidate.block("E001", method.line, name)
            hook = name[1:]
            if name[0] == "a" and hook in hooks() and hook in inherited:
                code = "taken" if method.is_async else "E002"
                candidate.block(code, method.line, name)

    def _inspect_theirs(self, candidate: _Candidate) -> None:
        cls = candidate.cls
        if "get_test_func" in cls.methods:
            line = cls.methods["get_test_func"].line
            candidate.block("extension-test-func", line, "get_test_func")
        for name, method in cls.methods.items():
            if name[0] == "a" and name[1:] in hooks():
                candidate.block("taken", method.line, name)
            elif name in theirs_async() and not method.is_async:
                candidate.block("extension-sync", method.line, name)
        awaited = {name for name, _, _ in cls.awaited}
        for name, line in cls.named:
            if name in theirs_async():
                candidate.block("extension-loose", line, name)
        if "uses_datetime_field" in awaited | cls.methods.keys():
            candidate.block("extension-hook", cls.line, "uses_datetime_field")
        for one in cls.reads:
            for target in self._targets(candidate.facts, one):
                if target[0] == EXTENSION and "paginator" in target:
                    candidate.block("extension-paginator", one.line, one.text)

    @staticmethod
    def _targets(facts: Facts, reference: Reference) -> list[tuple[str, ...]]:
        return [
            (*facts.imports[number].target, *reference.path)
            for kind, number in reference.bindings
            if kind == "import"
        ]

    # --- What depends on what ---------------------------------------------------

    def _settle(self) -> None:
        """Block what depends on blocked classes, until nothing changes."""
        is_settled = False
        while not is_settled:
            is_settled = True
            for found, candidate in self.candidates.items():
                if candidate.is_blocked:
                    continue
                reason = self._dependency(found)
                if reason is not None:
                    candidate.block(reason[0], detail=reason[1])
                    is_settled = False

    def _dependency(self, found: Found) -> tuple[str, str] | None:
        if self._is_theirs(found):
            related = [
                *self._below(found, self.children),
                *self._below(found, self.parents),
            ]
            for one in related:
                candidate = self.candidates.get(one)
                is_blocked = candidate is not None and candidate.is_blocked
                if is_blocked and self._is_theirs(one):
                    return "family", self.library.cls(one).name
            return None
        for parent in self.parents[found]:
            if self._stays(parent):
                return "base-stays", self.library.cls(parent).name
        if self.library.is_view(found):
            return None
        for child in self._below(found, self.children):
            if self._stays(child):
                return "shared-mixin", self.library.cls(child).name
        return None

    def _stays(self, found: Found) -> bool:
        """Whether a class of the project is a view that stays a view of Django's."""
        for one in [found, *self._below(found, self.parents)]:
            candidate = self.candidates.get(one)
            facts = self.library.files[one[0]]
            if candidate is not None and candidate.is_blocked:
                if any(
                    self._is_view_at(facts, candidate.cls, index)
                    for index in range(len(candidate.cls.bases))
                ):
                    return True
            elif candidate is None and any(
                self.library.is_view(each)
                for base in self.library.bases(one)
                for each in base
                if each[0] not in self.library.project
                and not self.library.is_our_class(each)
            ):
                return True
        return False

    def _is_view_at(self, facts: Facts, cls: Class, index: int) -> bool:
        base = cls.bases[index]
        references = [base.reference] if base.reference else base.inside
        return any(
            self.library.is_view(one)
            for reference in references
            for one in self.library.resolve(facts, reference)
            if one[0] not in self.library.project
        )

    # --- Views ------------------------------------------------------------------

    def _look_at_views(self, facts: Facts) -> None:
        for view in facts.views:
            found = self.library.resolve(facts, view.reference)
            classes = [one for one in found if one[0] in self.library.project]
            doubt = self._doubt_of(facts, view)
            ours = {self.library.ours(one) for one in found}
            if ours != {None}:
                if not all(map(self.library.is_view, found)):
                    continue
                self._convert_view(facts, view, ours, doubt)
            elif doubt is not None:
                code, line, detail = doubt
                ours_too = [one for one in classes if one in self.candidates]
                for one in ours_too:
                    if code == "admin" and not self.candidates[one].is_quiet:
                        self.candidates[one].block(code, detail=detail)
                if ours_too:
                    self.say(facts, line, code, view.reference.text, detail)

    def _doubt_of(self, facts: Facts, view: ViewCall) -> tuple[str, int, str] | None:
        """Why a view may be called by what does not await it."""
        for wrapper in view.wrappers:
            if wrapper.text.rpartition(".")[2] == "admin_view":
                return "admin", view.line, wrapper.text
            if wrapper.reference is None:
                continue
            for where, name in self.library.functions(facts, wrapper.reference):
                of_django = where.path not in self.library.project and _is_djangos(
                    facts, wrapper.reference
                )
                if name in where.decorators and not of_django:
                    return "sync-decorator", view.line, wrapper.text
        if view.called:
            return "called", view.called, view.reference.text
        return None

    def _convert_view(
        self,
        facts: Facts,
        view: ViewCall,
        ours: set[Ours | None],
        doubt: tuple[str, int, str] | None,
    ) -> None:
        reference = view.reference
        name = f"{reference.text}.as_view()"
        if facts.path not in self.chosen or not self.select(facts.path, reference.text):
            return
        if len(ours) > 1:
            self.say(facts, view.line, "ambiguous", name, reference.text)
        elif not _imports_of(reference):
            code = "star-import" if reference.stars else "ambiguous"
            self.say(facts, view.line, code, name, reference.text)
        elif facts.is_generated:
            self.say(facts, view.line, "generated", name)
        elif doubt is not None:
            self.say(facts, doubt[1], doubt[0], name, doubt[2])
        else:
            [one] = ours
            assert one is not None
            self._swap(facts, reference, one)
            self.decisions[facts.path].converted.append((view.line, name, one[1]))

    # --- Changes ----------------------------------------------------------------

    def _swap(self, facts: Facts, reference: Reference, ours: Ours) -> None:
        self.decisions[facts.path].swaps.append(
            Swap(
                reference.span,
                reference.text,
                reference.line,
                ours,
                _imports_of(reference),
            )
        )

    def _write(self, found: Found, candidate: _Candidate) -> None:
        if candidate.is_blocked:
            if not candidate.is_quiet:
                self.findings.update(candidate.blocked)
            return
        facts, cls = candidate.facts, candidate.cls
        decision = self.decisions[facts.path]
        for index, ours in candidate.swaps.items():
            reference = cls.bases[index].reference
            assert reference is not None
            self._swap(facts, reference, ours)
        if self._is_theirs(found):
            self._rename(found)
            for parent in self._below(found, self.parents):
                # The plain mixins.
                if parent not in self.candidates:
                    self._rename_in_mixin(parent)
        names = ", ".join(ours[1] for ours in candidate.swaps.values())
        if names:
            decision.converted.append((cls.line, cls.name, names))

    def _rename_in_mixin(self, found: Found) -> None:
        facts = self.library.files[found[0]]
        cls = self.library.cls(found)
        if facts.path not in self.chosen or not self._renamed(cls):
            return
        for user in self._below(found, self.children):
            candidate = self.candidates.get(user)
            is_view = self.library.is_view(user)
            if is_view and (candidate is None or candidate.is_blocked):
                self.say(
                    facts,
                    cls.line,
                    "shared-mixin",
                    cls.name,
                    self.library.cls(user).name,
                )
                return
        self._rename(found)

    def _renamed(self, cls: Class) -> list[tuple[Span, str]]:
        renamed = [
            (method.span, name)
            for name, method in cls.methods.items()
            if method.is_async and name in hooks()
        ]
        return renamed + [
            (span, name) for name, span, _ in cls.awaited if name in hooks()
        ]

    def _rename(self, found: Found) -> None:
        cls = self.library.cls(found)
        texts = self.decisions[found[0]].texts
        for span, name in self._renamed(cls):
            if (span, name, f"a{name}") not in texts:
                texts.append((span, name, f"a{name}"))

    def _finish(self, facts: Facts) -> None:
        """Decide what else changes in a file, and say what does not."""
        decision = self.decisions[facts.path]
        for note in facts.notes:
            if note.code == "unparsable":
                self.say(facts, note.line, note.code, "", facts.error)
            elif note.code == "type-call":
                self._finish_type_call(facts, note.line, note.name)
        for include in facts.includes:
            new = AUTH_URLS.get(include.module)
            targets = self._targets(facts, include.function)
            is_include = any(
                one[0] == "django" and one[-1] == "include" for one in targets
            )
            if new and is_include and self.select(facts.path, include.module):
                if facts.is_generated:
                    self.say(facts, include.line, "generated", include.module)
                    continue
                decision.texts.append((include.span, include.module, new))
                decision.converted.append((include.line, include.module, new))
        self._finish_extension(facts, decision)

    def _keep(self) -> None:
        """Keep the imports that other modules of the project import in turn."""
        wanted: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
        for path, decision in self.decisions.items():
            facts = self.library.files[path]
            for number in {one for swap in decision.swaps for one in swap.imports}:
                name = facts.imports[number].name
                wanted[name].setdefault(path, []).append(number)
        for path in self.library.project:
            facts = self.library.files[path]
            read = {(one.target[:-1], one.target[-1]) for one in facts.imports}
            for module, name in read | facts.attributes:
                if name in wanted and module:
                    there = self.library.module(module)
                    if there is not None and there.path in wanted[name]:
                        self.decisions[there.path].kept.update(wanted[name][there.path])
            for module, _ in facts.stars:
                there = self.library.module(module)
                # If the module has `__all__`, its strings count.
                if there is None or "__all__" in there.bound:
                    continue
                for places in wanted.values():
                    numbers = places.get(there.path, ())
                    self.decisions.get(there.path, Decision("")).kept.update(numbers)

    def _finish_type_call(self, facts: Facts, line: int, text: str) -> None:
        for one in facts.imports:
            if one.name == text and any(
                map(self.library.ours, self.library.target(one.target))
            ):
                self.say(facts, line, "type-call", text)

    def _finish_extension(self, facts: Facts, decision: Decision) -> None:
        theirs = [one for one in facts.imports if one.target[0] == EXTENSION]
        if not theirs:
            return
        swapped = {number for swap in decision.swaps for number in swap.imports}
        stays = {
            number
            for candidate in self.candidates.values()
            if candidate.facts is facts and candidate.is_blocked
            for base in candidate.cls.bases
            if base.reference is not None
            for number in _imports_of(base.reference)
        }
        for one in facts.extension:
            numbers = _imports_of(one)
            [*targets] = {*self._targets(facts, one)}
            ours = ours_for_extension(targets[0]) if len(targets) == 1 else None
            if ours and not stays.intersection(numbers) and self.select(facts.path, ""):
                self._swap(facts, one, ours)
            elif ours:
                self.say(facts, one.line, "extension-name", one.text)
        for imported in theirs:
            self._finish_import(facts, imported)
        for note in facts.notes:
            if note.code == "form-method" or (
                note.code == "awaited-elsewhere" and note.name in theirs_async()
            ):
                self.say(facts, note.line, note.code, note.name)
        if facts.validations:
            if any(
                facts.statements[facts.imports[one].statement].is_certain
                for one in swapped
            ):
                decision.validations += [one[:2] for one in facts.validations]
            else:
                for _, _, line in facts.validations:
                    self.say(facts, line, "form-method", "ais_valid")

    def _finish_import(self, facts: Facts, imported: Import) -> None:
        is_class = imported.target[-1][:1].isupper()
        if is_class and ours_for_extension(imported.target) is None:
            line = facts.statements[imported.statement].line
            self.say(facts, line, "extension-import", imported.target[-1])


def _imports_of(reference: Reference) -> tuple[int, ...]:
    return tuple(sorted(no for kind, no in reference.bindings if kind == "import"))


def _is_view_name(name: str) -> bool:
    return name.endswith("View")


def _is_djangos(facts: Facts, reference: Reference) -> bool:
    return any(
        facts.imports[number].target[0] == "django" for number in _imports_of(reference)
    )
