"""Make of a decision the changed bytes of a file; import statements by LibCST."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import libcst as cst

from .decide import Decision, Swap
from .facts import Facts, Statement
from .source import Edit, Source, Unchangeable, edited
from .tables import Ours

__all__ = ["rewritten"]

_WIDTH = 88
_VALIDATE: Ours = ("django_async_cbv.forms", "ais_valid")
# A name in an import statement, and its alias.
_Name = tuple[str, str | None]


def rewritten(source: Source, facts: Facts, decision: Decision) -> bytes:
    """Return the bytes of a file as decided. Raise Unchangeable."""
    return _Rewriter(source, facts, decision).rewritten()


@dataclass
class _Place:
    """An import statement that changes: what goes, and what comes."""

    statement: Statement
    dropped: set[int]
    # The number of the name that it replaces, if it replaces one name.
    added: dict[Ours, int | None]


class _Rewriter:
    def __init__(self, source: Source, facts: Facts, decision: Decision) -> None:
        self.source = source
        self.text = source.text
        self.facts = facts
        self.decision = decision
        self.newline = _newline_of(source.text)
        self.dropped = self._find_dropped()
        self.names: dict[Ours, str] = {}

    def rewritten(self) -> bytes:
        places = self._places()
        edits = [
            self._edit(swap.span, swap.text, self._name(swap.ours))
            for swap in self.decision.swaps
        ]
        for span, old, new in self.decision.texts:
            edits.append(self._text_edit(span, old, new))
        for call, form in self.decision.validations:
            name = self._name(_VALIDATE)
            argument = self.text[slice(*form)].decode()
            edits.append(
                self._edit(
                    call, self.text[slice(*call)].decode(), f"{name}({argument})"
                )
            )
        imports = [self._import_edit(place) for place in places]
        return edited(self.source, [*edits, *imports])

    def _edit(self, span: tuple[int, int], old: str, new: str) -> Edit:
        return Edit(*span, old.encode(), new.encode())

    def _text_edit(self, span: tuple[int, int], old: str, new: str) -> Edit:
        """An edit of a name, or inside of the quotes of a string."""
        start, end = span
        there = self.text[start:end]
        quote = re.match(rb"[rRuU]?(\"\"\"|'''|\"|')", there)
        if quote is None or there == old.encode():
            return self._edit(span, old, new)
        inner = (start + quote.end(), end - len(quote[1]))
        return self._edit(inner, old, new)

    # --- Names ------------------------------------------------------------------

    def _find_dropped(self) -> set[int]:
        """The imported names that nothing needs any more."""
        others = Counter({no: one.others for no, one in enumerate(self.facts.imports)})
        roots = {one.span for one in self.facts.extension}
        for swap in self.decision.swaps:
            if swap.span in roots:
                others.subtract(swap.imports)
        # A base of a class that the codemod leaves as it is.
        swapped = {swap.span for swap in self.decision.swaps}
        references = [
            base.reference for cls in self.facts.classes for base in cls.bases
        ]
        references += [view.reference for view in self.facts.views]
        for reference in references:
            if reference is not None and reference.span not in swapped:
                others.update(no for kind, no in reference.bindings if kind == "import")
        dropped = set()
        for number in {one for swap in self.decision.swaps for one in swap.imports}:
            imported = self.facts.imports[number]
            statement = self.facts.statements[imported.statement]
            if (
                others[number] <= 0
                and number not in self.decision.kept
                and statement.scope != "class"
                and (imported.name not in self.facts.strings or imported.is_dotted)
            ):
                dropped.add(number)
        return dropped

    def _name(self, ours: Ours) -> str:
        """The name that one of our classes gets in this file."""
        if ours not in self.names:
            name = ours[1]
            while self._is_taken(name, ours):
                name = f"Base{name}" if name[0].isupper() else f"_{name}"
            self.names[ours] = name
        return self.names[ours]

    def _is_taken(self, name: str, ours: Ours) -> bool:
        target = (*ours[0].split("."), ours[1])
        free = [
            number
            for number, one in enumerate(self.facts.imports)
            if one.name == name
            and (
                number in self.dropped
                or one.target == target
                or (one.target[:1], one.target[-1]) == ((target[0],), ours[1])
            )
        ]
        taken = self.facts.bound.get(name, 0) > len(free)
        return taken or any(
            other != ours and made == name for other, made in self.names.items()
        )

    def _is_there(self, ours: Ours, line: int) -> bool:
        """Whether the file has imported one of our classes before, under its name."""
        target = (*ours[0].split("."), ours[1])
        return any(
            one.target == target
            and one.name == self._name(ours)
            and self.facts.statements[one.statement].is_certain
            and self.facts.statements[one.statement].line < line
            for one in self.facts.imports
        )

    # --- Import statements ------------------------------------------------------

    def _places(self) -> list[_Place]:
        added: defaultdict[int, dict[Ours, set[int]]] = defaultdict(dict)
        for swap in self.decision.swaps:
            for number in self._numbers_for(swap):
                place = self.facts.imports[number].statement
                added[place].setdefault(swap.ours, set()).add(number)
        if self.decision.validations:
            certain = [one for one in added if self.facts.statements[one].is_certain]
            added[min(certain)].setdefault(_VALIDATE, set())
        dropped = defaultdict(set)
        for number in self.dropped:
            dropped[self.facts.imports[number].statement].add(number)
        places = []
        for index in sorted({*added, *dropped}):
            statement = self.facts.statements[index]
            ours = {
                one: self._only(numbers)
                for one, numbers in sorted(added[index].items())
                if not self._is_there(one, statement.line) or dropped[index]
            }
            if ours or dropped[index]:
                places.append(_Place(statement, dropped[index], ours))
        return places

    def _only(self, numbers: set[int]) -> int | None:
        return next(iter(numbers)) if len(numbers) == 1 else None

    def _numbers_for(self, swap: Swap) -> tuple[int, ...]:
        """The import statements that a name comes from; of `import a.b` the nearest."""
        numbers = swap.imports
        dotted = [one for one in numbers if self.facts.imports[one].is_dotted]
        if len(dotted) < 2:
            return numbers
        path = tuple(swap.text.split("."))

        def depth(number: int) -> int:
            statement = self.facts.statements[self.facts.imports[number].statement]
            written = self.text[slice(*statement.span)].decode()
            found = [
                one.strip().split(".")
                for one in written.removeprefix("import").split(",")
            ]
            return max(
                (len(one) for one in found if tuple(one) == path[: len(one)]), default=0
            )

        nearest = max(dotted, key=depth)
        return (*(one for one in numbers if one not in dotted), nearest)

    def _import_edit(self, place: _Place) -> Edit:
        start, end = place.statement.span
        old = self.text[start:end].decode()
        try:
            [node] = cst.parse_module(old).body
            assert isinstance(node, cst.SimpleStatementLine)
            [small] = node.body
        except (cst.ParserSyntaxError, ValueError) as error:
            raise Unchangeable(f"LibCST cannot parse `{old}`") from error
        assert isinstance(small, cst.Import | cst.ImportFrom)
        module = cst.parse_module(old)
        return Edit(
            start, end, old.encode(), self._statements(place, module, small).encode()
        )

    def _statements(
        self, place: _Place, module: cst.Module, small: cst.Import | cst.ImportFrom
    ) -> str:
        index = {self.facts.imports[one].index: one for one in place.dropped}
        names = small.names
        assert not isinstance(names, cst.ImportStar)
        kept = [no for no in range(len(names)) if no not in index]
        renamed = self._renamed(place)
        groups: defaultdict[str, dict[str, _Name]] = defaultdict(dict)
        for ours in place.added:
            name = self._name(ours)
            groups[ours[0]][ours[1]] = (ours[1], name if name != ours[1] else None)
        made: list[str] = []
        for target, wanted in sorted(groups.items()):
            numbers = {no: one for no, one in renamed.items() if one[0] == target}
            if isinstance(small, cst.ImportFrom) and len(numbers) == len(wanted):
                made.append(self._copy(module, small, target, numbers))
            else:
                made.append(self._fresh(place, target, sorted(wanted.values())))
        if kept:
            code = small if len(kept) == len(names) else _only(small, kept)
            made.append(module.code_for_node(code))
        return self._separator(place).join(made)

    def _renamed(self, place: _Place) -> dict[int, Ours]:
        """Which name of the statement each of ours stands for, if for one name."""
        renamed: dict[int, Ours] = {}
        for ours, number in place.added.items():
            if number is None:
                continue
            imported = self.facts.imports[number]
            index = imported.index
            statement = self.facts.statements[imported.statement]
            is_class = ours[1].removeprefix("Async") == (
                imported.target[-1].removeprefix("Async")
            )
            if statement is place.statement and is_class and index not in renamed:
                renamed[index] = ours
        return renamed

    def _copy(
        self,
        module: cst.Module,
        small: cst.ImportFrom,
        target: str,
        numbers: dict[int, Ours],
    ) -> str:
        """The same statement with our module and our names; comments are kept."""
        copied = _only(small, sorted(numbers))
        assert isinstance(copied, cst.ImportFrom)
        assert not isinstance(copied.names, cst.ImportStar)
        aliases = []
        for alias, number in zip(copied.names, sorted(numbers), strict=True):
            ours = numbers[number]
            name = self._name(ours)
            asname = None
            if name != ours[1]:
                asname = cst.AsName(name=cst.Name(name))
            aliases.append(alias.with_changes(name=cst.Name(ours[1]), asname=asname))
        module_name = cst.parse_expression(target)
        assert isinstance(module_name, cst.Attribute | cst.Name)
        code = module.code_for_node(
            copied.with_changes(names=aliases, module=module_name, relative=())
        )
        if "\n" not in code and len(code) > _WIDTH and copied.lpar is None:
            names = [
                (ours[1], None if self._name(ours) == ours[1] else self._name(ours))
                for _, ours in sorted(numbers.items())
            ]
            return self._long(target, names)
        return code

    def _fresh(self, place: _Place, target: str, names: list[_Name]) -> str:
        line = f"from {target} import {_listed(names)}"
        if len(self._indent(place)) + len(line) > _WIDTH:
            return self._long(target, names, self._indent(place))
        return line

    def _long(self, target: str, names: list[_Name], indent: str = "") -> str:
        lines = [f"{indent}    {_listed([one])}," for one in names]
        return self.newline.join([f"from {target} import (", *lines, f"{indent})"])

    def _line_before(self, place: _Place) -> bytes:
        start = place.statement.span[0]
        begin = max(self.text.rfind(b"\n", 0, start), self.text.rfind(b"\r", 0, start))
        return self.text[begin + 1 : start]

    def _indent(self, place: _Place) -> str:
        before = self._line_before(place).decode()
        return before if not before.strip() else ""

    def _separator(self, place: _Place) -> str:
        before = self._line_before(place)
        after = re.split(rb"[\r\n]", self.text[place.statement.span[1] :], maxsplit=1)[
            0
        ]
        is_alone = not before.strip() and not after.split(b"#")[0].strip()
        return f"{self.newline}{before.decode()}" if is_alone else "; "


def _newline_of(text: bytes) -> str:
    found = re.search(rb"\r\n|\n|\r", text)
    return found[0].decode() if found else "\n"


def _listed(names: list[_Name]) -> str:
    return ", ".join(
        name if asname is None else f"{name} as {asname}" for name, asname in names
    )


def _only(
    small: cst.Import | cst.ImportFrom, indices: list[int]
) -> cst.Import | cst.ImportFrom:
    """An import statement with some of its names."""
    assert not isinstance(small.names, cst.ImportStar)
    names = [*small.names]
    last = names[-1]
    chosen = [names[index] for index in indices]
    end = chosen[-1]
    if end is not last:
        chosen[-1] = end.with_changes(comma=_last_comma(end.comma, last.comma))
    return small.with_changes(names=chosen)


def _last_comma(
    own: cst.Comma | cst.MaybeSentinel, last: cst.Comma | cst.MaybeSentinel
) -> cst.Comma | cst.MaybeSentinel:
    """The comma of a name that becomes the last one, with its comment."""
    if not isinstance(own, cst.Comma):
        return own
    after = own.whitespace_after
    has_comment = isinstance(after, cst.ParenthesizedWhitespace) and (
        after.first_line.comment is not None
        or any(one.comment for one in after.empty_lines)
    )
    if isinstance(last, cst.Comma):
        end = last.whitespace_after
        if not isinstance(end, cst.ParenthesizedWhitespace):
            return own if has_comment else last
        if has_comment:
            return own.with_changes(
                whitespace_after=after.with_changes(
                    indent=end.indent, last_line=end.last_line
                )
            )
        # The comment of the last name moves with the name.
        bare = end.first_line.with_changes(
            whitespace=cst.SimpleWhitespace(""), comment=None
        )
        return last.with_changes(
            whitespace_after=end.with_changes(first_line=bare, empty_lines=())
        )
    if not has_comment:
        return cst.MaybeSentinel.DEFAULT
    return own
