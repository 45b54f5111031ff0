"""What one file says of classes, imports and views: plain data, made by `names`."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tables import Target

__all__ = [
    "Base",
    "Binding",
    "Class",
    "Facts",
    "Import",
    "Include",
    "Method",
    "Note",
    "Reference",
    "Span",
    "Statement",
    "ViewCall",
    "Wrapper",
]

# Where something stands in the text of its file: from, to.
Span = tuple[int, int]
# What a name may stand for: "import", "class" or "call" with a number, or "other".
Binding = tuple[str, int]


@dataclass
class Statement:
    """An import statement."""

    span: Span
    line: int
    # The scope that it binds its names in: module, class or function.
    scope: str
    # Whether the module always executes it.
    is_certain: bool


@dataclass
class Import:
    """A name that an import statement binds."""

    statement: int
    # Which of the names of its statement.
    index: int
    name: str
    target: Target
    # `import a.b` binds `a`, and has to be there for `a.b` to be found.
    is_dotted: bool = False
    # How often it is read by what is not converted.
    others: int = 0


@dataclass
class Reference:
    """A name or dotted name, and what it may stand for."""

    span: Span
    line: int
    text: str
    bindings: frozenset[Binding]
    # The attributes behind what is bound.
    path: tuple[str, ...] = ()
    # The modules that it may come from by `import *`.
    stars: tuple[Target, ...] = ()


@dataclass
class Base:
    """A base of a class; what is no name is an expression, with names in it."""

    line: int
    reference: Reference | None
    inside: list[Reference] = field(default_factory=list)


@dataclass
class Note:
    """Something to say of a line."""

    code: str
    line: int
    name: str = ""


@dataclass
class Method:
    """A function in the body of a class."""

    line: int
    is_async: bool
    span: Span


@dataclass
class Class:
    """A class statement."""

    name: str
    line: int
    bases: list[Base] = field(default_factory=list)
    methods: dict[str, Method] = field(default_factory=dict)
    # The other names that its body binds.
    attributes: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    # Methods that are awaited on self or super().
    awaited: list[tuple[str, Span, int]] = field(default_factory=list)
    # Methods of self or super() that are named otherwise.
    named: list[tuple[str, int]] = field(default_factory=list)
    # What its body reads.
    reads: list[Reference] = field(default_factory=list)


@dataclass
class Wrapper:
    """A call around an `as_view()`: a decorator, or a function that takes a view."""

    text: str
    reference: Reference | None


@dataclass
class ViewCall:
    """A call of `as_view()`."""

    line: int
    reference: Reference
    wrappers: list[Wrapper]
    # Whether sync code calls the view that it gives, and where.
    called: int = 0


@dataclass
class Include:
    """An `include("...")` of URLs."""

    line: int
    span: Span
    module: str
    function: Reference


@dataclass
class Facts:
    """What is known of one file."""

    path: str
    statements: list[Statement] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    classes: list[Class] = field(default_factory=list)
    views: list[ViewCall] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    # The names at the top, each with what it may stand for at the end.
    exports: dict[str, frozenset[Binding]] = field(default_factory=dict)
    stars: list[tuple[Target, int]] = field(default_factory=list)
    # Every name that something in the file binds, and that it has in a string.
    bound: dict[str, int] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)
    # Attributes of modules that are imported: `views.ListView`.
    attributes: set[tuple[Target, str]] = field(default_factory=set)
    # What else is read of django-async-extensions.
    extension: list[Reference] = field(default_factory=list)
    # `await form.ais_valid()`: the call, the form, the line.
    validations: list[tuple[Span, Span, int]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    # Functions that return a sync function made inside of them.
    decorators: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    is_generated: bool = False
    error: str = ""
