"""The audit log on disk, as the settings ask for it."""

from pathlib import Path

from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings
from penstock.host.linefile import LineFile
from penstock.server.audit import Audit, lost_line


def open_audit(settings: Settings, clock: Clock, entropy: Entropy) -> Audit | None:
    """The audit of a server, or None where none is asked for.  Raises SettingError for a file that cannot be written."""
    if not settings.audit_log:
        return None
    try:
        lines = LineFile(Path(settings.audit_log), lost_line(clock, entropy))
    except OSError as error:
        raise SettingError(f"cannot use --audit-log {settings.audit_log}: {error.strerror}") from None
    return Audit(lines, clock, entropy, data=settings.audit_data)
