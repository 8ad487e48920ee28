"""Which engine a server runs on, opened and closed as one.

This is, beside the engines themselves, the only place that names a concrete one.
"""

import logging
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec

from penstock.core.ports import Clock, Entropy
from penstock.core.settings import SettingError, Settings
from penstock.engines.api import Blobs, BlobsUnavailable, MetaStore, MetaUnavailable, RecordLog
from penstock.engines.buckets import Buckets
from penstock.engines.local.blobs import DirectoryBlobs
from penstock.engines.local.columns import Damaged
from penstock.engines.local.log import LocalLog, Options, open_log
from penstock.engines.local.manifest import NewerFormat
from penstock.engines.local.meta import SqliteMeta
from penstock.engines.local.recovery import Recovered
from penstock.host.clock import monotonic_s
from penstock.host.disk import SystemDisk
from penstock.host.lock import DirectoryInUse, DirectoryLock
from penstock.host.tasks import LoopTasks

logger = logging.getLogger(__name__)

META_FILE: Final = "meta.sqlite"
BUCKETS_FOLDER: Final = "buckets"
BLOBS_FOLDER: Final = "blobs"


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the storage is."""

    writable: bool  # whether writes are taken
    damage: list[str]  # a line for each place that cannot be read
    failure: str | None = None  # why no write is taken
    disk_bytes: int = 0  # what its files take


class Engine(NamedTuple):
    """An engine that is open."""

    log: RecordLog
    meta: MetaStore
    buckets: Buckets
    blobs: Blobs
    summary: str  # for the start-up page: what it is, and what it found
    health: Callable[[], Health]
    close: Callable[[], Awaitable[None]]


async def open_engine(settings: Settings, data_dir: Path, clock: Clock, entropy: Entropy) -> Engine:
    """Open the engine that the settings name.  Raises SettingError for a data directory that cannot be used."""
    buckets = open_buckets(settings, data_dir)
    if settings.engine == "memory":
        return _memory(clock, buckets)
    try:
        return await _local(settings, data_dir, clock, entropy, buckets)
    except (DirectoryInUse, NewerFormat, Damaged, MetaUnavailable, BlobsUnavailable) as error:
        raise SettingError(str(error)) from None
    except OSError as error:
        raise SettingError(f"cannot use --data-dir {data_dir}: {error.strerror or error}") from None


def buckets_folder(settings: Settings, data_dir: Path) -> Path | None:
    """The folder that has users' objects; None where they are in S3."""
    if settings.buckets == "s3:":
        return None
    folder = unquote(settings.buckets.removeprefix("file://"))
    return Path(folder) if folder else data_dir / BUCKETS_FOLDER


def open_buckets(settings: Settings, data_dir: Path) -> Buckets:
    """Where users' objects are; nothing is made or asked before the first use.  Raises SettingError."""
    folder = buckets_folder(settings, data_dir)
    if folder is not None:
        from penstock.engines.filebuckets import FileBuckets

        return FileBuckets(folder)
    if find_spec("obstore") is None:
        raise SettingError("--buckets s3: needs obstore: pip install 'penstock[s3]'")
    from penstock.engines.s3buckets import S3Buckets

    return S3Buckets(settings.s3_endpoint or None)


def _memory(clock: Clock, buckets: Buckets) -> Engine:
    from penstock.engines.memory import MemoryLog, MemoryMeta
    from penstock.engines.memoryblobs import MemoryBlobs

    summary = "memory: nothing survives a restart"
    return Engine(
        MemoryLog(clock),
        MemoryMeta(),
        buckets,
        MemoryBlobs(),
        summary,
        lambda: Health(writable=True, damage=[]),
        buckets.close,
    )


async def _local(settings: Settings, data_dir: Path, clock: Clock, entropy: Entropy, buckets: Buckets) -> Engine:
    lock = DirectoryLock(data_dir)
    disk, tasks = SystemDisk(data_dir), LoopTasks()
    started_s = monotonic_s()
    try:
        meta = await SqliteMeta.open(data_dir / META_FILE)
        blobs = await DirectoryBlobs.open(data_dir / BLOBS_FOLDER)
        log, found = await open_log(disk, clock, entropy, tasks, _options(settings))
    except BaseException:
        disk.close()
        lock.release()
        raise

    async def close() -> None:
        await buckets.close()
        await blobs.close()
        await log.close()
        await meta.close()
        disk.close()
        lock.release()

    for line in found.damage:
        logger.error("damaged, and skipped: %s", line)
    summary = _summary(log, found, monotonic_s() - started_s)
    return Engine(log, meta, buckets, blobs, summary, lambda: _health(log), close)


def _options(settings: Settings) -> Options:
    return Options(
        journal_file_bytes=settings.journal_file,
        segment_bytes=settings.segment,
        tail_cache_bytes=settings.cache // 2,
        block_cache_bytes=settings.cache // 2,
        max_disk_bytes=settings.max_disk or None,
        commit_wait_ms=settings.commit_wait_ms,
    )


def _summary(log: LocalLog, found: Recovered, seconds: float) -> str:
    stored = log.disk_bytes / (1 << 20)
    parts = [f"local: {stored:,.0f} MiB on disk, {len(found.logs)} shards, {found.replayed_records:,} records replayed"]
    if found.torn:
        parts.append("an unfinished commit cut")
    if found.damage:
        parts.append(f"{len(found.damage)} damaged places: run penstock check")
    return f"{', '.join(parts)} ({seconds:.2f} s)"


def _health(log: LocalLog) -> Health:
    return Health(log.failure is None, list(log.damage), log.failure, log.disk_bytes)
