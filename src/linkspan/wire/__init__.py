"""Bytes to values and back, one module per protocol that the switch itself must read.

Each protocol's module holds a frozen value class and the same two functions: `parse(data)` reads a
value from the beginning of the bytes, `emit(value)` writes it. Headers in front of a payload say
where it begins (`payload_offset`); whole messages (ARP, ICMP, neighbour discovery) hold
everything they carry. Addresses are the plain bytes of the wire, so that a slice of a frame is one.

Whatever the bytes are, `parse` returns a value or raises `formats.BadFormat`. It does not judge
checksums, because a frame that crosses a tap with offloads carries unfinished ones; `checksum`
computes them and `segment` finishes them.
"""
