"""Values that prove that a gate was passed: only the gate's own module can make one, and none can be altered or copied.

A gate keeps a `Seal` to itself, under a private name in its module. Its type takes the seal as an `InitVar`, so no
instance holds it: `dataclasses.replace` would need it too, and whoever has a value cannot make another from it.

    _SEAL = Seal("orchestrator.routing.route")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Approved(Sealed):
        ...
        seal: InitVar[Seal]

        def __post_init__(self, seal: Seal) -> None:
            _SEAL.check(self, seal)

Python has no lock that a determined author of this process could not pick. This one makes a mistake fail at once, for
the type checker as well as at run time; a test reads the code for the rest (private names of other modules).
"""

from __future__ import annotations

from typing import NoReturn, final


@final
class Seal:
    """What a gate has and nobody else: compared by identity."""

    __slots__ = ("_gate",)

    def __init__(self, gate: str) -> None:
        """`gate` is the full name of the function that makes the type."""
        self._gate = gate

    def check(self, made: object, seal: object) -> None:
        """Raises TypeError unless `made` was given this very seal."""
        if seal is not self:
            raise TypeError(f"{type(made).__name__} is made by {self._gate} only.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """A copy would be another seal, so there is none."""
        raise TypeError("A Seal cannot be copied or pickled.")


class Sealed:
    """Base of the types that gates make: final, and neither copied nor pickled, since both go round the constructor."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        """Refuses a subclass of a sealed type: it could leave the check out."""
        sealed = [base.__name__ for base in cls.__bases__ if base is not Sealed and issubclass(base, Sealed)]
        if sealed:
            raise TypeError(f"{sealed[0]} is sealed: {cls.__name__} cannot be made from it.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """A sealed value is neither copied nor stored: it is proof for the run that it was made in."""
        raise TypeError(f"{type(self).__name__} is sealed: it cannot be copied or pickled.")
