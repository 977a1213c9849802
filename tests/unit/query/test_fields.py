from __future__ import annotations

from catalog_server.query.fields import Field, ValueType


def test_a_field_when_only_named_and_typed_then_has_no_special_rule() -> None:
    plain = Field("license", ValueType.STRING)
    assert (plain.array, plain.fold_equality, plain.bare_like_is_substring, plain.child) == (False, False, False, None)


def test_value_types_when_shown_to_a_user_then_are_words() -> None:
    assert f"{ValueType.NUMBER}" == "number"
