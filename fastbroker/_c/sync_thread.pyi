from collections.abc import Sequence

DATA: int
WHOLE: int
FILE_SYSTEM: int
CRC_AT: int
FRAME_ALIGN: int

class SyncThread:
    done_fd: int
    def begin(
        self,
        files: Sequence[tuple[int, int]],
        journal: int = -1,
        frames: Sequence[tuple[int, bytes, Sequence[tuple[int, int, int]]]] = (),
    ) -> None: ...
    def end(self) -> list[int]: ...
    def close(self) -> list[int]: ...

def sync_file_system(fd: int) -> None: ...
def crc32c(data: bytes, with_instruction: bool) -> int: ...
