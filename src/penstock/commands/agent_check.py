"""What `penstock agent --check` shows: each flow, the files that it would read, and where their lines would go."""

from collections.abc import Sequence

from penstock.agent import files
from penstock.agent.flow import Plan
from penstock.commands.paper import console, print_whole, table, tame
from penstock.core.sizes import size_text


def check(plans: Sequence[Plan]) -> None:
    """Print the table."""
    made = table("flow", "files<>", "bytes<>", "to", "from", "processing")
    for plan in plans:
        try:
            seen = files.look(plan.pattern, ())
            shown = (f"{len(seen):,}", size_text(sum(entry.size for entry in seen)))
        except OSError as error:
            shown = ("-", error.strerror or "")
        settings = plan.settings
        made.add_row(
            tame(settings.file_pattern),
            *shown,
            tame(f"{settings.destination}:{settings.target}"),
            settings.initial_position,
            tame(" ".join(str(option.get("optionName")) for option in settings.processing) or "-"),
        )
    print_whole(console(), made)
