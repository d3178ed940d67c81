"""Bookings that are paid whole when they are made, and give nothing back. For `market.py`."""

from decimal import Decimal

from overspill.sandbox.rentals import Rental, Rentals


class Prepaid(Rentals):
    """Rentals whose charge is known from the start and never grows."""

    def settle(self, rental: Rental, *, was_online: bool | None = None) -> None:
        """Nothing: it is paid."""

    def book(self, rental: Rental, total: Decimal) -> Rental:
        """Pays and opens."""
        rental.charged = total
        return self.open(rental)

    def cancel(self, rental: Rental) -> None:
        """A booking that came to nothing: everything is given back."""
        rental.charged = Decimal(0)
        self.end(rental, "incomplete_booking")
