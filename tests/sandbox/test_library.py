"""The standard library that pure methods need, behind the walls."""

from __future__ import annotations

import textwrap

import pytest

from batos.errors import MethodError
from batos.guardian.modules import PURE_MODULES
from batos.sandbox.runner import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = {
    "datetime": """
        import datetime as d
        day = d.datetime(2024, 1, 31) + d.timedelta(days=1)
        return [day.strftime('%A %d %B %Y'), d.datetime.strptime('2024-02-03 04:05', '%Y-%m-%d %H:%M').isoformat(),
                d.datetime.now(d.timezone.utc).tzname(), d.datetime.now().astimezone().utcoffset() is not None]
        """,
    "zoneinfo": """
        import zoneinfo, datetime as d
        paris, york = zoneinfo.ZoneInfo('Europe/Paris'), zoneinfo.ZoneInfo('America/New_York')
        noon = d.datetime(2024, 7, 1, 12, tzinfo=paris)
        return [noon.astimezone(york).isoformat(), len(zoneinfo.available_timezones()) > 300]
        """,
    "unknown zone": """
        import zoneinfo
        found = []
        for key in ('Mars/Olympus', '../../../etc/passwd'):
            try:
                zoneinfo.ZoneInfo(key)
            except (zoneinfo.ZoneInfoNotFoundError, ValueError):
                found.append(key)
        return len(found)
        """,
    "time": """
        import time
        begun = time.monotonic()
        time.sleep(0.001)
        return [time.monotonic() > begun, time.gmtime(0).tm_year, len(time.ctime(0)) > 10, time.strptime('30 Nov 00', '%d %b %y')[:3],
                len(time.strftime('%Y', time.localtime())), time.perf_counter() > 0, time.process_time() > 0]
        """,
    "math": "import math, cmath\nreturn [math.isqrt(99), math.factorial(20), math.gcd(12, 18), abs(cmath.sqrt(-1))]",
    "json": "import json\nreturn json.loads(json.dumps({'a': [1, 2.5, None, True], 'é': 'ü'}, indent=2, sort_keys=True))",
    "re": r"import re"
    "\n"
    r"return [re.findall(r'\d+', 'a1b22'), re.sub('(a)(b)', r'\2\1', 'ab'), bool(re.search('é', 'É', re.I))]",
    "random": """
        import random
        random.seed(1)
        return [random.randint(1, 6), sorted(random.sample(range(9), 9)), random.choice([3]), random.SystemRandom().randint(1, 1)]
        """,
    "secrets": "import secrets\nreturn [len(secrets.token_hex(8)), secrets.randbelow(1), secrets.compare_digest('a', 'a')]",
    "statistics": "import statistics as s\nreturn [s.mean([1, 2, 3]), s.median([1, 2]), s.stdev([1, 3]), s.quantiles([1, 2, 3, 4])]",
    "itertools": "import itertools as i\nreturn [list(i.permutations('ab')), list(i.islice(i.count(), 3)), len(list(i.groupby('aab')))]",
    "functools": """
        import functools as f
        fib = f.lru_cache(None)(lambda n: n if n < 2 else fib(n - 1) + fib(n - 2))
        return [f.reduce(lambda a, b: a * b, [1, 2, 3]), fib(30), sorted('ba', key=f.cmp_to_key(lambda a, b: (a > b) - (a < b)))]
        """,
    "hashing": """
        import hashlib, hmac
        return [hashlib.new(name, b'x').hexdigest()[:4] for name in ('md5', 'sha1', 'sha256', 'sha3_256', 'blake2b')] + [
            hmac.new(b'k', b'm', 'sha256').hexdigest()[:4], hashlib.pbkdf2_hmac('sha256', b'p', b's', 10).hex()[:4]]
        """,
    "decimal": "import decimal as d\nd.getcontext().prec = 50\nreturn [d.Decimal(1) / 7, d.Decimal('1.105').quantize(d.Decimal('.01'))]",
    "fractions": "from fractions import Fraction\nreturn str(Fraction(1, 3) + Fraction(1, 6))",
    "collections": """
        from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
        from collections.abc import Mapping
        Point = namedtuple('Point', 'x y')
        many = defaultdict(list)
        many['a'].append(1)
        return [Counter('aab').most_common(1), list(deque([1, 2], 1)), many, Point(1, 2), OrderedDict(a=1),
                dict(ChainMap({'a': 1}, {'b': 2})), isinstance({}, Mapping)]
        """,
    "text": """
        import difflib, html, pprint, shlex, string, textwrap, unicodedata
        return [textwrap.fill('the quick brown fox', 10), string.Template('$a').substitute(a=1), html.unescape('&lt;'),
                difflib.get_close_matches('appel', ['ape', 'apple']), unicodedata.normalize('NFKD', 'é')[0],
                shlex.split('a "b c"'), pprint.pformat({'a': 1})]
        """,
    "uuid": """
        import uuid
        return [uuid.uuid4().version, str(uuid.uuid5(uuid.NAMESPACE_DNS, 'a')), uuid.uuid1().version, str(uuid.uuid3(uuid.NAMESPACE_DNS, 'a'))]
        """,
    "calendar": """
        import calendar
        return [calendar.monthrange(2024, 2), calendar.isleap(2100), calendar.month_name[3], calendar.month(2024, 1).split()[:2],
                calendar.timegm((1970, 1, 2, 0, 0, 0))]
        """,
    "odds and ends": """
        import abc, colorsys, contextlib, html.parser, keyword, locale, numbers, queue, reprlib, types, warnings
        class Base(abc.ABC):
            @abc.abstractmethod
            def go(self): ...
        class Tags(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs): found.append(tag)
        found = [keyword.iskeyword('if'), colorsys.rgb_to_hsv(1, 0, 0), isinstance(1, numbers.Integral), reprlib.repr('x' * 99)]
        Tags().feed('<p><b>')
        waiting = queue.SimpleQueue()
        waiting.put(types.SimpleNamespace(a=1).a)
        with contextlib.suppress(TypeError):
            found.append(Base())
        return [*found, waiting.get(), locale.localeconv()['decimal_point'], issubclass(warnings.WarningMessage, object)]
        """,
    "algorithms": """
        import bisect, copy, graphlib, heapq, operator
        heap = [3, 1, 2]
        heapq.heapify(heap)
        return [heapq.heappop(heap), bisect.bisect([1, 2, 3], 2), copy.deepcopy({'a': [1]}), operator.itemgetter(1)('ab'),
                list(graphlib.TopologicalSorter({2: {1}}).static_order())]
        """,
    "bytes": """
        import array, base64, binascii, codecs, csv, io, struct, zlib
        rows = list(csv.reader(io.StringIO('a,b\\n1,2\\n')))
        return [base64.b64encode(b'x').decode(), struct.pack('!I', 1), zlib.decompress(zlib.compress(b'aa')), binascii.hexlify(b'a'),
                codecs.encode('ab', 'rot13'), array.array('i', [1]).tolist(), rows]
        """,
    "classes": """
        from dataclasses import asdict, dataclass, field
        from enum import Enum
        from typing import List
        @dataclass
        class Point:
            x: int
            tags: List[str] = field(default_factory=list)
            def __lt__(self, other):
                return self.x < other.x
        class Colour(Enum):
            RED = 1
        def numbers():
            yield from (3, 1, 2)
        try:
            raise ValueError('x') from KeyError('y')
        except ValueError as error:
            name = type(error).__name__
        return [asdict(sorted([Point(2), Point(1)])[0]), Colour.RED.name, sorted(numbers()), name]
        """,
    "encodings": """
        return ['é'.encode(name) for name in ('utf-8', 'latin-1', 'utf-16-le', 'cp1252', 'cp437', 'utf-8-sig')] + [
            'bücher'.encode('idna'), 'é'.encode('ascii', 'ignore'), b'\\xff'.decode(errors='replace')]
        """,
    "numbers": "return [2 ** 200 % 97, round(2.5), divmod(7, 2), int('9' * 50), 0.1 + 0.2, f'{1234.5:,.2f}', '{:>5}'.format('x')]",
    "urls": "from urllib.parse import quote, urlparse\nreturn [quote('a b'), urlparse('http://x/y?z=1').query]",
    "match": "match [1, {'a': 2}]:\n    case [x, {'a': y}]:\n        return x + y",
}


