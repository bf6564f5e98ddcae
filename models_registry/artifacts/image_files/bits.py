"""Numbers of any number of bits, as the headers of films' codecs write them."""

from .base import DamagedImage

MOST_ZEROS = 32


class Bits:
    """Reads bits from the highest of each byte on. Raises `DamagedImage` at the end."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)

    def read(self, count: int) -> int:
        """Return a number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise DamagedImage("its header is cut off")
        return self._value >> self._left & ((1 << count) - 1)

    def golomb(self) -> int:
        """Return a number as Exp-Golomb codes write it: as many zeros as bits follow the first one."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > MOST_ZEROS:
                raise DamagedImage("its header is damaged")
        return (1 << zeros) - 1 + self.read(zeros)
