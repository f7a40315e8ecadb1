"""What Python's own methods and functions do to what they are given: the Guardian's knowledge.

What is not named here cannot be decided, and what cannot be decided counts as a change.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Methods that change their receiver. What STORING ones take in lies in the receiver afterwards, and so does what methods
# take in that nobody knows.
STORING = _words(
    """append appendleft add insert extend extendleft update setdefault put push __setitem__ __iadd__ __ior__ subtract
    move_to_end"""
)
MUTATORS = STORING | _words(
    """pop popleft popitem remove discard clear sort reverse rotate intersection_update difference_update
    symmetric_difference_update __delitem__ __isub__ __imul__ __iand__ __ixor__ __setattr__ __delattr__ __setstate__"""
)
# So do these methods of streams and generators; plain data has none of them.
OF_STREAMS = _words("write writelines truncate send throw close seek")
MUTATORS |= OF_STREAMS

# Methods that only read, by what they give: something new and whole, a new container of the same elements, an element.
GIVES_NEW = _words(
    """count index startswith endswith find rfind rindex split rsplit splitlines strip lstrip rstrip upper lower title
    capitalize casefold swapcase replace join format format_map encode decode zfill center ljust rjust expandtabs
    partition rpartition translate maketrans isdigit isalpha isalnum isnumeric isdecimal isspace isupper islower istitle
    isidentifier isprintable isascii removeprefix removesuffix bit_length bit_count is_integer as_integer_ratio
    conjugate to_bytes from_bytes hex fromhex issubset issuperset isdisjoint isoformat strftime strptime timestamp
    weekday isoweekday isocalendar toordinal timetuple utctimetuple utcoffset tzname dst total_seconds now today utcnow
    date time timetz astimezone fromisoformat fromtimestamp quantize to_integral_value normalize sqrt limit_denominator
    total getvalue digest hexdigest match fullmatch search sub subn group groups groupdict span start end findall
    __len__ __contains__ __str__ __repr__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __hash__ __bool__ __format__ __sizeof__
    __int__ __float__ __index__ __dir__ __instancecheck__ __subclasscheck__ __fspath__"""
)
GIVES_COPY = _words(
    """copy fromkeys keys values items union intersection difference symmetric_difference most_common elements __iter__
    __reversed__ __add__ __or__ __and__ __sub__ __xor__ __mul__ __copy__ finditer"""
)
GIVES_ELEMENT = _words("get __getitem__ __next__ __getattribute__ __getstate__ __reduce__ __reduce_ex__")
READERS = GIVES_NEW | GIVES_COPY | GIVES_ELEMENT
STORES_NOTHING = READERS | (MUTATORS - STORING - {"__setattr__", "__setstate__", "send"})
# Of what these take in, the elements lie in the receiver (in the first argument) afterwards.
SPREADING = frozenset({"extend", "extendleft", "update", "__iadd__", "__ior__", "__init__"})
TAKES_ELEMENTS = frozenset({"operator.iadd", "operator.ior", "operator.iconcat"})

# Of these the first argument is a key or a place, and lies nowhere afterwards.
KEY_FIRST = frozenset({"get", "setdefault", "insert", "pop", "__setitem__", "__getitem__"})

# Built-in functions, in the same three kinds.
NEW_FUNCTIONS = _words(
    """abs all any ascii bin bool bytearray bytes callable chr complex divmod float format hasattr hash hex id int
    isinstance issubclass len oct ord print range repr round str type help memoryview dir input"""
)
COPY_FUNCTIONS = _words("dict enumerate filter frozenset iter list map reversed set slice sorted sum tuple zip")
ELEMENT_FUNCTIONS = _words(
    """max min getattr pow next math.prod secrets.choice statistics.median statistics.median_low statistics.median_high
    statistics.mode typing.cast typing.assert_type typing.no_type_check typing.reveal_type"""
)
EAGER_FUNCTIONS = _words("list dict set tuple frozenset sorted sum min max any all len str repr")
SAME_FUNCTIONS = frozenset({"vars", "super"})
UNDECIDABLE = frozenset({"exec", "eval", "compile", "__import__", "globals", "locals"})
GIVES_NUMBER = _words("len int float abs round ord hash id bool isinstance hasattr callable any all")
TYPES = _words(
    """list dict set frozenset tuple str bytes bytearray int float complex bool object type collections.deque
    collections.Counter collections.OrderedDict collections.defaultdict super"""
)

# What objects are asked for by operators and by functions: an object of a local class may answer anything.
COMPARING = _words("__eq__ __ne__ __lt__ __le__ __gt__ __ge__")
UNARY = _words("__neg__ __pos__ __invert__")
BINARY = frozenset(
    f"__{start}{name}__"
    for name in _words("add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor")
    for start in ("", "r")
)
ASKING = {
    "abs": _words("__abs__"), "round": _words("__round__"), "divmod": BINARY, "sum": BINARY, "pow": BINARY,
    "reversed": _words("__reversed__"), "math.floor": _words("__floor__"), "math.ceil": _words("__ceil__"),
    "math.trunc": _words("__trunc__"), "copy.copy": _words("__copy__ __reduce__ __reduce_ex__"),
    "copy.deepcopy": _words("__deepcopy__ __reduce__ __reduce_ex__"),
}  # fmt: skip

# Attributes that lead nowhere, and those that lead to anything at all.
NAMING = frozenset({"__class__", "__name__", "__doc__", "__qualname__", "__module__"})
INSIDES = _words(
    """__self__ __closure__ cell_contents __defaults__ __kwdefaults__ __wrapped__ f_locals f_back tb_frame tb_next
    gi_frame cr_frame ag_frame __traceback__ __context__ __cause__"""
)
OF_EXCEPTIONS = frozenset({"args", "obj", "value", "exceptions"})

# Which argument a function calls with the others (the keywords for all of them); `next` calls nothing of a slot's value.
CALLS_ITS_ARGUMENT = {
    "map": 0, "filter": 0, "functools.reduce": 0, "itertools.starmap": 0, "itertools.takewhile": 0,
    "itertools.dropwhile": 0, "itertools.filterfalse": 0, "itertools.accumulate": 1, "itertools.groupby": 1, "re.sub": 1,
    "functools.cmp_to_key": 0, "collections.defaultdict": 0,
}  # fmt: skip
LAZY_FUNCTIONS = frozenset({"map", "filter"}) | {name for name in CALLS_ITS_ARGUMENT if name.startswith("itertools.")}
# Of these nothing comes out that their `key` gives.
KEYED = _words(
    """sorted min max sort heapq.nsmallest heapq.nlargest heapq.merge bisect.bisect bisect.bisect_left bisect.bisect_right
    bisect.insort bisect.insort_left bisect.insort_right"""
)
CALLED_KEYWORDS = frozenset({"key", "func", "default_factory", "repl", None})
# What these give only reads, if what they are given does.
GIVES_READER = _words("operator.itemgetter operator.attrgetter functools.cmp_to_key functools.partial")
# What a local function is after one of these is still what it was.
PLAIN_DECORATORS = _words("functools.cache functools.lru_cache staticmethod")
# These call nothing when they are applied, and keep what they decorate in nothing but what they answer.
KEEPING_DECORATORS = PLAIN_DECORATORS | _words(
    """classmethod property functools.cached_property functools.total_ordering functools.wraps contextlib.contextmanager
    contextlib.asynccontextmanager abc.abstractmethod dataclasses.dataclass enum.unique typing.overload typing.final
    typing.override typing.no_type_check"""
)

NEW_MODULES = _words(
    """base64 binascii calendar cmath colorsys datetime decimal difflib fractions hashlib hmac html json keyword math
    numbers os pprint re secrets statistics string struct textwrap time typing unicodedata urllib.parse uuid zlib zoneinfo
    dataclasses enum"""
)
COPY_MODULES = frozenset({"itertools", "collections", "heapq", "graphlib"})
ELEMENT_MODULES = frozenset({"functools", "operator", "random", "bisect", "copy"})
FUNCTIONS_THAT_GIVE_NEW = frozenset({"copy.deepcopy", "random.randint", "random.random", "random.uniform"})
FUNCTIONS_THAT_COPY = frozenset({"copy.copy", "random.sample", "random.choices", "statistics.multimode"})
FUNCTIONS_THAT_TAKE_OUT = frozenset({"heapq.heappop", "heapq.heapreplace", "heapq.heappushpop"})
# Maps that can be made of pairs: then they hold what lay in these.
MAPS = frozenset({"dict", "collections.OrderedDict", "collections.Counter", "collections.defaultdict"})
CHANGES_FIRST_ARGUMENT = _words(
    """random.shuffle heapq.heappush heapq.heappop heapq.heapify heapq.heapreplace heapq.heappushpop bisect.insort
    bisect.insort_left bisect.insort_right operator.setitem operator.delitem operator.iadd operator.ior operator.iand
    operator.isub operator.ixor operator.imul operator.iconcat setattr delattr"""
)
CHANGES_SOMETHING = _words(
    """json.dump struct.pack_into operator.methodcaller operator.call functools.partial collections.ChainMap
    collections.UserDict collections.UserList dataclasses.field dataclasses.replace"""
)

_READING_FUNCTIONS = NEW_FUNCTIONS | COPY_FUNCTIONS | ELEMENT_FUNCTIONS | SAME_FUNCTIONS

# `with` blocks of these never swallow an exception.
TRANSPARENT_CONTEXTS = _words(
    """decimal.localcontext contextlib.nullcontext contextlib.closing contextlib.redirect_stdout contextlib.redirect_stderr
    warnings.catch_warnings open io.open io.StringIO io.BytesIO threading.Lock threading.RLock tempfile.TemporaryDirectory
    localcontext nullcontext closing redirect_stdout redirect_stderr catch_warnings"""
)


def changes_in_place(operator_name: str, value_is_number: bool) -> bool:
    """Whether an augmented assignment may change the object itself: lists, sets and maps do so for these."""
    return operator_name in {"Add", "Mult", "BitOr", "BitAnd", "BitXor", "Sub"} and not (
        value_is_number and operator_name != "Mult"
    )


def is_exception(qualified: str) -> bool:
    """Whether a function makes an exception, by its name."""
    return qualified.endswith(("Error", "Exception", "Warning")) or qualified in {"StopIteration", "KeyboardInterrupt"}


def only_reads(qualified: str) -> bool:
    """Whether a built-in function or one of the standard library changes nothing that it is given."""
    if qualified in _READING_FUNCTIONS or is_exception(qualified):
        return True
    name = qualified.rpartition(".")[2]
    if name.startswith("__") and name in READERS:
        return True
    return qualified not in CHANGES_FIRST_ARGUMENT and module_gives(qualified) != "unknown"


def module_gives(qualified: str) -> str:
    """Say what a function of the standard library gives: `new`, `copy`, `element`, or `unknown`."""
    module = qualified.rpartition(".")[0]
    if qualified in CHANGES_SOMETHING:
        return "unknown"
    if qualified in FUNCTIONS_THAT_TAKE_OUT:
        return "element"
    if qualified in FUNCTIONS_THAT_COPY:
        return "copy"
    if qualified in FUNCTIONS_THAT_GIVE_NEW or module in NEW_MODULES or module.split(".")[0] in NEW_MODULES:
        return "new"
    if module in COPY_MODULES or module.split(".")[0] in COPY_MODULES:
        return "copy"
    return "element" if module in ELEMENT_MODULES else "unknown"
