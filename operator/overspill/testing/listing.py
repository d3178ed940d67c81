"""How a market gives a list, of leases or of offers; a rig of the contract kit declares it."""

from dataclasses import dataclass

_PAGES = 3
_MANY = 150
"""More than any page that a market without pages could secretly have, as far as we know them."""


@dataclass(frozen=True, slots=True)
class Listing:
    """In pages of `page` entries, or whole: then `why_whole` says how that is known.

    `cut_at`: a list without pages that has so many entries may be a cut one; 0 where no bound is
    published. Raises ValueError for a rig that declares neither or both.
    """

    page: int = 0
    cut_at: int = 0
    why_whole: str = ""

    def __post_init__(self) -> None:
        if (self.page > 0) == bool(self.why_whole):
            raise ValueError("Say how many entries a page has, or why the list has no pages.")

    @property
    def several(self) -> int:
        """So many entries need several pages; without pages, the most that must come whole."""
        if self.page:
            return (_PAGES - 1) * self.page + 1
        return self.cut_at - 1 if self.cut_at else _MANY

    def fits(self, requests: int) -> bool:
        """Whether a whole reading may have taken so many requests."""
        return requests >= _PAGES if self.page else requests == 1
