"""A run's options, and the instances its parts measure."""

from __future__ import annotations

from dataclasses import dataclass

from report import Part
from servers import COMMON_SETTINGS, FakedInstance, Fleet, Instance


@dataclass
class Run:
    fleet: Fleet
    quick: bool = False
    wanted_rounds: int | None = None

    def scaled(self, count: int) -> int:
        """So many; a hundredth, if it is but to be seen that the program works."""
        return count // 100 if self.quick else count

    def seconds(self, seconds: float) -> float:
        return min(seconds, 1.0) if self.quick else seconds

    def rounds(self, default: int) -> int:
        return self.wanted_rounds or (1 if self.quick else default)

    def instance(self, part: Part, name: str, lanes: int, *settings: str) -> Instance:
        return self._ready(part, self.fleet.instance(name, lanes, *settings), f"idgen.lanes = {lanes}", *settings)

    def local(self, part: Part, name: str, *settings: str) -> Instance:
        return self._ready(part, self.fleet.local(name, *settings), *settings)

    def faked(self, part: Part, name: str, *settings: str) -> FakedInstance:
        made = self.fleet.faked(name, *settings)
        self._ready(part, made, *settings)
        return made

    def _ready(self, part: Part, made: Instance, *settings: str) -> Instance:
        made.require_synchronized()
        part.clock_states.append(made.clock_state())
        part.settings = sorted({*part.settings, *COMMON_SETTINGS, *settings})
        part.say(f"  the state is {part.clock_states[-1]}")
        return made
