from collections.abc import Sequence

DATA: int
WHOLE: int
FILE_SYSTEM: int
CRC_AT: int
FRAME_ALIGN: int

# Position in the journal, the frame's head, and what is copied behind it: (fd, position, size).
Frame = tuple[int, bytes, Sequence[tuple[int, int, int]]]

class SyncThread:
    done_fd: int
    def begin(
        self,
        files: Sequence[tuple[int, int]],
        journal: int = -1,
        frames: Sequence[Frame] = (),
    ) -> None: ...
    def end(self) -> list[int]: ...
    def close(self) -> list[int]: ...

def sync_file_system(fd: int) -> None: ...
def crc32c(data: bytes, with_instruction: bool) -> int: ...
