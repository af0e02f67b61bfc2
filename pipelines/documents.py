"""YAML text -> a value, where everything wrong with the text is a `ValueError` that says where.

In: text, its bytes, or an open file. Out: what `yaml.safe_load` gives. Fails with `ValueError` for
what is no YAML, for a key that a mapping has twice (PyYAML keeps the last), for nesting that no one
writes by hand, for aliases that contain themselves, and for a few aliases that stand for millions
of values (`MAX_ALIASED`), before any of those is made.
"""

import re
from typing import IO, Any, Dict, Iterator, Set, Tuple, Union

import yaml

# What PyYAML calls a text that has no name.
_PLACE = re.compile(r'in "<\w+ string>", ')

# Values that all aliases of a document may stand for together.
MAX_ALIASED = 100_000


def from_yaml(text: Union[str, bytes, IO[str]]) -> Any:
    """The value; None for an empty text.

    >>> from_yaml("a: 1\\nb: 2\\na: 3")
    Traceback (most recent call last):
    ...
    ValueError: line 3: the key a is there already, in line 1
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:  # of characters that no text has
        raise ValueError(_said(error)) from error
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check(root)
        return loader.construct_document(root)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(_said(error)) from error
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        # What PyYAML's constructors raise for `2026-13-45`, `!!bool 7` and their like.
        raise ValueError(str(error) or type(error).__name__) from error
    finally:
        loader.dispose()


def _said(error: yaml.YAMLError) -> str:
    return _PLACE.sub("in ", str(error))


def _check(root: yaml.Node) -> None:
    sizes: Dict[yaml.Node, int] = {}
    expanded = _size(root, sizes, set())
    if expanded > len(sizes) + MAX_ALIASED:
        raise ValueError(f"its aliases (*name) stand for more than {MAX_ALIASED:,} values")


def _size(node: yaml.Node, sizes: Dict[yaml.Node, int], above: Set[yaml.Node]) -> int:
    """How many nodes a node stands for, with every alias written out."""
    if node in above:
        raise ValueError(f"line {_line(node)}: it contains itself, by an alias")
    if node not in sizes:
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        above.add(node)
        sizes[node] = 1 + sum(_size(child, sizes, above) for child in _children(node))
        above.remove(node)
    return sizes[node]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _check_keys(node: yaml.MappingNode) -> None:
    lines: Dict[Tuple[str, str], int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        first = lines.get((key.tag, key.value))
        if first is not None:
            where = f"line {_line(key)}: the key {key.value}"
            raise ValueError(f"{where} is there already, in line {first}")
        lines[key.tag, key.value] = _line(key)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
