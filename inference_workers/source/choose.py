"""Which variable of a file is the volume.  Pure.

The one that was named; else the only numeric one with three dimensions (those of size 1 aside); else one
of the names that the samples use.  Otherwise the user is told what there is.
"""

from __future__ import annotations

from inference_workers.source import cf
from inference_workers.source.records import Header, InputError, SeveralVariables, VariableFacts

_BOUNDS = ("bounds", "climatology")


def candidates(header: Header) -> list[VariableFacts]:
    """The numeric variables with three dimensions, in the order of the file; no coordinates, bounds or areas."""
    helpers = {v.text(name) for v in header.variables.values() for name in _BOUNDS}
    for v in header.variables.values():
        helpers.update(v.text("coordinates").split())
        helpers.update(v.text("cell_measures").split())
    return [
        v
        for v in header.variables.values()
        if v.dtype.kind in "iufb"
        and v.name not in helpers
        and v.name not in v.dims
        and len(set(v.dims)) == len(v.dims)
        and cf.keep_three(header, v)
    ]


def choose(header: Header, wanted: str | None, preferred: tuple[str, ...]) -> tuple[VariableFacts, tuple[str, ...]]:
    """The volume's variable, and notes about the choice.  Raises InputError, SeveralVariables."""
    if wanted is not None:
        return _named(header, wanted), ()
    found = candidates(header)
    if len(found) == 1:
        return found[0], ()
    for name in preferred:
        for v in found:
            if v.name.lower() == name:
                others = ", ".join(repr(o.name) for o in found if o is not v)
                return v, (f"Of several variables {v.name!r} was taken; --variable takes another ({others}).",)
    if found:
        raise SeveralVariables(
            f"{header.where} has several three-dimensional variables ({_list(found)}): name one with --variable.",
            tuple(v.name for v in found),
        )
    # If there is only one thing that could have been meant, say what is wrong with it.
    large = [v for v in header.variables.values() if len(v.dims) >= 3] or list(header.variables.values())
    if len(large) == 1:
        check(header, large[0])
    there = ", ".join(_brief(v) for v in header.variables.values()) or "none at all"
    raise InputError(f"{header.where} has no numeric variable with three dimensions; its variables are: {there}.")


def _named(header: Header, wanted: str) -> VariableFacts:
    found = header.variables.get(wanted)
    if found is None:
        there = candidates(header)
        end = f"the three-dimensional ones are: {_list(there)}" if there else "and none with three dimensions"
        raise InputError(f"{header.where} has no variable {wanted!r}; {end}.")
    check(header, found)
    return found


def check(header: Header, v: VariableFacts) -> None:
    """Raises InputError if the variable cannot be a volume."""
    if v.dtype.kind == "c":
        raise InputError(
            f"{v.name!r} in {header.where} holds complex numbers: store their magnitude or real part first."
        )
    if v.dtype.kind not in "iufb":
        what = "text" if v.dtype.kind in "SUTO" else f"values of type {v.dtype}"
        raise InputError(f"{v.name!r} in {header.where} holds {what}, not numbers: choose another with --variable.")
    if len(set(v.dims)) < len(v.dims):
        raise InputError(
            f"{_brief(v)} in {header.where} runs along one dimension twice, so it is no volume: "
            "choose another with --variable."
        )
    empty = [name for name, size in zip(v.dims, v.shape, strict=True) if size == 0]
    if empty:
        raise InputError(f"{v.name!r} in {header.where} is empty: its axis {empty[0]!r} has no points.")
    if cf.keep_three(header, v) is not None:
        return
    large = [name for name, size in zip(v.dims, v.shape, strict=True) if size > 1]
    if len(v.dims) < 3:
        raise InputError(
            f"{_brief(v)} in {header.where} has {_count(len(v.dims))}; CaveCast needs three, "
            "such as (time, latitude, longitude): choose another with --variable."
        )
    raise InputError(
        f"{_brief(v)} in {header.where} has {_count(len(large))}; CaveCast needs three: "
        f"keep one value of {large[1]!r} or average over it, for example with `ncks -d {large[1]},0 IN OUT` "
        "or xarray's isel()."
    )


def _count(n: int) -> str:
    words = (
        "no dimension",
        "one dimension",
        "two dimensions",
        "three dimensions",
        "four dimensions",
        "five dimensions",
    )
    return words[n] if n < len(words) else f"{n} dimensions"


def _brief(v: VariableFacts) -> str:
    return f"{v.name!r} ({', '.join(v.dims)})"


def _list(found: list[VariableFacts]) -> str:
    return ", ".join(v.name for v in found)
