"""The keyword ``progress``: what the core's hook tells, drawn by tqdm or anything like it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._errors import InvalidArgument, NotAvailable

Hook = Callable[[int, float, float, float, int], None]


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise NotAvailable(
            "[progress] progress=True draws its bar with tqdm, which is not installed: pip install tqdm, "
            "or pass a class or object like it",
            "progress",
        ) from error
    return tqdm


@contextmanager
def hook(progress: Any, title: str, entries: int | None = None) -> Iterator[Hook | None]:
    """The hook of one call, or None where nobody watches. A bar made here is closed here. It counts
    passes, or of a batch its entries."""
    if progress is None or progress is False:
        yield None
        return
    made = progress is True or isinstance(progress, type) or not hasattr(progress, "update")
    maker = _tqdm() if progress is True else progress
    if made and not callable(maker):
        raise InvalidArgument(
            f"[progress] got {progress!r}, wanted True, a tqdm-compatible class or an object with update()",
            "progress",
        )
    unit = {"unit": "pass"} if entries is None else {"unit": "problem", "total": entries}
    bar = maker(desc=title, **unit) if made else progress
    seen = 0.0

    def tell(
        iterations: int, passes: float, epsilon: float, marginal_error: float, entries_done: int
    ) -> None:
        nonlocal seen
        done = passes if entries is None else entries_done
        if hasattr(bar, "set_postfix"):
            error = {} if math.isnan(marginal_error) else {"error": f"{marginal_error:.1e}"}
            bar.set_postfix(iterations=iterations, epsilon=f"{epsilon:.3g}", **error, refresh=False)
        if done < seen:  # between the sweep of a pass and its count, by what the pass had done
            return
        bar.update(done - seen)
        seen = done

    try:
        yield tell
    finally:
        if made and hasattr(bar, "close"):
            bar.close()
