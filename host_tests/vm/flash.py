"""A board's flash in RAM, for the real LittleFS: counts erases, and loses its power when told."""

import vfs  # type: ignore[import-not-found]

# A Pico's: 4 kB erase blocks, programmed by 256 bytes, mounted as the port's _boot.py does. Its
# file system has 352 of them (1.4 MB).
BLOCK = 4096
PROGRAM = 256
_EIO = -5


class RamFlash:
    """The extended block protocol on a bytearray.

    Programs and erases are operations. The power fails in number ``cut_at``, which is done by
    half; from then on none is done.
    """

    def __init__(self, blocks, data=None):
        self.data = data if data is not None else bytearray(b"\xff" * (blocks * BLOCK))
        self.blocks = blocks
        self.erases = [0] * blocks
        self.programs = 0
        self.operations = 0
        self.cut_at = 0

    def readblocks(self, block, buffer, offset=0):
        if self.cut_at and self.operations >= self.cut_at:
            return _EIO
        at = block * BLOCK + offset
        buffer[:] = memoryview(self.data)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            raise ValueError("writes that erase are not for LittleFS")
        size = self._size(len(buffer))
        at = block * BLOCK + offset
        view = memoryview(self.data)[at : at + size]
        if any(view[i] & buffer[i] != buffer[i] for i in range(0, size, 61)):
            raise ValueError(f"block {block} was not erased")
        view[:] = memoryview(buffer)[:size]
        self.programs += 1
        return 0 if size == len(buffer) else _EIO

    def _size(self, size):
        """How much of an operation is done: all, half at the cut, nothing after it."""
        self.operations += 1
        if not self.cut_at or self.operations < self.cut_at:
            return size
        return size // 2 if self.operations == self.cut_at else 0

    def ioctl(self, op, block):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            size = self._size(BLOCK)
            at = block * BLOCK
            self.data[at : at + size] = b"\xff" * size
            self.erases[block] += 1
            return 0 if size == BLOCK else _EIO
        return 0

    def summary(self):
        """Erases of the block erased most, of all blocks, and blocks ever erased."""
        return {
            "worst": max(self.erases),
            "all": sum(self.erases),
            "blocks": len([n for n in self.erases if n]),
            "programs": self.programs,
        }


def mounted(path, blocks):
    """A new flash with a new LittleFS on it, mounted at ``path``; counted from now on."""
    flash = RamFlash(blocks)
    vfs.VfsLfs2.mkfs(flash, progsize=PROGRAM)
    vfs.mount(vfs.VfsLfs2(flash, progsize=PROGRAM), path)
    flash.erases = [0] * blocks
    flash.programs = flash.operations = 0
    return flash


def remounted(path, flash):
    """The same content under power again, mounted at ``path``."""
    vfs.umount(path)
    again = RamFlash(flash.blocks, flash.data)
    vfs.mount(vfs.VfsLfs2(again, progsize=PROGRAM), path)
    return again
