"""The platforms of the sandbox. Adding one: a module with a `Platform` subclass, and a line here."""

from __future__ import annotations

from capi_pipeline.sandbox.platform import Platform
from capi_pipeline.sandbox.platforms.google_data_manager import GoogleDataManager
from capi_pipeline.sandbox.platforms.meta import Meta
from capi_pipeline.sandbox.platforms.microsoft_offline import MicrosoftOffline
from capi_pipeline.sandbox.platforms.outbrain import Outbrain
from capi_pipeline.sandbox.platforms.tiktok import TikTok

PLATFORMS: tuple[type[Platform], ...] = (Meta, GoogleDataManager, TikTok, MicrosoftOffline, Outbrain)
