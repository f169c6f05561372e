"""What a run needs and can be started before the modules of a run are imported."""

from __future__ import annotations

from policyd.adapters.signers.spawn import Worker, spawn_worker

__all__ = ["Worker", "spawn_worker"]