@pytest.mark.parametrize("name", sorted(CASES))
async def test_it_works_behind_the_walls(sandbox, world, name):
    """The pure part of the standard library gives inside what it gives outside."""
    source = "def use(self):\n" + textwrap.indent(textwrap.dedent(CASES[name]).strip(), "    ") + "\n"
    audit = await sandbox.audit(source, "use")
    assert [finding for finding in audit.findings if finding["kind"] == "policy"] == []
    inside = (await sandbox.call(world, world.add(), "use", [], {}, source=source)).result
    scope: dict = {"__name__": __name__}
    exec(compile(source, "outside", "exec", dont_inherit=True), scope)
    assert inside == scope["use"](None)


async def test_every_module_of_the_list_can_be_imported(sandbox, world):
    """What methods may import when the settings say nothing else is there behind the walls."""
    lines = [f"import {name}" for name in sorted(PURE_MODULES)]
    source = "def use(self):\n    " + "\n    ".join([*lines, "return 1"]) + "\n"
    assert (await sandbox.audit(source, "use")).findings == []
    assert (await sandbox.call(world, world.add(), "use", [], {}, source=source)).result == 1


async def test_which_modules_there_are_is_a_setting(world):
    """A sandbox with a list of its own has what stands on it, and nothing else: the audit and the worker both say so."""
    allowed, refused = ("fnmatch", "math"), "def use(self):\n    import json\n    return json.dumps(1)\n"
    ours = "def use(self):\n    import fnmatch, math\n    return [fnmatch.fnmatch('ab', 'a*'), math.isqrt(9)]\n"
    made = Sandbox(pool=1, modules=allowed)
    await made.start()
    try:
        assert (await made.audit(ours, "use")).findings == []
        assert (await made.call(world, world.add(), "use", [], {}, source=ours)).result == [True, 3]
        assert [finding["rule"] for finding in (await made.audit(refused, "use")).findings] == ["import"]
        with pytest.raises(MethodError, match="json") as caught:
            await made.call(world, world.add(), "use", [], {}, source=refused)
        assert caught.value.details["error_type"] in {"ImportError", "ModuleNotFoundError"}
    finally:
        await made.close()
