"""Numbers of bytes as people read them."""


def size_text(size: float) -> str:
    """A number of bytes, in the unit that suits it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
