"""policyd: pipelines verified against policy, artifacts signed and attested, approved stages run in order."""

__version__ = "0.1.0"
