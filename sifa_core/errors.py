"""Every error a user can put right. Each message is one sentence that names the thing and the limit it broke.

All derive from `SifaError`, so a face (command line, page, API) catches one type, shows `str(error)` and carries on.
"""


class SifaError(Exception):
    """Base of all errors about the user's input; `str()` of it is fit to be shown as it is."""


class ClipError(SifaError):
    """A video that cannot be used. The subclasses say why."""


class ClipNotFoundError(ClipError):
    """There is no such file, or it may not be read."""


class NotAVideoError(ClipError):
    """The file is empty, or no decoder recognises it."""


class NoVideoStreamError(ClipError):
    """The file is a media file without moving pictures, for example sound only."""


class BrokenVideoError(ClipError):
    """The file starts as a video, yet its pictures cannot be decoded."""


class ClipTooShortError(ClipError):
    """Fewer frames than a clip needs."""


class ClipTooLargeError(ClipError):
    """The file passes a limit on bytes, pixels, frames or seconds."""


class ReaderUnavailableError(ClipError):
    """The process that reads clips cannot be started or does not answer; another file would do no better."""


class ModelError(SifaError):
    """A model name, configuration or input that cannot be used."""


class UnknownNameError(ModelError):
    """A name that is not in a registry; the message lists the ones that are."""


class ConfigError(ModelError):
    """An unknown field, or a value that a field does not take."""


class CheckpointError(ModelError):
    """A checkpoint that cannot be read or does not fit; unmatched keys are listed."""


class NotFiniteError(ModelError):
    """A network whose answers are not numbers (NaN or infinite); the message names its weights and a video."""


class QueryError(SifaError):
    """A layer, frame or point that the analysis does not have."""


class ExportError(SifaError):
    """A file format that cannot be written, or a place that cannot be written to."""
