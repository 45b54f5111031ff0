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

# The start and the end of something in the text of its file.
Span = tuple[int, int]
# The meaning of a name: "import", "class" or "call" with a number, or "other".
Binding = tuple[str, int]


@dataclass
class Statement:
    """An import statement."""

    span: Span
    line: int
    # The scope of its names: module, class or function.
    scope: str
    # Whether the module always runs the statement.
    is_certain: bool


@dataclass
class Import:
    """A name that an import statement binds."""

    statement: int
    # The number of the name in its statement.
    index: int
    name: str
    target: Target
    # `import a.b` binds `a`, but `a.b` needs the statement too.
    is_dotted: bool = False
    # How often code that stays as it is reads the name.
    others: int = 0


@dataclass
class Reference:
    """A name or dotted name, and what it may stand for."""

    span: Span
    line: int
    text: str
    bindings: frozenset[Binding]
    # The attributes after the bound name.
    path: tuple[str, ...] = ()
    # The modules whose `import *` may bring the name.
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
    # Other names that the body of the class binds.
    attributes: dict[str, int] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    # Methods of self or super() that the class awaits.
    awaited: list[tuple[str, Span, int]] = field(default_factory=list)
    # Methods of self or super() that the class names without `await`.
    named: list[tuple[str, int]] = field(default_factory=list)
    # The names that the body reads.
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
    # The line where sync code calls the view that it returns, or 0.
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
    # The names of the module, each with its possible meanings at the end of the file.
    exports: dict[str, frozenset[Binding]] = field(default_factory=dict)
    stars: list[tuple[Target, int]] = field(default_factory=list)
    # Every name that the file binds, or that is in a string of it.
    bound: dict[str, int] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)
    # Attributes of imported modules, such as `views.ListView`.
    attributes: set[tuple[Target, str]] = field(default_factory=set)
    # Other names of django-async-extensions that the file reads.
    extension: list[Reference] = field(default_factory=list)
    # For `await form.ais_valid()`, the call, the form and the line.
    validations: list[tuple[Span, Span, int]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    # Functions that define and return a sync function.
    decorators: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    is_generated: bool = False
    error: str = ""
