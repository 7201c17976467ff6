"""A mistake in a file is said in Russian first: the words fill in what pydantic knows of it."""

from __future__ import annotations

import datetime
from typing import Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core.core_schema import ErrorType

from b24app.mistakes import _RU, listed, refused


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str = Field(min_length=3)
    count: int = Field(default=5, ge=1, le=9)
    look: Literal["one", "two"] = "one"
    on: bool = True
    at: datetime.time = datetime.time(9)
    some: list[str] = Field(default=[], max_length=1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "word: нужен этот ключ / Field required"),
        ({"word": "x"}, "word: знаков не меньше 3 / "),
        ({"word": 5}, "word: нужна строка в кавычках / "),
        ({"word": "abc", "count": 10}, "count: нужно не больше 9 / "),
        ({"word": "abc", "count": "ten"}, "count: нужно целое число / "),
        ({"word": "abc", "look": "three"}, "look: можно только: 'one' or 'two' / "),
        ({"word": "abc", "on": "maybe"}, "on: нужно true или false / "),
        ({"word": "abc", "at": "noon"}, "at: нужно время, например 09:00:00 / "),
        ({"word": "abc", "some": ["a", "b"]}, "some: значений не больше 1 / "),
        ({"word": "abc", "colour": 1}, "colour: такого ключа нет / "),
        ([], "(файл / file): нужен раздел с ключами / "),
    ],
)
def test_each_mistake_is_named_by_its_key(values: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(values)
    text = str(refused("config.toml", caught.value))
    assert text.startswith("config.toml: ошибок / mistakes: 1\n")
    assert said in text


def test_the_words_stand_for_errors_that_pydantic_has() -> None:
    assert set(_RU) <= set(get_args(ErrorType))


def test_mistakes_of_our_own_are_listed_alike() -> None:
    assert str(listed("p.toml", [("a.b", "нет / no")])) == "p.toml: ошибок / mistakes: 1\n  a.b: нет / no"
