"""The one place that knows which interpreter runs the core.

MicroPython folds ``NAME = const(...)`` at compile time; CPython needs a function of that name.
``TYPE_CHECKING`` is false at run time on both, and true for a type checker, which knows the name.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import TypeVar

    Value = TypeVar("Value")

    def const(value: Value) -> Value:
        """Return ``value``."""
        return value

else:
    try:
        from micropython import const
    except ImportError:

        def const(value):
            """Return ``value``: what MicroPython's compiler does to a constant."""
            return value
