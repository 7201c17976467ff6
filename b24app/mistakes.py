"""What is wrong in a file that a person wrote: every mistake by its key, Russian first; pydantic knows English only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from b24app.errors import ConfigError

_RU: Mapping[str, str] = {
    "missing": "нужен этот ключ",
    "extra_forbidden": "такого ключа нет",
    "string_type": "нужна строка в кавычках",
    "string_too_short": "знаков не меньше {min_length}",
    "string_too_long": "знаков не больше {max_length}",
    "string_pattern_mismatch": "так не пишется, нужно по образцу {pattern}",
    "int_type": "нужно целое число",
    "int_parsing": "нужно целое число",
    "int_from_float": "нужно целое число",
    "float_type": "нужно число",
    "float_parsing": "нужно число",
    "bool_type": "нужно true или false",
    "bool_parsing": "нужно true или false",
    "list_type": "нужен список в [скобках]",
    "tuple_type": "нужен список в [скобках]",
    "dict_type": "нужен раздел с ключами",
    "model_type": "нужен раздел с ключами",
    "model_attributes_type": "нужен раздел с ключами",
    "literal_error": "можно только: {expected}",
    "enum": "можно только: {expected}",
    "greater_than": "нужно больше {gt}",
    "greater_than_equal": "нужно не меньше {ge}",
    "less_than": "нужно меньше {lt}",
    "less_than_equal": "нужно не больше {le}",
    "multiple_of": "нужно кратное {multiple_of}",
    "too_short": "значений не меньше {min_length}",
    "too_long": "значений не больше {max_length}",
    "time_type": "нужно время, например 09:00:00",
    "time_parsing": "нужно время, например 09:00:00",
    "date_type": "нужна дата, например 2026-12-31",
    "date_from_datetime_parsing": "нужна дата, например 2026-12-31",
}
"""By pydantic's type of error (docs.pydantic.dev/latest/errors/validation_errors)."""


def refused(name: str, error: ValidationError) -> ConfigError:
    """Returns the error of a file that pydantic refused."""
    return listed(name, [(".".join(map(str, one["loc"])), _words(one)) for one in error.errors()])


def listed(name: str, found: Iterable[tuple[str, str]]) -> ConfigError:
    """Returns the error of a file with these mistakes, each (key, words)."""
    lines = [f"  {key or '(файл / file)'}: {words}" for key, words in found]
    return ConfigError(f"{name}: ошибок / mistakes: {len(lines)}\n" + "\n".join(lines))


def _words(error: Mapping[str, Any]) -> str:
    english = str(error["msg"]).removeprefix("Value error, ")  # ours, and in both languages already
    russian = _RU.get(error["type"])
    return f"{russian.format_map(error.get('ctx') or {})} / {english}" if russian else english
