"""The database of the read model: whether it is reached, and of which version its tables are."""

from petit.chat.app import look
from petit.chat.ports import StoreBroken, StoreDown
from petit.cli.findings import Finding
from petit.cli.settings import DoctorSettings
from petit.contracts.cursor import NOWHERE


async def look_at_database(settings: DoctorSettings) -> Finding:
    """Open the keyspace as chat does."""
    server = settings.cql
    if server is None:
        return Finding("database", well=True, says="not looked at: PETIT_DOCTOR_CQL_HOSTS names none")
    try:
        at = await look(server)
    except (StoreDown, StoreBroken) as error:
        return Finding("database", well=False, says=f"{error}; sends go on meanwhile, reads do not")
    except OSError as error:
        return Finding("database", well=False, says=f"{settings.cql_ca}: {error}")
    folds = "new" if at == NOWHERE else f"epoch {at.epoch}, folded to offset {at.offset}"
    return Finding("database", well=True, says=f"{server}, {folds}")
