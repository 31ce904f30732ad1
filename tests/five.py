"""Five platforms that stand for all where each one costs seconds: one queues, one refuses a whole request for one event,
one rotates its token and takes adjustments, one does not deduplicate, one answers 200 to everything."""

from __future__ import annotations

FIVE = ("google_data_manager", "meta", "microsoft_offline", "outbrain", "tiktok")
