"""Akash addresses (bech32) made from names, so that hosts and the wallet have lasting ones."""

import hashlib

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def address(name: str, prefix: str = "akash") -> str:
    """The address of a name: bech32 over the first 20 bytes of its SHA-256."""
    data = _to_five_bits(hashlib.sha256(name.encode()).digest()[:20])
    check = _checksum(prefix, data)
    return prefix + "1" + "".join(_CHARSET[value] for value in data + check)


def is_address(text: str, prefix: str = "akash") -> bool:
    """True for a well-formed address with a right checksum."""
    head, _, tail = text.rpartition("1")
    if head != prefix or len(tail) < 7 or any(c not in _CHARSET for c in tail):
        return False
    values = [_CHARSET.index(c) for c in tail]
    return _polymod(_expand(prefix) + values) == 1


def _to_five_bits(data: bytes) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in data)
    return [int(bits[i : i + 5], 2) for i in range(0, len(bits), 5)]


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _checksum(prefix: str, data: list[int]) -> list[int]:
    polymod = _polymod(_expand(prefix) + data + [0] * 6) ^ 1
    return [(polymod >> 5 * (5 - i)) & 31 for i in range(6)]


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATOR):
            check ^= generator if (top >> i) & 1 else 0
    return check
