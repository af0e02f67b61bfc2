"""Amounts as tables show them. Nothing can fail."""


def size(number: float) -> str:
    """
    >>> size(64.4e6), size(7_230_000_000_000), size(1200), size(19)
    ('64 MB', '7.2 TB', '1.2 kB', '19 bytes')
    """
    if number < 1000:
        return f"{number:.0f} bytes"
    units = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))
    unit, name = next((each for each in units if number >= each[0]), (1e3, "kB"))
    value = number / unit
    return f"{value:.1f} {name}" if value < 10 else f"{value:,.0f} {name}"


def dollars(amount: float) -> str:
    """
    >>> dollars(0.00007), dollars(0.00794), dollars(5.405), dollars(54_050.1)
    ('<$0.001', '$0.008', '$5.41', '$54,050')
    """
    if 0 < amount < 0.0005:
        return "<$0.001"
    if amount < 0.1:
        return f"${amount:.3f}"
    return f"${amount:.2f}" if amount < 100 else f"${amount:,.0f}"


def hours(number: float) -> str:
    """
    >>> hours(0.00007), hours(0.0042), hours(1.234), hours(1234.5)
    ('<0.001', '0.004', '1.23', '1,234')
    """
    if number < 0.0005:
        return "<0.001"
    if number < 0.1:
        return f"{number:.3f}"
    return f"{number:.2f}" if number < 10 else f"{number:,.0f}"
