"""The fast sum equals RFC 1071's own, word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linkspan.wire import checksum


def sum_word_by_word(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = 0
    for offset in range(0, len(data), 2):
        total += data[offset] << 8 | data[offset + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


edges = st.lists(st.sampled_from([b"\0", b"\xff", b"\0\1", b"\xff\xfe"])).map(b"".join)


@given(st.binary() | edges)
def test_the_sum_is_that_of_the_words(data: bytes) -> None:
    assert checksum.sum_words(data) == sum_word_by_word(data)
    assert checksum.sum_words(memoryview(data)) == sum_word_by_word(data)
    assert checksum.internet_checksum(data) == 0xFFFF - sum_word_by_word(data)


@given(st.binary(min_size=2) | edges, st.integers(1, 0x1FFFF))
def test_what_is_sealed_is_intact_until_a_bit_flips(data: bytes, pseudo_header: int) -> None:
    field = checksum.internet_checksum(data, pseudo_header).to_bytes(2, "big")
    assert checksum.is_intact(field + data, pseudo_header)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        assert not checksum.is_intact(field + damaged, pseudo_header)


def test_nothing_but_zeros_is_not_intact() -> None:
    assert not checksum.is_intact(bytes(20))
    assert checksum.internet_checksum(bytes(20)) == 0xFFFF
