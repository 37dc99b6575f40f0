"""When each frame of a video is shown, from stamps that may be missing, out of order, or of a clock that jumps."""

from __future__ import annotations

from dataclasses import dataclass, field

_JUMP_BACK, _JUMP_AHEAD = 1.0, 10.0
"""Seconds. A clock that goes back this far, or ahead this far where the format's clock may jump, was set anew."""
_WRAP = 2**33 / 90000
"""Seconds after which the clock of MPEG's streams begins anew; FFmpeg takes a jump back for such a beginning."""


@dataclass
class _Stamps:
    """One stamp a frame, in seconds; None where there is none."""

    values: list[float | None] = field(default_factory=list)
    rising: bool = True
    last: float | None = None

    def add(self, value: float | None) -> None:
        self.values.append(value)
        if value is not None:
            self.rising &= self.last is None or value > self.last
            self.last = value


@dataclass
class Timeline:
    """Seconds since the first frame, rising, as frames come out of the decoder in order of showing.

    Presentation stamps count while they rise. Where they do not, as in containers that store none (AVI, ASF) and for
    which FFmpeg makes some up, the stamps of decoding count if those rise: both run at the same rate, one behind the
    other. A frame without a stamp, or with one that goes back, follows the frame before it.
    """

    interval: float
    """Usual seconds from frame to frame."""
    may_jump: bool
    """Whether the format's clock may be set anew (transport and program streams, Ogg)."""
    seconds: list[float] = field(default_factory=list)
    """[N] what `add` gave; earlier ones change where a later frame tells that presentation stamps are made up."""
    jumps: list[float] = field(default_factory=list)
    """By how many seconds the clock was off each time it was set anew."""
    _shown: _Stamps = field(default_factory=_Stamps)
    _decoded: _Stamps = field(default_factory=_Stamps)
    _used: _Stamps | None = None
    _origin: float | None = None

    def add(self, shown: float | None, decoded: float | None) -> float:
        """The next frame's seconds, from its stamps of presentation and of decoding."""
        self._shown.add(shown)
        self._decoded.add(decoded)
        by_decoding = not self._shown.rising and self._decoded.rising and self._decoded.last is not None
        stamps = self._decoded if by_decoding else self._shown
        if stamps is not self._used:
            self._used, self._origin, self.seconds, self.jumps = stamps, None, [], []
            for stamp in stamps.values[:-1]:
                self._place(stamp)
        self._place(stamps.values[-1])
        return self.seconds[-1]

    def _place(self, stamp: float | None) -> None:
        following = self.seconds[-1] + self.interval if self.seconds else 0.0
        seconds = following
        if stamp is not None:
            if self._origin is None:
                self._origin = stamp - following
            seconds = stamp - self._origin
            step = seconds - (self.seconds[-1] if self.seconds else -self.interval)
            if step <= -_JUMP_BACK or (self.may_jump and step >= _JUMP_AHEAD):
                self.jumps.append(step if step < _WRAP / 2 else step - _WRAP)
                self._origin = stamp - following
            if step <= 0 or (self.may_jump and step >= _JUMP_AHEAD):
                seconds = following
        self.seconds.append(seconds)
