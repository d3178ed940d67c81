"""Figures as people read them, in the report and on a terminal."""


def usd(value: float | None, *, whole: bool = False) -> str:
    """Dollars; cents below a hundred, and none where there are thousands."""
    if value is None:
        return "unknown"
    if whole or abs(value) >= 100:
        return f"${value:,.0f}" if value >= 0 else f"-${-value:,.0f}"
    return f"${value:,.2f}" if value >= 0 else f"-${-value:,.2f}"


def percent(share: float) -> str:
    """A share; a little is not nothing and nearly all is not all."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def amount(value: float) -> str:
    """A count or a sum without decimals."""
    return f"{value:,.0f}"


def span(seconds: float) -> str:
    """A duration in its two largest units."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"
