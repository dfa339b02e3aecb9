"""Letters that cannot be: an address that does not open, or is another row's. They fail alone."""

from drills.faults import Fault
from drills.run import Allowed, Run

# Never the first row: a process that cannot open it takes the key ring for another database's.
_SOME = "id IN (SELECT id FROM subscribers ORDER BY id OFFSET 1 + :skip LIMIT :many)"


def _tampered(run: Run) -> Allowed:
    many = run.rng.randint(1, 7)
    run.sql(
        f"UPDATE subscribers SET address = set_byte(address, 20, get_byte(address, 20) # 1) WHERE {_SOME}",
        skip=run.some(0.1, 0.7),
        many=many,
    )
    run.start()
    run.publish()
    run.broken()
    return Allowed(failed=many)


def _swapped(run: Run) -> Allowed:
    """Two people's sealed addresses change places: neither gets the other's mail."""
    skip = run.some(0.1, 0.7)
    (one, other) = run.sql(
        f"SELECT id, address FROM subscribers WHERE {_SOME} ORDER BY id", skip=skip, many=2
    )
    for number, sealed in ((one.id, other.address), (other.id, one.address)):
        run.sql("UPDATE subscribers SET address = :sealed WHERE id = :id", id=number, sealed=sealed)
    run.start()
    run.publish()
    run.broken()
    return Allowed(failed=2)


FAULTS = (
    Fault(name="addresses that do not open", play=_tampered),
    Fault(name="addresses that changed places", play=_swapped),
)
