"""Jobs that are billed by the begun hour from their creation, and end when their command does."""

from decimal import Decimal

from overspill.sandbox.rentals import Rental, Rentals

_HOUR_S = 3600


class Hourly(Rentals):
    """Rentals that charge whole hours."""

    def settle(self, rental: Rental, *, was_online: bool | None = None) -> None:
        """Charges the hours that have begun."""
        if rental.state != "rented":
            return
        begun = int(max(0.0, self.world.now() - rental.created_at) // _HOUR_S) + 1
        rental.charged = max(rental.charged, rental.rates.running * Decimal(begun))

    def end_what_exited(self) -> None:
        """A job is over when its command is."""
        for rental in self.held():
            service = self.service(rental) if rental.state == "rented" else None
            if service is not None and service.exit_code is not None:
                self.end(rental, "completed" if service.exit_code == 0 else "failed")
