"""What can be wrong with a stored file."""

from uuid import UUID

from common.errors import DomainError


class FileNotFound(DomainError):
    """No stored file has this id."""

    def __init__(self, file_id: UUID) -> None:
        super().__init__(f"There is no file {file_id}.")
        self.file_id = file_id


class FileTooLarge(DomainError):
    """The content is longer than the caller accepts."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The file is larger than the {max_bytes} bytes accepted here.")
        self.max_bytes = max_bytes


class FileDamaged(OSError):
    """Bytes that the file's row promises are not there, or are not those that were written."""

    code = "file-damaged"

    def __init__(self, file_id: UUID, position: int, fault: str = "has no content, though its size says so,") -> None:
        super().__init__(f"file {file_id} {fault} at byte {position}")
        self.file_id = file_id
        self.position = position


class PieceMissing(FileDamaged):
    """The directory of pieces has not the one it should have; it may be that the directory itself is not there now."""
