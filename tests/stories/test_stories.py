"""Every story, played again: `PENSTOCK_STORIES=write make test ARGS=tests/stories` records them anew, to be read as a diff."""

import os
from pathlib import Path

import pytest
from mapping_story import play_mapping
from story import play

FOLDER = Path(__file__).parent
STORIES = sorted(path.stem for path in FOLDER.glob("*.story"))


@pytest.mark.parametrize("name", STORIES)
def test_story_when_it_is_played_again_then_every_answer_is_as_it_was(name: str) -> None:
    path = FOLDER / f"{name}.story"
    recorded = path.read_text()
    played = play(recorded)
    if os.environ.get("PENSTOCK_STORIES") == "write":
        path.write_text(played)
    assert played == recorded


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("mappings/*.story")))
def test_story_of_a_mapping_when_it_is_played_again_then_the_same_is_done(name: str) -> None:
    path = FOLDER / "mappings" / f"{name}.story"
    recorded = path.read_text()
    played = play_mapping(recorded)
    if os.environ.get("PENSTOCK_STORIES") == "write":
        path.write_text(played)
    assert played == recorded
